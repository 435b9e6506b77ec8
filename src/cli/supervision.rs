//! "Losing the connection": what becomes of a script whose operator is gone.

use std::time::Duration;

use super::hooks::HookArgs;
use super::launch::{self, Telling};
use super::rollout::RolloutArgs;
use crate::error::{Error, Result};
use crate::plan::{self, Run, Share, Strategy};

/// Nobody keeps more of what one script prints.
const MOST_OUTPUT: u64 = 1 << 40;

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Losing the connection")]
pub struct SupervisionArgs {
    /// Leave each host once its script has started; attach RUN or collect RUN fetches the results
    #[arg(long, env = "CRONIUM_RUN_DETACH", value_parser = clap::builder::BoolishValueParser::new())]
    detach: bool,
    /// How long a lost connection is tried to be made again, while the script runs on; 0 never [default: 5m]
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_RECONNECT", value_parser = reconnect, allow_hyphen_values = true)]
    reconnect: Option<Duration>,
    /// How long a script may go on without us before it is killed, 14d at most [default: 1d; 14d with --detach]
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_LEASE", value_parser = lease, allow_hyphen_values = true)]
    lease: Option<Duration>,
    /// Kill the script with all it started where it prints nothing for this time: 5m
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_IDLE_TIMEOUT", value_parser = launch::duration, allow_hyphen_values = true)]
    idle_timeout: Option<Duration>,
    /// How much of stdout and of stderr each is kept, half of it from the beginning, half from the end: 500K, 2G [default: 64M]
    #[arg(long, value_name = "SIZE", env = "CRONIUM_RUN_MAX_OUTPUT", value_parser = size, allow_hyphen_values = true)]
    max_output: Option<u64>,
}

impl SupervisionArgs {
    /// The strategy that `rollout` asks for. Hosts that are left are no batch that a gate could judge.
    pub fn strategy(&self, rollout: &RolloutArgs) -> Result<Strategy> {
        match self.detach && rollout.has_gate() {
            true => Err(leaves_before_it("--gate").hint("leave out --detach, or --gate")),
            false => rollout.strategy(),
        }
    }

    pub fn reconnect(&self) -> Duration {
        self.reconnect_or(plan::RECONNECT)
    }

    pub fn reconnect_or(&self, usual: Duration) -> Duration {
        self.reconnect.unwrap_or(usual)
    }

    /// The run under the conditions that are said; all else is as it is. An error where `--detach` would
    /// leave hosts that something else waits for.
    pub fn over(&self, run: Run, strategy: &Strategy, telling: &Telling, hooks: &HookArgs) -> Result<Run> {
        if self.detach {
            leaves_nobody_waiting(strategy, telling, hooks)?;
        }
        let usual = if self.detach { plan::LEASE_DETACHED.max(run.lease) } else { run.lease };
        Ok(Run {
            detach: self.detach,
            lease: self.lease.unwrap_or(usual),
            idle_timeout: self.idle_timeout.or(run.idle_timeout),
            max_output: self.max_output.unwrap_or(run.max_output),
            ..run
        })
    }
}

/// `waits` is a flag that waits for the end of hosts.
fn leaves_before_it(waits: &str) -> Error {
    Error::usage(format!("--detach leaves hosts before they have ended, and {waits} waits for that"))
}

/// A host that is left has not ended, and these wait for the end of hosts.
fn leaves_nobody_waiting(strategy: &Strategy, telling: &Telling, hooks: &HookArgs) -> Result<()> {
    let in_batches = !matches!(strategy.serial[..], [] | [Share::Percent(100)]);
    let waiting = [
        (strategy.canary > 0, "--canary", "--canary 0"),
        (in_batches, "--serial", "--serial 100%"),
        (!matches!(strategy.max_fail, None | Some(Share::Percent(100))), "--max-fail", "--max-fail 100%"),
        (telling.junit.is_some(), "--junit", "cronium-run attach RUN --junit FILE  when they have ended"),
        (hooks.on_condition.is_some(), "--on-condition", "cronium-run attach RUN --on-condition CMD"),
        (hooks.on_notify.is_some(), "--on-notify", "cronium-run attach RUN --on-notify CMD"),
    ];
    match waiting.into_iter().find(|(is_set, ..)| *is_set) {
        None => Ok(()),
        Some((_, flag, hint)) => Err(leaves_before_it(flag).hint(hint)),
    }
}

/// `--reconnect`; 0 never tries.
pub(super) fn reconnect(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => launch::duration(text),
    }
}

/// `--lease`: a host drops results that nobody has fetched for longer.
fn lease(text: &str) -> Result<Duration, String> {
    match launch::duration(text)? {
        lease if lease > plan::LEASE_DETACHED => {
            Err("14d is the most: a result that nobody fetches is dropped then".into())
        }
        lease => Ok(lease),
    }
}

/// `--max-output`: bytes, or with K, M, G or T powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("write a number of bytes, or one with K, M or G: 500K, 64M, 2G".into()),
    };
    let number: u64 =
        digits.parse().map_err(|_| "write a number of bytes, or one with K, M or G: 500K, 64M, 2G")?;
    match number.checked_mul(1 << unit) {
        Some(0) => Err("that keeps nothing; 1K is little".into()),
        Some(bytes) if bytes <= MOST_OUTPUT => Ok(bytes),
        _ => Err("1T is the most".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        supervision: SupervisionArgs,
        #[command(flatten)]
        rollout: crate::cli::rollout::RolloutArgs,
        #[command(flatten)]
        telling: Telling,
        #[command(flatten)]
        hooks: HookArgs,
    }

    /// detach, reconnect, lease, idle timeout, bytes kept.
    type Said = (bool, Duration, Duration, Option<Duration>, u64);

    fn said(words: &str) -> Result<Said, String> {
        let words = ["cronium-run"].into_iter().chain(words.split(' ').filter(|word| !word.is_empty()));
        let Cli { supervision, rollout, telling, hooks } =
            Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let strategy = supervision.strategy(&rollout).map_err(|error| error.to_string())?;
        let signed = crate::payload::sign(
            crate::payload::pack_command(&["true".to_owned()]).unwrap(),
            &crate::payload::keys::SigningKey::generate(),
        );
        let run = crate::cli::exec::new(std::sync::Arc::new(signed));
        let run = supervision.over(run, &strategy, &telling, &hooks).map_err(|error| error.to_string())?;
        Ok((run.detach, supervision.reconnect(), run.lease, run.idle_timeout, run.max_output))
    }

    #[test]
    fn flags() {
        let minutes = |number: u64| Duration::from_secs(number * 60);
        const KEPT: u64 = 64 << 20;
        let table = [
            ("", (false, minutes(5), DAY, None, KEPT)),
            ("--detach", (true, minutes(5), 14 * DAY, None, KEPT)),
            ("--detach --lease 2d", (true, minutes(5), 2 * DAY, None, KEPT)),
            ("--reconnect 0", (false, Duration::ZERO, DAY, None, KEPT)),
            ("--reconnect 1h --lease 1h", (false, HOUR, HOUR, None, KEPT)),
            ("--idle-timeout 5m --max-output 2G", (false, minutes(5), DAY, Some(minutes(5)), 2 << 30)),
            // What a file says can be taken back.
            ("--detach --canary 0 --serial 100% --max-fail 100%", (true, minutes(5), 14 * DAY, None, KEPT)),
            ("--detach --retries 2 --events e -o json", (true, minutes(5), 14 * DAY, None, KEPT)),
        ];
        for (words, want) in table {
            assert_eq!(said(words), Ok(want), "{words}");
        }
    }

    #[test]
    fn mistakes() {
        for (words, part) in [
            ("--lease 15d", "14d is the most"),
            ("--lease 0", "is no time"),
            ("--idle-timeout 0", "is no time"),
            ("--reconnect soon", "write it as 90s"),
            ("--max-output 0", "keeps nothing"),
            ("--max-output 5X", "500K, 64M, 2G"),
            ("--max-output much", "500K, 64M, 2G"),
            ("--max-output 2T", "1T is the most"),
            ("--max-output 99999999999999999999", "500K, 64M, 2G"),
            ("--detach --canary 1", "--canary waits for that"),
            ("--detach --serial 10%", "hint: --serial 100%"),
            ("--detach --serial 1 --gate true", "--gate waits for that"),
            ("--detach --gate true", "--gate waits for that"),
            ("--gate true", "--gate stands between batches"),
            ("--max-output -5", "500K, 64M, 2G"),
            ("--lease -1", "write it as 90s"),
            ("--reconnect -1", "write it as 90s"),
            ("--idle-timeout -5m", "write it as 90s"),
            ("--detach --max-fail 3", "hint: --max-fail 100%"),
            ("--detach --junit out.xml", "cronium-run attach RUN --junit FILE"),
            ("--detach --on-condition true", "--on-condition waits for that"),
        ] {
            let error = said(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", Ok(1)),
            ("4096", Ok(4096)),
            ("1K", Ok(1024)),
            ("500k", Ok(500 << 10)),
            ("64M", Ok(64 << 20)),
            ("64MiB", Ok(64 << 20)),
            ("2gb", Ok(2 << 30)),
            ("1T", Ok(1 << 40)),
            ("1.5G", Err(())),
            ("-1", Err(())),
            ("", Err(())),
            ("K", Err(())),
            ("1025G", Err(())),
        ] {
            assert_eq!(size(text).map_err(|_| ()), bytes, "{text}");
        }
    }
}
