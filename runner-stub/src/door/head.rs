//! The head of a request: what is asked, by whom, and how its body is framed (RFC 9112).

use super::response::Response;

/// Bytes of a head; 431 to more.
pub const MAX_HEAD: usize = 16 << 10;
/// As many as the operator's side takes.
const MAX_HEADERS: usize = 100;

#[derive(Debug, PartialEq)]
pub struct Head {
    pub method: String,
    /// As it stands in the request line; begins with `/`.
    pub target: String,
    pub framing: Framing,
    /// Whether the client waits to be told to send its body.
    pub waits: bool,
    /// Whether the client would send another request.
    pub keep: bool,
    /// HTTP/1.0.
    pub old: bool,
    /// Of the one `Authorization: Bearer`.
    pub token: Option<String>,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Nothing is said of a body: there is none.
    Absent,
    Length(u64),
    Chunked,
}

impl Head {
    /// The head that `bytes` begin with, and its length; `None` until it is whole. `authority` is
    /// ours, as `127.0.0.1:PORT`: a request for another is refused, so that no web page reaches us by a
    /// name that it makes point here. After any refusal it is unknown where the next request begins.
    pub fn parse(bytes: &[u8], authority: &str) -> Result<Option<(Self, usize)>, Response> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
            Ok(_) => return Err(Response::refused(431, "the head is larger than 16 KiB")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Response::refused(431, "the head has more than 100 fields"));
            }
            Err(_) => return Err(bad("the request is no HTTP/1.1")),
        };
        let fields = Fields(request.headers);
        let old = request.version == Some(0);
        let target = request.path.unwrap_or_default();
        if !target.starts_with('/') {
            return Err(bad("the target is no path"));
        }
        match fields.only("host")? {
            Some(host) if is_ours(host, authority) => {}
            None if old => {}
            _ => return Err(bad("the request is for another host")),
        }
        let connection = |word: &str| {
            fields.all("connection").any(|value| value.split(',').any(|part| is(part.trim_ascii(), word)))
        };
        let framing = fields.framing(old)?;
        let head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: target.to_owned(),
            framing,
            waits: !old && fields.all("expect").any(|value| is(value.trim_ascii(), "100-continue")),
            keep: !connection("close") && (!old || connection("keep-alive")),
            old,
            token: fields.token(),
        };
        Ok(Some((head, length)))
    }
}

fn bad(error: &str) -> Response {
    Response::refused(400, error)
}

fn is(text: &str, word: &str) -> bool {
    text.eq_ignore_ascii_case(word)
}

fn is_ours(host: &str, authority: &str) -> bool {
    let (name, port) = host.split_at(host.rfind(':').unwrap_or(host.len()));
    host == authority || is(name, "localhost") && !port.is_empty() && authority.ends_with(port)
}

struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    /// A value that is not UTF-8 counts as empty.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |field| is(field.name, name));
        named.map(|field| std::str::from_utf8(field.value).unwrap_or_default())
    }

    /// 400 for two that differ.
    fn only(&self, name: &'static str) -> Result<Option<&'a str>, Response> {
        let mut all = self.all(name);
        let first = all.next();
        if all.any(|other| Some(other) != first) {
            return Err(bad(&["the head has two of ", name].concat()));
        }
        Ok(first)
    }

    /// One answer to where the body ends, or none at all: others would let a request hide in it.
    fn framing(&self, old: bool) -> Result<Framing, Response> {
        let length = self.only("content-length")?;
        match (self.only("transfer-encoding")?, length) {
            (None, None) => Ok(Framing::Absent),
            (None, Some(digits)) => {
                let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
                // Too long for a number is too large a body, which is said when it is read.
                let length = digits.parse().unwrap_or(u64::MAX);
                if is_number { Ok(Framing::Length(length)) } else { Err(bad("the length is no number")) }
            }
            (Some(_), Some(_)) => Err(bad("the body has two ends")),
            (Some(_), None) if old => Err(bad("HTTP/1.0 has no chunks")),
            (Some(coding), None) if is(coding.trim_ascii(), "chunked") => Ok(Framing::Chunked),
            (Some(_), None) => Err(Response::refused(501, "the body may be chunked and nothing else")),
        }
    }

    fn token(&self) -> Option<String> {
        let mut values = self.all("authorization");
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let (scheme, token) = value.split_once(' ')?;
        is(scheme, "bearer").then(|| token.trim_ascii().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: &str = "127.0.0.1:4711";

    fn parse(text: &str) -> Result<Option<(Head, usize)>, u16> {
        Head::parse(text.as_bytes(), OURS).map_err(|response| response.status)
    }

    /// The head of a request with these lines behind a good `Host`.
    fn with(lines: &str) -> Result<Head, u16> {
        parse(&format!("PUT /p HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n{lines}\r\n"))
            .map(|whole| whole.unwrap().0)
    }

    #[test]
    fn bodies_have_one_end() {
        for (lines, want) in [
            ("", Ok(Framing::Absent)),
            ("Content-Length: 0\r\n", Ok(Framing::Length(0))),
            ("content-length: 17\r\n", Ok(Framing::Length(17))),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Ok(Framing::Length(5))),
            ("Content-Length: 99999999999999999999999\r\n", Ok(Framing::Length(u64::MAX))),
            ("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked)),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(400)),
            ("Content-Length: 5, 5\r\n", Err(400)),
            ("Content-Length: +5\r\n", Err(400)),
            ("Content-Length: -5\r\n", Err(400)),
            ("Content-Length: 0x5\r\n", Err(400)),
            ("Content-Length: \r\n", Err(400)),
            ("Content-Length: \u{e9}\r\n", Err(400)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Err(400)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
            ("Transfer-Encoding: identity\r\n", Err(501)),
        ] {
            assert_eq!(with(lines).map(|head| head.framing), want, "{lines}");
        }
        assert_eq!(parse("PUT /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(400));
    }

    #[test]
    fn only_paths_of_ours() {
        for (text, want) in [
            ("GET /p HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n", Ok(())),
            ("GET /p HTTP/1.1\r\nHost: LocalHost:4711\r\n\r\n", Ok(())),
            ("GET /p HTTP/1.0\r\n\r\n", Ok(())),
            ("GET /p HTTP/1.1\r\n\r\n", Err(400)),
            ("GET /p HTTP/1.1\r\nHost: \r\n\r\n", Err(400)),
            ("GET /p HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", Err(400)),
            ("GET /p HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n", Err(400)),
            ("GET /p HTTP/1.1\r\nHost: localhost\r\n\r\n", Err(400)),
            ("GET /p HTTP/1.1\r\nHost: localhost:\r\n\r\n", Err(400)),
            ("GET /p HTTP/1.1\r\nHost: localhost:711\r\n\r\n", Err(400)),
            ("GET /p HTTP/1.1\r\nHost: evil.example:4711\r\n\r\n", Err(400)),
            ("GET /p HTTP/1.0\r\nHost: evil.example:4711\r\n\r\n", Err(400)),
            ("GET /p HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nHost: evil.example\r\n\r\n", Err(400)),
            ("GET http://127.0.0.1:4711/p HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n", Err(400)),
            ("GET http://10.0.0.1/p HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n", Err(400)),
            ("CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n", Err(400)),
            ("OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n", Err(400)),
            ("GET /p HTTP/2.0\r\n\r\n", Err(400)),
            ("GET /p\r\n\r\n", Err(400)),
            ("SSH-2.0-x\r\n\r\n", Err(400)),
            ("\0\0\0\0", Err(400)),
        ] {
            assert_eq!(parse(text).map(|whole| assert!(whole.is_some(), "{text}")), want, "{text}");
        }
    }

    #[test]
    fn tokens() {
        for (lines, want) in [
            ("Authorization: Bearer abc\r\n", Some("abc")),
            ("authorization: bearer  abc \r\n", Some("abc")),
            ("Authorization: Basic abc\r\n", None),
            ("Authorization: Bearer\r\n", None),
            ("Authorization: abc\r\n", None),
            ("Authorization: Bearer abc\r\nAuthorization: Bearer abc\r\n", None),
            ("", None),
        ] {
            assert_eq!(with(lines).unwrap().token.as_deref(), want, "{lines}");
        }
    }

    #[test]
    fn connections() {
        for (text, keep) in [
            ("HTTP/1.1\r\nHost: localhost:4711\r\n", true),
            ("HTTP/1.1\r\nHost: localhost:4711\r\nConnection: Close\r\n", false),
            ("HTTP/1.1\r\nHost: localhost:4711\r\nConnection: te, close\r\n", false),
            ("HTTP/1.0\r\n", false),
            ("HTTP/1.0\r\nConnection: keep-alive\r\n", true),
        ] {
            assert_eq!(parse(&format!("GET /p {text}\r\n")).unwrap().unwrap().0.keep, keep, "{text}");
        }
        assert!(with("Expect: 100-Continue\r\n").unwrap().waits);
        assert!(!with("Expect: 200-ok\r\n").unwrap().waits);
    }

    #[test]
    fn sizes() {
        let head = |size: usize| {
            let frame = "GET /p HTTP/1.0\r\nX: \r\n\r\n".len();
            format!("GET /p HTTP/1.0\r\nX: {}\r\n\r\n", "x".repeat(size - frame))
        };
        assert_eq!(parse(&head(MAX_HEAD)).unwrap().unwrap().1, MAX_HEAD);
        assert_eq!(parse(&head(MAX_HEAD + 1)), Err(431));
        assert_eq!(parse(&head(MAX_HEAD * 2)[..MAX_HEAD - 1]), Ok(None));
        assert_eq!(parse(&head(MAX_HEAD * 2)[..MAX_HEAD]), Err(431));
        let fields = |count: usize| format!("GET /p HTTP/1.0\r\n{}\r\n", "X: y\r\n".repeat(count));
        assert!(parse(&fields(MAX_HEADERS)).is_ok());
        assert_eq!(parse(&fields(MAX_HEADERS + 1)), Err(431));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Head::parse(&bytes, OURS);
        }

        #[test]
        fn any_fields_have_an_answer(lines in "((host|content-length|transfer-encoding|expect|x)[:;] ?[\\x00-\\x7f]{0,12}\r\n){0,6}") {
            let text = format!("GET /p HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n{lines}\r\n");
            if let Ok(Some((_, length))) = Head::parse(text.as_bytes(), OURS) {
                prop_assert!(length <= text.len());
            }
        }
    }
}
