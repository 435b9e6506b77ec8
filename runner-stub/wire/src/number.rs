//! Reading and adding numbers, the same on both ends.

use serde_json::Number;

/// Exact for whole numbers; `None` where the sum is beyond what a number can hold.
pub fn add(a: &Number, b: &Number) -> Option<Number> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => {
            let sum = a + b;
            let signed = || i64::try_from(sum).ok().map(Number::from);
            u64::try_from(sum).ok().map(Number::from).or_else(signed)
        }
        // JSON has no infinity.
        _ => Number::from_f64(a.as_f64()? + b.as_f64()?),
    }
}

/// Whether the text is `[+-]?(digits[.digits?]|.digits)([eE][+-]?digits)?`.
pub fn is_decimal(text: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mantissa = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    [whole, fraction, exponent].into_iter().all(is_digits)
        && whole.len() + fraction.len() > 0
        && !exponent.is_empty()
}

/// The number of a text that [`is_decimal`], as a JSON number with a fraction; `None` where it is
/// none, or one that JSON's readers do not hold.
///
/// Brought into JSON's form and read as JSON, as all other numbers are: the standard library's own
/// reader of fractions is 15 kB of the stub.
pub fn parse(text: &str) -> Option<Number> {
    if !is_decimal(text) {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // JSON has neither `+`, nor zeros in front, nor a bare point. Digits that say nothing would only
    // make it less exact.
    let whole = or_zero(whole.trim_start_matches(['+', '-', '0']));
    let fraction = or_zero(fraction.trim_end_matches('0'));
    serde_json::from_slice(format!("{sign}{whole}.{fraction}e{exponent}").as_bytes()).ok()
}

fn or_zero(digits: &str) -> &str {
    if digits.is_empty() { "0" } else { digits }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn texts() {
        for (text, want) in [
            ("1", Some(1.0)),
            ("+007.50", Some(7.5)),
            ("-.5", Some(-0.5)),
            ("5.", Some(5.0)),
            ("0", Some(0.0)),
            ("1e3", Some(1000.0)),
            ("1.E-2", Some(0.01)),
            ("0.1", Some(0.1)),
            ("1234567.12345678000", Some(1234567.12345678)),
            ("1e999", None),
            ("", None),
            (".", None),
            ("+", None),
            ("+-1", None),
            ("1e", None),
            ("1e+", None),
            ("1.2.3", None),
            ("1-2", None),
            ("nan", None),
            ("1 ", None),
        ] {
            assert_eq!(parse(text).and_then(|number| number.as_f64()), want, "{text}");
            assert_eq!(is_decimal(text), text.parse::<f64>().is_ok() && text != "nan", "{text}");
        }
    }

    #[test]
    fn sums() {
        for (a, b, want) in [
            (json!(1), json!(2), Some(json!(3))),
            (json!(1), json!(-2), Some(json!(-1))),
            (json!(u64::MAX), json!(-1), Some(json!(u64::MAX - 1))),
            (json!(u64::MAX), json!(1), None),
            (json!(i64::MIN), json!(-1), None),
            (json!(1), json!(0.5), Some(json!(1.5))),
            (json!(f64::MAX), json!(f64::MAX), None),
        ] {
            let (Value::Number(x), Value::Number(y)) = (&a, &b) else { panic!() };
            assert_eq!(add(x, y).map(Value::Number), want, "{a} {b}");
        }
    }
}
