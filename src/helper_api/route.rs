//! Which call a method and a path name.

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::access::{check_key, scope_of};
use super::host::HostScope;
use super::reply::Refusal;

#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    Health,
    Execution { id: String, call: Call },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Call {
    Input,
    Output,
    Context,
    Condition,
    ListVariables,
    GetVariable(String),
    PutVariable(String),
    DeleteVariable(String),
    IncrementVariable(String),
}

impl Route {
    /// `path` as it stands in the request line, without the query. 404 for an unknown path, 405
    /// for a known one with another method, 400 for a key that is no key.
    pub fn parse(method: &Method, path: &str) -> Result<Self, Refusal> {
        let segments: Vec<&str> = path.split('/').collect();
        let (id, call) = match segments[..] {
            ["", "health"] => return allow(method, "GET", Self::Health),
            ["", "executions", id, "input"] => (id, allow(method, "GET", Call::Input)?),
            ["", "executions", id, "output"] => (id, allow(method, "POST", Call::Output)?),
            ["", "executions", id, "context"] => (id, allow(method, "GET", Call::Context)?),
            ["", "executions", id, "condition"] => (id, allow(method, "POST", Call::Condition)?),
            ["", "executions", id, "variables"] => (id, allow(method, "GET", Call::ListVariables)?),
            ["", "executions", id, "variables", key, "increment"] => {
                let increment = allow(method, "POST", Call::IncrementVariable)?;
                (id, increment(key_of(key)?))
            }
            ["", "executions", id, "variables", key] => {
                let call = match *method {
                    Method::GET => Call::GetVariable,
                    Method::PUT => Call::PutVariable,
                    Method::DELETE => Call::DeleteVariable,
                    _ => return Err(Refusal::method("GET, PUT, DELETE")),
                };
                (id, call(key_of(key)?))
            }
            _ => return Err(Refusal::new(404, "no such path")),
        };
        let id = decode(id).ok_or_else(|| Refusal::new(404, "no such path"))?;
        Ok(Self::Execution { id, call })
    }
}

fn allow<T>(method: &Method, allowed: &'static str, value: T) -> Result<T, Refusal> {
    if method.as_str() == allowed { Ok(value) } else { Err(Refusal::method(allowed)) }
}

/// The scope that the query asks for with `scope=`. 400 for one that the host has not, or for two.
pub fn asked_scope(query: Option<&str>, host: &HostScope) -> Result<Option<String>, Refusal> {
    let pairs = query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut kinds = pairs.filter(|(name, _)| *name == "scope").map(|(_, kind)| kind);
    match (kinds.next(), kinds.next()) {
        (None, _) => Ok(None),
        (Some(kind), None) => scope_of(host, &decode(kind).unwrap_or_default()).map(Some),
        (Some(_), Some(_)) => Err(Refusal::new(400, "more than one scope")),
    }
}

fn key_of(segment: &str) -> Result<String, Refusal> {
    let key = decode(segment).ok_or_else(|| Refusal::new(400, "the key is not UTF-8"))?;
    check_key(&key)?;
    Ok(key)
}

fn decode(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::access::MAX_KEY_BYTES;
    use super::*;

    fn variable(key: &str) -> Route {
        Route::Execution { id: "r.1".into(), call: Call::GetVariable(key.into()) }
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
        ] {
            let parsed = Route::parse(&Method::GET, &format!("/executions/r.1/variables/{path}"));
            assert_eq!(parsed.unwrap(), variable(key), "{path}");
        }
    }

    #[test]
    fn refused() {
        let long = format!("/executions/r.1/variables/{}", "k".repeat(MAX_KEY_BYTES + 1));
        for (method, path, status) in [
            (Method::GET, "/", 404),
            (Method::GET, "", 404),
            (Method::GET, "//health", 404),
            (Method::GET, "/health/", 404),
            (Method::GET, "/executions/r.1", 404),
            (Method::GET, "/executions/r.1/secrets", 404),
            (Method::GET, "/executions/r.1/variables/a/b", 404),
            (Method::GET, "/executions/%ff/input", 404),
            (Method::POST, "/health", 405),
            (Method::PUT, "/executions/r.1/input", 405),
            (Method::GET, "/executions/r.1/output", 405),
            (Method::HEAD, "/executions/r.1/context", 405),
            (Method::POST, "/executions/r.1/variables/k", 405),
            (Method::POST, "/executions/r.1/variables", 405),
            (Method::GET, "/executions/r.1/variables/k/increment", 405),
            (Method::POST, "/executions/r.1/variables/k/decrement", 404),
            (Method::POST, "/executions/r.1/variables//increment", 400),
            (Method::GET, "/executions/r.1/variables/", 400),
            (Method::GET, "/executions/r.1/variables/%ff", 400),
            (Method::GET, "/executions/r.1/variables/a%00b", 400),
            (Method::GET, "/executions/r.1/variables/a%0Ab", 400),
            (Method::GET, &long, 400),
        ] {
            assert_eq!(Route::parse(&method, path).unwrap_err().status(), status, "{method} {path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_has_an_answer(path in ".*") {
            let _ = Route::parse(&Method::GET, &path);
        }

        #[test]
        fn every_key_survives_encoding(key in "[^\\p{Cc}]{1,100}") {
            let encoded = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC);
            let parsed = Route::parse(&Method::GET, &format!("/executions/r.1/variables/{encoded}"));
            prop_assert_eq!(parsed.unwrap(), variable(&key));
        }
    }
}
