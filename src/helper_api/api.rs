//! The helper API of one run.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use super::host::{Host, HostScope};
use super::limits::{BUFFER_BYTES, HEAD_BYTES, Limits};
use super::stall::Stall;
use super::token::{Secret, Subject};
use super::{Variables, call, reply};
use crate::error::Result;

/// Seconds that a token outlives its host's deadline: the stub still kills, collects and reports.
const GRACE: i64 = 120;

/// The scope of variables until scripts can name others.
const SCOPE: &str = "global";

/// What a run tells its scripts. Texts that are not known are empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunContext {
    pub run: String,
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
    /// The answer to every `GET …/input`, written once however large the input and many the hosts.
    pub(super) input: Bytes,
    pub(super) secret: Secret,
    pub(super) variables: Variables,
    pub(super) limits: Limits,
    /// [`Limits::json_bytes`] permits, one a byte.
    pub(super) json: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl Api {
    /// Fails only when the system gives no random bytes for the secret.
    pub fn new(context: RunContext, variables: Variables, limits: Limits) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            input: reply::success(&context.input),
            context,
            secret: Secret::generate()?,
            variables,
            json: Arc::new(Semaphore::new(limits.json_bytes)),
            limits,
            hosts: Mutex::default(),
        }))
    }

    /// Makes `host` known. The same host gets the same scope however often it is registered.
    pub fn register(&self, host: &str) -> HostScope {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hosts.get(host) {
            return known.scope.clone();
        }
        let execution_id = format!("{}.{}", self.context.run, hosts.len() + 1);
        let scope = HostScope { host: host.into(), execution_id, scope: SCOPE.into() };
        hosts.insert(host.into(), Arc::new(Host::new(scope.clone(), &self.limits)));
        scope
    }

    /// A token for `host`, which is registered if it is not yet. Good until `deadline` and a
    /// grace of two minutes, and only through this host's tunnel.
    pub fn token(&self, host: &str, deadline: Timestamp) -> String {
        let scope = self.register(host);
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

    /// Serves one connection that came through the tunnel of `host` until either end closes it.
    /// One connection too many, or one of a host that is not registered, is closed unanswered.
    pub async fn serve<S>(self: Arc<Self>, stream: S, host: &str)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(host) = self.host(host) else {
            tracing::warn!(host, "helper connection of a host that is not in the run");
            return;
        };
        let Ok(_permit) = host.connections.try_acquire() else {
            tracing::warn!(host = host.scope.host, "helper connection closed: too many at once");
            return;
        };
        let service = service_fn(|request: Request<Incoming>| {
            let (api, host) = (Arc::clone(&self), Arc::clone(&host));
            async move { Ok::<Response<_>, Infallible>(call::answer(&api, &host, request).await) }
        });
        let io = TokioIo::new(Stall::new(stream, self.limits.write_timeout));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_header_size(HEAD_BYTES)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(io, service)
            .await;
        if let Err(error) = served {
            tracing::debug!(host = host.scope.host, %error, "helper connection ended");
        }
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

    fn host(&self, host: &str) -> Option<Arc<Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }
}
