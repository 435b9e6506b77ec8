use std::io;

use super::connect::{HostArgs, KeepArgs, ListArgs};
use super::hooks::HookArgs;
use super::launch::{self, Launch, Telling};
use super::listing::Format;
use super::order::{self, Order, Work};
use super::rollout::RolloutArgs;
use super::supervision::SupervisionArgs;
use super::{Context, descriptors, hosts, shell};
use crate::error::{Error, ExitCode, Result};
use crate::event::Outcome;
use crate::inventory::Target;
use crate::ledger::{HostRow, Ledger, Reader, Run as PastRun, RunStatus};
use crate::plan::{Plan, Run, Task};
use crate::report::units;

/// Run the same payload again on hosts of a past run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run rerun last --failed
  cronium-run rerun 01JD2 --unreachable --not-run --serial 10%
  cronium-run rerun 01JD2 --all -l @web

A new run with the same payload, to the byte and with the same signature, and the same arguments, \
environment, input and limits; the files of `artifacts.inputs` go as they are now. Both runs name each other \
(cronium-run show). How hosts are taken in turn (--forks, --serial and so on) and --detach are said anew; what becomes of \
a lost connection, where a flag says so. Hosts are reached \
as they were, see `cronium-run attach --help`.

A host that is unknown may have run the script, or run it still: `cronium-run collect RUN` finds out. \
--unknown and --all run it there again all the same.")]
pub struct Args {
    /// The run's id, an unambiguous beginning of it, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// On hosts where the script failed, timed out, was rejected or cancelled
    #[arg(long)]
    failed: bool,
    /// On hosts that were not reached
    #[arg(long)]
    unreachable: bool,
    /// On hosts whose end is not known: the script may have run there
    #[arg(long)]
    unknown: bool,
    /// On hosts that did not get their turn
    #[arg(long)]
    not_run: bool,
    /// On every host of the run, those where it succeeded and those that were left running, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    hosts: HostArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    rollout: RolloutArgs,
    #[command(flatten)]
    supervision: SupervisionArgs,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    hooks: HookArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let strategy = args.supervision.strategy(&args.rollout)?;
    let path = context.ledger_path()?;
    let reader = Ledger::open_read(&path)?;
    let past = reader.run(&reader.resolve_run(&args.run)?)?;
    if past.status == RunStatus::Running {
        return Err(reader.at_work(&past.id));
    }
    let (order, work) = ordered(&reader, &past)?;
    let rows = reader.results(&past.id)?;
    let chosen = args.chosen(&past.id, &rows)?;
    let names = args.hosts.among(&chosen, None, io::stdin().lock())?;
    if names.is_empty() {
        return Err(Error::usage(format!(
            "--limit and --exclude leave none of {}",
            units::hosts(chosen.len())
        ))
        .hint(format!("cronium-run show {}", past.id)));
    }
    let known = |name: &String| order.targets.iter().find(|target| target.name == *name).cloned();
    let targets: Vec<Target> = names.iter().filter_map(known).collect();
    let targets = args.hosts.again(targets, &context.global)?;
    if args.list.list_hosts {
        return hosts::print(&targets, Format::Text, &context.term);
    }
    let open = open(rows.iter().filter(|row| names.contains(&row.host)));
    if open > 0 {
        let (hosts, past) = (units::hosts(open), &past.id);
        let collect = format!("cronium-run collect {past}  finds out");
        shell::warn(&context.term, &format!("{hosts} may still be at run {past}: {collect}"));
    }
    let name = past.payload_name.as_deref().unwrap_or("payload");
    let kept = reader.signed_payload(&past.id)?.ok_or_else(|| not_kept(&past))?;
    drop(reader);
    let signed = order::signed(kept, name)?;
    let (inputs, changed) = work.inputs(&signed.packed)?;
    if !changed.is_empty() {
        shell::warn(&context.term, &format!("changed since run {}: {}", past.id, changed.join(", ")));
    }
    let run = Run { inputs, ..work.run(signed) };
    let run = args.supervision.over(run, &strategy, &args.telling, &args.hooks)?;
    let targets = match args.rollout.check {
        true => targets,
        false => args.hosts.unlock(targets, &context.term)?,
    };
    let plan = Plan {
        run: launch::new_run(),
        command: launch::command_line(),
        forks: descriptors::make_room(args.rollout.forks.into(), targets.len(), &context.term),
        targets,
        task: Task::Run(Box::new(run)),
        strategy,
        persist: args.keep.persist(),
        reconnect: args.supervision.reconnect_or(order.reconnect),
    };
    if args.rollout.check {
        return launch::check(&plan, context);
    }
    let order = Order::of(&plan);
    let launch = Launch { telling: &args.telling, hooks: &args.hooks, context };
    launch.begin(plan, &path, Some(order), Some(past.id)).map(|(_, code)| code)
}

/// What the run was asked for.
fn ordered(reader: &Reader, past: &PastRun) -> Result<(Order, Work)> {
    if past.is_deploy() {
        let error = Error::usage(format!("run {} was a deploy", past.id));
        return Err(launch::type_again(error, &past.command));
    }
    let order = Order::open(&past.id, reader).map_err(|error| launch::type_again(error, &past.command))?;
    let work = order.as_ref().and_then(|order| order.work.clone());
    order.zip(work).ok_or_else(|| not_kept(past))
}

fn not_kept(past: &PastRun) -> Error {
    let error = Error::usage(format!("what run {} was asked for is not in the ledger", past.id));
    if past.is_adopted() {
        return error
            .cause("it was taken up from another ledger, which has it")
            .hint(format!("cronium-run rerun {}  where it was begun", past.id))
            .hint("cronium-run exec TARGETS PAYLOAD  sends a payload from here");
    }
    let error = error.cause("it was begun by an older cronium-run");
    launch::type_again(error, &past.command)
}

/// Hosts that may run the script still.
fn open<'a>(rows: impl Iterator<Item = &'a HostRow>) -> usize {
    rows.filter(|row| row.is_open()).count()
}

/// Whether a flag takes hosts that ended so; `None`: of which no end is known.
type Takes = fn(Option<Outcome>) -> bool;

const FLAGS: [(&str, Takes); 4] = [
    ("--failed", |outcome| {
        use Outcome::{Cancelled, Failed, Rejected, TimedOut};
        matches!(outcome, Some(Failed | TimedOut | Rejected | Cancelled))
    }),
    ("--unreachable", |outcome| outcome == Some(Outcome::Unreachable)),
    ("--unknown", |outcome| matches!(outcome, Some(Outcome::Unknown) | None)),
    ("--not-run", |outcome| outcome == Some(Outcome::Skipped)),
];

impl Args {
    /// The hosts that the flags take, in the order of the run; at least one.
    fn chosen(&self, run: &str, rows: &[HostRow]) -> Result<Vec<String>> {
        let given = [self.failed, self.unreachable, self.unknown, self.not_run];
        let outcome = |row: &HostRow| row.result.as_ref().map(|result| result.outcome);
        let takes = |row: &&HostRow| {
            self.all || FLAGS.iter().zip(given).any(|((_, takes), given)| given && takes(outcome(row)))
        };
        let chosen: Vec<String> = rows.iter().filter(takes).map(|row| row.host.clone()).collect();
        if !chosen.is_empty() {
            return Ok(chosen);
        }
        let message = match self.all || given.contains(&true) {
            true => format!("run {run} has no such host"),
            false => format!("say on which hosts of run {run}"),
        };
        let mut error = Error::usage(message);
        let count =
            |takes: fn(Option<Outcome>) -> bool| rows.iter().filter(|row| takes(outcome(row))).count();
        for (flag, takes) in FLAGS {
            match count(takes) {
                0 => {}
                count => {
                    error =
                        error.hint(format!("cronium-run rerun {run} {flag}  runs on {}", units::hosts(count)))
                }
            }
        }
        if count(|outcome| outcome == Some(Outcome::Detached)) > 0 {
            error = error.hint(format!("cronium-run collect {run}  fetches what was left running"));
        }
        let mut all = format!("cronium-run rerun {run} --all  runs on {}", units::hosts(rows.len()));
        match open(rows.iter()) {
            0 => {}
            open if open == rows.len() => all.push_str(", and may still go on there"),
            open => all.push_str(&format!(", {open} of which may still run it")),
        }
        Err(error.hint(all))
    }
}
