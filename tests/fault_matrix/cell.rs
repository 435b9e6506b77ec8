//! One cell of the matrix: a run of its own, on a host of its own, with a network of its own.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::Signal;

use crate::harness::{
    Environment, Fleet, Invocation, Ledger, Proxy, ResultRow, Running, SmallDisk, Way, until,
};
use crate::matrix::{Fault, Moment};

/// Lines that the script prints before it waits to be let go, and in all.
pub const FIRST: usize = 2000;
pub const ALL: usize = 4000;

/// Where a cell's proxy stands, beside its host.
const PROXIES: u8 = 100;

/// What became of a cell, in the words of the table.
pub struct Observed {
    pub exit: i32,
    /// The host's row in the ledger when the command had ended.
    pub before: String,
    pub starts: usize,
    /// Row and output once all is settled, and whatever should not be.
    pub after: String,
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4} | {:<21} | {} | {}", self.exit, self.before, self.starts, self.after)
    }
}

pub struct Cell<'f> {
    moment: Moment,
    fault: Fault,
    fleet: &'f Fleet,
    number: u8,
    proxy: Proxy,
    environment: Environment,
    /// The disk of the operator's ledger, where it is to be full.
    disk: Option<SmallDisk>,
}

impl<'f> Cell<'f> {
    /// `keys`: the settings of somebody who has run something before.
    pub fn new(moment: Moment, fault: Fault, fleet: &'f Fleet, number: u8, keys: &Environment) -> Self {
        let environment = Environment::new();
        let config = environment.home().join(".config/cronium-run");
        fs::create_dir_all(&config).unwrap();
        for file in ["operator.key", "operator.pub"] {
            fs::copy(keys.home().join(".config/cronium-run").join(file), config.join(file)).unwrap();
        }
        let disk = (fault == Fault::OperatorDiskFull)
            .then(|| SmallDisk::at(&environment.home().join(".local/state"), "16m"));
        let proxy = Proxy::start(fleet, PROXIES + number, number);
        Self { moment, fault, fleet, number, proxy, environment, disk }
    }

    pub fn observe(self) -> Observed {
        self.write_script();
        if self.moment == Moment::BeforeStart {
            self.exec().args(["--", "true"]).run().succeeds().ignore();
        }
        let (running, lock) = self.come_to_the_moment();
        let outcome = self.inject(running, lock);
        let before = self.row().map_or("no row".to_owned(), |row| in_words(&row));
        self.heal();
        let trouble = self.settle();
        let mut after = self.row().map_or("no row".to_owned(), |row| in_words(&row));
        after += &format!(" · {}", self.output());
        for what in trouble.into_iter().chain(self.fleet.left_behind(self.number)) {
            after += &format!(" · {what}");
        }
        Observed { exit: outcome, before, starts: self.starts(), after }
    }

    fn name(&self) -> String {
        self.fleet.name(PROXIES + self.number)
    }

    fn command<const N: usize>(&self, args: [&str; N]) -> Invocation {
        let mut invocation = self.environment.reaching(self.fleet, args).limit(120);
        if matches!(self.fault, Fault::Silent | Fault::OperatorStopped) {
            let alive = ["--ssh-option", "ServerAliveInterval=1", "--ssh-option", "ServerAliveCountMax=2"];
            invocation = invocation.args(alive);
        }
        match &self.disk {
            Some(disk) => invocation.beside(&self.environment, disk.pid()),
            None => invocation,
        }
    }

    fn exec(&self) -> Invocation {
        self.command(["exec", &self.name(), "-o", "quiet", "--reconnect", "60s"])
    }

    /// A file that the test and the script both know, on no disk that is filled.
    fn sign(&self, name: &str) -> PathBuf {
        self.fleet.folder().join(format!("cell{}.{name}", self.number))
    }

    fn starts(&self) -> usize {
        fs::read_to_string(self.sign("starts")).unwrap_or_default().lines().count()
    }

    fn write_script(&self) {
        let sign = |name| self.sign(name).display().to_string();
        let mut script = format!(
            "#!/bin/sh\n\
             echo started >>{starts}\n\
             lines() {{ i=$1; while [ $i -le $2 ]; do echo \"line $i\"; i=$((i + 1)); done; }}\n\
             lines 1 {FIRST}\n\
             : >{running}\n\
             while [ ! -e {go} ]; do sleep 0.05; done\n\
             lines {next} {ALL}\n\
             exit 0\n",
            starts = sign("starts"),
            running = sign("running"),
            go = sign("go"),
            next = FIRST + 1,
        );
        if self.moment == Moment::BeforeStart {
            // More than travels with the job, and nothing that could be made shorter.
            let mut number = 1_u64;
            while script.len() < 600_000 {
                number =
                    number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                script += &format!("# {number:016x}\n");
            }
        }
        self.environment.write("script.sh", script);
    }

    /// The command, held at the moment, and the lock on its ledger if that is what holds it.
    fn come_to_the_moment(&self) -> (Running, Option<Connection>) {
        match self.moment {
            Moment::Connect => self.proxy.hold_after(1),
            Moment::Upload => self.proxy.hold_after(150_000),
            Moment::BeforeStart => self.proxy.hold_after(100_000),
            _ => {}
        }
        if (self.moment, self.fault) == (Moment::Connect, Fault::OperatorDiskFull) {
            self.disk.as_ref().unwrap().fill();
            self.proxy.let_go();
        }
        let running = self.exec().arg("script.sh").start();
        if (self.moment, self.fault) == (Moment::Connect, Fault::OperatorDiskFull) {
            return (running, None);
        }
        let mut lock = None;
        match self.moment {
            Moment::Connect | Moment::Upload | Moment::BeforeStart => {
                self.wait("the connection is held", || self.proxy.is_held());
            }
            Moment::Running => self.wait_for_script(),
            Moment::ResultSent => {
                self.wait_for_script();
                self.proxy.hold(Way::ToOperator);
                self.go();
                self.wait_for_result();
            }
            Moment::BeforeAck => {
                self.wait_for_script();
                // Where the disk is full, that is what keeps the ledger from taking it.
                match &self.disk {
                    Some(disk) => disk.fill(),
                    None => lock = Some(self.lock()),
                }
                self.go();
                self.wait_for_result();
                self.proxy.settle();
            }
            Moment::AckUnderWay => {
                self.wait_for_script();
                self.proxy.hold(Way::ToHost);
                self.go();
                let is_recorded = || self.row().is_some_and(|row| row.finished_at.is_some());
                self.wait("the result is recorded", is_recorded);
            }
        }
        (running, lock)
    }

    /// The command's exit code.
    fn inject(&self, running: Running, lock: Option<Connection>) -> i32 {
        match self.fault {
            Fault::Reset => self.proxy.reset(),
            Fault::Silent => self.proxy.silence(),
            Fault::SshdKilled => {
                assert!(self.fleet.kill_sessions(self.number) > 0, "{self:?}: sshd has no session");
            }
            Fault::OperatorKilled => running.signal(Signal::KILL),
            Fault::OperatorStopped => running.signal(Signal::STOP),
            Fault::RelayKilled => {
                let relays = self.fleet.relays(self.number);
                assert!(!relays.is_empty(), "{self:?}: there is no relay");
                relays.iter().for_each(|relay| relay.signal(Signal::KILL));
            }
            Fault::SupervisorKilled => {
                let supervisors = self.fleet.supervisors(self.number);
                assert!(!supervisors.is_empty(), "{self:?}: there is no supervisor");
                supervisors.iter().for_each(|supervisor| supervisor.signal(Signal::KILL));
            }
            Fault::HostDiskFull => crate::harness::fill(&self.fleet.home_inside(self.number)),
            Fault::OperatorDiskFull => {
                if !matches!(self.moment, Moment::Connect | Moment::BeforeAck) {
                    self.disk.as_ref().unwrap().fill();
                }
            }
        }
        self.proxy.let_go();
        drop(lock);
        self.go();
        if self.fault == Fault::OperatorStopped {
            thread::sleep(self.moment.sleep());
            running.signal(Signal::CONT);
        }
        let outcome = running.wait();
        let code = outcome.code;
        if std::env::var_os("MATRIX_VERBOSE").is_some() {
            eprintln!("{self:?}: {outcome:?}");
        }
        outcome.ignore();
        code
    }

    /// What was full is not any more.
    fn heal(&self) {
        if self.fault == Fault::HostDiskFull {
            fs::remove_file(self.fleet.home_inside(self.number).join("fill")).unwrap();
        }
        if let Some(disk) = &self.disk {
            disk.free();
        }
        if matches!(self.moment, Moment::Connect | Moment::Upload | Moment::BeforeStart) {
            // Who waits for the rest of a runner or a payload ends with its link: where that is silent, when
            // sshd's keepalive or, after two minutes, the runner says so.
            self.proxy.reset();
        }
    }

    /// Collects until there is nothing more to fetch; what stays open or lies about all the same.
    fn settle(&self) -> Vec<String> {
        let Some(ledger) = self.ledger() else { return Vec::new() };
        let run = ledger.last_run();
        drop(ledger);
        let is_settled = || {
            let row = self.row();
            row.is_some_and(|row| is_final(&row.status)) && self.fleet.left_behind(self.number).is_empty()
        };
        let mut said = Vec::new();
        for _ in 0..4 {
            // What has just ended takes a moment to go.
            if until(2, || slowly(is_settled)) {
                return Vec::new();
            }
            let outcome = self.command(["collect", &run]).run();
            if std::env::var_os("MATRIX_VERBOSE").is_some() {
                eprintln!("{self:?}: collect: {outcome:?}");
            }
            said = vec![format!("collect exits {}", outcome.code)];
            outcome.ignore();
        }
        if until(2, || slowly(is_settled)) { Vec::new() } else { said }
    }

    fn output(&self) -> String {
        let Some(ledger) = self.ledger() else { return "no ledger".to_owned() };
        let run = ledger.last_run();
        let bytes = ledger.output(&run, &self.name(), "stdout").unwrap_or_default();
        let wanted = |count| (1..=count).map(|line| format!("line {line}\n")).collect::<String>();
        match bytes.len() {
            0 => "no output".to_owned(),
            _ if bytes == wanted(ALL).as_bytes() => "all lines".to_owned(),
            _ if bytes == wanted(FIRST).as_bytes() => "the first lines".to_owned(),
            length => format!("WRONG OUTPUT: {length} bytes"),
        }
    }

    fn go(&self) {
        fs::write(self.sign("go"), "").unwrap();
    }

    /// As another process that writes.
    fn lock(&self) -> Connection {
        let connection = Connection::open(self.environment.ledger_path()).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        connection
    }

    fn ledger(&self) -> Option<Ledger> {
        let path = match &self.disk {
            // SQLite goes by the paths of its own mounts: it is shown a copy.
            Some(disk) => {
                let seen = disk.seen().join("cronium-run");
                let copy = self.environment.path("ledger.db");
                for ending in ["", "-wal"] {
                    let to = self.environment.path(format!("ledger.db{ending}"));
                    let _ = fs::remove_file(&to);
                    let _ = fs::copy(seen.join(format!("ledger.db{ending}")), to);
                }
                let _ = fs::remove_file(self.environment.path("ledger.db-shm"));
                copy
            }
            None => self.environment.ledger_path(),
        };
        let ledger = path.exists().then(|| Ledger::open(&path))?;
        (ledger.has_runs()).then_some(ledger)
    }

    /// What the ledger says of the host.
    fn row(&self) -> Option<ResultRow> {
        let ledger = self.ledger()?;
        ledger.results(&ledger.last_run()).into_iter().find(|row| row.host == self.name())
    }

    fn wait_for_script(&self) {
        self.wait("the script runs", || self.sign("running").exists());
        // What it printed is on its way, and that it runs is recorded.
        self.wait("the ledger says so", || self.row().is_some_and(|row| row.status == "running"));
        self.proxy.settle();
    }

    /// The script has ended and its result is on its way.
    fn wait_for_result(&self) {
        let runs = self.fleet.home_inside(self.number).join(".local/state/cronium-run/runs");
        let is_over = || {
            let folders = fs::read_dir(&runs).into_iter().flatten().flatten();
            folders.map(|entry| entry.path()).all(|folder| !folder.join("work").exists())
        };
        self.wait("the result is sent", is_over);
        // The last frame follows what was removed.
        thread::sleep(Duration::from_millis(300));
    }

    #[track_caller]
    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        assert!(until(30, || slowly(&condition)), "{self:?}: in vain, until {what}");
    }
}

impl fmt::Debug for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.moment.name(), self.fault.name())
    }
}

/// Looking costs time that those who are looked at need.
fn slowly(condition: impl Fn() -> bool) -> bool {
    let holds = condition();
    if !holds {
        thread::sleep(Duration::from_millis(50));
    }
    holds
}

fn is_final(status: &str) -> bool {
    ["succeeded", "failed", "timed_out", "unreachable", "rejected", "cancelled", "skipped"].contains(&status)
}

/// `failed (exec)`, or the status alone where that says all. How far a host without an end has come is
/// `open`: of the last steps the ledger may not know.
fn in_words(row: &ResultRow) -> String {
    match &row.phase {
        _ if !is_final(&row.status) => "open".to_owned(),
        Some(phase) => format!("{} ({phase})", row.status),
        None => row.status.clone(),
    }
}
