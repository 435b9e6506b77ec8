//! What goes back to the script: JSON, always.

use serde_json::Value;

use crate::helper_call::Reply;

/// An answer but for what depends on its connection.
#[derive(Debug, PartialEq)]
pub struct Response {
    pub status: u16,
    pub body: String,
    /// For 405: the methods that the path has.
    pub allow: Option<&'static str>,
}

impl Response {
    pub fn ok(body: String) -> Self {
        Self { status: 200, body, allow: None }
    }

    /// A 200 with data.
    pub fn data(data: &Value) -> Self {
        Self::ok(format!(r#"{{"success":true,"data":{data}}}"#))
    }

    /// A 200 that says no more.
    pub fn done() -> Self {
        Self::ok(r#"{"success":true}"#.into())
    }

    pub fn refused(status: u16, error: &str) -> Self {
        Self::failed(status, error, "")
    }

    /// `more` are members of the body's object, each behind a comma.
    fn failed(status: u16, error: &str, more: &str) -> Self {
        let error = Value::from(error);
        Self { status, body: format!(r#"{{"success":false,"error":{error}{more}}}"#), allow: None }
    }

    /// 405, naming the methods that the path has.
    pub fn method(allowed: &'static str) -> Self {
        Self { allow: Some(allowed), ..Self::refused(405, &["the path takes ", allowed].concat()) }
    }

    /// What the desk refused. A 409 names the version that stands.
    pub fn refusal(reply: &Reply) -> Self {
        let status = if (400..600).contains(&reply.status) { reply.status } else { 500 };
        let error = reply.error.as_deref().unwrap_or("the call failed");
        let version = reply.version.map(|version| format!(r#","version":{version}"#)).unwrap_or_default();
        Self::failed(status, error, &version)
    }

    /// The bytes of a whole answer; only its head where `is_head` says so. `keep` is what the
    /// connection does behind it.
    pub fn bytes(&self, is_head: bool, keep: Keep) -> Vec<u8> {
        let (status, length) = (self.status, self.body.len());
        let more = match status {
            401 => "WWW-Authenticate: Bearer\r\n",
            429 | 503 => "Retry-After: 1\r\n",
            _ => "",
        };
        let connection = match keep {
            Keep::Open => "",
            Keep::OpenOld => "Connection: keep-alive\r\n",
            Keep::Close => "Connection: close\r\n",
        };
        let (allow, methods, end) = self.allow.map_or(("", "", ""), |methods| ("Allow: ", methods, "\r\n"));
        let body = if is_head { "" } else { &self.body };
        format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             {more}{allow}{methods}{end}{connection}\r\n{body}",
            reason(status),
        )
        .into_bytes()
    }
}

/// Whether a request may follow on the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Open,
    /// HTTP/1.0 must be told.
    OpenOld,
    Close,
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}
