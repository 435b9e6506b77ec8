use std::cmp::Ordering;

use super::fold;
use crate::event::{HostResult, Outcome, Phase};
use crate::term::{Tone, visible_line};

/// How a host ended, in the form that hosts with the same fate share: the host's own name in a
/// message is taken out, so that `cannot reach db1:22` and `cannot reach db2:22` are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fate {
    pub outcome: Outcome,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub phase: Option<Phase>,
    pub kind: String,
    message: Pattern,
}

impl Fate {
    pub fn of(host: &str, result: &HostResult) -> Self {
        let failure = result.failure.as_ref();
        Self {
            outcome: result.outcome,
            exit_code: result.exit_code,
            signal: result.signal,
            phase: failure.map(|failure| failure.phase),
            kind: failure.map(|failure| failure.kind.clone()).unwrap_or_default(),
            message: Pattern::new(failure.map_or("", |failure| &failure.message), host),
        }
    }

    pub fn is_ok(&self) -> bool {
        self.outcome == Outcome::Succeeded
    }

    /// Whether nothing went wrong on the host itself: it was left out, stopped or left by us.
    pub fn is_ours(&self) -> bool {
        matches!(self.outcome, Outcome::Cancelled | Outcome::Skipped | Outcome::Detached)
    }

    /// `ok`, `exit 7`, `killed by SIGKILL`, `timed out after 30 s`, `unreachable: …`, said of `hosts`.
    pub fn text(&self, hosts: &[&str]) -> String {
        let label = word(self.outcome);
        match (self.outcome, self.signal, self.exit_code) {
            (Outcome::Succeeded, ..) => label.to_owned(),
            (Outcome::Failed, Some(signal), _) => format!("killed by {}", signal_name(signal)),
            (Outcome::Failed, None, Some(code)) => format!("exit {code}"),
            _ => match self.message.fill(hosts) {
                message if message.is_empty() => label.to_owned(),
                message if message.starts_with(label) => message,
                message => format!("{label}: {message}"),
            },
        }
    }

    /// What fates have in common that differ in words and numbers only: `unreachable (tcp, refused)`.
    pub fn kind_text(&self) -> String {
        match self.phase {
            Some(phase) => {
                format!("{} ({}, {})", word(self.outcome), phase.as_str(), visible_line(&self.kind))
            }
            None => word(self.outcome).to_owned(),
        }
    }

    /// Good ones first, then from a script's failure to what we know nothing of.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }

    fn rank(&self) -> u8 {
        match self.outcome {
            Outcome::Succeeded => 0,
            Outcome::Detached => 1,
            Outcome::Skipped => 2,
            Outcome::Cancelled => 3,
            Outcome::Failed => 4,
            Outcome::TimedOut => 5,
            Outcome::Unreachable => 6,
            Outcome::Unknown => 7,
            Outcome::Rejected => 8,
        }
    }
}

/// An outcome in a sentence and in a count: `2 failed`.
pub fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "ok",
        Outcome::Failed => "failed",
        Outcome::TimedOut => "timed out",
        Outcome::Unreachable => "unreachable",
        Outcome::Rejected => "rejected",
        Outcome::Cancelled => "cancelled",
        Outcome::Skipped => "not started",
        Outcome::Detached => "started and left",
        Outcome::Unknown => "unknown",
    }
}

pub fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Succeeded => Tone::Good,
        Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable | Outcome::Rejected => Tone::Bad,
        Outcome::Cancelled | Outcome::Skipped | Outcome::Unknown | Outcome::Detached => Tone::Doubtful,
    }
}

/// As `kill -l` of Linux names it.
fn signal_name(number: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    match usize::try_from(number - 1).ok().and_then(|index| NAMES.get(index)) {
        Some(name) => format!("SIG{name}"),
        None => format!("signal {number}"),
    }
}

/// A sentence about one host that can be said of several.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(String);

/// Stand for the host's name and for the name without user and port. A message has no control
/// characters of its own: they were made visible.
const NAME: char = '\0';
const BARE: char = '\u{1}';

/// Longest text of a set within a sentence.
const SET: usize = 40;

impl Pattern {
    pub fn new(sentence: &str, host: &str) -> Self {
        let sentence = visible_line(sentence);
        let named = replace_word(&sentence, host, NAME);
        Self(replace_word(&named, bare(host), BARE))
    }

    /// The sentence about these hosts.
    pub fn fill(&self, hosts: &[&str]) -> String {
        let mut text = self.0.clone();
        if text.contains(NAME) {
            text = text.replace(NAME, &fold::fold_within(hosts.iter().copied(), SET));
        }
        if text.contains(BARE) {
            text = text.replace(BARE, &fold::fold_within(hosts.iter().map(|host| bare(host)), SET));
        }
        text
    }
}

/// `root@db1:22` → `db1`.
fn bare(host: &str) -> &str {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Replaces `word` where it is no part of a longer name.
fn replace_word(text: &str, word: &str, with: char) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let in_name = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let after = &rest[at + word.len()..];
        let mut next = after.chars();
        let longer = match next.next() {
            Some('.') => next.next().is_some_and(in_name),
            Some(character) => in_name(character),
            None => false,
        };
        let before = rest[..at].chars().next_back().or(out.chars().next_back());
        out.push_str(&rest[..at]);
        if longer || before.is_some_and(|character| in_name(character) || character == '.') {
            out.push_str(word);
        } else {
            out.push(with);
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_about_one_host_is_said_of_many() {
        // sentence, its host, other hosts of the same pattern, said of all
        const TABLE: &[(&str, &str, &[&str], &str)] = &[
            ("cannot reach db1:22", "db1", &["db2", "db3"], "cannot reach db[1-3]:22"),
            ("cannot reach db1:2222", "root@db1:2222", &["root@db2:2222"], "cannot reach db[1-2]:2222"),
            ("root@db1:22 says no", "root@db1:22", &["root@db2:22"], "root@db[1-2]:22 says no"),
            ("db10 is not db1", "db1", &["db2"], "db10 is not db[1-2]"),
            ("xdb1 db1-a db1.lan my.db1 db1.", "db1", &["db2"], "xdb1 db1-a db1.lan my.db1 db[1-2]."),
            ("no name here", "db1", &["db2"], "no name here"),
            ("esc \x1b[2J", "db1", &[], r"esc \x1b[2J"),
        ];
        for (sentence, host, others, said) in TABLE {
            let pattern = Pattern::new(sentence, host);
            let hosts: Vec<&str> = [host].into_iter().chain(*others).copied().collect();
            assert_eq!(pattern.fill(&hosts), *said);
            assert_eq!(pattern.fill(&[host]), visible_line(sentence));
        }
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(
            [9, 15, 31, 32, 0, -1].map(signal_name),
            ["SIGKILL", "SIGTERM", "SIGSYS", "signal 32", "signal 0", "signal -1"]
        );
    }
}
