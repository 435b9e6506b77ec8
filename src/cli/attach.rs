use std::cell::RefCell;
use std::io;
use std::time::Duration;

use super::connect::{HostArgs, KeepArgs};
use super::hooks::HookArgs;
use super::launch::{self, Launch, Telling};
use super::order::Order;
use super::resume::{self, Asking};
use super::supervision::reconnect;
use super::{Context, descriptors, hosts, left_open};
use crate::error::{Error, ExitCode, Result};
use crate::inventory::Target;
use crate::ledger::{HostRow, Ledger};
use crate::plan::{Act, Plan, Resume, Standing, Strategy, Task};
use crate::report::units;

/// Go on with a run that was detached, interrupted or lost: stream it from where this ledger stands
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run exec web[01-20] ./migrate --detach
  cronium-run attach last
  cronium-run attach 01JD2 web07
  cronium-run attach 01JD2K8Q4VZ6E3T5R7Y9A1B2C3 web[01-20] --adopt

Asks those hosts whose end is not known, and no other: nothing is run again. What they printed and told \
meanwhile comes first, exactly once; grouped, json, --junit and --output-dir tell the whole run. A host that was never given the run is barred from starting it, and \
ends as unreachable. Ctrl-C leaves or cancels as in `exec`. The exit code is that of the whole run.

Hosts are reached as they were by the run; passwords are asked for again (-k, -K). -u, -p, --private-key, \
--known-hosts, --host-key and --connect-timeout change that one thing; with -J, -F, --ssh-option or -b \
each host is looked up anew.

--adopt takes up a run that another machine or ledger began: RUN is its whole id, and TARGETS are its hosts, \
written as they were there. Hosts can be added to it later in the same way.")]
pub struct Args {
    /// The run's id, an unambiguous beginning of it, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// Only these of its hosts: web1, web[01-20], @group, !web07
    #[arg(value_name = "TARGETS")]
    targets: Option<String>,
    /// Take up a run that another ledger began, or further hosts of it
    #[arg(long, requires = "targets")]
    adopt: bool,
    #[command(flatten)]
    hosts: HostArgs,
    #[command(flatten)]
    keep: KeepArgs,
    /// How long a lost connection is tried to be made again; 0 never [default: as the run did, else 5m]
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_RECONNECT", value_parser = reconnect, allow_hyphen_values = true, help_heading = "Losing the connection")]
    reconnect: Option<Duration>,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    hooks: HookArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.adopt && !joins(&args, context)? {
        true => adopt(args, context),
        false => follow(args, context),
    }
}

fn follow(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { run, targets, adopt: _, hosts, keep, reconnect, telling, hooks } = args;
    let path = context.ledger_path()?;
    let reader = Ledger::open_read(&path)?;
    let run = reader.resolve_run(&run).map_err(|error| match is_whole(&run) {
        true => {
            error.hint(format!("cronium-run attach {run} TARGETS --adopt  takes up a run of another ledger"))
        }
        false => error,
    })?;
    if telling.is_for_people() {
        left_open::tell(&reader, Some(&run), &context.term);
    }
    drop(reader);
    let launch = Launch { telling: &telling, hooks: &hooks, context };
    let asking = Asking {
        act: Act::Follow,
        targets: targets.as_deref(),
        asks_gone: targets.is_some(),
        hosts: &hosts,
        keep: &keep,
        reconnect,
        launch,
        typed: RefCell::default(),
    };
    let asked = asking.ask(&run, &path)?;
    if asked.hosts.is_empty()
        && !launch.tell_again(&run, &Ledger::open_read(&path)?)?
        && telling.is_for_people()
    {
        let show = context.term.to_type(&format!("cronium-run show {run}"));
        context.term.note(&format!("nothing of run {run} is open: {show}"));
    }
    if !asked.is_interrupted {
        asked.leave.take(&path, context);
    }
    Ok(asked.code)
}

/// Adds hosts to a run that was adopted before. `false` where it is not in this ledger.
fn joins(args: &Args, context: &Context) -> Result<bool> {
    let (run, path) = (&args.run, context.ledger_path()?);
    let Ok((reader, past)) = Ledger::open_read(&path).and_then(|reader| {
        let past = reader.run(run)?;
        Ok((reader, past))
    }) else {
        return Ok(false);
    };
    if !past.is_adopted() {
        let error = Error::usage(format!("run {run} is in this ledger, which began it"));
        return Err(error.hint(format!("cronium-run attach {run}")));
    }
    let resolved = args.hosts.targets(args.targets.as_deref(), io::stdin().lock())?;
    hosts::warn(&resolved, &context.term);
    let known = reader.hosts(run)?;
    let new: Vec<Target> =
        resolved.targets.into_iter().filter(|target| !known.contains(&target.name)).collect();
    if new.is_empty() {
        let error = Error::usage(format!("run {run} is in this ledger, with these hosts"));
        return Err(error.hint(format!("cronium-run attach {run}")));
    }
    let ledger = Ledger::open(&path)?;
    let resumed = ledger.resume_run(run)?;
    let order = Order::open(run, &reader)?.map(|order| order.with(&new));
    let order = order.and_then(|order| order.seal(run, &ledger, context));
    resumed.join(new.into_iter().map(|target| target.name).collect(), order)?;
    Ok(true)
}

/// Makes the rows of a run that another ledger has, and asks all its hosts.
fn adopt(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { run, targets, adopt: _, hosts, keep, reconnect, telling, hooks } = args;
    if !is_whole(&run) {
        return Err(Error::usage(format!("`{run}` is no whole id of a run"))
            .hint("cronium-run runs  on the machine that began it names it"));
    }
    let path = context.ledger_path()?;
    let resolved = hosts.targets(targets.as_deref(), io::stdin().lock())?;
    hosts::warn(&resolved, &context.term);
    let targets = hosts.unlock(resolved.targets, &context.term)?;
    let resume = Resume {
        act: Act::Follow,
        run: None,
        standings: vec![Standing { attempt: 1, ..Standing::default() }; targets.len()],
        settled: Vec::new(),
        stopped: None,
        next_seq: 0,
    };
    let plan = Plan {
        run,
        command: launch::command_line(),
        forks: descriptors::make_room(resume::FORKS, targets.len(), &context.term),
        targets,
        task: Task::Resume(Box::new(resume)),
        strategy: Strategy::default(),
        persist: keep.persist(),
        reconnect: reconnect.unwrap_or(crate::plan::RECONNECT),
    };
    if telling.is_for_people() {
        context.term.note(&format!("asking {} for run {}", units::hosts(plan.targets.len()), plan.run));
    }
    let order = Order::of(&plan);
    let launch = Launch { telling: &telling, hooks: &hooks, context };
    let run = plan.run.clone();
    let (_, code) = launch.begin(plan, &path, Some(order), None)?;
    let ledger = Ledger::open(&path)?;
    if !ledger.reader()?.results(&run)?.iter().all(knows_nothing) {
        return Ok(code);
    }
    ledger.remove_run(&run)?;
    Err(Error::usage(format!("no host knows run {run}, so it is not taken up"))
        .hint("cronium-run runs  on the machine that began it names it"))
}

/// Whether the host was asked and has never had anything of the run.
fn knows_nothing(row: &HostRow) -> bool {
    let failure = row.result.as_ref().and_then(|result| result.failure.as_ref());
    failure.is_some_and(|failure| matches!(&*failure.kind, "absent" | "not-started"))
}

/// As `cronium-run` names runs: 26 characters of Crockford's base32.
fn is_whole(run: &str) -> bool {
    ulid::Ulid::from_string(run).is_ok_and(|id| id.to_string() == run)
}
