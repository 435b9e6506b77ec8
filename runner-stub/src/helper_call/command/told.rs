//! What is told beside the output: `condition`, `log`, `progress`, `notify`.

use cronium_wire::number;
use serde_json::Value;

use super::line::done;
use super::words::Words;
use super::{Outcome, usage};
use crate::helper_call::protocol::Request;

const LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];

pub fn condition(args: Vec<String>) -> Outcome<()> {
    let [word] = Words::parse(args, &[], &[])?.positional::<1>()?;
    let condition = match word.as_deref() {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(usage("a condition is true or false")),
    };
    done(&Request::Condition { condition })
}

pub fn log(args: Vec<String>) -> Outcome<()> {
    let words = Words::parse(args, &[], &["--context"])?;
    let [Some(level), Some(message)] = words.positional::<2>()? else {
        return Err(usage("a LEVEL and a MESSAGE are needed"));
    };
    let level = level_of(&level)?.to_owned();
    let parse = |text: &str| {
        serde_json::from_slice(text.as_bytes())
            .map_err(|error| usage(format!("--context is no JSON: {error}")))
    };
    let context = words.option("--context").map(parse).transpose()?.unwrap_or(Value::Null);
    done(&Request::Log { level, message, context })
}

fn level_of(given: &str) -> Outcome<&'static str> {
    let given = if given.eq_ignore_ascii_case("warning") { "warn" } else { given };
    let known = LEVELS.into_iter().find(|level| level.eq_ignore_ascii_case(given));
    known.ok_or_else(|| usage(format!("'{given}' is no level: debug, info, warn, error")))
}

pub fn progress(args: Vec<String>) -> Outcome<()> {
    let [percent, step] = Words::parse(args, &[], &[])?.positional::<2>()?;
    let percent = percent_of(percent.as_deref().unwrap_or_default())?;
    done(&Request::Progress { percent, step })
}

fn percent_of(text: &str) -> Outcome<f64> {
    let percent = number::parse(text.strip_suffix('%').unwrap_or(text));
    percent
        .and_then(|percent| percent.as_f64())
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| usage(format!("N is a number from 0 to 100, not '{text}'")))
}

pub fn notify(args: Vec<String>) -> Outcome<()> {
    let [Some(audience), Some(message)] = Words::parse(args, &[], &[])?.positional::<2>()? else {
        return Err(usage("an AUDIENCE and a MESSAGE are needed"));
    };
    done(&Request::Notify { audience, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (given, want) in [
            ("debug", Some("debug")),
            ("INFO", Some("info")),
            ("warning", Some("warn")),
            ("error", Some("error")),
            ("fatal", None),
            ("", None),
        ] {
            assert_eq!(level_of(given).ok(), want, "{given}");
        }
        assert_eq!(level_of("loud"), Err(usage("'loud' is no level: debug, info, warn, error")));
    }

    #[test]
    fn percents() {
        for (given, want) in [
            ("0", Some(0.0)),
            ("99.5", Some(99.5)),
            ("100%", Some(100.0)),
            ("007", Some(7.0)),
            ("+.5", Some(0.5)),
            ("5.%", Some(5.0)),
            ("-1", None),
            ("100.1", None),
            ("nan", None),
            ("", None),
        ] {
            assert_eq!(percent_of(given).ok(), want, "{given}");
        }
    }
}
