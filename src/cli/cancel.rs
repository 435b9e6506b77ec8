use std::cell::RefCell;

use super::Context;
use super::connect::{HostArgs, KeepArgs};
use super::hooks::HookArgs;
use super::launch::{Launch, Telling};
use super::listing::Format;
use super::resume::Asking;
use super::settled::Settled;
use crate::error::{ExitCode, Result};
use crate::ledger::Ledger;
use crate::plan::Act;

/// Kill a run on hosts where it still goes on, and fetch what it left
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run cancel last
  cronium-run cancel 01JD2 web[07-09]

The script is killed with all it started: TERM, and KILL 10 s later. A host where it had ended gives its \
result; one that was never given the run is barred from starting it. Hosts whose end is known are left \
alone. A run that another cronium-run here works on is cancelled there, with Ctrl-C or SIGTERM.

Exit codes: 0 nothing of the chosen hosts is open any more, 8 one is still unknown.")]
pub struct Args {
    /// The run's id, an unambiguous beginning of it, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// Only these of its hosts: web1, web[01-20], @group, !web07
    #[arg(value_name = "TARGETS")]
    targets: Option<String>,
    #[command(flatten)]
    hosts: HostArgs,
    #[command(flatten)]
    keep: KeepArgs,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text", help_heading = "Telling")]
    output: Format,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { run, targets, hosts, keep, output } = args;
    let path = context.ledger_path()?;
    let run = Ledger::open_read(&path)?.resolve_run(&run)?;
    let (telling, hooks) = (Telling::silent(), HookArgs::default());
    let launch = Launch { telling: &telling, hooks: &hooks, context };
    let asking = Asking {
        act: Act::Cancel,
        targets: targets.as_deref(),
        asks_gone: targets.is_some(),
        hosts: &hosts,
        keep: &keep,
        reconnect: None,
        launch,
        typed: RefCell::default(),
    };
    let mut settled = Settled::new(output, true, context);
    let asked = asking.ask(&run, &path)?;
    settled.add(&run, &asked, &path)?;
    settled.leave(vec![asked.leave], &path);
    settled.finish()
}
