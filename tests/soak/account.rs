//! What became of every run on every host.

use std::fmt;
use std::fs;

use super::faults::World;
use super::harness::{Ledger, ResultRow};
use super::script::Script;

/// A run that was given to hosts.
pub struct Given {
    pub script: Script,
    pub hosts: Vec<u8>,
    /// Its operator was told to stop.
    pub is_terminated: bool,
}

#[derive(Default)]
pub struct Account {
    runs: usize,
    on_hosts: usize,
    started: usize,
    /// With the script's own exit code and every byte.
    delivered: usize,
    /// The runner was killed. How far the script had come by then nobody knows: what is recorded is the
    /// beginning of what it would have printed, and no more is checked.
    runner_killed: usize,
    /// The operator was told to stop. The same is checked.
    cancelled: usize,
    never_started: usize,
    /// Not fetched, and still there.
    waiting: usize,
    lost: Vec<String>,
    doubled: Vec<String>,
    pub left_behind: Vec<String>,
}

impl Account {
    pub fn of(world: &World, given: &[Given]) -> Self {
        let ledger = world.environment.ledger();
        ledger.check();
        let ids = ledger.runs_by_command();
        let mut account = Self { runs: given.len(), ..Self::default() };
        for run in given {
            let Given { script, hosts, .. } = run;
            let name = script.name();
            let id = ids.iter().find(|(_, command)| command.split(' ').any(|word| word == name));
            for host in hosts {
                account.add(world, &ledger, id.map(|(id, _)| id.as_str()), run, *host);
            }
        }
        account
    }

    fn add(&mut self, world: &World, ledger: &Ledger, id: Option<&str>, run: &Given, host: u8) {
        let script = &run.script;
        self.on_hosts += 1;
        let name = world.name(host);
        let starts = fs::read_to_string(script.starts(world.fleet.folder(), &name)).unwrap_or_default();
        let starts = starts.lines().count();
        self.started += usize::from(starts > 0);
        let row = id.and_then(|id| ledger.results(id).into_iter().find(|row| row.host == name));
        let what = format!("{} on {name} (run {})", script.name(), id.unwrap_or("without a row"));
        if starts > 1 {
            self.doubled.push(format!("{what}: started {starts} times"));
        }
        let stream =
            |name: &str, stream| id.and_then(|id| ledger.output(id, name, stream)).unwrap_or_default();
        let streams =
            [(stream(&name, "stdout"), script.stdout()), (stream(&name, "stderr"), script.stderr())];
        let is_exact = streams.iter().all(|(told, said)| told == said);
        let is_prefix = streams.iter().all(|(told, said)| said.starts_with(told));
        if !is_prefix {
            let [(out, said), _] = &streams;
            self.doubled.push(format!(
                "{what}: {} bytes are no beginning of {}: {row:?}",
                out.len(),
                said.len()
            ));
        }
        let status = row.as_ref().map_or("no row", |row| row.status.as_str());
        let code = row.as_ref().and_then(|row| row.exit_code);
        let is_of = |row: &ResultRow, phase: &str| row.phase.as_deref() == Some(phase);
        let was_killed = world.killed_on.lock().unwrap().contains(&host) && code.is_none();
        match status {
            "succeeded" | "failed" if is_exact && code == Some(script.exit_code) && starts == 1 => {
                self.delivered += 1;
            }
            "failed" if row.as_ref().is_some_and(|row| is_of(row, "exec")) && was_killed => {
                self.runner_killed += 1;
            }
            "cancelled" if run.is_terminated => self.cancelled += 1,
            "no row" | "unreachable" | "skipped" if starts == 0 => self.never_started += 1,
            _ if world.has_spool(host, id.unwrap_or("none")) => self.waiting += 1,
            _ => self.lost.push(format!("{what}: started {starts} times, {row:?}")),
        }
    }

    pub fn is_right(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.left_behind.is_empty() && self.waiting == 0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, count: usize| writeln!(f, "{name:<40} {count:>7}");
        row("runs", self.runs)?;
        row("on hosts", self.on_hosts)?;
        row("  started once", self.started)?;
        row("  delivered, every byte", self.delivered)?;
        row("  runner killed, output a beginning", self.runner_killed)?;
        row("  cancelled, output a beginning", self.cancelled)?;
        row("  never started", self.never_started)?;
        row("  waiting on their hosts", self.waiting)?;
        row("results lost", self.lost.len())?;
        row("doubled", self.doubled.len())?;
        row("processes and files left behind", self.left_behind.len())?;
        for what in self.lost.iter().chain(&self.doubled).chain(&self.left_behind).take(40) {
            writeln!(f, "! {what}")?;
        }
        Ok(())
    }
}
