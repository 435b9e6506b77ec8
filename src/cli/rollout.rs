//! How many hosts at once, in which batches, and what stops the rest: docs/rollout.md.

use std::time::Duration;

use super::launch;
use crate::error::{Error, Result};
use crate::plan::{Gate, Share, Strategy};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Rollout")]
pub struct RolloutArgs {
    /// How many hosts at once
    #[arg(short, long, value_name = "N", env = "CRONIUM_RUN_FORKS", default_value = "100", value_parser = clap::value_parser!(u16).range(1..))]
    pub forks: u16,
    /// Sizes of batches, one after the other: 5 or 1,10%,50%; the last repeats, a part is one of all hosts
    #[arg(long, value_name = "SIZES", env = "CRONIUM_RUN_SERIAL", value_parser = serial)]
    serial: Option<Serial>,
    /// So many hosts alone first: one that is not ok stops the run with exit code 7
    #[arg(
        long,
        value_name = "N",
        env = "CRONIUM_RUN_CANARY",
        default_value = "0",
        hide_default_value = true
    )]
    canary: u32,
    /// More failed, unreachable, timed out or rejected hosts stop the run with exit code 7: 3, 10%
    #[arg(long, value_name = "N|N%", env = "CRONIUM_RUN_MAX_FAIL")]
    max_fail: Option<Share>,
    /// How often a host is tried again that could not be reached and was sent no job
    #[arg(long, value_name = "N", env = "CRONIUM_RUN_RETRIES", default_value = "0", hide_default_value = true, value_parser = clap::value_parser!(u16).range(..=1000))]
    retries: u16,
    /// A shell command run here between batches: unless it exits 0, the run stops with exit code 7
    #[arg(long, value_name = "CMD", env = "CRONIUM_RUN_GATE", hide_env_values = true)]
    gate: Option<String>,
    /// The gate is killed after this time, and the run stops
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_GATE_TIMEOUT", default_value = "10m", value_parser = launch::duration)]
    gate_timeout: Duration,
    /// Wait between batches, before the gate: 30s, 5m
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_PAUSE", value_parser = pause)]
    pause: Option<Duration>,
    /// Print what would be done and touch nothing
    #[arg(short = 'C', long, env = "CRONIUM_RUN_CHECK", value_parser = clap::builder::BoolishValueParser::new())]
    pub check: bool,
}

impl RolloutArgs {
    pub fn has_gate(&self) -> bool {
        self.gate.is_some()
    }

    /// A gate that would never be asked is an error: somebody counts on it.
    pub fn strategy(&self) -> Result<Strategy> {
        let serial = self.serial.as_ref().map_or(&[][..], |Serial(shares)| shares);
        if self.gate.is_some() && serial.is_empty() && self.canary == 0 {
            return Err(Error::usage("--gate stands between batches, and there is only one")
                .hint("--serial 10%  or  --canary 1"));
        }
        Ok(Strategy {
            canary: self.canary as usize,
            serial: serial.to_vec(),
            max_fail: self.max_fail,
            retries: self.retries.into(),
            gate: self.gate.clone().map(|command| Gate { command, timeout: self.gate_timeout }),
            pause: self.pause.unwrap_or_default(),
        })
    }
}

/// `--serial`: one value with commas, as files have it, too.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Serial(Vec<Share>);

fn serial(text: &str) -> Result<Serial, String> {
    let shares = text.split(',').map(|share| share.trim().parse()).collect::<Result<Vec<Share>, _>>()?;
    match shares.iter().any(|share| matches!(share, Share::Hosts(0) | Share::Percent(0))) {
        true => Err("a batch of no hosts would never end".into()),
        false => Ok(Serial(shares)),
    }
}

/// `--pause`; 0 takes back what a file says.
fn pause(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => launch::duration(text),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        rollout: RolloutArgs,
    }

    fn strategy(words: &str) -> Result<Strategy, String> {
        let words = ["cronium-run"].into_iter().chain(words.split(' ').filter(|word| !word.is_empty()));
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        cli.rollout.strategy().map_err(|error| error.to_string())
    }

    #[test]
    fn flags() {
        let none = Strategy::default();
        let gate = Gate { command: "true".into(), timeout: Duration::from_secs(600) };
        let shares = vec![Share::Hosts(1), Share::Percent(10), Share::Percent(50)];
        let table = [
            ("", none.clone()),
            ("--serial 1,10%,50%", Strategy { serial: shares, ..none.clone() }),
            ("--canary 0 --pause 0 --retries 0", none.clone()),
            ("--max-fail 0", Strategy { max_fail: Some(Share::Hosts(0)), ..none.clone() }),
            ("--max-fail 5%", Strategy { max_fail: Some(Share::Percent(5)), ..none.clone() }),
            ("--pause 1m30s", Strategy { pause: Duration::from_secs(90), ..none.clone() }),
            ("--canary 2 --gate true", Strategy { canary: 2, gate: Some(gate.clone()), ..none.clone() }),
            (
                "--canary 2 --gate true --gate-timeout 2s",
                Strategy {
                    canary: 2,
                    gate: Some(Gate { timeout: Duration::from_secs(2), ..gate }),
                    ..none.clone()
                },
            ),
        ];
        for (words, want) in table {
            assert_eq!(strategy(words), Ok(want), "{words}");
        }
    }

    #[test]
    fn mistakes() {
        for (words, part) in [
            ("--serial 0", "would never end"),
            ("--serial 1,,2", "neither a number"),
            ("--serial 1,0%", "would never end"),
            ("--max-fail 101%", "more than all hosts"),
            ("--max-fail some", "neither a number"),
            ("--gate true", "--serial 10%"),
            ("--gate true --canary 1 --gate-timeout 0", "time"),
            ("--canary few", "--canary"),
        ] {
            let error = strategy(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
    }
}
