//! The helper API of one run.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use cronium_wire::manifest::HelperAccess;
use cronium_wire::message::Snapshot;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::caller::Caller;
use super::host::{Host, HostScope};
use super::limits::{BUFFER_BYTES, HEAD_BYTES, Limits};
use super::memory::Memory;
use super::stall::{self, Stall};
use super::token::{Secret, Subject};
use super::warnings::Warnings;
use super::{Variables, call, reply, snapshot};
use crate::error::Result;

/// Seconds that a token outlives its host's deadline: the stub still kills, collects and reports.
const GRACE: i64 = 120;

/// The widest scope, and the one that a token names.
const GLOBAL: &str = "global";

/// The least that a call with JSON takes of [`Limits::json_memory`].
const MIN_JSON_MEMORY: usize = 512 << 10;

/// How many snapshots are in memory at a time, as values.
const SNAPSHOTS: usize = 2;

/// What a run tells its scripts. Texts that are not known are empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunContext {
    pub run: String,
    /// `--project`
    pub project: Option<String>,
    /// `--input`; null when there is none.
    pub input: Value,
    pub job_id: String,
    pub event_id: String,
    pub event_name: String,
    pub event_type: String,
    pub user_id: String,
    pub started_at: Timestamp,
    /// An object: the manifest's metadata.
    pub metadata: Value,
}

/// Answers the helper calls of all hosts of a run. One for each run, behind an [`Arc`].
pub struct Api {
    pub(super) context: RunContext,
    /// What the payload's scripts may touch.
    pub(super) helpers: HelperAccess,
    /// The answer to every `GET …/input`, written once however large the input and many the hosts.
    input: Bytes,
    pub(super) secret: Secret,
    pub(super) variables: Variables,
    pub(super) limits: Limits,
    /// [`Limits::json_memory`] permits, one a byte.
    json: Arc<Semaphore>,
    pub(super) bodies: Memory,
    pub(super) answers: Memory,
    /// For long lines of journals.
    pub(super) journal_lines: Arc<Semaphore>,
    snapshots: Semaphore,
    pub(super) warnings: Warnings,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl Api {
    /// `helpers`: the manifest's. Fails only when the system gives no random bytes for the secret.
    pub fn new(
        context: RunContext,
        helpers: HelperAccess,
        variables: Variables,
        limits: Limits,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            input: reply::success(&context.input),
            context,
            helpers,
            secret: Secret::generate()?,
            variables,
            json: Arc::new(Semaphore::new(limits.json_memory)),
            bodies: Memory::new(limits.body_memory),
            answers: Memory::new(limits.answer_memory),
            journal_lines: Arc::new(Semaphore::new(limits.journal_lines)),
            snapshots: Semaphore::new(SNAPSHOTS),
            warnings: Warnings::default(),
            limits,
            hosts: Mutex::default(),
        }))
    }

    /// Makes `host` known, with the groups it is in, nearest first. The same host gets the same
    /// scope however often it is registered.
    pub fn register(&self, host: &str, groups: &[String]) -> HostScope {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hosts.get(host) {
            return known.scope.clone();
        }
        let execution_id = format!("{}.{}", self.context.run, hosts.len() + 1);
        let scopes = self.scopes(host, groups);
        let scope = HostScope { host: host.into(), execution_id, scope: GLOBAL.into(), scopes };
        hosts.insert(host.into(), Arc::new(Host::new(scope.clone(), &self.limits)));
        scope
    }

    fn scopes(&self, host: &str, groups: &[String]) -> Vec<String> {
        let mut scopes = vec![format!("run:{}", self.context.run), format!("host:{host}")];
        scopes.extend(groups.iter().map(|group| format!("group:{group}")));
        scopes.extend(self.context.project.iter().map(|project| format!("project:{project}")));
        scopes.push(GLOBAL.into());
        scopes
    }

    /// A token for a host that is registered. Good until `deadline` and a grace of two minutes,
    /// and only through this host's tunnel.
    pub fn token(&self, scope: &HostScope, deadline: Timestamp) -> String {
        let subject = Subject {
            execution_id: &scope.execution_id,
            job_id: &self.context.job_id,
            event_id: &self.context.event_id,
            host: &scope.host,
            scope: &scope.scope,
        };
        let expires = deadline.as_second().saturating_add(GRACE);
        self.secret.sign(&subject, Timestamp::now().as_second(), expires)
    }

    /// The run's input as JSON; empty for null. All hosts share the bytes.
    pub fn input_json(&self) -> Bytes {
        match self.context.input {
            Value::Null => Bytes::new(),
            _ => reply::data_of(&self.input),
        }
    }

    /// What `GET …/context` has for data.
    pub fn context_of(&self, host: &HostScope) -> Value {
        let context = &self.context;
        json!({
            "executionId": host.execution_id,
            "eventId": context.event_id,
            "eventName": context.event_name,
            "eventType": context.event_type,
            "userId": context.user_id,
            "startTime": context.started_at.to_string(),
            "metadata": context.metadata,
        })
    }

    /// The variables that the host's script may read, as they are now; secrets only where the
    /// manifest names them. Blocks, as the store does; what cannot be read is left out, which
    /// [`Api::take_warnings`] tells.
    pub fn snapshot(&self, host: &str) -> Snapshot {
        match self.host(host) {
            Some(host) => snapshot::take(self, &host.scope),
            None => Snapshot::default(),
        }
    }

    /// Makes the host's snapshot where blocking is allowed and gives it to `then`. Only a few are
    /// in memory at a time, however many hosts start.
    pub async fn with_snapshot<T>(self: &Arc<Self>, host: &str, then: impl FnOnce(Snapshot) -> T) -> T {
        // Closed by nobody.
        let _turn = self.snapshots.acquire().await;
        let (api, host) = (Arc::clone(self), host.to_owned());
        let taken = spawn_blocking(move || api.snapshot(&host)).await;
        then(taken.unwrap_or_else(|error| {
            tracing::error!(%error, "a snapshot of variables failed");
            Snapshot::default()
        }))
    }

    /// What the operator must be told, each sentence once in the run: they are gone from here then.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Serves one connection that came through the tunnel of `host` until either end closes it.
    /// One of a host that is not registered, or that is cut off, is closed unanswered; so is one
    /// that shows no good token in time.
    pub async fn serve<S>(self: Arc<Self>, stream: S, host: &str)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(host) = self.host(host) else {
            tracing::warn!(host, "helper connection of a host that is not in the run");
            return;
        };
        if host.is_cut_off() {
            return;
        }
        let caller = Arc::new(Caller::new(Arc::clone(&host)));
        let service = service_fn(|request: Request<Incoming>| {
            let (api, caller) = (Arc::clone(&self), Arc::clone(&caller));
            async move { Ok::<Response<_>, Infallible>(call::answer(&api, &caller, request).await) }
        });
        let io = TokioIo::new(Stall::new(stream, self.limits.write_timeout));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_header_size(HEAD_BYTES)
            .max_buf_size(BUFFER_BYTES)
            // Answers are written from where they are: copied, each reader of the input would hold
            // one, and a large answer would not hold its room.
            .writev(true)
            .serve_connection(io, service);
        tokio::select! {
            served = served => {
                if let Err(error) = served {
                    if stall::is_cause_of(&error) {
                        host.count_stall(&self.limits);
                    }
                    tracing::debug!(host = host.scope.host, %error, "helper connection ended");
                }
            }
            // All its connections at once: one that is not read holds up those that are.
            () = host.cut_off() => {
                tracing::debug!(host = host.scope.host, "helper connection closed: too many stalls");
            }
            () = caller.shown_out(self.limits.first_timeout) => {
                tracing::debug!(host = host.scope.host, "helper connection closed: no token");
            }
        }
    }

    /// Runs `call` on a thread that may block, when its parsed JSON may take `memory` bytes. `None`
    /// if it panics.
    pub(super) async fn blocking<T, F>(self: &Arc<Self>, memory: usize, call: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> T + Send + 'static,
    {
        let share = memory.max(MIN_JSON_MEMORY).min(self.limits.json_memory);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.json).acquire_many_owned(share).await;
        let api = Arc::clone(self);
        let done = spawn_blocking(move || {
            // Held here and not by the caller: the values are in memory until the call is over,
            // even if the connection ends before.
            let _permit = permit;
            call(&api)
        });
        done.await.inspect_err(|error| tracing::error!(%error, "helper call failed")).ok()
    }

    pub(super) fn input_answer(&self) -> Bytes {
        self.input.clone()
    }

    /// What the script gave to `cronium output` last. Once only: it is gone from here then.
    pub fn take_output(&self, host: &str) -> Option<Value> {
        let json = self.host(host)?.take_output()?;
        serde_json::from_slice(&json).ok()
    }

    /// What the script gave to `cronium condition` last.
    pub fn condition(&self, host: &str) -> Option<bool> {
        self.host(host)?.condition()
    }

    /// How many calls with a good token have come from `host`.
    pub fn calls(&self, host: &str) -> u64 {
        self.host(host).map_or(0, |host| host.calls())
    }

    pub(super) fn host(&self, host: &str) -> Option<Arc<Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }
}
