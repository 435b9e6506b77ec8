//! How long something may take, as people write it: `90s`, `15m`, `1h30m`, `2d`, `500ms`. A bare
//! whole number is seconds.

use std::time::Duration;

/// Longer is a slip of the pen.
pub const MAX: Duration = Duration::from_secs(365 * 86_400);

/// Units from the largest to the smallest, with their milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration. Units stand in order, each at most once. The error is the end of a sentence
/// that begins with what was written.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "is no duration, write it as 90s, 15m or 1h30m";
    let mut total: u64 = 0;
    let mut rest = text;
    let mut units = &UNITS[..];
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, behind) = behind.split_at(letters);
        // All digits: an empty number, or one that does not fit.
        let number: u64 = number.parse().map_err(|_| if number.is_empty() { FORM } else { TOO_LONG })?;
        let unit = if unit.is_empty() && digits == text.len() { "s" } else { unit };
        let at = units.iter().position(|(name, _)| *name == unit).ok_or(FORM)?;
        let part = number.checked_mul(units[at].1).ok_or(TOO_LONG)?;
        total = total.checked_add(part).ok_or(TOO_LONG)?;
        units = &units[at + 1..];
        rest = behind;
    }
    let total = Duration::from_millis(total);
    match total {
        _ if text.is_empty() => Err(FORM),
        Duration::ZERO => Err("is no time at all"),
        _ if total > MAX => Err(TOO_LONG),
        _ => Ok(total),
    }
}

const TOO_LONG: &str = "is more than a year";

/// Writes what [`parse`] reads; parts below a millisecond are lost.
pub fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// For serde: text, or nothing.
pub mod optional {
    use std::time::Duration;

    use serde::{Serialize, Serializer};

    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        duration.map(super::format).serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        const FORM: &str = "is no duration, write it as 90s, 15m or 1h30m";
        let table: &[(&str, Result<u64, &str>)] = &[
            ("90s", Ok(90_000)),
            ("15m", Ok(900_000)),
            ("1h30m", Ok(5_400_000)),
            ("2d", Ok(172_800_000)),
            ("500ms", Ok(500)),
            ("1m5ms", Ok(60_005)),
            ("90", Ok(90_000)),
            ("365d", Ok(31_536_000_000)),
            ("", Err(FORM)),
            ("m", Err(FORM)),
            ("15 m", Err(FORM)),
            ("15x", Err(FORM)),
            ("1.5h", Err(FORM)),
            ("-5s", Err(FORM)),
            ("30m1h", Err(FORM)),
            ("1h1h", Err(FORM)),
            ("1h30", Err(FORM)),
            ("15M", Err(FORM)),
            ("0s", Err("is no time at all")),
            ("0", Err("is no time at all")),
            ("366d", Err("is more than a year")),
            ("99999999999999999999s", Err("is more than a year")),
            ("18446744073709551615d", Err("is more than a year")),
        ];
        for (text, want) in table {
            assert_eq!(parse(text), want.map(Duration::from_millis), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(millis in 1u64..31_536_000_000) {
            let duration = Duration::from_millis(millis);
            proptest::prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn any_text_never_panics(text in ".*") {
            let _ = parse(&text);
        }
    }
}
