//! Whether a pipeline runs us, where nobody is asked and nothing is left behind.

/// What `CI` in the environment says.
pub fn is_ci() -> bool {
    says_yes(std::env::var_os("CI").map(|value| value.to_string_lossy().into_owned()).as_deref())
}

/// As programs read it: set, and not to a word for no.
fn says_yes(value: Option<&str>) -> bool {
    value.is_some_and(|value| !["", "0", "false", "no"].contains(&value.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_it_is_ci() {
        for (value, expected) in [
            (None, false),
            (Some(""), false),
            (Some("false"), false),
            (Some("No"), false),
            (Some("0"), false),
            (Some("true"), true),
            (Some("1"), true),
            (Some("woodpecker"), true),
        ] {
            assert_eq!(says_yes(value), expected, "{value:?}");
        }
    }
}
