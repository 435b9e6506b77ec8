//! Answers one request: rate, path, token, execution, body, and only then the call itself.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Request, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::api::Api;
use super::host::Host;
use super::reply::{self, Refusal};
use super::route::{Call, Route};
use super::{Act, Author, Change, Variable, Written, body};

/// The least that a call with JSON takes of [`Limits::json_bytes`](super::Limits::json_bytes).
const MIN_JSON_BYTES: usize = 64 << 10;

/// What reading a variable takes of it: nobody knows yet how large the value is.
const READ_JSON_BYTES: usize = 256 << 10;

pub async fn answer(api: &Arc<Api>, host: &Arc<Host>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match respond(api, host, request).await {
        Ok(body) => reply::ok(body),
        Err(refusal) => refusal.response(),
    }
}

async fn respond(api: &Arc<Api>, host: &Arc<Host>, request: Request<Incoming>) -> Result<Bytes, Refusal> {
    if !host.may_call() {
        return Err(Refusal::new(429, format!("more than {} calls a second", api.limits.calls_per_second)));
    }
    let (head, body) = request.into_parts();
    let Route::Execution { id, call } = Route::parse(&head.method, head.uri.path())? else {
        return Ok(Bytes::from_static(br#"{"status":"healthy"}"#));
    };
    authorize(api, host, &head.headers, &id)?;
    host.count_call();
    match call {
        Call::Input => Ok(api.input.clone()),
        Call::Context => Ok(context(api, host)),
        Call::Output => {
            with_body(api, host, body, |_, host, Output { data }| {
                host.set_output(data.to_string().into());
                Ok(reply::done())
            })
            .await
        }
        Call::Condition => {
            with_body(api, host, body, |_, host, Condition { condition }| {
                host.set_condition(condition);
                Ok(reply::done())
            })
            .await
        }
        Call::GetVariable(key) => {
            with_store(api, host, READ_JSON_BYTES, move |api, host| {
                let found =
                    api.variables.get(std::slice::from_ref(&host.scope.scope), &key).map_err(store_failed)?;
                found.map(|variable| Found::body(&variable)).ok_or_else(|| missing(&key))
            })
            .await
        }
        Call::PutVariable(key) => {
            with_body(api, host, body, move |api, host, Put { value, if_version }| {
                write(api, host, Change { key, scope: None, act: Act::Set { value, if_version } })
            })
            .await
        }
        Call::DeleteVariable(key) => {
            with_store(api, host, MIN_JSON_BYTES, move |api, host| {
                write(api, host, Change { key, scope: None, act: Act::Remove })
            })
            .await
        }
    }
}

/// 401 unless the request carries one token of this run, made for the host whose tunnel it came
/// through; 403 if the token is for another execution or scope.
fn authorize(api: &Api, host: &Host, headers: &HeaderMap, id: &str) -> Result<(), Refusal> {
    let refused = || Refusal::new(401, "no valid token");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(refused()) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(refused());
    }
    let now = Timestamp::now().as_second();
    let claims = api.secret.verify(token.trim(), &host.scope.host, now).map_err(|reason| {
        tracing::warn!(host = host.scope.host, ?reason, "helper call with a bad token");
        refused()
    })?;
    if claims.execution_id != id || claims.execution_id != host.scope.execution_id {
        return Err(Refusal::new(403, "the token is for another execution"));
    }
    if claims.scope != host.scope.scope {
        return Err(Refusal::new(403, "the token is for another scope"));
    }
    Ok(())
}

/// Reads the body and runs `call` over what it holds, where blocking is allowed. 400 for anything
/// but JSON of the right shape; unknown fields are ignored.
async fn with_body<T, F>(api: &Arc<Api>, host: &Arc<Host>, body: Incoming, call: F) -> Result<Bytes, Refusal>
where
    T: for<'a> Deserialize<'a>,
    F: FnOnce(&Api, &Host, T) -> Result<Bytes, Refusal> + Send + 'static,
{
    // Read before its turn: a connection that is not read stops the host's whole SSH connection,
    // and with it the bodies that others wait for.
    let text = body::read(body, api.limits.body_bytes, api.limits.body_timeout).await?;
    // Closed by nobody.
    let _turn = host.bodies.acquire().await;
    with_store(api, host, text.len(), move |api, host| {
        // serde would take an array for a struct too.
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(Refusal::new(400, "the body is no JSON object"));
        }
        let parsed = serde_json::from_slice(&text)
            .map_err(|error| Refusal::new(400, format!("the body is not what it should be: {error}")))?;
        drop(text);
        call(api, host, parsed)
    })
    .await
}

/// Runs `call` on a thread that may block, when `json_bytes` of JSON may be in memory.
async fn with_store<F>(api: &Arc<Api>, host: &Arc<Host>, json_bytes: usize, call: F) -> Result<Bytes, Refusal>
where
    F: FnOnce(&Api, &Host) -> Result<Bytes, Refusal> + Send + 'static,
{
    let share = json_bytes.max(MIN_JSON_BYTES).min(api.limits.json_bytes);
    let share = u32::try_from(share).unwrap_or(u32::MAX);
    let permit = Arc::clone(&api.json).acquire_many_owned(share).await;
    let (api, host) = (Arc::clone(api), Arc::clone(host));
    let answered = spawn_blocking(move || {
        // Held here and not by the request: the values are in memory until the call is over, even
        // if the connection ends before.
        let _permit = permit;
        call(&api, &host)
    });
    answered.await.unwrap_or_else(|error| {
        tracing::error!(%error, "helper call failed");
        Err(Refusal::new(500, "the call failed"))
    })
}

#[derive(Deserialize)]
struct Output {
    data: Value,
}

#[derive(Deserialize)]
struct Condition {
    condition: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Put {
    value: Value,
    if_version: Option<u64>,
}

/// The answer that holds a variable.
#[derive(Serialize)]
struct Found<'a> {
    success: bool,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    key: &'a str,
    value: &'a Value,
    version: u64,
}

impl Found<'_> {
    fn body(Variable { key, value, version, .. }: &Variable) -> Bytes {
        let found = Found { success: true, data: Data { key, value, version: *version } };
        serde_json::to_vec(&found).expect("a JSON value with text for keys is always JSON").into()
    }
}

fn context(api: &Api, host: &Host) -> Bytes {
    let context = &api.context;
    reply::success(&json!({
        "executionId": host.scope.execution_id,
        "eventId": context.event_id,
        "eventName": context.event_name,
        "eventType": context.event_type,
        "userId": context.user_id,
        "startTime": context.started_at.to_string(),
        "metadata": context.metadata,
    }))
}

fn write(api: &Api, host: &Host, change: Change) -> Result<Bytes, Refusal> {
    let by = Author { run: api.context.run.clone(), host: host.scope.host.clone(), write: None };
    let key = change.key.clone();
    let written = api.variables.write(std::slice::from_ref(&host.scope.scope), change, by);
    match written.map_err(store_failed)? {
        Written::Done(variable) => Ok(Found::body(&variable)),
        Written::Conflict { current } => Err(Refusal::conflict(current)),
        Written::Missing => Err(missing(&key)),
        Written::NoNumber { reason } => Err(Refusal::new(400, reason)),
    }
}

fn missing(key: &str) -> Refusal {
    Refusal::new(404, format!("no variable {key}"))
}

/// The host learns that it failed; why is the operator's business.
fn store_failed(error: crate::error::Error) -> Refusal {
    tracing::error!(error = %error, "variable store failed");
    Refusal::new(500, "the variable store failed")
}
