//! A client for tests that writes its HTTP by hand, so that it can also write it wrongly.

use std::sync::Arc;
use std::time::Duration;

use cronium_wire::manifest::HelperAccess;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use super::store::MemoryStore;
use super::{Api, Limits, RunContext};

/// What a pipe between client and server holds in each direction.
pub const PIPE_BYTES: usize = 64 << 10;

pub struct Fixture {
    pub api: Arc<Api>,
    pub store: Arc<MemoryStore>,
}

impl Fixture {
    pub fn new(limits: Limits) -> Self {
        Self::of_manifest(HelperAccess::default(), limits)
    }

    /// A run of project `shop` on web1, of the groups `web` and `all`, and web2, of none.
    pub fn of_manifest(helpers: HelperAccess, limits: Limits) -> Self {
        let store = Arc::new(MemoryStore::default());
        let context = RunContext {
            run: "01RUN".into(),
            project: Some("shop".into()),
            input: json!({"name": "gr\u{fc}n", "n": 0, "none": null}),
            job_id: "j7".into(),
            event_id: "42".into(),
            event_name: "disk-report".into(),
            event_type: "manual".into(),
            user_id: "alice".into(),
            started_at: "2026-11-03T05:06:07Z".parse().unwrap(),
            metadata: json!({"trigger": "cli"}),
        };
        let api = Api::new(context, helpers, store.clone(), limits).unwrap();
        api.register("web1", &["web".into(), "all".into()]);
        api.register("web2", &[]);
        Self { api, store }
    }

    /// A new connection through the tunnel of `host`.
    pub fn connect(&self, host: &'static str) -> Connection {
        let (client, server) = duplex(PIPE_BYTES);
        let api = Arc::clone(&self.api);
        tokio::spawn(async move { api.serve(server, host).await });
        Connection { stream: client }
    }

    pub fn token(&self, host: &str) -> String {
        self.api.token(&self.api.register(host, &[]), jiff::Timestamp::now())
    }

    /// The value of its Authorization header.
    pub fn bearer(&self, host: &str) -> String {
        format!("Bearer {}", self.token(host))
    }

    /// One call of `host` over a connection of its own, with its own good token.
    pub async fn call(&self, host: &'static str, method: &str, path: &str, body: &str) -> (u16, Value) {
        let token = self.token(host);
        let id = self.api.register(host, &[]).execution_id;
        let path = path.replace("ID", &id);
        self.connect(host).call(method, &path, Some(&format!("Bearer {token}")), body).await
    }
}

pub struct Connection {
    pub stream: DuplexStream,
}

impl Connection {
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: &str,
    ) -> (u16, Value) {
        let authorization =
            authorization.map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{authorization}Content-Length: {length}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await.unwrap();
        // The server may close before it has taken all of a body that it refuses.
        let _ = self.stream.write_all(body.as_bytes()).await;
        self.answer().await.expect("an answer")
    }

    /// Sends `text` and gives the status of the answer; `None` when the server closes instead.
    pub async fn send(&mut self, text: &str) -> Option<u16> {
        self.stream.write_all(text.as_bytes()).await.ok()?;
        self.answer().await.map(|(status, _)| status)
    }

    /// Status and body of the next answer; `None` when the server closes instead.
    pub async fn answer(&mut self) -> Option<(u16, Value)> {
        timeout(Duration::from_secs(20), self.read_answer()).await.expect("an answer or the end in 20 s")
    }

    async fn read_answer(&mut self) -> Option<(u16, Value)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut body).await.ok()?;
        // hyper's own refusals have no body.
        Some((status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() }))
    }
}
