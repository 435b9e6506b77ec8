//! Hosts that ask too much, or never stop: bounded, cut off, and no other host notices.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::http::{Connection, Fixture, PIPE_BYTES};
use super::limits::{BUFFER_BYTES, HEAD_BYTES};
use super::*;

const SHORT: Duration = Duration::from_millis(200);

fn impatient() -> Limits {
    Limits { head_timeout: SHORT, body_timeout: SHORT, write_timeout: SHORT, ..Limits::default() }
}

/// The head of a PUT with a good token; `framing` says how long its body is.
async fn start_put(fixture: &Fixture, framing: &str) -> Connection {
    let mut connection = fixture.connect("web1");
    let token = fixture.token("web1");
    let head = format!(
        "PUT /executions/01RUN.1/variables/k HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n"
    );
    connection.stream.write_all(head.as_bytes()).await.unwrap();
    connection
}

/// How many bytes of `piece`, over and over, the server takes before it stops or closes.
async fn pour(connection: &mut Connection, piece: &[u8]) -> usize {
    let mut taken = 0;
    while let Ok(Ok(written)) = timeout(SHORT, connection.stream.write(&piece[taken % piece.len()..])).await {
        taken += written;
        assert!(taken < 64 << 20, "the server takes everything");
    }
    taken
}

#[tokio::test]
async fn an_announced_body_over_the_limit_is_refused_unread() {
    let fixture = Fixture::new(Limits::default());
    // The last one is beyond what hyper takes for a length.
    for (length, expected) in [("1048577", 413), ("9999999999", 413), ("18446744073709551615", 431)] {
        let mut connection = start_put(&fixture, &format!("Content-Length: {length}")).await;
        let (status, _) = connection.answer().await.unwrap();
        assert_eq!(status, expected, "{length}");
        assert_eq!(connection.answer().await, None, "closed");
    }
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_the_limit() {
    let fixture = Fixture::new(Limits::default());
    let mut connection = start_put(&fixture, "Transfer-Encoding: chunked").await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let taken = pour(&mut connection, chunk.as_bytes()).await;
    let limit = (1 << 20) + BUFFER_BYTES + 2 * PIPE_BYTES + (64 << 10);
    assert!((1 << 20..limit).contains(&taken), "{taken}");
    assert_eq!(connection.answer().await.unwrap().0, 413);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_cut_off() {
    let fixture = Fixture::new(impatient());
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut connection = start_put(&fixture, framing).await;
        let start = Instant::now();
        assert_eq!(connection.answer().await.unwrap().0, 408, "{framing}");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(connection.answer().await, None, "closed");
    }
}

#[tokio::test]
async fn a_body_that_drips_is_cut_off() {
    let fixture = Fixture::new(impatient());
    let mut connection = start_put(&fixture, "Content-Length: 100000").await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) && connection.stream.write_all(b" ").await.is_ok() {
        tokio::time::sleep(SHORT / 20).await;
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let fixture = Fixture::new(impatient());
    let mut connection = fixture.connect("web1");
    connection.stream.write_all(b"GET /health HTTP/1.1\r\nX: ").await.unwrap();
    assert!(connection.answer().await.is_none_or(|(status, _)| status == 408));
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let fixture = Fixture::new(Limits::default());
    let mut connection = fixture.connect("web1");
    connection.stream.write_all(b"GET /health HTTP/1.1\r\nX: ").await.unwrap();
    let taken = pour(&mut connection, &[b'x'; 4096]).await;
    assert!(taken < HEAD_BYTES + BUFFER_BYTES + 2 * PIPE_BYTES + (64 << 10), "{taken}");
    assert_eq!(connection.answer().await.unwrap().0, 431);

    let mut connection = fixture.connect("web1");
    let many: String = (0..500).map(|n| format!("X{n}: y\r\n")).collect();
    let _ = connection.stream.write_all(format!("GET /health HTTP/1.1\r\n{many}\r\n").as_bytes()).await;
    assert_eq!(connection.answer().await.unwrap().0, 431);
}

#[tokio::test]
async fn rubbish_is_no_request() {
    let fixture = Fixture::new(Limits::default());
    for rubbish in ["\0\0\0\0\0\0\0\0", "SSH-2.0-x\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let mut connection = fixture.connect("web1");
        connection.stream.write_all(rubbish.as_bytes()).await.unwrap();
        connection.stream.shutdown().await.unwrap();
        assert!(connection.answer().await.is_none_or(|(status, _)| status >= 400), "{rubbish:?}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let fixture = Fixture::new(Limits { connections: 4, ..Limits::default() });
    let token = fixture.bearer("web1");
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut connection = fixture.connect("web1");
        assert_eq!(connection.call("GET", "/health", Some(&token), "").await.0, 200);
        open.push(connection);
    }
    for _ in 0..20 {
        let mut connection = fixture.connect("web1");
        assert_eq!(connection.call("GET", "/health", Some(&token), "").await.0, 429);
        assert_eq!(connection.answer().await, None, "closed");
    }
    // Another host has its own connections.
    assert_eq!(fixture.call("web2", "GET", "/health", "").await.0, 200);
    // Those that are open work on, and one that ends makes room.
    assert_eq!(open[0].call("GET", "/health", Some(&token), "").await.0, 200);
    open.pop();
    tokio::time::sleep(SHORT).await;
    assert_eq!(fixture.call("web1", "GET", "/health", "").await.0, 200);
}

#[tokio::test]
async fn calls_over_the_rate_are_refused() {
    let fixture = Fixture::new(Limits { burst: 5, calls_per_second: 10, ..Limits::default() });
    let token = fixture.bearer("web1");
    // Those of nobody do not count.
    for _ in 0..20 {
        assert_eq!(fixture.connect("web1").call("GET", "/health", None, "").await.0, 200);
        let path = "/executions/01RUN.1/input";
        assert_eq!(fixture.connect("web1").call("GET", path, Some("Bearer x"), "").await.0, 401);
    }
    let mut connection = fixture.connect("web1");
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(connection.call("GET", "/health", Some(&token), "").await.0);
    }
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses[5..].contains(&429), "{statuses:?}");
    assert_eq!(fixture.call("web2", "GET", "/health", "").await.0, 200, "another host has its own rate");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(connection.call("GET", "/health", Some(&token), "").await.0, 200, "and it comes back");
}

#[tokio::test]
async fn who_has_no_token_is_closed() {
    let fixture = Fixture::new(Limits { first_timeout: SHORT, ..Limits::default() });
    let token = fixture.bearer("web1");
    let mut silent = fixture.connect("web1");
    let mut known = fixture.connect("web1");
    assert_eq!(known.call("GET", "/health", Some(&token), "").await.0, 200);
    for (what, path, authorization, status) in [
        ("no token", "/executions/01RUN.1/input", None, 401),
        ("a bad one", "/executions/01RUN.1/input", Some("Bearer a.b.c"), 401),
        ("an unknown path", "/nowhere", None, 401),
        ("a probe", "/health", None, 200),
    ] {
        let mut connection = fixture.connect("web1");
        assert_eq!(connection.call("GET", path, authorization, "").await.0, status, "{what}");
        assert_eq!(connection.answer().await, None, "{what}");
    }
    let start = Instant::now();
    assert_eq!(silent.answer().await, None, "who says nothing");
    assert!(start.elapsed() < Duration::from_secs(10));
    tokio::time::sleep(SHORT).await;
    assert_eq!(known.call("GET", "/health", Some(&token), "").await.0, 200, "who is known may be silent");
}

#[tokio::test]
async fn a_body_without_a_token_is_never_read() {
    let fixture = Fixture::new(Limits::default());
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let mut connection = fixture.connect("web1");
        let head = format!("PUT /executions/01RUN.1/variables/k HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
        connection.stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        let taken = pour(&mut connection, chunk.as_bytes()).await;
        assert!(taken <= BUFFER_BYTES + 2 * PIPE_BYTES, "{framing}: {taken}");
        assert_eq!(connection.answer().await.unwrap().0, 401, "{framing}");
        assert_eq!(connection.answer().await, None, "{framing}");
    }
}

/// Another user of the host opens all the connections he can: he pushes out himself.
#[tokio::test]
async fn strangers_leave_room_for_who_has_a_token() {
    let fixture = Fixture::new(Limits { strangers: 4, ..Limits::default() });
    let token = fixture.bearer("web1");
    let mut known = fixture.connect("web1");
    assert_eq!(known.call("GET", "/health", Some(&token), "").await.0, 200);
    let mut flood: Vec<Connection> = Vec::new();
    for _ in 0..100 {
        let mut connection = fixture.connect("web1");
        connection.stream.write_all(b"GET /exec").await.unwrap();
        flood.push(connection);
        tokio::task::yield_now().await;
    }
    assert_eq!(known.call("GET", "/health", Some(&token), "").await.0, 200, "one that is open");
    assert_eq!(fixture.call("web1", "GET", "/executions/ID/input", "").await.0, 200, "a new one");
    let mut closed = 0;
    for connection in &mut flood {
        closed += usize::from(timeout(SHORT / 20, connection.stream.read_u8()).await.is_ok());
    }
    assert!((96..=97).contains(&closed), "{closed}");
}

/// One of these would otherwise be a way into the operator's network.
#[tokio::test]
async fn nothing_leads_anywhere_else() {
    let fixture = Fixture::new(Limits::default());
    let token = fixture.bearer("web1");
    for (line, headers, status) in [
        ("CONNECT 10.0.0.1:22 HTTP/1.1", "", 400),
        ("CONNECT /executions/01RUN.1/input HTTP/1.1", "", 400),
        ("GET http://10.0.0.1/executions/01RUN.1/input HTTP/1.1", "", 400),
        ("GET http://169.254.169.254/health HTTP/1.1", "", 400),
        ("GET //10.0.0.1/health HTTP/1.1", "", 404),
        ("OPTIONS * HTTP/1.1", "", 404),
        // Answered like any other: the protocol does not change.
        ("GET /health HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", 200),
        (
            "GET /health HTTP/1.1",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
            200,
        ),
        ("PRI * HTTP/2.0", "", 400),
    ] {
        for authorization in [format!("Authorization: {token}\r\n"), String::new()] {
            let known = !authorization.is_empty();
            let mut connection = fixture.connect("web1");
            let answered =
                connection.send(&format!("{line}\r\nHost: 10.0.0.1\r\n{headers}{authorization}\r\n")).await;
            let expected = if status == 404 && !known { 401 } else { status };
            // hyper closes on what it takes for another protocol.
            assert!(
                answered == Some(expected) || (answered.is_none() && status == 400),
                "{line}: {answered:?}"
            );
            if status == 400 {
                assert_eq!(connection.answer().await, None, "{line}: closed");
            }
        }
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_end_the_connection() {
    let fixture = Fixture::new(impatient());
    let value = format!(r#"{{"value":"{}"}}"#, "x".repeat(900_000));
    assert_eq!(fixture.call("web1", "PUT", "/executions/ID/variables/k", &value).await.0, 200);
    let mut connection = fixture.connect("web1");
    let head = format!(
        "GET /executions/01RUN.1/variables/k HTTP/1.1\r\nAuthorization: Bearer {}\r\n\r\n",
        fixture.token("web1")
    );
    connection.stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(SHORT * 5).await;
    // The pipe was full and is at its end.
    let mut rest = Vec::new();
    timeout(Duration::from_secs(10), connection.stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.len() <= PIPE_BYTES, "{}", rest.len());
}

/// One host holds all it can; the other is answered at once.
#[tokio::test]
async fn a_flood_from_one_host_does_not_slow_another() {
    let fixture = Fixture::new(Limits::default());
    let mut flood = Vec::new();
    for _ in 0..32 {
        let mut connection = start_put(&fixture, "Content-Length: 1000000").await;
        let _ = timeout(SHORT / 20, connection.stream.write_all(&[b'x'; 500_000])).await;
        flood.push(connection);
    }
    let start = Instant::now();
    for _ in 0..20 {
        let path = "/executions/ID/variables/other";
        assert_eq!(fixture.call("web2", "PUT", path, r#"{"value":1}"#).await.0, 200);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    drop(flood);
}

/// 100 hosts send all they can: they share what there is, and those who send small things go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_floods_share_the_memory_of_a_few() {
    const MEMORY: usize = 8 << 20;
    let limits = Limits {
        body_memory: MEMORY,
        room_timeout: SHORT,
        body_timeout: Duration::from_secs(2),
        ..Limits::default()
    };
    let fixture = Fixture::new(limits);
    let mut taken = 0;
    let mut flood = Vec::new();
    for n in 0..100 {
        let host: &'static str = Box::leak(format!("host{n}").into_boxed_str());
        let (token, id) = (fixture.token(host), fixture.api.register(host, &[]).execution_id);
        for _ in 0..4 {
            let mut connection = fixture.connect(host);
            let head = format!(
                "PUT /executions/{id}/variables/k HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                 Content-Length: 1000000\r\n\r\n"
            );
            connection.stream.write_all(head.as_bytes()).await.unwrap();
            flood.push(tokio::spawn(async move {
                let mut taken = 0;
                // All but the end of the body, which never comes.
                let piece = vec![b'x'; 9_000];
                for _ in 0..110 {
                    match timeout(SHORT * 5, connection.stream.write_all(&piece)).await {
                        Ok(Ok(())) => taken += piece.len(),
                        _ => break,
                    }
                }
                (taken, connection)
            }));
        }
    }
    let start = Instant::now();
    for _ in 0..20 {
        let path = "/executions/ID/variables/other";
        assert_eq!(fixture.call("web2", "PUT", path, r#"{"value":1}"#).await.0, 200);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let mut refused = 0;
    let mut open = Vec::new();
    for one in flood {
        let (bytes, connection) = one.await.unwrap();
        taken += bytes;
        open.push(connection);
    }
    for connection in &mut open {
        refused += usize::from(connection.answer().await.is_some_and(|(status, _)| status == 503));
    }
    let waiting = open.len() * (BUFFER_BYTES + PIPE_BYTES);
    assert!(taken < 2 * MEMORY + waiting, "{taken}");
    assert!(refused > 300, "{refused}");
    // What they held is free again.
    let large = format!(r#"{{"value":"{}"}}"#, "x".repeat(900_000));
    assert_eq!(fixture.call("web2", "PUT", "/executions/ID/variables/k", &large).await.0, 200);
}

#[tokio::test]
async fn a_host_that_keeps_stalling_is_cut_off() {
    let fixture = Fixture::new(Limits { stalls: 3, ..impatient() });
    let mut idle = fixture.connect("web1");
    let token = fixture.bearer("web1");
    assert_eq!(idle.call("GET", "/health", Some(&token), "").await.0, 200);
    for _ in 0..3 {
        let mut connection = start_put(&fixture, "Content-Length: 100").await;
        assert_eq!(connection.answer().await.unwrap().0, 408);
    }
    assert!(fixture.connect("web1").send("GET /health HTTP/1.1\r\n\r\n").await.is_none());
    assert_eq!(fixture.call("web2", "GET", "/health", "").await.0, 200);
}

#[tokio::test]
async fn large_answers_share_their_memory() {
    let fixture = Fixture::new(Limits { answer_memory: 4 << 20, ..Limits::default() });
    let value = format!(r#"{{"value":"{}"}}"#, "x".repeat(900_000));
    assert_eq!(fixture.call("web1", "PUT", "/executions/ID/variables/k", &value).await.0, 200);
    let mut hoard = Vec::new();
    let head = format!(
        "GET /executions/01RUN.1/variables/k HTTP/1.1\r\nAuthorization: {}\r\n\r\n",
        fixture.bearer("web1")
    );
    for _ in 0..4 {
        let mut connection = fixture.connect("web1");
        connection.stream.write_all(head.as_bytes()).await.unwrap();
        connection.stream.read_u8().await.unwrap();
        hoard.push(connection);
    }
    assert_eq!(fixture.connect("web1").send(&head).await, Some(503), "a fifth finds no room");
    assert_eq!(fixture.call("web2", "PUT", "/executions/ID/variables/n", r#"{"value":1}"#).await.0, 200);
    hoard.clear();
    tokio::time::sleep(SHORT).await;
    assert_eq!(fixture.call("web2", "GET", "/executions/ID/variables/k", "").await.0, 200);
}
