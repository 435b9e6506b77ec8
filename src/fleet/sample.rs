//! A small fleet for tests of what becomes of its hosts.

use std::collections::BTreeMap;
use std::sync::Arc;

use cronium_wire::digest::sha256_hex;
use cronium_wire::manifest::HelperAccess;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};

use super::{BACKLOG_BYTES, Fleet, Report, Reports, Stop};
use crate::error::Result;
use crate::helper_api::{
    Api, ArtifactSink, ArtifactStore, Author, Change, Limits, Listed, RunContext, Variable, VariableStore,
    Written,
};
use crate::inventory::{Address, Target};
use crate::payload::{self, keys::SigningKey};
use crate::plan::{LEASE, MAX_OUTPUT, Plan, RECONNECT, Run, Strategy, Task};
use crate::transport::{Flight, Transport};

/// Holds nothing, and takes nothing but artifacts, which it forgets.
struct Nothing;

struct Forgotten(Vec<u8>);

impl VariableStore for Nothing {
    fn get(&self, _: &[String], _: &str) -> Result<Option<Variable>> {
        Ok(None)
    }

    fn write(&self, _: &[String], _: Change, _: Author) -> Result<Written> {
        Ok(Written::Missing)
    }

    fn list(&self, _: &[String]) -> Result<Vec<Listed>> {
        Ok(Vec::new())
    }
}

impl ArtifactStore for Nothing {
    fn begin(&self) -> Result<Box<dyn ArtifactSink>> {
        Ok(Box::new(Forgotten(Vec::new())))
    }
}

impl ArtifactSink for Forgotten {
    fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.0.extend_from_slice(piece);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<String> {
        Ok(sha256_hex(&self.0))
    }
}

/// The command `true` with this input.
pub fn run(input: Value) -> Run {
    let packed = payload::pack_command(&["true".to_owned()]).unwrap();
    Run {
        payload: Arc::new(payload::sign(packed, &SigningKey::generate())),
        args: Vec::new(),
        environment: BTreeMap::new(),
        timeout: None,
        input,
        project: None,
        inputs: Vec::new(),
        one_off: true,
        idle_timeout: None,
        max_output: MAX_OUTPUT,
        lease: LEASE,
        detach: false,
    }
}

/// The run 01R.
pub fn plan(hosts: &[&str], task: Task) -> Plan {
    let target = |name: &&str| Target {
        name: (*name).to_owned(),
        address: Address::Local,
        groups: Vec::new(),
        privilege: None,
    };
    Plan {
        run: "01R".into(),
        command: String::new(),
        targets: hosts.iter().map(target).collect(),
        task,
        forks: 1,
        strategy: Strategy::default(),
        persist: None,
        reconnect: RECONNECT,
    }
}

pub fn api(input: Value) -> Arc<Api> {
    let context = RunContext { input, ..RunContext::default() };
    Api::new(context, HelperAccess::default(), Arc::new(Nothing), Limits::default()).unwrap()
}

/// Its hosts may say what they like; what they report comes out of the inbox.
pub fn fleet(plan: Plan) -> (Arc<Fleet>, Reports, mpsc::Receiver<Report>) {
    let (_, stopped) = watch::channel(Stop::No);
    stopped_by(plan, 1000, stopped)
}

/// The same with room for so many reports, and where it may be stopped.
pub fn stopped_by(
    plan: Plan,
    room: usize,
    stopped: watch::Receiver<Stop>,
) -> (Arc<Fleet>, Reports, mpsc::Receiver<Report>) {
    let (sender, inbox) = mpsc::channel(room);
    let backlog = Arc::new(Semaphore::new(BACKLOG_BYTES));
    let reports = Reports { sender, backlog, left: stopped.clone() };
    let api = api(Value::Null);
    plan.targets.iter().for_each(|target| drop(api.register(&target.name, &[])));
    let fleet = Fleet {
        plan: Arc::new(plan),
        following: Flight::default(),
        transport: Arc::new(Transport::default()),
        api,
        artifacts: Arc::new(Nothing),
        stopped,
    };
    (Arc::new(fleet), reports, inbox)
}
