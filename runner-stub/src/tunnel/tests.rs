use std::io::Read;
use std::os::unix::net::UnixListener;
use std::{fs, thread};

use cronium_wire::message::Op;
use serde_json::json;

use super::*;
use crate::run_folder::random_word;

fn tunnel(path: &std::path::Path) -> Arc<Tunnel> {
    let out = File::options().write(true).open("/dev/null").unwrap();
    Arc::new(Tunnel::new(&Job::default(), Uplink::over(out), path.to_owned()))
}

fn call() -> Call {
    Call::write(
        &Op::Set { key: "k".into(), value: json!(1), if_version: Some(3), after: None, scope: None },
        "w-1",
    )
}

/// Answers one request a connection with the next of `answers`, then hangs up.
fn operator(path: &std::path::Path, answers: Vec<&'static str>) -> thread::JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let serve = |answer: &str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        };
        answers.into_iter().map(serve).collect()
    })
}

const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"data\":5}";
const TOO_OFTEN: &str = "HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

fn fresh() -> PathBuf {
    std::env::temp_dir().join(random_word().unwrap())
}

/// The probe's connection was closed meanwhile: the call is made again on a new one, with one id.
#[test]
fn a_stale_connection_costs_nothing() {
    let path = fresh();
    let operator = operator(&path, vec![HEALTHY, TOO_OFTEN, DONE]);
    let tunnel = tunnel(&path);
    tunnel.ask();
    assert_eq!(tunnel.way().0, None);
    tunnel.opened(None);
    assert_eq!(tunnel.call(&call()).unwrap().data, json!(5));
    assert_eq!(tunnel.way(), (Some(Mode::Api), None));
    let seen = operator.join().unwrap();
    assert!(seen[0].starts_with("GET /executions//context "), "{}", seen[0]);
    assert!(seen[1].contains("Idempotency-Key: w-1\r\n") && seen[2].contains("Idempotency-Key: w-1\r\n"));
    fs::remove_file(&path).unwrap();
}

#[test]
fn from_way_to_way() {
    let tunnel = tunnel(&fresh());
    tunnel.ask();
    tunnel.next("sshd says no".into());
    assert_eq!(tunnel.way().0, None, "a port is asked for");
    tunnel.next("sshd says no again".into());
    let reason = "no Unix socket: sshd says no; no TCP port: sshd says no again";
    assert_eq!(tunnel.way(), (Some(Mode::Bundled), Some(reason.into())));
    assert_eq!(tunnel.call(&call()), None);
    tunnel.opened(None);
    assert_eq!(tunnel.way().0, Some(Mode::Bundled), "there is no way back");
}

#[test]
fn a_lost_tunnel_is_given_up() {
    let path = fresh();
    let operator = operator(&path, vec![HEALTHY, DONE]);
    let tunnel = tunnel(&path);
    tunnel.ask();
    tunnel.opened(None);
    assert!(tunnel.call(&call()).is_some());
    operator.join().unwrap();
    assert_eq!(tunnel.call(&call()), None);
    let (mode, reason) = tunnel.way();
    assert_eq!(mode, Some(Mode::Bundled));
    assert!(reason.unwrap().starts_with("the tunnel was lost: "));
    fs::remove_file(&path).unwrap();
}

/// Something else that answers there is no helper API.
#[test]
fn what_is_opened_is_tried_first() {
    let path = fresh();
    let operator = operator(&path, vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]);
    let tunnel = tunnel(&path);
    tunnel.ask();
    tunnel.opened(None);
    operator.join().unwrap();
    while tunnel.way().1.is_none() {
        thread::sleep(Duration::from_millis(2));
    }
    tunnel.next("no".into());
    let reason = "no Unix socket: it was opened and does not work: the helper API says 404; no TCP port: no";
    assert_eq!(tunnel.way(), (Some(Mode::Bundled), Some(reason.into())));
    fs::remove_file(&path).unwrap();
}
