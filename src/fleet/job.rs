//! The first messages a host is sent.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use cronium_wire::frame::CHUNK;
use cronium_wire::message::{Deploy, Job, ToStub};
use jiff::Timestamp;

use super::Fleet;
use crate::helper_api::Api;
use crate::inventory::Target;
use crate::payload::Signed;
use crate::plan::{FOLLOWS_UP_TO, GRACE, Plan, Task};
use crate::transport::Flight;

/// Between making the token and the script's start: connecting and sending the payload.
const SETTING_OUT: Duration = Duration::from_secs(600);
/// Without a `--timeout` a script may run this long and still call its helpers.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The messages that start the task on `host`, and the payload it may ask for.
pub struct First<'a> {
    pub flight: Flight,
    pub payload: &'a [u8],
}

impl Fleet {
    /// One list for each conversation with the host: one, or one a payload for `deploy`.
    pub async fn first_messages(&self, target: &Target) -> Vec<First<'_>> {
        let host = &target.name;
        match &self.plan.task {
            Task::Run(run) => {
                let signed = &run.payload;
                let deadline = Timestamp::now() + run.timeout.unwrap_or(TOKEN_LIFE) + SETTING_OUT;
                let scope = self.api.register(host, &target.groups);
                let job = Job {
                    args: run.args.clone(),
                    environment: run.environment.clone(),
                    timeout_ms: run.timeout.map(|timeout| timeout.as_millis() as u64),
                    token: self.api.token(&scope, deadline),
                    tunnel_now: !run.one_off,
                    input_size: self.api.input_json().len() as u64,
                    context: self.api.context_of(&scope),
                    scopes: scope.scopes.clone(),
                    execution: scope.execution_id,
                    lease_ms: run.lease.as_millis() as u64,
                    idle_ms: run.idle_timeout.map(|idle| idle.as_millis() as u64),
                    max_output: run.max_output,
                    files: super::inputs::listed(&run.inputs),
                    ..self.job(host, signed)
                };
                let first =
                    |snapshot| Flight::from_number(0, [ToStub::Job(Box::new(Job { snapshot, ..job }))]);
                let flight = self.api.with_snapshot(host, first).await.then(&self.following);
                vec![First { flight, payload: &signed.packed.bytes }]
            }
            Task::Deploy { payloads, trust } if payloads.is_empty() => {
                let deploy = Deploy { payload: None, trust: trust.clone() };
                vec![First { flight: Flight::new(&ToStub::Deploy(Box::new(deploy))), payload: &[] }]
            }
            Task::Resume(_) => Vec::new(),
            Task::Deploy { payloads, trust } => payloads
                .iter()
                .enumerate()
                .map(|(index, signed)| {
                    // Keys are pinned last: the payloads may be signed by the session's key alone.
                    let trust = if index + 1 == payloads.len() { trust.clone() } else { Vec::new() };
                    let job = Job { payload_follows: false, ..self.job(host, signed) };
                    let deploy = Deploy { payload: Some(job), trust };
                    First {
                        flight: Flight::new(&ToStub::Deploy(Box::new(deploy))),
                        payload: &signed.packed.bytes,
                    }
                })
                .collect(),
        }
    }

    fn job(&self, host: &str, signed: &Signed) -> Job {
        Job {
            run: self.plan.run.clone(),
            host: host.to_owned(),
            digest: signed.packed.digest_hex(),
            size: signed.packed.bytes.len() as u64,
            payload_follows: signed.packed.bytes.len() <= FOLLOWS_UP_TO,
            signature: Base64::encode_string(&signed.signature_der),
            session_key: signed.public_key.to_pem(),
            grace_ms: GRACE.as_millis() as u64,
            ..Job::default()
        }
    }
}

/// What goes behind the job of every host: the input, then the payload where it is small.
pub fn following(plan: &Plan, api: &Api) -> Flight {
    let Task::Run(run) = &plan.task else { return Flight::default() };
    let input = api.input_json();
    let input = input.chunks(CHUNK).map(|piece| ToStub::Input(piece.to_vec()));
    let payload = &run.payload.packed.bytes;
    let payload = if payload.len() <= FOLLOWS_UP_TO { payload.as_slice() } else { &[] };
    Flight::from_number(1, input.chain(pieces(payload)))
}

/// The payload as messages.
pub fn pieces(payload: &[u8]) -> impl Iterator<Item = ToStub> {
    payload.chunks(CHUNK).map(|piece| ToStub::Payload(piece.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cronium_wire::frame::Decoder;
    use cronium_wire::message::Message as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::fleet::sample;

    /// Input and payload as a host puts them together from what follows its job.
    fn arrived(input: &Value) -> (Vec<u8>, Vec<u8>, Api) {
        let run = sample::run(input.clone());
        let size = run.payload.packed.bytes.len();
        let plan = sample::plan(&[], Task::Run(Box::new(run)));
        let api = sample::api(input.clone());
        let flight = following(&plan, &api);
        let mut decoder = Decoder::default();
        flight.pieces().for_each(|piece| decoder.push(&piece));
        let (mut input, mut payload, mut number) = (Vec::new(), Vec::new(), 0);
        while let Some(frame) = decoder.next().unwrap() {
            number += 1;
            assert_eq!(frame.seq, number, "the job is number 0");
            match ToStub::decode(frame).unwrap() {
                ToStub::Input(piece) if payload.is_empty() => input.extend(piece),
                ToStub::Payload(piece) => payload.extend(piece),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((flight.frames(), payload.len()), (number, size));
        let api = Arc::into_inner(api).unwrap();
        (input, payload, api)
    }

    #[test]
    fn input_goes_before_the_payload() {
        for input in [json!(""), json!({"a": [1, null]}), json!("x".repeat(3 * CHUNK)), json!(0)] {
            let (arrived, _, api) = arrived(&input);
            assert_eq!(serde_json::from_slice::<Value>(&arrived).unwrap(), input);
            assert_eq!(api.input_json().len(), arrived.len(), "what the job announces");
        }
        assert_eq!(arrived(&Value::Null).0, b"", "null needs no bytes");
    }
}
