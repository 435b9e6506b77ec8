//! Reads what the operator's helper API answers.

use std::io::{self, Read};

use serde_json::Value;

use crate::helper_call::Reply;

/// The longest answer: a value of 1 MiB with its escapes and its envelope.
const MAX_ANSWER: usize = 8 << 20;

/// The reply, and whether the connection may be used again.
pub fn read(stream: &mut impl Read) -> io::Result<(Reply, bool)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(answer) = parse(&bytes)? {
            return Ok(answer);
        }
        if bytes.len() > MAX_ANSWER {
            let message = format!("the answer takes more than {} MiB", MAX_ANSWER >> 20);
            return Ok((Reply::error(500, message), false));
        }
    }
}

/// `None` until the whole answer stands in `bytes`.
fn parse(bytes: &[u8]) -> io::Result<Option<(Reply, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes).map_err(|error| io::Error::other(error.to_string()))? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let keep = !header("connection").is_some_and(|text| text.eq_ignore_ascii_case("close"));
    let Some(body) = bytes.get(head..head.saturating_add(length)) else { return Ok(None) };
    let Ok(mut body) = serde_json::from_slice::<Value>(body) else {
        let error = (200..300).contains(&status).then(|| "the answer is not JSON".to_owned());
        let status = if error.is_some() { 500 } else { status };
        return Ok(Some((Reply { status, data: Value::Null, error, version: None }, keep)));
    };
    let error = body.get("error").and_then(Value::as_str).map(str::to_owned);
    let version = body.get("version").and_then(Value::as_u64);
    let data = body.get_mut("data").map(Value::take).unwrap_or_default();
    Ok(Some((Reply { status, data, error, version }, keep)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers() {
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"success\":true,\"data\":[1]}".to_vec();
        assert_eq!(parse(&ok[..20]).unwrap(), None);
        assert_eq!(parse(&ok[..ok.len() - 2]).unwrap(), None);
        assert_eq!(parse(&ok).unwrap().unwrap(), (Reply::ok(json!([1])), true));
        let gone = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 34\r\n\r\n{\"success\":false,\"error\":\"no 'k'\"}";
        let want = (Reply::error(404, "no 'k'"), false);
        assert_eq!(parse(gone).unwrap(), Some(want));
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}
