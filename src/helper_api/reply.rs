//! What goes back to the stub: JSON, always.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// An answer other than 200: `{"success":false,"error":"…"}`.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: String,
    /// For 409: the version that stands.
    version: Option<u64>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// `status` is one of the codes of the helper API, 400 to 599.
    pub fn new(status: u16, error: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let header = match status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
            // The rest of the body is not read: no further request can follow it.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                Some((header::CONNECTION, HeaderValue::from_static("close")))
            }
            _ => None,
        };
        Self { status, error: error.into(), version: None, header }
    }

    /// 405, naming the methods that the path has.
    pub fn method(allowed: &'static str) -> Self {
        let header = Some((header::ALLOW, HeaderValue::from_static(allowed)));
        Self { header, ..Self::new(405, format!("the path takes {allowed}")) }
    }

    /// 409: another version stands than `ifVersion` named.
    pub fn conflict(current: u64) -> Self {
        let error = match current {
            0 => "the variable does not exist".to_owned(),
            current => format!("the variable has version {current}"),
        };
        Self { version: Some(current), ..Self::new(409, error) }
    }

    #[cfg(test)]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub fn response(self) -> Response<Full<Bytes>> {
        let mut body = json!({"success": false, "error": self.error});
        if let Some(version) = self.version {
            body["version"] = version.into();
        }
        let mut response = json_response(self.status, body.to_string().into());
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// The body of a 200 with data: `{"success":true,"data":…}`.
pub fn success(data: &Value) -> Bytes {
    format!(r#"{{"success":true,"data":{data}}}"#).into()
}

/// The body of a 200 that says no more.
pub fn done() -> Bytes {
    Bytes::from_static(br#"{"success":true}"#)
}

pub fn ok(body: Bytes) -> Response<Full<Bytes>> {
    json_response(StatusCode::OK, body)
}

fn json_response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
