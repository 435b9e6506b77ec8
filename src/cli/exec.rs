use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect::{HostArgs, KeepArgs, ListArgs};
use super::hooks::HookArgs;
use super::launch::{self, Telling};
use super::listing::Format;
use super::rollout::RolloutArgs;
use super::supervision::SupervisionArgs;
use super::task::TrustArgs;
use super::{Context, descriptors, hosts};
use crate::error::{Error, ExitCode, Result};
use crate::payload;
use crate::plan::{Plan, Run, Task};
use crate::term::visible_line;

/// As JSON; a job's frame holds it with room to spare.
const DATA_MAX: usize = 2 << 20;

/// Run a payload, a script or a command on many hosts
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "cronium-run exec [OPTIONS] <TARGETS> <PAYLOAD> [-- ARGS...]\n       \
                            cronium-run exec [OPTIONS] <TARGETS> -- <COMMAND>...",
    after_help = "\
Examples:
  cronium-run exec web[01-20] -- uptime
  cronium-run exec web[01-20] -- 'df -h / | tail -1'
  cronium-run exec ^hosts.txt ./disk-report --timeout 2m -- --verbose
  cronium-run exec -i hosts.yaml @web,!web07 ./disk-report
  cronium-run exec web[01-20] -b -- systemctl restart nginx
  cronium-run exec local check.py --input '{\"limit\": 90}' -o json
  cronium-run exec web[01-20] ./update --canary 1 --serial 10%,50% --max-fail 2 --gate ./healthy.sh
  cronium-run exec web[01-20] ./disk-report --on-notify 'logger -t cronium -- \"$CRONIUM_MESSAGE\"'
  cronium-run exec web[01-20] ./reindex --detach
  RUN=$(cronium-run exec web[01-20] ./reindex --detach -q)
  cronium-run exec web[01-20] ./backup --reconnect 1h --idle-timeout 10m --max-output 1G

One COMMAND word is a shell line, several are exact arguments. A folder or a script is packed and \
signed in memory. Exit codes: 0 all succeeded, 3 a script failed, 4 a host was unreachable, 5 timed \
out, 6 refused, 7 stopped by --canary, --max-fail or --gate, 8 a host is unknown, 130 interrupted; of \
several 6 > 7 > 8 > 4 > 5 > 3.

Between two batches (--canary, --serial) the run waits for --pause, then --gate is asked: `sh -c CMD` \
on this machine, with CRONIUM_RUN_ID, CRONIUM_BATCH, CRONIUM_BATCHES, CRONIUM_HOSTS, CRONIUM_LEFT and \
the counts CRONIUM_SUCCEEDED, CRONIUM_FAILED, CRONIUM_TIMED_OUT, CRONIUM_UNREACHABLE, CRONIUM_REJECTED \
and CRONIUM_UNKNOWN in its environment, and all of it with the batch's hosts as a line of JSON on \
stdin. What it prints goes to stderr. Configuration files cannot set a gate.

A script has helpers: `cronium input`, `cronium output` and more (`cronium --help` in a script), in \
python `import cronium`, in node the global `cronium`, in bash `cronium_input` and so on. Files that it \
puts into $CRONIUM_OUT come back: `cronium-run artifacts last -o DIR`.

Hooks (--on-condition, --on-notify) are `sh -c CMD` on this machine, one at a time beside the run, 60 s \
each at most. They get CRONIUM_RUN_ID, CRONIUM_HOST and CRONIUM_CONDITION, or CRONIUM_AUDIENCE and \
CRONIUM_MESSAGE, in their environment and the event as a line of JSON on stdin; what they print goes to \
stderr. That of a condition runs when its host has ended. Where a hook fails or cannot be run, the exit \
code is 1 instead of 0. Configuration files cannot set hooks."
)]
pub struct Args {
    /// Hosts: web1, ann@web1:2222, web[01-20,30], @group, all, ^FILE, - (stdin), local, a,b,!c
    #[arg(value_name = "TARGETS")]
    targets: String,
    /// A .tar.gz, a folder with a manifest.yaml, or one script file
    #[arg(value_name = "PAYLOAD")]
    payload: Option<PathBuf>,
    /// The payload's arguments, or the command
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
    #[command(flatten)]
    hosts: HostArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    rollout: RolloutArgs,
    /// Kill the script with all it started after this time: 90s, 15m, 1h30m [default: the manifest's]
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_TIMEOUT", value_parser = launch::duration, allow_hyphen_values = true, help_heading = "Rollout")]
    timeout: Option<Duration>,
    #[command(flatten)]
    supervision: SupervisionArgs,
    /// What `cronium input` gives: JSON, @FILE, or - for stdin
    #[arg(
        long,
        value_name = "JSON",
        env = "CRONIUM_RUN_INPUT",
        hide_env_values = true,
        help_heading = "Data for the script"
    )]
    input: Option<String>,
    /// A variable of the script's environment (repeat)
    #[arg(long, value_name = "NAME=VALUE", env = "CRONIUM_RUN_ENV", hide_env_values = true, value_parser = variable, help_heading = "Data for the script")]
    env: Vec<(String, String)>,
    /// The project whose variables the script sees, those in scope project:NAME
    #[arg(long, value_name = "NAME", env = "CRONIUM_RUN_PROJECT", value_parser = project, help_heading = "Data for the script")]
    project: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    hooks: HookArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args {
        targets,
        payload,
        args,
        hosts,
        keep,
        list,
        rollout,
        timeout,
        supervision,
        input,
        env,
        project,
        trust,
        telling,
        hooks: hook,
    } = args;
    if input.as_deref() == Some("-") && targets == "-" {
        return Err(Error::usage("stdin can be the targets or the input, not both").hint("--input @FILE"));
    }
    let strategy = supervision.strategy(&rollout)?;
    let resolved = hosts.targets(Some(&targets), io::stdin().lock())?;
    if list.list_hosts {
        return hosts::print(&resolved.targets, Format::Text, &context.term);
    }
    hosts::warn(&resolved, &context.term);
    let run = match payload {
        Some(payload) => {
            let signed = trust.signed(&payload, rollout.check).map_err(|error| mistaken(error, &payload))?;
            Run { args, one_off: false, ..new(signed) }
        }
        None => Run { one_off: true, ..new(trust.sign(payload::pack_command(&args)?, rollout.check)?) },
    };
    let timeout = timeout.or(run.payload.packed.manifest.timeout);
    let environment: BTreeMap<String, String> = env.into_iter().collect();
    let inputs = payload::read_inputs(&run.payload.packed, Path::new("."))?;
    let input = launch::input(input.as_deref())?;
    let run = Run { environment, timeout, project, input, inputs, ..run };
    let run = supervision.over(run, &strategy, &telling, &hook)?;
    fits(&run)?;
    let targets = match rollout.check {
        true => resolved.targets,
        false => hosts.unlock(resolved.targets, &context.term)?,
    };
    let plan = Plan {
        run: launch::new_run(),
        command: launch::command_line(),
        forks: descriptors::make_room(rollout.forks.into(), targets.len(), &context.term),
        targets,
        task: Task::Run(Box::new(run)),
        strategy,
        persist: keep.persist(),
        reconnect: supervision.reconnect(),
    };
    match rollout.check {
        true => launch::check(&plan, context),
        false => {
            tell_sent(&plan, &telling, context);
            launch::launch(plan, &telling, &hook, &context.ledger_path()?, context)
        }
    }
}

/// The payload chooses which files leave this machine: nobody should have to look into it to know.
fn tell_sent(plan: &Plan, telling: &Telling, context: &Context) {
    let Task::Run(run) = &plan.task else { return };
    if telling.quiet || run.inputs.is_empty() {
        return;
    }
    let names: Vec<&str> = run.inputs.iter().map(|input| input.from.as_str()).collect();
    let files = if names.len() == 1 { "1 file".to_owned() } else { format!("{} files", names.len()) };
    context.term.note(&visible_line(&format!("sending {files}: {}", names.join(", "))));
}

/// Arguments, environment and metadata travel in one message.
fn fits(run: &Run) -> Result<()> {
    let metadata = &run.payload.packed.manifest.metadata;
    let bytes = serde_json::json!([run.args, run.environment, metadata]).to_string().len();
    if bytes > DATA_MAX {
        return Err(Error::usage(format!(
            "arguments, environment and metadata take {} KiB, more than {} KiB",
            bytes >> 10,
            DATA_MAX >> 10
        ))
        .hint("--input @FILE  takes more"));
    }
    Ok(())
}

pub(super) fn new(payload: std::sync::Arc<payload::Signed>) -> Run {
    Run {
        payload,
        args: Vec::new(),
        environment: BTreeMap::new(),
        timeout: None,
        input: serde_json::Value::Null,
        project: None,
        inputs: Vec::new(),
        one_off: false,
        idle_timeout: None,
        max_output: crate::plan::MAX_OUTPUT,
        lease: crate::plan::LEASE,
        detach: false,
    }
}

/// `exec web1 uptime` is a command without its `--`.
fn mistaken(error: Error, payload: &Path) -> Error {
    match payload.exists() {
        true => error,
        false => {
            error.hint(format!("cronium-run exec TARGETS -- {}  runs it as a command", payload.display()))
        }
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let valid = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match valid {
        _ if name.starts_with("CRONIUM_") => Err("names that begin with CRONIUM_ are ours".into()),
        true => Ok((name.to_owned(), value.to_owned())),
        false => Err(format!("'{name}' is no name of a variable")),
    }
}

/// The name becomes part of a scope's: `project:NAME`.
fn project(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match (1..=64).contains(&text.len()) && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("write 1 to 64 of A-Z a-z 0-9 . _ -".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_projects() {
        let longest = "x".repeat(64);
        for (text, good) in [
            ("shop", true),
            ("Shop-2.eu_west", true),
            (&longest, true),
            ("", false),
            ("two words", false),
            ("a:b", false),
            ("a/b", false),
            ("gr\u{fc}n", false),
            (&format!("{longest}x"), false),
        ] {
            assert_eq!(project(text).is_ok(), good, "{text}");
        }
    }
}
