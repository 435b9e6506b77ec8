//! Answers one request: token, rate, path, execution, body, and only then the call itself.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::api::Api;
use super::caller::Caller;
use super::host::Host;
use super::json_size::parsed_size;
use super::reply::{self, Refusal};
use super::route::{Call, Route, asked_scope};
use super::token::Claims;
use super::{Act, Change, Listed, Variable, access, body};

/// What reading takes of [`Limits::json_memory`](super::Limits::json_memory): nobody knows yet how
/// large the value is.
const READ_MEMORY: usize = 16 << 20;

/// A body that takes more than this when it is parsed is the only one of its host that is worked on:
/// the store writes one thing after the other, and other hosts wait for it too.
const HEAVY: usize = 256 << 10;

/// The header by which a write that is made twice counts once.
const WRITE_ID: &str = "idempotency-key";

pub async fn answer(api: &Arc<Api>, caller: &Caller, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match respond(api, caller, request).await {
        Ok(response) => response,
        Err(refusal) => {
            if refusal.status() == 408 {
                caller.host.count_stall(&api.limits);
            }
            if let Some(cause) = refusal.cause() {
                api.warnings.add(format!("a helper call failed: {cause}"));
            }
            refusal.response()
        }
    }
}

async fn respond(
    api: &Arc<Api>,
    caller: &Caller,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let host = &caller.host;
    let (head, body) = request.into_parts();
    if is_for_another(&head) {
        return Err(Refusal::new(400, "this is no proxy").and_close());
    }
    // Before all else, so that who has no token uses up nothing that those need who have one.
    let claims = match authenticate(api, host, &head.headers) {
        Err(_) if head.uri.path() == "/health" => {
            return Route::parse(&head.method, "/health")
                .map(|_| reply::healthy(true))
                .map_err(Refusal::and_close);
        }
        claims => claims?,
    };
    caller.admit()?;
    if host.is_cut_off() {
        return Err(Refusal::new(429, "too many calls of this host did not end").and_close());
    }
    if !host.may_call() {
        return Err(Refusal::new(429, format!("more than {} calls a second", api.limits.calls_per_second)));
    }
    let Route::Execution { id, call } = Route::parse(&head.method, head.uri.path())? else {
        return Ok(reply::healthy(false));
    };
    authorize(host, &claims, &id)?;
    host.count_call();
    let answer = carry_out(api, host, &head, call, body).await?;
    Ok(reply::ok(answer))
}

async fn carry_out(
    api: &Arc<Api>,
    host: &Arc<Host>,
    head: &Parts,
    call: Call,
    body: Incoming,
) -> Result<Bytes, Refusal> {
    let scope = || asked_scope(head.uri.query(), &host.scope);
    match call {
        Call::Input => Ok(api.input_answer()),
        Call::Context => Ok(reply::success(&api.context_of(&host.scope))),
        Call::Output => {
            let id = write_id(&head.headers)?;
            with_body(api, host, body, move |_, host, Output { data }| {
                host.set_output(data.to_string().into(), id.as_deref());
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
        Call::ListVariables => {
            let scope = scope()?;
            let _turn = host.reads.acquire().await;
            with_store(api, host, READ_MEMORY, move |api, host| {
                access::list(api, &host.scope, scope).map(|listed| listing(&listed))
            })
            .await
        }
        Call::GetVariable(key) => {
            let scope = scope()?;
            let _turn = host.reads.acquire().await;
            with_store(api, host, READ_MEMORY, move |api, host| {
                access::get(api, &host.scope, scope, &key).map(|variable| found(&variable))
            })
            .await
        }
        Call::PutVariable(key) => {
            let (scope, id) = (scope()?, write_id(&head.headers)?);
            with_body(api, host, body, move |api, host, Put { value, if_version }| {
                let change = Change { key, scope, act: Act::Set { value, if_version, after: None } };
                access::write(api, &host.scope, change, id).map(|variable| found(&variable))
            })
            .await
        }
        Call::IncrementVariable(key) => {
            let (scope, id) = (scope()?, write_id(&head.headers)?);
            with_body(api, host, body, move |api, host, Increment { by }| {
                let change = Change { key, scope, act: Act::Increment { by } };
                access::write(api, &host.scope, change, id).map(|variable| found(&variable))
            })
            .await
        }
        Call::DeleteVariable(key) => {
            let (scope, id) = (scope()?, write_id(&head.headers)?);
            with_store(api, host, 0, move |api, host| {
                let change = Change { key, scope, act: Act::Remove };
                access::write(api, &host.scope, change, id).map(|variable| found(&variable))
            })
            .await
        }
    }
}

/// A request that a proxy would pass on: we answer for ourselves alone.
fn is_for_another(head: &Parts) -> bool {
    head.method == Method::CONNECT || head.uri.scheme().is_some() || head.uri.authority().is_some()
}

/// 401 unless the request carries one token of this run, made for the host whose tunnel it came
/// through.
fn authenticate(api: &Api, host: &Host, headers: &HeaderMap) -> Result<Claims, Refusal> {
    let refused = || Refusal::new(401, "no valid token");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(refused()) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(refused());
    }
    let now = Timestamp::now().as_second();
    api.secret.verify(token.trim(), &host.scope.host, now).map_err(|reason| {
        tracing::warn!(host = host.scope.host, ?reason, "helper call with a bad token");
        refused()
    })
}

/// 403 if the token is for another execution than `id`, or for another scope.
fn authorize(host: &Host, claims: &Claims, id: &str) -> Result<(), Refusal> {
    if claims.execution_id != id || claims.execution_id != host.scope.execution_id {
        return Err(Refusal::new(403, "the token is for another execution"));
    }
    if claims.scope != host.scope.scope {
        return Err(Refusal::new(403, "the token is for another scope"));
    }
    Ok(())
}

/// 400 for what cannot be an id, and for two.
fn write_id(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(WRITE_ID).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.to_str().is_ok_and(access::is_write_id) => {
            Ok(value.to_str().ok().map(str::to_owned))
        }
        _ => Err(Refusal::new(400, "the Idempotency-Key is not 1 to 64 of A-Z a-z 0-9 - _ .")),
    }
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
    let (text, room) = body::read(body, &api.bodies, &api.limits).await?;
    // serde would take an array for a struct too.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new(400, "the body is no JSON object"));
    }
    let (memory, limit) = (parsed_size(&text), api.limits.value_memory);
    if memory > limit {
        let message = format!("parsed, the body takes {} MiB, more than {}", memory >> 20, limit >> 20);
        return Err(Refusal::new(413, message));
    }
    let turns = if memory > HEAVY { api.limits.bodies } else { 1 };
    // Closed by nobody.
    let _turn = host.bodies.acquire_many(u32::try_from(turns).unwrap_or(u32::MAX)).await;
    with_store(api, host, memory, move |api, host| {
        let parsed = serde_json::from_slice(&text)
            .map_err(|error| Refusal::new(400, format!("the body is not what it should be: {error}")))?;
        drop((text, room));
        call(api, host, parsed)
    })
    .await
}

/// Runs `call` on a thread that may block, when its parsed JSON may take `memory` bytes.
async fn with_store<F>(api: &Arc<Api>, host: &Arc<Host>, memory: usize, call: F) -> Result<Bytes, Refusal>
where
    F: FnOnce(&Api, &Host) -> Result<Bytes, Refusal> + Send + 'static,
{
    let host = Arc::clone(host);
    let answered = api.blocking(memory, move |api| {
        let answer = call(api, &host)?;
        api.answers.keep(answer)
    });
    answered.await.unwrap_or_else(|| Err(Refusal::new(500, "the call failed")))
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

#[derive(Deserialize)]
struct Increment {
    by: Number,
}

/// `{"success":true,"data":…}`
#[derive(Serialize)]
struct Answer<T> {
    success: bool,
    data: T,
}

impl<T: Serialize> Answer<T> {
    fn body(data: T) -> Bytes {
        let answer = Self { success: true, data };
        serde_json::to_vec(&answer).expect("a JSON value with text for keys is always JSON").into()
    }
}

#[derive(Serialize)]
struct Found<'a> {
    key: &'a str,
    value: &'a Value,
    version: u64,
    scope: &'a str,
}

fn found(Variable { key, value, version, scope }: &Variable) -> Bytes {
    Answer::body(Found { key, value, version: *version, scope })
}

fn listing(listed: &[Listed]) -> Bytes {
    Answer::body(listed)
}
