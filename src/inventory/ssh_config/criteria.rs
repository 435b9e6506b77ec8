//! The conditions of a `Match` line.

use crate::inventory::wildcard;

/// All of them must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Criteria {
    /// `all`, or `!all`, which nothing matches.
    All {
        negated: bool,
    },
    Each(Vec<Criterion>),
    /// Only OpenSSH can tell: `exec`, `canonical`, `final`, `tagged` and what is newer.
    OpenSsh,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    subject: Subject,
    negated: bool,
    /// Patterns with commas between, as in a `Host` line.
    patterns: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// What would be connected to, after the lines before.
    Host,
    /// As typed.
    OriginalHost,
    /// Who would log in, after the lines before.
    User,
    LocalUser,
}

/// What is known of a host at a `Match` line.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub host: &'a str,
    pub original_host: &'a str,
    pub user: &'a str,
    pub local_user: &'a str,
}

impl Criteria {
    /// The line without its keyword. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = Words(Some(text));
        let mut each = Vec::new();
        while let Some(word) = words.next().filter(|word| !word.is_empty() && !word.starts_with('#')) {
            let (negated, name) = match word.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, word.as_str()),
            };
            let subject = match name.to_ascii_lowercase().as_str() {
                "all" => {
                    // OpenSSH lets one condition stand before it, and no more.
                    let is_last = words.next().is_none_or(|next| is_end(&next));
                    return match (is_last, each.len()) {
                        (true, 1) if !negated => Ok(Self::Each(each)),
                        (true, 0 | 1) => Ok(Self::All { negated }),
                        _ => Err("match all stands alone".into()),
                    };
                }
                "host" => Subject::Host,
                "originalhost" => Subject::OriginalHost,
                "user" => Subject::User,
                "localuser" => Subject::LocalUser,
                "exec" | "canonical" | "final" | "tagged" | "localnetwork" | "version" | "sessiontype"
                | "command" => return Ok(Self::OpenSsh),
                other => return Err(format!("match knows no {}", other.escape_debug())),
            };
            let patterns = words.next().filter(|patterns| !is_end(patterns));
            let patterns = patterns.ok_or_else(|| format!("match {name} needs a pattern"))?;
            each.push(Criterion {
                subject,
                negated,
                patterns: patterns.split(',').map(str::to_owned).collect(),
            });
        }
        match each.is_empty() {
            true => Err("match needs a condition".into()),
            false => Ok(Self::Each(each)),
        }
    }

    pub fn hold(&self, known: Known<'_>) -> bool {
        match self {
            Self::All { negated } => !negated,
            Self::Each(each) => each.iter().all(|criterion| criterion.holds(known)),
            Self::OpenSsh => false,
        }
    }
}

impl Criterion {
    fn holds(&self, known: Known<'_>) -> bool {
        // Names of hosts have no case, those of users have.
        let lower = |text: &str| text.to_ascii_lowercase();
        let (text, patterns) = match self.subject {
            Subject::Host => (lower(known.host), self.patterns.iter().map(|text| lower(text)).collect()),
            Subject::OriginalHost => {
                (lower(known.original_host), self.patterns.iter().map(|text| lower(text)).collect())
            }
            Subject::User => (known.user.to_owned(), self.patterns.clone()),
            Subject::LocalUser => (known.local_user.to_owned(), self.patterns.clone()),
        };
        wildcard::any_matches(&patterns, &text) != self.negated
    }
}

fn is_end(word: &str) -> bool {
    word.is_empty() || word.starts_with('#')
}

/// Words as OpenSSH cuts this line alone: one `=` may stand between two, and a quote begins and
/// ends within a word.
struct Words<'t>(Option<&'t str>);

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];
        let text = self.0.take()?;
        let end = text.find(|c: char| BLANK.contains(&c) || c == '"' || c == '=');
        let Some(end) = end else { return Some(text.to_owned()) };
        let (word, rest) = text.split_at(end);
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inside, rest) = quoted.split_once('"')?;
            self.0 = Some(rest.trim_start_matches(BLANK));
            return Some(format!("{word}{inside}"));
        }
        let is_equals = rest.starts_with('=');
        let rest = rest[1..].trim_start_matches(BLANK);
        let rest = match rest.strip_prefix('=') {
            Some(rest) if !is_equals => rest.trim_start_matches(BLANK),
            _ => rest,
        };
        self.0 = Some(rest);
        Some(word.to_owned())
    }
}
