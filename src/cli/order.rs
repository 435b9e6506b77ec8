//! What a run was asked for, as the ledger keeps it for `attach` and `rerun`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cronium_wire::key::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Context;
use super::variables::key_file;
use crate::error::{Error, OrFail as _, Result};
use crate::inventory::{Passphrases, Target};
use crate::ledger::{Ledger, Reader, SealedOrder, SignedPayload};
use crate::payload::{self, Packed, Signed};
use crate::plan::{Plan, Run};

/// Without passwords and passphrases: these are asked for again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub targets: Vec<Target>,
    /// `None` for a run that was adopted.
    pub work: Option<Work>,
    pub forks: usize,
    pub reconnect: Duration,
}

/// A [`Run`] without its payload and files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work {
    pub args: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub timeout: Option<Duration>,
    pub input: Value,
    pub project: Option<String>,
    pub one_off: bool,
    pub idle_timeout: Option<Duration>,
    pub max_output: u64,
    pub lease: Duration,
    /// The folder that `artifacts.inputs` are looked for in.
    pub folder: PathBuf,
    /// SHA-256 of each of them, by the name the manifest has for it.
    pub inputs: BTreeMap<String, String>,
}

impl Order {
    pub fn of(plan: &Plan) -> Self {
        Self {
            targets: plan.targets.iter().map(Target::without_secrets).collect(),
            work: plan.run().map(Work::of),
            forks: plan.forks,
            reconnect: plan.reconnect,
        }
    }

    /// The order of a run that has these hosts, too.
    pub fn with(mut self, targets: &[Target]) -> Self {
        self.targets.extend(targets.iter().map(Target::without_secrets));
        self
    }

    /// A run goes on where its order cannot be kept: it can then be asked for by naming its hosts again.
    pub fn seal(&self, run: &str, ledger: &Ledger, context: &Context) -> Option<SealedOrder> {
        let sealed = || {
            let order = serde_json::to_value(self).or_fail(|| "cannot write JSON")?;
            ledger.orders(key_file()?).seal(run, &order)
        };
        match sealed() {
            Ok(sealed) => Some(sealed),
            Err(error) => {
                let why = error.in_one_line();
                let what = "what this run was asked for is not kept, so that rerun will not know it";
                super::shell::warn(&context.term, &format!("{what}: {why}"));
                None
            }
        }
    }

    /// `None` where none was kept.
    pub fn open(run: &str, reader: &Reader) -> Result<Option<Self>> {
        let Some(order) = reader.order(run, key_file()?)? else { return Ok(None) };
        let mut order: Self = serde_json::from_value(order)
            .or_fail(|| format!("what run {run} was asked for was written by another cronium-run"))?;
        let passphrases = Passphrases::default();
        order.targets.iter_mut().for_each(|target| target.share(&passphrases));
        Ok(Some(order))
    }
}

impl Work {
    fn of(run: &Run) -> Self {
        Self {
            args: run.args.clone(),
            environment: run.environment.clone(),
            timeout: run.timeout,
            input: run.input.clone(),
            project: run.project.clone(),
            one_off: run.one_off,
            idle_timeout: run.idle_timeout,
            max_output: run.max_output,
            lease: run.lease,
            folder: std::env::current_dir().unwrap_or_default(),
            inputs: run.inputs.iter().map(|input| (input.from.clone(), input.digest.clone())).collect(),
        }
    }

    /// The run as it was, without the files that went with its payload.
    pub fn run(self, payload: Signed) -> Run {
        Run {
            payload: Arc::new(payload),
            args: self.args,
            environment: self.environment,
            timeout: self.timeout,
            input: self.input,
            project: self.project,
            inputs: Vec::new(),
            one_off: self.one_off,
            idle_timeout: self.idle_timeout,
            max_output: self.max_output,
            lease: self.lease,
            detach: false,
        }
    }

    /// The files that go with the payload, as they are now, and the names of those that have changed.
    pub fn inputs(&self, packed: &Packed) -> Result<(Vec<payload::Input>, Vec<String>)> {
        let inputs = payload::read_inputs(packed, Path::new(&self.folder))?;
        let is_changed = |input: &&payload::Input| self.inputs.get(&input.from) != Some(&input.digest);
        let changed = inputs.iter().filter(is_changed).map(|input| input.from.clone()).collect();
        Ok((inputs, changed))
    }
}

/// As the ledger keeps it.
pub fn kept(signed: &Signed) -> SignedPayload {
    SignedPayload {
        bytes: signed.packed.bytes.clone(),
        signature: signed.signature_der.clone(),
        public_key: signed.public_key.to_pem(),
    }
}

/// A payload that the ledger kept, to the byte. `name` is what the run calls it.
pub fn signed(kept: SignedPayload, name: &str) -> Result<Signed> {
    let SignedPayload { bytes, signature, public_key } = kept;
    let broken = || format!("the payload {name} is not in the ledger as it was signed");
    let packed = Packed::new(bytes, name).or_fail(broken)?;
    let public_key = PublicKey::from_pem(&public_key).or_fail(broken)?;
    match public_key.verify(&packed.digest, &signature) {
        true => Ok(Signed { packed, signature_der: signature, public_key }),
        false => {
            Err(Error::rejected(broken()).hint("cronium-run exec TARGETS PAYLOAD  sends it from a file"))
        }
    }
}
