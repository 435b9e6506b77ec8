//! `*` and `?`, as in ssh_config's patterns and in TARGETS.

/// Whether `pattern` describes the whole of `text`: `*` stands for any number of characters,
/// `?` for exactly one, everything else for itself. Takes time in the product of the lengths at
/// worst, never more.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on if the last `*` has to take one more character.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((after, taken)) => {
                    *taken += 1;
                    (p, t) = (*after, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Whether a list of patterns, of which some may begin with `!`, describes `text`: one has to, and
/// none with a `!` may.
pub fn any_matches(patterns: &[String], text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

/// Whether there is anything in `text` that is not plain text to [`matches`].
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_takes_any_number_of_characters_and_a_question_mark_takes_one() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "web01", true),
            ("?", "", false),
            ("web??", "web01", true),
            ("web??", "web1", false),
            ("web*.example.com", "web01.example.com", true),
            ("web*.example.com", "web01.example.org", false),
            ("*a*b", "xxaxxab", true),
            ("*a*b*", "xxbxxa", false),
            ("web", "web01", false),
            ("web01", "web", false),
            ("WEB*", "web01", false),
            ("10.0.*.?", "10.0.17.4", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }
}
