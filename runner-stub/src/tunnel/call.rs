use cronium_wire::message::Op;
use serde_json::json;

use crate::helper_call::Scope;

/// One call of the operator's helper API.
#[derive(Debug, PartialEq)]
pub struct Call {
    method: &'static str,
    /// Relative to the execution: `variables/KEY?scope=host`.
    path: String,
    /// JSON.
    pub body: Option<String>,
    /// Of a write: made twice, it counts once.
    id: Option<String>,
}

impl Call {
    pub fn get(key: &str, scope: Option<Scope>) -> Self {
        Self::new("GET", variable(key, scope.map(Scope::name).as_deref()))
    }

    /// Of the run: what a way is tried with.
    pub fn context() -> Self {
        Self::new("GET", "context".into())
    }

    pub fn list(scope: Option<Scope>) -> Self {
        Self::new("GET", format!("variables{}", query(scope.map(Scope::name).as_deref())))
    }

    pub fn write(op: &Op, id: &str) -> Self {
        let call = match op {
            Op::Output { value } => {
                Self { body: Some(json!({"data": value}).to_string()), ..Self::new("POST", "output".into()) }
            }
            Op::Set { key, value, if_version, scope, .. } => {
                let mut body = json!({"value": value});
                if let Some(version) = if_version {
                    body["ifVersion"] = (*version).into();
                }
                let path = variable(key, scope.as_deref());
                Self { body: Some(body.to_string()), ..Self::new("PUT", path) }
            }
            Op::Unset { key, scope } => Self::new("DELETE", variable(key, scope.as_deref())),
            Op::Increment { key, by, scope } => {
                let (path, query) = (segment(key), query(scope.as_deref()));
                let path = format!("variables/{path}/increment{query}");
                Self { body: Some(json!({"by": by}).to_string()), ..Self::new("POST", path) }
            }
        };
        Self { id: Some(id.to_owned()), ..call }
    }

    fn new(method: &'static str, path: String) -> Self {
        Self { method, path, body: None, id: None }
    }

    /// The bytes of the HTTP request.
    pub fn request(&self, execution: &str, token: &str) -> Vec<u8> {
        let Self { method, path, body, id } = self;
        let body = body.as_deref().unwrap_or_default();
        let id = id.as_ref().map(|id| format!("Idempotency-Key: {id}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} /executions/{execution}/{path} HTTP/1.1\r\nHost: cronium-run\r\n\
             Authorization: Bearer {token}\r\n{id}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

fn variable(key: &str, scope: Option<&str>) -> String {
    format!("variables/{}{}", segment(key), query(scope))
}

fn query(scope: Option<&str>) -> String {
    scope.map(|scope| format!("?scope={scope}")).unwrap_or_default()
}

/// Everything but unreserved characters percent-encoded (RFC 3986).
fn segment(key: &str) -> String {
    key.bytes().fold(String::new(), |mut path, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(byte as char),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_one_path_segment() {
        assert_eq!(Call::get("a/b ?#%ü", None).path, "variables/a%2Fb%20%3F%23%25%C3%BC");
        assert_eq!(Call::get("k", Some(Scope::Host)).path, "variables/k?scope=host");
    }

    #[test]
    fn requests() {
        let op =
            Op::Set { key: "k".into(), value: json!(null), if_version: Some(3), after: None, scope: None };
        let request = String::from_utf8(Call::write(&op, "w-1").request("R.1", "T")).unwrap();
        assert_eq!(
            request,
            "PUT /executions/R.1/variables/k HTTP/1.1\r\nHost: cronium-run\r\nAuthorization: Bearer T\r\n\
             Idempotency-Key: w-1\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n\
             {\"ifVersion\":3,\"value\":null}"
        );
        let op = Op::Increment { key: "a b".into(), by: 2.into(), scope: Some("run".into()) };
        let call = Call::write(&op, "w-2");
        assert_eq!((call.method, call.path.as_str()), ("POST", "variables/a%20b/increment?scope=run"));
    }
}
