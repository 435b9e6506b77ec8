//! Patterns of paths: `*` any characters of one part, `?` one of them, `[a-z]` and `[!a-z]` one of a
//! set, `**` as a part any number of parts. A dot in front is as any other character.

/// Why a pattern is none: the end of a sentence that begins with it.
pub fn check(pattern: &str) -> Result<(), &'static str> {
    let mut rest = pattern;
    while let Some(at) = rest.find('[') {
        let Some((_, behind)) = set(&rest[at..]) else { return Err("holds '[' without ']'") };
        rest = behind;
    }
    Ok(())
}

/// Whether the pattern is the whole of the path. Time grows with the product of both lengths.
pub fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    sequence(
        &pattern,
        &path,
        |part| *part == "**",
        |part, name| {
            let (part, name) = (tokens(part), name.chars().collect::<Vec<_>>());
            sequence(&part, &name, |token| matches!(token, Token::Any), Token::takes)
        },
    )
}

/// Matches items to patterns of which some (`any`) stand for any number of items. Of those only
/// the last that was met is ever tried again: whatever the earlier ones could take, it can too.
fn sequence<P, I>(
    patterns: &[P],
    items: &[I],
    any: impl Fn(&P) -> bool,
    one: impl Fn(&P, &I) -> bool,
) -> bool {
    let (mut pattern, mut item) = (0, 0);
    // Behind the last `any`, and the first item that it does not take yet.
    let mut again = None;
    loop {
        match patterns.get(pattern) {
            Some(found) if any(found) => {
                pattern += 1;
                again = Some((pattern, item));
                continue;
            }
            Some(found) if items.get(item).is_some_and(|item| one(found, item)) => {
                (pattern, item) = (pattern + 1, item + 1);
                continue;
            }
            None if item == items.len() => return true,
            _ => {}
        }
        let Some((behind, taken)) = again.filter(|(_, taken)| *taken < items.len()) else { return false };
        again = Some((behind, taken + 1));
        (pattern, item) = (behind, taken + 1);
    }
}

enum Token<'a> {
    Any,
    One,
    /// What stands between the brackets.
    Set(&'a str),
    Character(char),
}

impl Token<'_> {
    fn takes(&self, character: &char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Character(own) => own == character,
            Self::Set(members) => match members.strip_prefix(['!', '^']) {
                Some(members) => !has(members, *character),
                None => has(members, *character),
            },
        }
    }
}

fn tokens(part: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = part;
    while let Some(first) = rest.chars().next() {
        let (token, behind) = match (first, set(rest)) {
            (_, Some((members, behind))) => (Token::Set(members), behind),
            (first, None) => {
                let behind = &rest[first.len_utf8()..];
                match first {
                    '*' => (Token::Any, behind),
                    '?' => (Token::One, behind),
                    _ => (Token::Character(first), behind),
                }
            }
        };
        tokens.push(token);
        rest = behind;
    }
    tokens
}

/// What stands in the brackets that `text` begins with, and what follows them. A `]` that comes
/// first is a member. No set reaches over a `/`.
fn set(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('[')?;
    let members = inside.strip_prefix(['!', '^']).unwrap_or(inside);
    let first = members.chars().next()?.len_utf8();
    let end = inside.len() - members.len() + first + members.get(first..)?.find(']')?;
    let (members, behind) = (&inside[..end], &inside[end + 1..]);
    (!members.contains('/')).then_some((members, behind))
}

fn has(members: &str, character: char) -> bool {
    let mut rest = members.chars().peekable();
    while let Some(first) = rest.next() {
        let mut ahead = rest.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) => {
                rest = ahead;
                last
            }
            _ => first,
        };
        if (first..=last).contains(&character) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, want) in [
            ("report.txt", "report.txt", true),
            ("report.txt", "Report.txt", false),
            ("report.txt", "a/report.txt", false),
            ("*", "a", true),
            ("*", ".hidden", true),
            ("*", "a/b", false),
            ("*.log", "x.log", true),
            ("*.log", ".log", true),
            ("*.log", "x.log.1", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a**c", "abc", true),
            ("a**c", "a/c", false),
            ("?.txt", "é.txt", true),
            ("?.txt", ".txt", false),
            ("[a-c].txt", "b.txt", true),
            ("[a-c].txt", "d.txt", false),
            ("[!a-c].txt", "d.txt", true),
            ("[^a-c].txt", "a.txt", false),
            ("[]x]", "]", true),
            ("[!]x]", "]", false),
            ("[a-]", "-", true),
            ("[*]", "*", true),
            ("[*]", "a", false),
            ("[ä-ö]", "ö", true),
            ("**", "a/b/c", true),
            ("**/*.log", "x.log", true),
            ("**/*.log", "a/b/x.log", true),
            ("logs/**", "logs/a/b", true),
            ("logs/**", "log/a", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/b/**/z", "a/x/b/y/b/z", true),
            ("a/**/b/**/z", "a/x/y/z", false),
            ("a/*/z", "a/z", false),
            ("a/*/z", "a/b/z", true),
        ] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
            assert_eq!(matches(pattern, path), want, "{pattern} {path}");
        }
    }

    #[test]
    fn open_brackets() {
        for pattern in ["[", "a[", "[a", "[!", "[]", "[!]", "[a/b]", "[a][b"] {
            assert_eq!(check(pattern), Err("holds '[' without ']'"), "{pattern}");
        }
    }

    /// Would take years if every star were tried with every other.
    #[test]
    fn many_stars_end() {
        let (pattern, path) = ("*a".repeat(200) + "b", "a".repeat(4000));
        assert!(!matches(&pattern, &path));
        let (pattern, path) = ("**/a/".repeat(100) + "b", "a/".repeat(2000) + "c");
        assert!(!matches(&pattern, &path));
    }

    proptest::proptest! {
        #[test]
        fn any_text_never_panics(pattern in r"[\[\]!^*?/a-c\-é]{0,20}", path in "[a-cé/\\]-]{0,20}") {
            let _ = check(&pattern);
            let _ = matches(&pattern, &path);
        }

        #[test]
        fn plain_text_is_itself(path in "[a-z./ é-]{1,30}") {
            proptest::prop_assert!(matches(&path, &path));
        }
    }
}
