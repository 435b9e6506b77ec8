//! Lengths of time as ssh_config and our flags write them.

use std::time::Duration;

/// `10` (seconds), `10s`, `1m30s`, `2h`; also `d` and `w`, in either case.
pub fn parse(text: &str) -> Option<Duration> {
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let mut characters = rest[digits..].chars();
        let unit = match characters.next().map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            Some('w') => 7 * 24 * 60 * 60,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = characters.as_str();
    }
    (!text.is_empty() && total <= u64::from(u32::MAX)).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_have_units() {
        for (text, seconds) in [
            ("10", Some(10)),
            ("10s", Some(10)),
            ("1m30", Some(90)),
            ("1H1M1S", Some(3661)),
            ("1w2d", Some(777_600)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("-1", None),
            ("+1", None),
            ("1.5s", None),
            ("10 s", None),
            ("99999999999999999999", None),
            ("9999999999w", None),
        ] {
            assert_eq!(parse(text).map(|time| time.as_secs()), seconds, "{text}");
        }
    }
}
