//! What the subcommands are called, and what somebody meant who called one otherwise.

/// As they stand in the manual.
pub const ALL: [&str; 12] = [
    "input",
    "output",
    "getVariable",
    "setVariable",
    "incr",
    "vars",
    "unset",
    "event",
    "condition",
    "log",
    "progress",
    "notify",
];

/// Beside the names themselves in any case, with `-` or `_` between their words.
const OTHERS: [(&str, &str); 5] = [
    ("get", "getVariable"),
    ("set", "setVariable"),
    ("increment", "incr"),
    ("variables", "vars"),
    ("unsetvariable", "unset"),
];

/// The name in the manual of what was typed.
pub fn canonical(given: &str) -> Option<&'static str> {
    let plain = plain(given);
    let is_it = |name: &&&str| name.eq_ignore_ascii_case(&plain);
    let other = || OTHERS.iter().find(|(name, _)| *name == plain).map(|(_, name)| *name);
    ALL.iter().find(is_it).copied().or_else(other)
}

/// `: did you mean 'x'?`, or the hint where all of them are explained.
pub fn suggestion(given: &str) -> String {
    let plain = plain(given);
    let names = ALL.iter().map(|name| (*name, *name)).chain(OTHERS);
    let near = names.filter_map(|(typed, meant)| {
        let typed = typed.to_ascii_lowercase();
        let is_start = plain.len() > 1 && typed.starts_with(&plain);
        let distance = if is_start { 1 } else { distance(&plain, &typed) };
        (distance <= 2 && distance < plain.len()).then_some((distance, meant))
    });
    match near.min_by_key(|(distance, _)| *distance) {
        Some((_, meant)) => format!("; did you mean '{meant}'?\nhint: cronium {meant} --help"),
        None => "\nhint: cronium --help".into(),
    }
}

fn plain(given: &str) -> String {
    given.chars().filter(|c| *c != '-' && *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

/// How many letters must be put in, left out or changed (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.bytes().enumerate() {
        let mut corner = line;
        row[0] = line + 1;
        for (at, other) in to.bytes().enumerate() {
            let changed = corner + usize::from(letter != other);
            corner = row[at + 1];
            row[at + 1] = changed.min(corner + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (given, want) in [
            ("getVariable", Some("getVariable")),
            ("get-variable", Some("getVariable")),
            ("get_variable", Some("getVariable")),
            ("get", Some("getVariable")),
            ("set", Some("setVariable")),
            ("INCR", Some("incr")),
            ("increment", Some("incr")),
            ("", None),
            ("getVariables", None),
        ] {
            assert_eq!(canonical(given), want, "{given}");
        }
        for name in ALL {
            assert_eq!(canonical(name), Some(name));
        }
    }

    #[test]
    fn what_was_meant() {
        for (given, want) in [
            ("ouput", "did you mean 'output'?"),
            ("getVar", "did you mean 'getVariable'?"),
            ("setvarable", "did you mean 'setVariable'?"),
            ("prog", "did you mean 'progress'?"),
            ("notfiy", "did you mean 'notify'?"),
            ("x", "\nhint: cronium --help"),
            ("upload", "\nhint: cronium --help"),
        ] {
            assert!(suggestion(given).contains(want), "{given}: {}", suggestion(given));
        }
    }

    #[test]
    fn distances() {
        for (from, to, want) in
            [("", "", 0), ("", "ab", 2), ("log", "log", 0), ("lgo", "log", 2), ("vrs", "vars", 1)]
        {
            assert_eq!(distance(from, to), want, "{from} {to}");
        }
    }
}
