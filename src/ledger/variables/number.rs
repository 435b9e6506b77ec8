use serde_json::{Number, Value};

/// `current + by`; nothing counts as 0. Whole numbers are exact or refused; with a fraction on
/// either side it is the sum of doubles. The error is one sentence.
pub(super) fn add(current: Option<&Value>, by: &Number) -> Result<Number, String> {
    let current = match current {
        None => &Number::from(0),
        Some(Value::Number(number)) => number,
        Some(Value::Null) => return Err("it is null, not a number".into()),
        Some(Value::Bool(_)) => return Err("it is true or false, not a number".into()),
        Some(Value::String(_)) => return Err("it is a text, not a number".into()),
        Some(Value::Array(_)) => return Err("it is a list, not a number".into()),
        Some(Value::Object(_)) => return Err("it is an object, not a number".into()),
    };
    let beyond = || format!("{current} and {by} is more than a number can hold");
    if let (Some(a), Some(b)) = (whole(current), whole(by)) {
        let sum = a + b;
        let number = i64::try_from(sum).map(Number::from).or_else(|_| u64::try_from(sum).map(Number::from));
        return number.map_err(|_| beyond());
    }
    let sum = current.as_f64().zip(by.as_f64()).map(|(a, b)| a + b);
    sum.and_then(Number::from_f64).ok_or_else(beyond)
}

/// A number without a fraction: of 64 bits, so that two of them cannot overflow.
fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sums() {
        // what is there, what is added, sum
        let table = [
            (None, json!(1), Ok(json!(1))),
            (Some(json!(41)), json!(1), Ok(json!(42))),
            (Some(json!(-3)), json!(-4), Ok(json!(-7))),
            (Some(json!(9_007_199_254_740_993_i64)), json!(2), Ok(json!(9_007_199_254_740_995_i64))),
            (Some(json!(i64::MAX)), json!(1), Ok(json!(1_u64 << 63))),
            (Some(json!(u64::MAX)), json!(-1), Ok(json!(u64::MAX - 1))),
            (Some(json!(u64::MAX)), json!(i64::MIN), Ok(json!(i64::MAX))),
            (
                Some(json!(u64::MAX)),
                json!(1),
                Err("18446744073709551615 and 1 is more than a number can hold"),
            ),
            (
                Some(json!(i64::MIN)),
                json!(-1),
                Err("-9223372036854775808 and -1 is more than a number can hold"),
            ),
            (Some(json!(1.5)), json!(1), Ok(json!(2.5))),
            (Some(json!(1)), json!(0.25), Ok(json!(1.25))),
            (
                Some(json!(f64::MAX)),
                json!(f64::MAX),
                Err("1.7976931348623157e+308 and 1.7976931348623157e+308 is more than a number can hold"),
            ),
            (Some(json!("7")), json!(1), Err("it is a text, not a number")),
            (Some(json!(null)), json!(1), Err("it is null, not a number")),
            (Some(json!(false)), json!(1), Err("it is true or false, not a number")),
            (Some(json!([1])), json!(1), Err("it is a list, not a number")),
            (Some(json!({})), json!(1), Err("it is an object, not a number")),
        ];
        for (current, by, wanted) in table {
            let by = by.as_number().unwrap();
            let sum = add(current.as_ref(), by).map(Value::Number);
            assert_eq!(sum.as_ref().map_err(String::as_str), wanted.as_ref().map_err(|text| *text), "{by}");
        }
    }
}
