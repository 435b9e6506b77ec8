//! What goes back to the stub: JSON, always.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::sentence;
use crate::error::Error;

/// An answer other than 200: `{"success":false,"error":"…"}`.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: String,
    /// For 409: the version that stands.
    version: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the operator's eyes alone.
    cause: Option<String>,
}

impl Refusal {
    /// `status` is one of the codes of the helper API, 400 to 599.
    pub fn new(status: u16, error: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = match status {
            StatusCode::UNAUTHORIZED => {
                vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")), close()]
            }
            StatusCode::TOO_MANY_REQUESTS => vec![(header::RETRY_AFTER, HeaderValue::from_static("1"))],
            // The rest of the body is not read: no further request can follow it.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => vec![close()],
            _ => Vec::new(),
        };
        Self { status, error: error.into(), version: None, headers, cause: None }
    }

    /// 405, naming the methods that the path has.
    pub fn method(allowed: &'static str) -> Self {
        let headers = vec![(header::ALLOW, HeaderValue::from_static(allowed))];
        Self { headers, ..Self::new(405, format!("the path takes {allowed}")) }
    }

    /// 500. The host learns that the store failed; why is the operator's business.
    pub fn store(cause: Error) -> Self {
        tracing::error!(error = %cause, "variable store failed");
        Self { cause: Some(sentence(&cause)), ..Self::new(500, "the variable store failed") }
    }

    /// The connection ends with this answer.
    pub fn and_close(mut self) -> Self {
        self.headers.push(close());
        self
    }

    /// 409: another version stands than `ifVersion` named.
    pub fn conflict(current: u64) -> Self {
        Self { version: Some(current), ..Self::new(409, standing(current)) }
    }

    /// 409: the variable is not as an earlier write of the script left it.
    pub fn not_after(made: bool, current: u64) -> Self {
        let why = match made {
            true => "it was changed after the script's own write",
            false => "the script's own write before it was not made",
        };
        Self { version: Some(current), ..Self::new(409, format!("{why}: {}", standing(current))) }
    }

    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Why, where the host is not told.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// One sentence for the operator.
    pub fn into_reason(self) -> String {
        match self.cause {
            Some(cause) => format!("{}: {cause}", self.error),
            None => self.error,
        }
    }

    pub fn response(self) -> Response<Full<Bytes>> {
        let mut body = json!({"success": false, "error": self.error});
        if let Some(version) = self.version {
            body["version"] = version.into();
        }
        let mut response = json_response(self.status, body.to_string().into());
        response.headers_mut().extend(self.headers);
        response
    }
}

fn standing(current: u64) -> String {
    match current {
        0 => "the variable does not exist".to_owned(),
        current => format!("the variable has version {current}"),
    }
}

fn close() -> (HeaderName, HeaderValue) {
    (header::CONNECTION, HeaderValue::from_static("close"))
}

const BEFORE_DATA: &str = r#"{"success":true,"data":"#;
const BEHIND_DATA: &str = "}";

/// The body of a 200 with data: `{"success":true,"data":…}`.
pub fn success(data: &Value) -> Bytes {
    format!("{BEFORE_DATA}{data}{BEHIND_DATA}").into()
}

/// The data of such a body, without a copy.
pub fn data_of(success: &Bytes) -> Bytes {
    success.slice(BEFORE_DATA.len()..success.len() - BEHIND_DATA.len())
}

/// The body of a 200 that says no more.
pub fn done() -> Bytes {
    Bytes::from_static(br#"{"success":true}"#)
}

pub fn ok(body: Bytes) -> Response<Full<Bytes>> {
    json_response(StatusCode::OK, body)
}

/// The answer to a probe. A stranger's connection ends with it.
pub fn healthy(to_stranger: bool) -> Response<Full<Bytes>> {
    let mut response = ok(Bytes::from_static(br#"{"status":"healthy"}"#));
    if to_stranger {
        response.headers_mut().extend([close()]);
    }
    response
}

fn json_response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
