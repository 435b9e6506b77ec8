//! Hosts of a run that is over here, and perhaps not there: asked again.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::connect::{HostArgs, KeepArgs};
use super::launch::{self, Launch};
use super::order::{self, Order};
use super::{descriptors, shell};
use crate::error::{Error, ExitCode, Result};
use crate::event::{Outcome, StopReason, Summary};
use crate::fleet;
use crate::inventory::Target;
use crate::ledger::{HostRow, Known, Ledger, Reader, Resumed, Run};
use crate::plan::{self, Act, Plan, Resume, Standing, Task};
use crate::transport::Transport;

/// Hosts at once where no order says so.
const FORKS: usize = 100;

/// Which hosts of a run are asked, and how.
pub struct Asking<'a> {
    pub act: Act,
    pub targets: Option<&'a str>,
    pub hosts: &'a HostArgs,
    pub keep: &'a KeepArgs,
    /// `None`: as long as the run did.
    pub reconnect: Option<Duration>,
    pub launch: Launch<'a>,
}

/// What came of it.
pub struct Asked {
    /// Those that were asked: none where none of the chosen ones was open.
    pub hosts: Vec<String>,
    /// Of the whole run.
    pub code: ExitCode,
    /// Somebody wants no more of it.
    pub is_interrupted: bool,
}

impl Asking<'_> {
    /// `run` is a whole id.
    pub fn ask(&self, run: &str, path: &Path) -> Result<Asked> {
        let ledger = Ledger::open(path)?;
        let reader = ledger.reader()?;
        let past = reader.run(run)?;
        if past.plan.pointer("/task/deploy").is_some() {
            return Err(Error::usage(format!("run {run} was a deploy: nothing of it goes on by itself"))
                .hint(past.command));
        }
        let chosen = self.chosen(&reader, run)?;
        // Nobody else settles hosts from here on.
        let mut resumed = ledger.resume_run(run)?;
        let rows = reader.results(run)?;
        let open: Vec<String> = rows
            .iter()
            .filter(|row| is_open(row) && chosen.contains(&row.host))
            .map(|row| row.host.clone())
            .collect();
        // Their results are here; that is all they have not heard.
        let kept: Vec<(String, u64)> = rows
            .iter()
            .filter(|row| !is_open(row) && chosen.contains(&row.host))
            .filter_map(|row| Some((row.host.clone(), row.kept?)))
            .collect();
        let is_settled = open.is_empty() && (past.exit_code.is_some() || rows.iter().any(is_open));
        if is_settled && kept.is_empty() {
            return Ok(Asked { hosts: open, code: code_of(&past, &rows), is_interrupted: false });
        }
        let order = self.order(run, &ledger);
        self.take_leave(run, kept, order.as_ref(), &ledger)?;
        if is_settled {
            return Ok(Asked { hosts: open, code: code_of(&past, &rows), is_interrupted: false });
        }
        let place = resumed.place(&open)?;
        let targets = self.reached(&open, order.as_ref())?;
        let payload = reader.signed_payload(run)?;
        let name = past.payload_name.unwrap_or_else(|| "payload".to_owned());
        let signed = payload.map(|kept| order::signed(kept, &name)).transpose()?;
        let forks = order.as_ref().map_or(FORKS, |order| order.forks);
        let reconnect = order.as_ref().map_or(plan::RECONNECT, |order| order.reconnect);
        let work = order.and_then(|order| order.work);
        let resume = Resume {
            act: self.act,
            run: work.zip(signed).map(|(work, signed)| Box::new(work.run(signed))),
            standings: place.known.iter().map(standing).collect(),
            settled: rows.iter().filter(|row| !open.contains(&row.host)).map(outcome).collect(),
            stopped: place.stopped,
            next_seq: place.next_seq,
        };
        let plan = Plan {
            run: run.to_owned(),
            command: launch::command_line(),
            forks: descriptors::make_room(forks, targets.len(), &self.launch.context.term),
            targets,
            task: Task::Resume(Box::new(resume)),
            strategy: plan::Strategy::default(),
            persist: self.keep.persist(),
            reconnect: self.reconnect.unwrap_or(reconnect),
        };
        let (summary, code) = self.carry_out(plan, &ledger, resumed)?;
        let is_interrupted = summary.stopped == Some(StopReason::Interrupted);
        Ok(Asked { hosts: open, code, is_interrupted })
    }

    /// Of hosts that keep a result which is recorded.
    fn take_leave(
        &self,
        run: &str,
        kept: Vec<(String, u64)>,
        order: Option<&Order>,
        ledger: &Ledger,
    ) -> Result<()> {
        if kept.is_empty() {
            return Ok(());
        }
        let (names, marks): (Vec<String>, Vec<u64>) = kept.into_iter().unzip();
        let targets = self.reached(&names, order)?;
        let forks = order.map_or(FORKS, |order| order.forks);
        let context = self.launch.context;
        let transport = Transport::remembering(context.login_keys_path()?);
        let forks = descriptors::make_room(forks, targets.len(), &context.term);
        let gone = fleet::take_leave(run, targets.into_iter().zip(marks).collect(), transport, forks)?;
        ledger.forgotten(run, gone)
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
    fn order(&self, run: &str, ledger: &Ledger) -> Option<Order> {
        let term = &self.launch.context.term;
        let lost = match Order::open(run, ledger) {
            Ok(Some(order)) => return Some(order),
            Ok(None) => "it is not in the ledger".to_owned(),
            Err(error) => [error.message].into_iter().chain(error.causes).collect::<Vec<_>>().join(": "),
        };
        shell::warn(
            term,
            &format!(
                "how the hosts of {run} were reached is not known, so they are looked up by name: {lost}"
            ),
        );
        None
    }

    fn reached(&self, open: &[String], order: Option<&Order>) -> Result<Vec<Target>> {
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let context = self.launch.context;
        let known = |name: &String| order?.targets.iter().find(|target| target.name == *name).cloned();
        let targets = match open.iter().map(known).collect::<Option<Vec<Target>>>() {
            Some(targets) => self.hosts.again(targets, &context.global)?,
            None => self.hosts.anew(open)?,
        };
        self.hosts.unlock(targets, &context.term)
    }
}

/// Whether the host may have more to tell.
pub fn is_open(row: &HostRow) -> bool {
    row.result.as_ref().is_none_or(|result| result.outcome.is_open())
}

/// Whether the host may have to be told that its result is recorded.
pub fn is_kept(row: &HostRow) -> bool {
    row.kept.is_some()
}

/// How a host stands that is not asked. Nobody knows of one that never ended.
fn outcome(row: &HostRow) -> Outcome {
    row.result.as_ref().map_or(Outcome::Unknown, |result| result.outcome)
}

/// Of a run whose hosts nobody asks.
fn code_of(run: &Run, rows: &[HostRow]) -> ExitCode {
    let mut summary = Summary { hosts: rows.len() as u64, ..Summary::default() };
    rows.iter().for_each(|row| summary.add(outcome(row)));
    let code = summary.exit_code();
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
