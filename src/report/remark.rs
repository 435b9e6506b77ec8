use crate::event::EventKind;
use crate::term::{Tone, visible_line};

/// What a script told beside its output, as one line: `warn: disk is full {"disk":"/srv"}`,
/// `notify ops: please look`, `progress 40% copying`, `condition true`.
///
/// All of it comes from a host: what could steer a terminal is made visible, and it stays one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub rank: Rank,
    /// `warn:`, `notify ops:`, `progress`, `condition`.
    pub label: String,
    /// What stands behind the label.
    pub text: String,
}

/// How much a remark matters to people, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    Error,
    Notify,
    Warn,
    Info,
    /// For machines and for `logs --told`: `debug` and `trace`, progress and conditions.
    Quiet,
}

impl Rank {
    /// Level names of syslog, python, node and Rust, in any case. Any other word is `info`.
    fn of_level(level: &str) -> Self {
        match level.to_ascii_lowercase().as_str() {
            "error" | "err" | "fatal" | "critical" | "crit" | "alert" | "emergency" | "emerg" | "panic" => {
                Self::Error
            }
            "warn" | "warning" => Self::Warn,
            "debug" | "trace" | "verbose" | "silly" => Self::Quiet,
            _ => Self::Info,
        }
    }

    /// `None`: as plain text.
    pub fn tone(self) -> Option<Tone> {
        match self {
            Self::Error => Some(Tone::Bad),
            Self::Warn => Some(Tone::Doubtful),
            Self::Notify => Some(Tone::Strong),
            Self::Info | Self::Quiet => None,
        }
    }
}

impl Remark {
    /// The kinds of events that are remarks, by [`EventKind::name`].
    pub const KINDS: [&str; 4] = ["host_log", "host_progress", "host_notify", "host_condition"];

    /// With the host that told it; `None` where the event is no remark of a script.
    pub fn of(kind: &EventKind) -> Option<(&str, Self)> {
        match kind {
            EventKind::HostLog { host, level, message, context } => {
                let mut text = visible_line(message);
                if !context.is_null() {
                    text = format!("{text} {}", visible_line(&context.to_string())).trim_start().to_owned();
                }
                let label = match level.trim() {
                    "" => "log:".to_owned(),
                    level => format!("{}:", visible_line(level)),
                };
                Some((host, Self { rank: Rank::of_level(level.trim()), label, text }))
            }
            EventKind::HostNotify { host, audience, message } => {
                let label = format!("notify {}:", visible_line(audience));
                Some((host, Self { rank: Rank::Notify, label, text: visible_line(message) }))
            }
            EventKind::HostProgress { host, percent, step } => {
                let mut text = percent_text(*percent);
                if let Some(step) = step {
                    text = format!("{text} {}", visible_line(step));
                }
                Some((host, Self { rank: Rank::Quiet, label: "progress".to_owned(), text }))
            }
            EventKind::HostCondition { host, condition } => {
                let label = "condition".to_owned();
                Some((host, Self { rank: Rank::Quiet, label, text: condition.to_string() }))
            }
            _ => None,
        }
    }

    /// Label and text.
    pub fn line(&self) -> String {
        format!("{} {}", self.label, self.text)
    }
}

/// `40%`; whole percents, rounded down: 99.9 is not done.
pub fn percent_text(percent: f64) -> String {
    format!("{}%", percent.clamp(0.0, 100.0).floor())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_scripts_tell_in_a_line() {
        let host = || "web1".to_owned();
        let log = |level: &str, message: &str, context: Value| EventKind::HostLog {
            host: host(),
            level: level.to_owned(),
            message: message.to_owned(),
            context,
        };
        let progress = |percent, step: Option<&str>| EventKind::HostProgress {
            host: host(),
            percent,
            step: step.map(str::to_owned),
        };
        let notify = EventKind::HostNotify {
            host: host(),
            audience: "ops\x1b[2J".into(),
            message: "two\nlines\u{202e}".into(),
        };
        // event, rank, line
        let table = [
            (log("info", "done", Value::Null), Rank::Info, "info: done"),
            (log("WARN", "full", json!({"disk": "/"})), Rank::Warn, r#"WARN: full {"disk":"/"}"#),
            (log("", "", json!([1])), Rank::Info, "log: [1]"),
            (log("fatal", "a\tb", json!("\u{9b}")), Rank::Error, r#"fatal: a\tb "\u{9b}""#),
            (log("debug", "x", Value::Null), Rank::Quiet, "debug: x"),
            (notify, Rank::Notify, r"notify ops\x1b[2J: two\nlines\u{202e}"),
            (progress(99.99, Some("copy\r")), Rank::Quiet, "progress 99% copy"),
            (progress(-3.0, None), Rank::Quiet, "progress 0%"),
            (EventKind::HostCondition { host: host(), condition: true }, Rank::Quiet, "condition true"),
        ];
        for (kind, rank, line) in table {
            let (from, remark) = Remark::of(&kind).unwrap();
            assert_eq!((from, remark.rank, remark.line().as_str()), ("web1", rank, line));
            assert!(Remark::KINDS.contains(&kind.name()));
        }
        assert!(Remark::of(&EventKind::HostWarning { host: host(), message: "w".into() }).is_none());
    }
}
