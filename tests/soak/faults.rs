//! What goes wrong meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::Signal;

use super::harness::{Environment, Fleet, Invocation, Proxy, Running, Way};
use super::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Reset,
    Silent,
    Refused,
    Held,
    Slow,
    SshdKilled,
    RelayKilled,
    SupervisorKilled,
    OperatorKilled,
    OperatorStopped,
    OperatorTerminated,
    LedgerLocked,
    /// Another process attaches to the run.
    Rival,
    /// Another process collects what is open, while much is at work.
    Collector,
}

impl Fault {
    const ALL: [Self; 14] = [
        Self::Reset,
        Self::Silent,
        Self::Refused,
        Self::Held,
        Self::Slow,
        Self::SshdKilled,
        Self::RelayKilled,
        Self::SupervisorKilled,
        Self::OperatorKilled,
        Self::OperatorStopped,
        Self::OperatorTerminated,
        Self::LedgerLocked,
        Self::Rival,
        Self::Collector,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "TCP reset",
            Self::Silent => "silent link",
            Self::Refused => "reset and refused for a while",
            Self::Held => "one way held for a while",
            Self::Slow => "slow link",
            Self::SshdKilled => "sshd sessions killed",
            Self::RelayKilled => "relays killed",
            Self::SupervisorKilled => "supervisors killed",
            Self::OperatorKilled => "operator SIGKILL",
            Self::OperatorStopped => "operator SIGSTOP and on",
            Self::OperatorTerminated => "operator SIGTERM",
            Self::LedgerLocked => "ledger locked for a while",
            Self::Rival => "a second operator attaches",
            Self::Collector => "a second operator collects",
        }
    }
}

/// What the hosts of a soak stand on.
pub struct World {
    pub environment: Environment,
    pub fleet: Fleet,
    pub proxies: Vec<Proxy>,
    pub injected: Mutex<BTreeMap<Fault, u64>>,
    /// Hosts whose supervisors were killed at some time.
    pub killed_on: Mutex<BTreeSet<u8>>,
}

/// Where a host's proxy stands, beside the host.
pub const PROXIES: u8 = 100;

impl World {
    /// The name by which host `number` is reached.
    pub fn name(&self, number: u8) -> String {
        self.fleet.name(PROXIES + number)
    }

    /// Does something bad to a run on these hosts that is under way; what.
    pub fn harm(
        &self,
        running: &mut Running,
        script: &str,
        hosts: &[u8],
        random: &mut Random,
    ) -> Option<Fault> {
        let fault = random.of_all(&Fault::ALL);
        let host = random.of_all(hosts);
        let proxy = &self.proxies[usize::from(host) - 1];
        let a_while = Duration::from_millis(random.between(200, 4000));
        if running.is_over() {
            return None;
        }
        let has_hit = match fault {
            Fault::Reset => {
                let alive = proxy.alive();
                proxy.reset();
                alive > 0
            }
            Fault::Silent => {
                let alive = proxy.alive();
                proxy.silence();
                alive > 0
            }
            Fault::Refused => {
                proxy.refuse(true);
                proxy.reset();
                thread::sleep(a_while);
                proxy.refuse(false);
                true
            }
            Fault::Held => {
                proxy.hold(random.of_all(&[Way::ToHost, Way::ToOperator]));
                thread::sleep(a_while);
                proxy.let_go();
                true
            }
            Fault::Slow => {
                proxy.delay(Duration::from_millis(random.between(1, 60)));
                thread::sleep(a_while);
                proxy.delay(Duration::ZERO);
                true
            }
            Fault::SshdKilled => self.fleet.kill_sessions(host) > 0,
            Fault::RelayKilled => {
                let relays = self.fleet.relays(host);
                relays.iter().for_each(|relay| relay.signal(Signal::KILL));
                !relays.is_empty()
            }
            Fault::SupervisorKilled => {
                let supervisors = self.fleet.supervisors(host);
                supervisors.iter().for_each(|supervisor| supervisor.signal(Signal::KILL));
                self.killed_on.lock().unwrap().insert(host);
                !supervisors.is_empty()
            }
            Fault::OperatorKilled => {
                running.signal(Signal::KILL);
                true
            }
            Fault::OperatorStopped => {
                running.signal(Signal::STOP);
                thread::sleep(a_while);
                running.signal(Signal::CONT);
                true
            }
            Fault::OperatorTerminated => {
                running.signal(Signal::TERM);
                true
            }
            Fault::LedgerLocked => self.lock_ledger(a_while),
            Fault::Rival => {
                let runs = self.environment.ledger().runs_by_command();
                let run = runs.iter().find(|(_, command)| command.split(' ').any(|word| word == script));
                run.is_some_and(|(run, _)| {
                    self.command(["attach", run, "-o", "quiet"]).run().ignore();
                    true
                })
            }
            Fault::Collector => {
                self.command(["collect"]).run().ignore();
                true
            }
        };
        if has_hit {
            *self.injected.lock().unwrap().entry(fault).or_default() += 1;
        }
        has_hit.then_some(fault)
    }

    /// `cronium-run ARGS…` that notices a lost link quickly.
    pub fn command<const N: usize>(&self, args: [&str; N]) -> Invocation {
        let options = ["ServerAliveInterval=1", "ServerAliveCountMax=3"];
        let options = options.into_iter().flat_map(|option| ["--ssh-option", option]);
        self.environment.reaching(&self.fleet, args).args(options).limit(300)
    }

    /// As another process that writes for long.
    fn lock_ledger(&self, a_while: Duration) -> bool {
        let Ok(connection) = Connection::open(self.environment.ledger_path()) else { return false };
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        if connection.execute_batch("BEGIN IMMEDIATE").is_err() {
            return false;
        }
        thread::sleep(a_while);
        let _ = connection.execute_batch("ROLLBACK");
        true
    }

    /// Whether a result of `run` waits on host `number`.
    pub fn has_spool(&self, number: u8, run: &str) -> bool {
        let of_run = |folder: &std::path::PathBuf| {
            folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(run))
        };
        self.fleet
            .runs(number)
            .iter()
            .filter(|folder| of_run(folder))
            .any(|folder| folder.join("spool").exists())
    }

    /// From here on nothing goes wrong any more.
    pub fn heal(&self) {
        for proxy in &self.proxies {
            proxy.refuse(false);
            proxy.delay(Duration::ZERO);
            proxy.let_go();
        }
    }
}
