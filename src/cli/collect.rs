use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;

use super::Context;
use super::connect::{HostArgs, KeepArgs};
use super::hooks::HookArgs;
use super::launch::{Launch, Telling};
use super::listing::Format;
use super::resume::Asking;
use super::settled::Settled;
use super::supervision::reconnect;
use crate::error::{ExitCode, Result};
use crate::ledger::Ledger;
use crate::plan::{Act, LEASE_DETACHED};

/// Nothing is left on a host of a run that is older: 14 days of a lease, and 14 for its result.
const OLDEST: Duration = LEASE_DETACHED.saturating_mul(2);

/// Fetch what hosts have finished since nobody listened, and settle what is unknown
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run collect
  cronium-run collect last
  cronium-run collect 01JD2 -o json | jq '.[].results[] | {host, status}'

Asks each host whose end is not known: detached ones, unknown ones, and those that a cronium-run that was \
killed left open. What is over is fetched with all its output (cronium-run logs RUN) and acknowledged; what \
still runs is left running, and listed so. Without RUN, every such run of the last 28 days is asked for, \
newest first; a host that has once answered that it has nothing of a run stays unknown and is asked only \
where RUN is named.

Exit codes: 0 what is over is recorded, however it ended, and what is not goes on (`still runs`); 8 the end \
of a host that was asked is still unknown; 130 interrupted, and what was not fetched yet stays where it is.")]
pub struct Args {
    /// The run's id, an unambiguous beginning of it, or `last`; all that are open where none is named
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    hosts: HostArgs,
    #[command(flatten)]
    keep: KeepArgs,
    /// How long a lost connection is tried to be made again; 0 never [default: as the run did, else 5m]
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_RECONNECT", value_parser = reconnect, allow_hyphen_values = true, help_heading = "Losing the connection")]
    reconnect: Option<Duration>,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text", help_heading = "Telling")]
    output: Format,
    #[command(flatten)]
    hooks: HookArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { run, hosts, keep, reconnect, output, hooks } = args;
    let path = context.ledger_path()?;
    let reader = Ledger::open_read(&path)?;
    let is_named = run.is_some();
    let runs = match run {
        Some(run) => vec![reader.resolve_run(&run)?],
        None => reader.unsettled(Timestamp::now().checked_sub(OLDEST).unwrap_or(Timestamp::UNIX_EPOCH))?,
    };
    drop(reader);
    let telling = Telling::silent();
    let launch = Launch { telling: &telling, hooks: &hooks, context };
    let asking = Asking {
        act: Act::Collect,
        targets: None,
        asks_gone: is_named,
        hosts: &hosts,
        keep: &keep,
        reconnect,
        launch,
        typed: RefCell::default(),
    };
    let (mut settled, mut leaves) = (Settled::new(output, is_named, context), Vec::new());
    for run in runs {
        match asking.ask(&run, &path) {
            Ok(asked) => {
                settled.add(&run, &asked, &path)?;
                leaves.push(asked.leave);
            }
            Err(error) => settled.failed(error),
        }
        if settled.is_interrupted() {
            break;
        }
    }
    settled.leave(leaves, &path);
    settled.finish()
}
