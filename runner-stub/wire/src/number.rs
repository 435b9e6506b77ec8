//! Adding JSON numbers, the same on both ends.

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
