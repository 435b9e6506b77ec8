//! Hosts of a run that is over here, and perhaps not there: asked again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::connect::{HostArgs, KeepArgs};
use super::launch::{self, Launch};
use super::leave::{Leave, Marked};
use super::order::{self, Order};
use super::unlock::Typed;
use super::{descriptors, shell};
use crate::error::{Error, ExitCode, Result};
use crate::event::{StopReason, Summary};
use crate::inventory::Target;
use crate::ledger::{HostRow, Known, Ledger, Reader, Resumed, Run, SignedPayload};
use crate::payload::Signed;
use crate::plan::{self, Act, Plan, Resume, Standing, Task};

/// Hosts at once where no order says so.
pub const FORKS: usize = 100;

/// Which hosts of a run are asked, and how.
pub struct Asking<'a> {
    pub act: Act,
    pub targets: Option<&'a str>,
    /// Also hosts that have answered before that they have nothing of the run.
    pub asks_gone: bool,
    pub hosts: &'a HostArgs,
    pub keep: &'a KeepArgs,
    /// `None`: as long as the run did.
    pub reconnect: Option<Duration>,
    pub launch: Launch<'a>,
    /// Of the runs that were asked for before.
    pub typed: RefCell<Typed>,
}

/// What came of it.
pub struct Asked {
    /// Those that were asked: none where none of the chosen ones was open.
    pub hosts: Vec<String>,
    /// Of the whole run.
    pub code: ExitCode,
    /// Somebody wants no more of it.
    pub is_interrupted: bool,
    /// What is left to do once all else is done.
    pub leave: Leave,
}

impl Asking<'_> {
    /// `run` is a whole id.
    pub fn ask(&self, run: &str, path: &Path) -> Result<Asked> {
        let ledger = Ledger::open(path)?;
        let reader = ledger.reader()?;
        let chosen = self.chosen(&reader, run)?;
        // Nobody else settles hosts from here on.
        let mut resumed = ledger.resume_run(run)?;
        let past = reader.run(run)?;
        if past.is_deploy() {
            let message = format!("run {run} was a deploy: nothing of it goes on by itself");
            return Err(launch::type_again(Error::usage(message), &past.command));
        }
        let rows = reader.results(run)?;
        let open: Vec<String> = rows
            .iter()
            .filter(|row| (row.is_open() || self.asks_gone && row.is_gone()) && chosen.contains(&row.host))
            .map(|row| row.host.clone())
            .collect();
        // Their results are here; that is all they have not heard.
        let kept: Vec<(String, u64)> = rows
            .iter()
            .filter(|row| !row.is_open() && chosen.contains(&row.host))
            .filter_map(|row| Some((row.host.clone(), row.kept?)))
            .collect();
        let is_settled = open.is_empty() && (past.exit_code.is_some() || rows.iter().any(HostRow::is_open));
        let order = match is_settled && kept.is_empty() {
            true => None,
            false => self.order(run, &reader),
        };
        let forks = order.as_ref().map_or(FORKS, |order| order.forks);
        let (targets, hosts) = self.reached(run, &open, kept, order.as_ref())?;
        let term = &self.launch.context.term;
        let room = descriptors::make_room(forks, targets.len().max(hosts.len()), term);
        let leave = Leave { run: run.to_owned(), hosts, forks: room };
        if is_settled {
            let code = code_of(&past, &rows);
            return Ok(Asked { hosts: open, code, is_interrupted: false, leave });
        }
        let place = resumed.place(&open)?;
        let name = past.payload_name.unwrap_or_else(|| "payload".to_owned());
        let signed = reader.signed_payload(run)?.and_then(|kept| self.signed(run, kept, &name));
        let reconnect = order.as_ref().map_or(plan::RECONNECT, |order| order.reconnect);
        let work = order.and_then(|order| order.work);
        let resume = Resume {
            act: self.act,
            run: work.zip(signed).map(|(work, signed)| Box::new(work.run(signed))),
            standings: place.known.iter().map(standing).collect(),
            settled: rows.iter().filter(|row| !open.contains(&row.host)).map(HostRow::outcome).collect(),
            stopped: place.stopped,
            next_seq: place.next_seq,
        };
        let plan = Plan {
            run: run.to_owned(),
            command: launch::command_line(),
            forks: room,
            targets,
            task: Task::Resume(Box::new(resume)),
            strategy: plan::Strategy::default(),
            persist: self.keep.persist(),
            reconnect: self.reconnect.unwrap_or(reconnect),
        };
        let (summary, code) = self.carry_out(plan, &ledger, resumed)?;
        let is_interrupted = summary.stopped == Some(StopReason::Interrupted);
        Ok(Asked { hosts: open, code, is_interrupted, leave })
    }

    /// What its hosts tell is heard also where it is not known what they ran.
    fn signed(&self, run: &str, kept: SignedPayload, name: &str) -> Option<Signed> {
        match order::signed(kept, name) {
            Ok(signed) => Some(signed),
            Err(error) => {
                let why = error.in_one_line();
                let what = format!("what the manifest of {run} lets its scripts do is not known");
                shell::warn(&self.launch.context.term, &format!("{what}: {why}"));
                None
            }
        }
    }

    /// Where every host has ended and only the end of the run is missing, nobody is asked.
    fn carry_out(&self, plan: Plan, ledger: &Ledger, resumed: Resumed) -> Result<(Summary, ExitCode)> {
        match plan.targets.is_empty() {
            true => self.launch.settle(plan, resumed),
            false => self.launch.resume(plan, ledger, resumed),
        }
    }

    /// The hosts of the run that targets and flags name.
    fn chosen(&self, reader: &Reader, run: &str) -> Result<Vec<String>> {
        let all = reader.hosts(run)?;
        let chosen = self.hosts.among(&all, self.targets, io::stdin().lock())?;
        match chosen.is_empty() && !all.is_empty() {
            true => Err(Error::usage(format!("run {run} has none of these hosts"))
                .hint(format!("cronium-run show {run}"))),
            false => Ok(chosen),
        }
    }

    /// Without its order a run can still be asked for: its hosts are looked up by name.
    fn order(&self, run: &str, reader: &Reader) -> Option<Order> {
        let term = &self.launch.context.term;
        let lost = match Order::open(run, reader) {
            Ok(Some(order)) => return Some(order),
            Ok(None) => "it is not in the ledger".to_owned(),
            Err(error) => error.in_one_line(),
        };
        shell::warn(
            term,
            &format!(
                "how the hosts of {run} were reached is not known, so they are looked up by name: {lost}"
            ),
        );
        None
    }

    /// The ways to hosts that are open, in their order, and to those that keep what is recorded, as many as
    /// there are: they keep nobody from asking the others.
    fn reached(
        &self,
        run: &str,
        open: &[String],
        kept: Vec<(String, u64)>,
        order: Option<&Order>,
    ) -> Result<(Vec<Target>, Vec<Marked>)> {
        let term = &self.launch.context.term;
        let left_out = |error: Error| {
            shell::warn(
                term,
                &format!("hosts of {run} go on keeping what is recorded: {}", error.in_one_line()),
            );
            Vec::new()
        };
        let mut targets = self.located(open, order)?;
        let marks: HashMap<String, u64> = kept.iter().cloned().collect();
        let names: Vec<String> = kept.into_iter().map(|(name, _)| name).collect();
        targets.extend(self.located(&names, order).unwrap_or_else(left_out));
        if targets.is_empty() {
            return Ok((targets, Vec::new()));
        }
        let mut typed = self.typed.borrow_mut();
        let unlocked = self.hosts.unlock_by(&mut typed, targets, term);
        let targets = if open.is_empty() { unlocked.unwrap_or_else(left_out) } else { unlocked? };
        let (hosts, targets) = targets.into_iter().partition(|target| marks.contains_key(&target.name));
        let hosts: Vec<Target> = hosts;
        let marked = |target: Target| {
            let mark = marks[&target.name];
            (target, mark)
        };
        Ok((targets, hosts.into_iter().map(marked).collect()))
    }

    /// The ways to hosts, without what a person types.
    fn located(&self, names: &[String], order: Option<&Order>) -> Result<Vec<Target>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let known = |name: &String| order?.targets.iter().find(|target| target.name == *name).cloned();
        match names.iter().map(known).collect::<Option<Vec<Target>>>() {
            Some(targets) => self.hosts.again(targets, &self.launch.context.global),
            None => self.hosts.anew(names),
        }
    }
}

/// Of a run whose hosts nobody asks.
fn code_of(run: &Run, rows: &[HostRow]) -> ExitCode {
    let code = Summary::of(rows.iter().map(HostRow::outcome)).exit_code();
    match run.exit_code {
        // What stopped it is not among the outcomes of its hosts.
        Some(known) => [ExitCode::Failure, ExitCode::Stopped, ExitCode::Interrupted]
            .into_iter()
            .find(|code| *code as u8 == known)
            .unwrap_or(code),
        None => code,
    }
}

fn standing(known: &Known) -> Standing {
    let Known { host: _, mark, bytes, attempt, started_at, outcome } = known;
    Standing { mark: *mark, bytes: *bytes, attempt: *attempt, started_at: *started_at, outcome: *outcome }
}
