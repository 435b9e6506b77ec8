//! The whole door, over real connections, in front of a desk that is none.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Instant;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const EXECUTION: &str = "01RUN.1";

/// Keeps one variable for each key and says what it was asked.
#[derive(Default)]
struct FakeDesk {
    variables: Mutex<std::collections::BTreeMap<String, Value>>,
    asked: Mutex<Vec<Request>>,
}

impl Answer for FakeDesk {
    fn answer(&self, request: Request) -> Reply {
        let ok = |data: Value| Reply::ok(data);
        let variable = |key: &str, value: &Value| ok(json!({"key": key, "value": value, "version": 1}));
        let mut variables = self.variables.lock().unwrap();
        let reply = match &request {
            Request::Input => ok(json!({"name": "gr\u{fc}n"})),
            Request::Event => ok(json!({"executionId": EXECUTION})),
            Request::GetVariable { key, .. } => match key.as_str() {
                "slow" => {
                    thread::sleep(Duration::from_millis(400));
                    ok(Value::Null)
                }
                "often" => Reply::error(429, "more than 200 calls a second"),
                "away" => Reply::error(503, "no tunnel to the operator"),
                "forbidden" => Reply::error(403, "not for this payload"),
                key => match variables.get(key) {
                    Some(value) => variable(key, value),
                    None => Reply::error(404, format!("no variable {key}")),
                },
            },
            Request::SetVariable { key, value, if_version, .. } => {
                if if_version == &Some(7) {
                    Reply { version: Some(3), ..Reply::error(409, "the variable has version 3") }
                } else {
                    variables.insert(key.clone(), value.clone());
                    variable(key, value)
                }
            }
            Request::Unset { key, .. } => variable(key, &variables.remove(key).unwrap_or_default()),
            Request::Increment { key, by, .. } => variable(key, &Value::Number(by.clone())),
            _ => ok(Value::Null),
        };
        self.asked.lock().unwrap().push(request);
        reply
    }
}

fn impatient() -> Limits {
    let short = Duration::from_millis(300);
    Limits { head: short, idle: short * 4, body: short, write: short, linger: short, ..LIMITS }
}

struct Fixture {
    desk: Arc<FakeDesk>,
    door: Door,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        let desk = Arc::new(FakeDesk::default());
        let door = open_with(desk.clone(), EXECUTION, limits).unwrap();
        Self { desk, door }
    }

    fn authority(&self) -> &str {
        self.door.url.strip_prefix("http://").unwrap()
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream }
    }

    /// The head of a request with a good token; `more` are further lines.
    fn head(&self, method: &str, path: &str, more: &str) -> String {
        let (authority, token) = (self.authority(), &self.door.token);
        format!(
            "{method} /executions/{EXECUTION}/{path} HTTP/1.1\r\nHost: {authority}\r\n\
             Authorization: Bearer {token}\r\n{more}\r\n"
        )
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let length = format!("Content-Length: {}\r\n", body.len());
        let text = self.head(method, path, if body.is_empty() { "" } else { &length }) + body;
        self.connect().exchange(&text)
    }
}

struct Client {
    stream: TcpStream,
}

impl Client {
    fn send(&mut self, text: impl AsRef<[u8]>) {
        // The door may close before it has taken all.
        let _ = self.stream.write_all(text.as_ref());
    }

    #[track_caller]
    fn exchange(&mut self, text: &str) -> (u16, Value) {
        self.send(text);
        let (status, _, body) = self.answer().expect("an answer");
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// The status, head and body of the next answer; `None` when the door closes instead.
    fn answer(&mut self) -> Option<(u16, String, String)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).ok()?;
        Some((status, head, String::from_utf8(body).unwrap()))
    }

    /// All until the door closes.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        String::from_utf8(rest).unwrap()
    }
}

#[test]
fn every_path_has_its_answer() {
    let fixture = Fixture::new(LIMITS);
    let variable =
        |value: Value| json!({"success": true, "data": {"key": "a/b", "value": value, "version": 1}});
    let done = json!({"success": true});
    let key = "variables/a%2Fb";
    for (method, path, body, status, want) in [
        ("GET", "input", "", 200, Some(json!({"success": true, "data": {"name": "gr\u{fc}n"}}))),
        ("GET", "context", "", 200, Some(json!({"success": true, "data": {"executionId": EXECUTION}}))),
        ("POST", "output", r#"{"data":{"free":7}}"#, 200, Some(done.clone())),
        ("POST", "condition", r#"{"condition":true}"#, 200, Some(done)),
        ("GET", key, "", 404, None),
        ("PUT", key, r#"{"value":[0,false,""]}"#, 200, Some(variable(json!([0, false, ""])))),
        ("GET", key, "", 200, Some(variable(json!([0, false, ""])))),
        ("DELETE", key, "", 200, None),
        ("DELETE", key, "{}", 200, None),
        ("POST", "variables/a%2Fb/increment?scope=run", r#"{"by":2}"#, 200, Some(variable(json!(2)))),
        ("GET", "variables", "", 200, None),
        (
            "PUT",
            key,
            r#"{"value":1,"ifVersion":7}"#,
            409,
            Some(json!({"success": false, "error": "the variable has version 3", "version": 3})),
        ),
        ("GET", "variables/often", "", 429, None),
        ("GET", "variables/away", "", 503, None),
        ("GET", "variables/forbidden", "", 403, None),
        ("POST", "output", "[1]", 400, None),
        ("POST", "output", "", 411, None),
        ("PUT", key, &sized(1 << 20), 200, None),
        ("PUT", key, &sized((1 << 20) + 1), 413, None),
        ("GET", "secrets", "", 404, None),
        ("DELETE", "input", "", 405, None),
    ] {
        let answered = fixture.call(method, path, body);
        let what = format!("{method} {path} {body:.60}");
        assert_eq!(answered.0, status, "{what}: {}", answered.1);
        assert_eq!(answered.1["success"], status == 200, "{what}");
        assert_eq!(answered.1["error"].is_string(), status != 200, "{what}");
        if let Some(want) = want {
            assert_eq!(answered.1, want, "{what}");
        }
    }
    let asked = fixture.desk.asked.lock().unwrap();
    let increment = asked.iter().any(|request| {
        matches!(request, Request::Increment { key, scope: Some(crate::helper_call::Scope::Run), .. } if key == "a/b")
    });
    assert!(increment, "{asked:?}");
}

/// A PUT body of exactly `bytes` bytes.
fn sized(bytes: usize) -> String {
    let frame = r#"{"value":""}"#;
    format!(r#"{{"value":"{}"}}"#, "x".repeat(bytes - frame.len()))
}

#[test]
fn tokens() {
    let fixture = Fixture::new(LIMITS);
    let good = &fixture.door.token;
    assert!(good.len() == 64 && good.bytes().all(|byte| byte.is_ascii_hexdigit()), "{good}");
    let other = Fixture::new(LIMITS);
    let last = if good.ends_with('0') { '1' } else { '0' };
    for (what, lines, id, status) in [
        ("good", format!("Authorization: Bearer {good}\r\n"), EXECUTION, 200),
        ("another door's", format!("Authorization: Bearer {}\r\n", other.door.token), EXECUTION, 401),
        ("none", String::new(), EXECUTION, 401),
        ("empty", "Authorization: Bearer \r\n".into(), EXECUTION, 401),
        ("half", format!("Authorization: Bearer {}\r\n", &good[..32]), EXECUTION, 401),
        ("longer", format!("Authorization: Bearer {good}0\r\n"), EXECUTION, 401),
        ("the last digit", format!("Authorization: Bearer {}{last}\r\n", &good[..63]), EXECUTION, 401),
        ("another scheme", format!("Authorization: Basic {good}\r\n"), EXECUTION, 401),
        ("twice", format!("Authorization: Bearer {good}\r\n").repeat(2), EXECUTION, 401),
        ("in the query", String::new(), "01RUN.1/input?token=", 401),
        ("another execution", format!("Authorization: Bearer {good}\r\n"), "01RUN.2", 403),
        ("another execution, no token", String::new(), "01RUN.2", 401),
        ("our execution, encoded", format!("Authorization: Bearer {good}\r\n"), "%30%31RUN.1", 200),
    ] {
        let path = if id.contains('/') { id.to_owned() + good } else { format!("{id}/input") };
        let host = fixture.authority();
        let text = format!("GET /executions/{path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        assert_eq!(fixture.connect().exchange(&text).0, status, "{what}");
    }
    // Paths and methods are no secret, and come first.
    let host = fixture.authority();
    for (line, status) in [("GET /health", 200), ("GET /no", 404), ("POST /executions/x/input", 405)] {
        let text = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(fixture.connect().exchange(&text).0, status, "{line}");
    }
}

#[test]
fn one_connection_serves_many_calls() {
    let fixture = Fixture::new(LIMITS);
    let mut client = fixture.connect();
    for number in 1..=100 {
        let body = format!(r#"{{"value":{number}}}"#);
        let length = format!("Content-Length: {}\r\n", body.len());
        let (status, answer) = client.exchange(&(fixture.head("PUT", "variables/n", &length) + &body));
        assert_eq!((status, &answer["data"]["value"]), (200, &json!(number)));
        // An error does not end the connection.
        assert_eq!(client.exchange(&fixture.head("GET", "variables/none", "")).0, 404);
        assert_eq!(client.exchange(&fixture.head("GET", "nowhere", "")).0, 404);
    }
    // All at once, answered in order.
    let chunked = fixture.head("POST", "output", "Transfer-Encoding: chunked\r\n");
    let texts = [
        fixture.head("GET", "variables/n", ""),
        format!("{chunked}5\r\n{{\"dat\r\n6\r\na\":7 }}\r\n0\r\n\r\n"),
        fixture.head("GET", "input", ""),
        fixture.head("GET", "nowhere", "Connection: close\r\n"),
    ];
    client.send(texts.concat());
    for status in [200, 200, 200, 404] {
        assert_eq!(client.answer().unwrap().0, status);
    }
    assert_eq!(client.answer(), None, "closed");
}

#[test]
fn clients_of_every_kind() {
    let fixture = Fixture::new(LIMITS);
    let good = format!("Authorization: Bearer {}\r\n", fixture.door.token);
    // HTTP/1.0, with and without a kept connection.
    let old = format!("GET /executions/{EXECUTION}/input HTTP/1.0\r\n{good}");
    let mut client = fixture.connect();
    client.send(format!("{old}\r\n"));
    let all = client.rest();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.contains("Connection: close\r\n"), "{all}");
    let mut client = fixture.connect();
    for _ in 0..2 {
        client.send(format!("{old}Connection: keep-alive\r\n\r\n"));
        assert!(client.answer().unwrap().1.contains("Connection: keep-alive\r\n"));
    }
    // curl waits for a word before it sends a large body, and goes on without.
    let body = r#"{"data":1}"#;
    let lines = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len());
    let mut client = fixture.connect();
    client.send(fixture.head("POST", "output", &lines));
    assert_eq!(client.answer().unwrap().0, 100);
    assert_eq!(client.exchange(body).0, 200);
    assert_eq!(client.exchange(&(fixture.head("POST", "output", &lines) + body)).0, 200);
    // One that is refused is not told to send it.
    for (path, length, status) in [("output", "1048577", 413), ("nowhere", "10", 404)] {
        let lines = format!("Content-Length: {length}\r\nExpect: 100-continue\r\n");
        let mut client = fixture.connect();
        client.send(fixture.head("POST", path, &lines));
        let (got, head, _) = client.answer().unwrap();
        assert!(got == status && head.contains("Connection: close\r\n"), "{head}");
    }
    // HEAD is GET without its body.
    let mut client = fixture.connect();
    client.send(fixture.head("HEAD", "input", "") + &fixture.head("GET", "input", "Connection: close\r\n"));
    let all = client.rest();
    let (first, second) = all.split_once("\r\n\r\n").unwrap();
    assert!(first.contains("Content-Length: 40") && second.starts_with("HTTP/1.1 200 OK"), "{all}");
    // What each refusal says beside its status.
    for (method, path, line) in [
        ("PATCH", "variables/k", "Allow: GET, PUT, DELETE\r\n"),
        ("GET", "variables/often", "Retry-After: 1\r\n"),
        ("GET", "variables/away", "Retry-After: 1\r\n"),
    ] {
        let mut client = fixture.connect();
        client.send(fixture.head(method, path, ""));
        let (_, head, _) = client.answer().unwrap();
        assert!(head.contains(line) && head.contains("Content-Type: application/json\r\n"), "{head}");
    }
}

/// The whole body is sent before the answer is looked at, as most libraries do.
#[test]
fn an_answer_is_read_although_the_body_was_not() {
    let fixture = Fixture::new(LIMITS);
    let body = sized(3 << 20);
    let length = format!("Content-Length: {}\r\n", body.len());
    for (path, status) in [("variables/k", 413), ("nowhere", 404)] {
        let mut client = fixture.connect();
        client.stream.write_all((fixture.head("PUT", path, &length) + &body).as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().0, status, "{path}");
        assert_eq!(client.answer(), None, "closed");
    }
}

#[test]
fn clients_that_stop_are_cut_off() {
    let fixture = Fixture::new(impatient());
    let good = fixture.head("PUT", "variables/k", "Content-Length: 100\r\n");
    let chunked = fixture.head("PUT", "variables/k", "Transfer-Encoding: chunked\r\n");
    for (what, text, status) in [
        ("nothing", "", None),
        ("half a line", "GET /he", Some(408)),
        ("half a head", "GET /health HTTP/1.1\r\nX: ", Some(408)),
        ("no body", &good, Some(408)),
        ("half a body", &format!("{good}{{"), Some(408)),
        ("no chunk", &chunked, Some(408)),
        ("half a chunk", &format!("{chunked}64\r\nabc"), Some(408)),
    ] {
        let start = Instant::now();
        let mut client = fixture.connect();
        client.send(text);
        assert_eq!(client.answer().map(|answer| answer.0), status, "{what}");
        assert_eq!(client.answer(), None, "{what}");
        assert!(start.elapsed() < Duration::from_secs(3), "{what}");
    }
    // Drop by drop is no better.
    for text in ["GET /health HTTP/1.1\r\nX: ", &good] {
        let (start, mut client) = (Instant::now(), fixture.connect());
        client.send(text);
        while start.elapsed() < Duration::from_secs(5) && client.stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{text}");
    }
    // A connection that has shown its token may rest longer than a head may take, but not for ever.
    let mut client = fixture.connect();
    assert_eq!(client.exchange(&fixture.head("GET", "input", "")).0, 200);
    thread::sleep(impatient().head * 2);
    assert_eq!(client.exchange(&fixture.head("GET", "input", "")).0, 200);
    assert_eq!(client.answer(), None);
}

#[test]
fn clients_that_go_leave_their_places() {
    let fixture = Fixture::new(Limits { proven: 2, unproven: 2, ..LIMITS });
    for text in ["", "GET /he", &fixture.head("PUT", "variables/k", "Content-Length: 100\r\n")] {
        for _ in 0..20 {
            fixture.connect().send(text);
        }
    }
    assert_eq!(fixture.call("GET", "input", "").0, 200);
}

#[test]
fn connections_over_the_limit_wait_for_those_before() {
    let limits = Limits { proven: 4, unproven: 2, ..LIMITS };
    let fixture = Fixture::new(Limits { head: Duration::from_millis(500), ..limits });
    // Those with a token that rest make room.
    let mut resting: Vec<Client> = (0..4).map(|_| fixture.connect()).collect();
    for client in &mut resting {
        assert_eq!(client.exchange(&fixture.head("GET", "input", "")).0, 200);
    }
    assert_eq!(fixture.call("GET", "input", "").0, 200);
    let ended = resting.iter_mut().map(|client| client.exchange_if_open(&fixture.head("GET", "input", "")));
    assert_eq!(ended.filter(Option::is_none).count(), 1, "the one that rested longest");
    // Dead ones without a token keep their places no longer than a head may take.
    let dead: Vec<Client> = (0..6).map(|_| fixture.connect()).collect();
    let start = Instant::now();
    assert_eq!(fixture.call("GET", "input", "").0, 200);
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(dead);
    // Many at once are all answered.
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(fixture.call("GET", "variables/slow", "").0, 200));
        }
    });
}

impl Client {
    fn exchange_if_open(&mut self, text: &str) -> Option<u16> {
        self.send(text);
        self.answer().map(|(status, ..)| status)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every connection ends, and the door answers the next.
    #[test]
    fn hostile_bytes(
        at in any::<prop::sample::Index>(),
        garbage in prop::collection::vec(any::<u8>(), 1..40),
        replaced in 0usize..20,
    ) {
        static FIXTURE: std::sync::OnceLock<Fixture> = std::sync::OnceLock::new();
        let fixture = FIXTURE.get_or_init(|| Fixture::new(impatient()));
        let chunked = fixture.head("PUT", "variables/k", "Transfer-Encoding: chunked\r\n");
        let mut bytes = format!("{chunked}b\r\n{{\"value\":1}}\r\n0\r\n\r\n").into_bytes();
        let at = at.index(bytes.len());
        let end = (at + replaced).min(bytes.len());
        bytes.splice(at..end, garbage);
        let mut client = fixture.connect();
        client.send(&bytes);
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let start = Instant::now();
        let _ = client.stream.read_to_end(&mut rest);
        prop_assert!(start.elapsed() < Duration::from_secs(5));
        prop_assert_eq!(fixture.call("GET", "input", "").0, 200);
    }
}
