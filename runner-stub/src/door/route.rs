//! Which call a method and a target name.

use super::call::{Act, Call};
use super::response::Response;
use crate::helper_call::Scope;

/// Bytes of a variable's key.
const MAX_KEY_BYTES: usize = 512;

#[derive(Debug, PartialEq)]
pub enum Route {
    Health,
    Execution { id: String, call: Call },
}

impl Route {
    /// `target` as it stands in the request line. HEAD goes wherever GET goes. 404 for an unknown
    /// path, 405 for a known one with another method, 400 for a key or scope that is none.
    pub fn parse(method: &str, target: &str) -> Result<Self, Response> {
        let method = if method == "HEAD" { "GET" } else { method };
        let target = target.split('#').next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments: Vec<&str> = path.split('/').collect();
        let (id, call) = match segments[..] {
            ["", "health"] => return allow(method, "GET", Self::Health),
            ["", "executions", id, what] => {
                let (allowed, call) = match what {
                    "input" => ("GET", Call::Input),
                    "output" => ("POST", Call::Output),
                    "context" => ("GET", Call::Context),
                    "condition" => ("POST", Call::Condition),
                    "variables" => ("GET", Call::Variables(scope_of(query)?)),
                    _ => return Err(unknown()),
                };
                (id, allow(method, allowed, call)?)
            }
            ["", "executions", id, "variables", key] => {
                let act = match method {
                    "GET" => Act::Get,
                    "PUT" => Act::Put,
                    "DELETE" => Act::Delete,
                    _ => return Err(Response::method("GET, PUT, DELETE")),
                };
                (id, variable(key, query, act)?)
            }
            ["", "executions", id, "variables", key, "increment"] => {
                allow(method, "POST", ())?;
                (id, variable(key, query, Act::Increment)?)
            }
            _ => return Err(unknown()),
        };
        let id = decode(id).ok_or_else(unknown)?;
        Ok(Self::Execution { id, call })
    }
}

fn unknown() -> Response {
    Response::refused(404, "no such path")
}

fn allow<T>(method: &str, allowed: &'static str, value: T) -> Result<T, Response> {
    if method == allowed { Ok(value) } else { Err(Response::method(allowed)) }
}

fn variable(key: &str, query: &str, act: Act) -> Result<Call, Response> {
    Ok(Call::Variable { key: key_of(key)?, scope: scope_of(query)?, act })
}

fn key_of(segment: &str) -> Result<String, Response> {
    let bad = |error: &str| Err(Response::refused(400, error));
    let Some(key) = decode(segment) else { return bad("the key is not UTF-8") };
    match key.len() {
        0 => bad("the key is empty"),
        1..=MAX_KEY_BYTES if key.contains(char::is_control) => bad("the key holds a control character"),
        1..=MAX_KEY_BYTES => Ok(key),
        _ => bad("the key is longer than 512 bytes"),
    }
}

/// The first `scope=` of a query; other parameters mean nothing.
fn scope_of(query: &str) -> Result<Option<Scope>, Response> {
    let Some(scope) = query.split('&').find_map(|parameter| parameter.strip_prefix("scope=")) else {
        return Ok(None);
    };
    match decode(scope).as_deref() {
        Some("run") => Ok(Some(Scope::Run)),
        Some("host") => Ok(Some(Scope::Host)),
        Some("project") => Ok(Some(Scope::Project)),
        Some("global") => Ok(Some(Scope::Global)),
        _ => Err(Response::refused(400, "the scope is none of run, host, project and global")),
    }
}

/// A `%` without two hex digits behind it stands for itself. `None` where no UTF-8 comes out.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let digit = |at: usize| {
            let byte = bytes.clone().nth(at)?;
            char::from(byte).to_digit(16)
        };
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                bytes.nth(1);
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_variable(key: &str, scope: Option<Scope>, act: Act) -> Route {
        Route::Execution { id: "r.1".into(), call: Call::Variable { key: key.into(), scope, act } }
    }

    #[test]
    fn keys_are_percent_decoded_after_the_path_is_split() {
        for (path, key) in [
            ("k", "k"),
            ("a%2Fb", "a/b"),
            ("a%2fb", "a/b"),
            ("a%3Fb%23c%25", "a?b#c%"),
            ("a%20b", "a b"),
            ("a+b", "a+b"),
            ("gr%C3%BCn", "gr\u{fc}n"),
            ("%252F", "%2F"),
            ("..", ".."),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%", "%zz%"),
            ("k?x=y", "k"),
            ("k#x", "k"),
        ] {
            let parsed = Route::parse("GET", &format!("/executions/r.1/variables/{path}"));
            assert_eq!(parsed, Ok(a_variable(key, None, Act::Get)), "{path}");
        }
    }

    #[test]
    fn known_paths() {
        let execution = |call| Route::Execution { id: "r.1".into(), call };
        for (method, path, want) in [
            ("GET", "/health", Route::Health),
            ("HEAD", "/health?x", Route::Health),
            ("GET", "/executions/r.1/input", execution(Call::Input)),
            ("HEAD", "/executions/%72.1/input?x=1", execution(Call::Input)),
            ("POST", "/executions/r.1/output", execution(Call::Output)),
            ("GET", "/executions/r.1/context", execution(Call::Context)),
            ("POST", "/executions/r.1/condition", execution(Call::Condition)),
            ("GET", "/executions/r.1/variables", execution(Call::Variables(None))),
            ("GET", "/executions/r.1/variables?a=b&scope=run", execution(Call::Variables(Some(Scope::Run)))),
            ("GET", "/executions/r.1/variables/k?scope=host", a_variable("k", Some(Scope::Host), Act::Get)),
            (
                "PUT",
                "/executions/r.1/variables/k?scope=project",
                a_variable("k", Some(Scope::Project), Act::Put),
            ),
            ("DELETE", "/executions/r.1/variables/k", a_variable("k", None, Act::Delete)),
            (
                "POST",
                "/executions/r.1/variables/k%2F/increment?scope=%67lobal",
                a_variable("k/", Some(Scope::Global), Act::Increment),
            ),
            ("GET", "/executions/r.1/variables/increment", a_variable("increment", None, Act::Get)),
        ] {
            assert_eq!(Route::parse(method, path), Ok(want), "{method} {path}");
        }
    }

    #[test]
    fn refused() {
        let long = format!("/executions/r.1/variables/{}", "k".repeat(MAX_KEY_BYTES + 1));
        for (method, path, status, allow) in [
            ("GET", "/", 404, None),
            ("GET", "", 404, None),
            ("GET", "health", 404, None),
            ("GET", "//health", 404, None),
            ("GET", "/health/", 404, None),
            ("GET", "/executions/r.1", 404, None),
            ("GET", "/executions/r.1/secrets", 404, None),
            ("GET", "/executions/r.1/input/", 404, None),
            ("GET", "/executions/r.1/input/a/b", 404, None),
            ("GET", "/executions/r.1/variables/a/b", 404, None),
            ("GET", "/executions/r.1/variables/a/increment/", 404, None),
            ("GET", "/executions/r.1/variables/a/b/c/d", 404, None),
            ("GET", "/executions/%ff/input", 404, None),
            ("POST", "/health", 405, Some("GET")),
            ("PUT", "/executions/r.1/input", 405, Some("GET")),
            ("GET", "/executions/r.1/output", 405, Some("POST")),
            ("get", "/executions/r.1/context", 405, Some("GET")),
            ("CONNECT", "/executions/r.1/context", 405, Some("GET")),
            ("PUT", "/executions/r.1/variables", 405, Some("GET")),
            ("POST", "/executions/r.1/variables/k", 405, Some("GET, PUT, DELETE")),
            ("GET", "/executions/r.1/variables/k/increment", 405, Some("POST")),
            ("GET", "/executions/r.1/variables/", 400, None),
            ("GET", "/executions/r.1/variables/%ff", 400, None),
            ("GET", "/executions/r.1/variables/a%00b", 400, None),
            ("GET", "/executions/r.1/variables/a%0Ab", 400, None),
            ("GET", "/executions/r.1/variables/a?scope=", 400, None),
            ("GET", "/executions/r.1/variables/a?scope=group", 400, None),
            ("GET", "/executions/r.1/variables?scope=Run", 400, None),
            ("GET", &long, 400, None),
        ] {
            let refused = Route::parse(method, path).unwrap_err();
            assert_eq!((refused.status, refused.allow), (status, allow), "{method} {path}");
        }
    }

    proptest! {
        #[test]
        fn any_target_has_an_answer(target in ".*") {
            let _ = Route::parse("GET", &target);
            let _ = Route::parse("GET", &format!("/executions/r.1/variables/{target}"));
        }

        #[test]
        fn every_key_survives_encoding(key in "[^\\p{Cc}]{1,100}") {
            let encoded: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let parsed = Route::parse("GET", &format!("/executions/r.1/variables/{encoded}"));
            prop_assert_eq!(parsed, Ok(a_variable(&key, None, Act::Get)));
        }
    }
}
