//! How many bytes, as people write it: `500000`, `64k`, `25MiB`, `1 GB`, `1.5G`. `k`, `M` and `G`
//! count by 1000, with an `i` by 1024, in any case and with or without a `B`.

/// Reads a size. A part of a byte counts as a whole one. The error is the end of a sentence that
/// begins with what was written.
pub fn parse(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "is no size, write it as 500000, 64k, 25MiB or 1 GB";
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if unit.is_empty() && number.len() < text.len() {
        return Err(FORM);
    }
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || part.is_empty() || part.contains('.') {
        return Err(FORM);
    }
    let bytes = bytes_of(unit).ok_or(FORM)?;
    let whole: u64 = whole.parse().map_err(|_| TOO_LARGE)?;
    let whole = whole.checked_mul(bytes).ok_or(TOO_LARGE)?;
    whole.checked_add(part_of(part, bytes)).ok_or(TOO_LARGE)
}

const TOO_LARGE: &str = "is more than any file has";

fn bytes_of(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    Some(match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 1,
        "k" => 1000,
        "ki" => 1 << 10,
        "m" => 1_000_000,
        "mi" => 1 << 20,
        "g" => 1_000_000_000,
        "gi" => 1 << 30,
        _ => return None,
    })
}

/// The digits behind the point, times `bytes`, rounded up. From the last to the first, each step
/// rounding up: exact, because rounding up twice is rounding up once.
fn part_of(digits: &str, bytes: u64) -> u64 {
    // In tenths of what is left: ceil((digit * bytes + rest) / 10), where rest <= bytes.
    digits.bytes().rev().fold(0, |rest, digit| (u64::from(digit - b'0') * bytes + rest).div_ceil(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        const FORM: &str = "is no size, write it as 500000, 64k, 25MiB or 1 GB";
        let table: &[(&str, Result<u64, &str>)] = &[
            ("0", Ok(0)),
            ("500000", Ok(500_000)),
            ("7B", Ok(7)),
            ("64k", Ok(64_000)),
            ("64K", Ok(64_000)),
            ("64kB", Ok(64_000)),
            ("64KiB", Ok(65_536)),
            ("64ki", Ok(65_536)),
            ("25MiB", Ok(26_214_400)),
            ("25 mib", Ok(26_214_400)),
            ("1 GB", Ok(1_000_000_000)),
            ("4GiB", Ok(1 << 32)),
            ("1.5G", Ok(1_500_000_000)),
            ("0.5KiB", Ok(512)),
            ("0.1", Ok(1)),
            ("1.0001k", Ok(1001)),
            ("0.3333Ki", Ok(342)),
            ("0.000000000000000000000000000001", Ok(1)),
            ("", Err(FORM)),
            ("k", Err(FORM)),
            (" 1", Err(FORM)),
            ("1 ", Err(FORM)),
            ("1  k", Err(FORM)),
            ("-1", Err(FORM)),
            ("1.", Err(FORM)),
            (".5", Err(FORM)),
            ("1.2.3", Err(FORM)),
            ("1e3", Err(FORM)),
            ("1T", Err(FORM)),
            ("1kiBB", Err(FORM)),
            ("99999999999999999999", Err(TOO_LARGE)),
            ("18446744073709551615k", Err(TOO_LARGE)),
        ];
        for (text, want) in table {
            assert_eq!(parse(text), *want, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_number_of_bytes_is_itself(bytes: u64) {
            proptest::prop_assert_eq!(parse(&bytes.to_string()), Ok(bytes));
        }

        #[test]
        fn any_text_never_panics(text in ".*") {
            let _ = parse(&text);
        }
    }
}
