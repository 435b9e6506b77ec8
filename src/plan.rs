//! The immutable result of every check: after this no input error is possible.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::{Outcome, StopReason};
use crate::inventory::{Address, Privilege, Target};
use crate::payload::{Input, Signed};

mod strategy;

pub use strategy::{Gate, Share, Strategy};

/// Payloads up to this size travel with the job, others are asked for where the host's cache has
/// none: below it a round trip costs more than the bytes.
pub const FOLLOWS_UP_TO: usize = 128 << 10;
/// Between TERM and KILL.
pub const GRACE: Duration = Duration::from_secs(10);
/// Where nothing else is said: how long a lost connection is tried to be made again, how long a script
/// may go on without an operator, and how much of each output stream is kept.
pub const RECONNECT: Duration = Duration::from_secs(5 * 60);
pub const LEASE: Duration = Duration::from_secs(24 * 3600);
/// Also of a result that nobody has fetched.
pub const LEASE_DETACHED: Duration = Duration::from_secs(14 * 24 * 3600);
pub const MAX_OUTPUT: u64 = 64 << 20;

/// What is to be done on every host.
#[derive(Debug, Clone)]
pub enum Task {
    /// Run the payload.
    Run(Box<Run>),
    /// Put the stub, payloads and keys in place.
    Deploy { payloads: Vec<Arc<Signed>>, trust: Vec<String> },
    /// Ask for what was run before.
    Resume(Box<Resume>),
}

#[derive(Debug, Clone)]
pub struct Run {
    pub payload: Arc<Signed>,
    /// Behind the manifest's own.
    pub args: Vec<String>,
    /// Over the manifest's own.
    pub environment: BTreeMap<String, String>,
    /// The operator's `--timeout`, else the manifest's.
    pub timeout: Option<Duration>,
    /// What `cronium input` gives.
    pub input: Value,
    /// Whose variables the script shares: `--project`.
    pub project: Option<String>,
    /// The manifest's `artifacts.inputs`.
    pub inputs: Vec<Input>,
    /// A one-off command: it seldom calls helpers, so its tunnel waits for the first call.
    pub one_off: bool,
    /// Killed where it prints nothing for so long.
    pub idle_timeout: Option<Duration>,
    /// Bytes of each output stream that are kept: half from its beginning, half from its end.
    pub max_output: u64,
    /// How long the script may go on without an operator; zero: its host cannot be left.
    pub lease: Duration,
    /// Leave once the script has started.
    pub detach: bool,
}

/// A run that has begun before, asked for again.
#[derive(Debug, Clone)]
pub struct Resume {
    pub act: Act,
    /// What was run; `None` where this ledger does not know it (`--adopt`).
    pub run: Option<Box<Run>>,
    /// Of each target of the plan, in their order.
    pub standings: Vec<Standing>,
    /// How the run's other hosts have ended.
    pub settled: Vec<Outcome>,
    /// Why the run started no further host, which those that are asked now do not change.
    pub stopped: Option<StopReason>,
    /// The number of the next event.
    pub next_seq: u64,
}

/// What is done with hosts that have been given the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Stay to the end of the script.
    Follow,
    /// Fetch what is over, and leave what still runs.
    Collect,
    /// Kill what still runs, and fetch the result.
    Cancel,
}

/// How far a host's account is known.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The number of the first frame that is not recorded.
    pub mark: u64,
    /// Bytes of stdout and stderr that are recorded.
    pub bytes: [u64; 2],
    pub attempt: u32,
    pub started_at: Option<Timestamp>,
    /// How it ended when it was asked last; `None` where it never has.
    pub outcome: Option<Outcome>,
}

#[derive(Debug, Clone)]
pub struct Plan {
    /// A ULID: 26 characters that sort by time.
    pub run: String,
    /// The command line as typed.
    pub command: String,
    pub targets: Vec<Target>,
    pub task: Task,
    /// How many hosts at once.
    pub forks: usize,
    pub strategy: Strategy,
    /// Connections are kept for so long after their last use; `None`: each is this run's own.
    pub persist: Option<Duration>,
    /// How long a lost connection is tried to be made again.
    pub reconnect: Duration,
}

impl Plan {
    /// What is run, or was.
    pub fn run(&self) -> Option<&Run> {
        match &self.task {
            Task::Run(run) => Some(run),
            Task::Resume(resume) => resume.run.as_deref(),
            Task::Deploy { .. } => None,
        }
    }

    pub fn hosts(&self) -> Vec<String> {
        self.targets.iter().map(|target| target.name.clone()).collect()
    }

    /// Every resolved value, for `--check` and the ledger. Values of `--env` are left out, as
    /// people put passwords there.
    pub fn to_json(&self) -> Value {
        let hosts: Vec<Value> = self.targets.iter().map(host).collect();
        let task = match &self.task {
            Task::Run(run) => json!({"run": {
                "payload": payload(&run.payload),
                "args": run.args,
                "environment": run.environment.keys().collect::<Vec<_>>(),
                "timeout_ms": run.timeout.map(|timeout| timeout.as_millis() as u64),
                "has_input": !run.input.is_null(),
                "project": run.project,
                "inputs": run.inputs.iter().map(input).collect::<Vec<_>>(),
                "idle_timeout_ms": run.idle_timeout.map(|timeout| timeout.as_millis() as u64),
                "max_output": run.max_output,
                "lease_ms": run.lease.as_millis() as u64,
                "detach": run.detach,
            }}),
            Task::Resume(resume) => json!({"resume": {"act": match resume.act {
                Act::Follow => "attach",
                Act::Collect => "collect",
                Act::Cancel => "cancel",
            }}}),
            Task::Deploy { payloads, trust } => json!({"deploy": {
                "payloads": payloads.iter().map(|signed| payload(signed)).collect::<Vec<_>>(),
                "trust": trust.len(),
            }}),
        };
        json!({
            "run": self.run,
            "command": self.command,
            "task": task,
            "forks": self.forks,
            "rollout": self.strategy.to_json(hosts.len()),
            "persist_ms": self.persist.map(|persist| persist.as_millis() as u64),
            "reconnect_ms": self.reconnect.as_millis() as u64,
            "hosts": hosts,
        })
    }
}

fn host(target: &Target) -> Value {
    match &target.address {
        Address::Local => json!({"name": target.name, "local": true, "become": becoming(target)}),
        Address::Ssh(ssh) => json!({
            "name": target.name,
            "address": ssh.host,
            "port": ssh.port,
            "user": ssh.user,
            "become": becoming(target),
            "connect_timeout_ms": ssh.connect_timeout.as_millis() as u64,
        }),
    }
}

/// Who the script runs as; `null` for the user who logs in.
fn becoming(target: &Target) -> Option<Value> {
    let Privilege { method, user, login: _, password: _ } = target.privilege.as_ref()?;
    Some(json!({"user": user, "method": method.as_str()}))
}

fn input(input: &Input) -> Value {
    json!({"path": input.path, "from": input.from, "digest": input.digest, "bytes": input.size})
}

fn payload(signed: &Signed) -> Value {
    json!({
        "name": signed.packed.name,
        "digest": signed.packed.digest_hex(),
        "bytes": signed.packed.bytes.len(),
        "signer": signed.public_key.fingerprint(),
    })
}
