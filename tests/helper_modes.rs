//! A real stub whose operator goes away in the middle: the script sees nothing of it, and every
//! write is told once, in order.

use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cronium_wire::message::{
    End, Finished, FromStub, Helpers, Job, Mode, Op, Snapshot, SnapshotVariable, ToStub, Told, Write,
};
use serde_json::{Value, json};

mod harness;

use harness::{Archive, Environment, Fleet, MANIFEST, SpokenStub, TestKey, until};

/// The operator's end of the tunnel: answers calls until it hangs up for good.
struct Operator {
    calls: Arc<Mutex<Vec<String>>>,
    gone: Arc<AtomicBool>,
}

impl Operator {
    fn serve(path: &str) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (calls, gone) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, over) = (Arc::clone(&calls), Arc::clone(&gone));
        thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                if let Ok((stream, _)) = listener.accept() {
                    let (seen, over) = (Arc::clone(&seen), Arc::clone(&over));
                    thread::spawn(move || answer(stream, &seen, &over));
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        Self { calls, gone }
    }
}

fn answer(mut stream: UnixStream, seen: &Mutex<Vec<String>>, over: &AtomicBool) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut buffer = vec![0; 64 << 10];
    while !over.load(Ordering::SeqCst) {
        let Ok(count) = stream.read(&mut buffer) else { continue };
        if count == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let line = text.lines().next().unwrap().to_owned();
        let key = line.split('/').nth(4).unwrap_or("").split(' ').next().unwrap().to_owned();
        let body = match line.starts_with("GET /executions") {
            true => {
                json!({"success": true, "data": {"key": key, "value": "from the operator", "version": 9, "scope": "global"}})
            }
            false => {
                json!({"success": true, "data": {"key": key, "value": text.contains("\"value\":1"), "version": 10, "scope": "global"}})
            }
        };
        seen.lock().unwrap().push(line);
        let body = body.to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }
}

/// What came of a run: stdout, told frames, the journal, the end.
struct Seen {
    stdout: String,
    told: Vec<Told>,
    journal: Vec<Write>,
    finished: Finished,
}

/// Runs `script`; `open` says what becomes of the stub's wish for a tunnel.
fn run(script: &str, job: impl FnOnce(&mut Job), mut open: impl FnMut(Option<String>) -> ToStub) -> Seen {
    let home = tempfile::tempdir().unwrap();
    let payload = Archive::new(MANIFEST).file("run.sh", script.as_bytes()).finish();
    let scopes = ["run:R", "host:pipe", "global"].map(str::to_owned).to_vec();
    let mut sent = Job { tunnel_now: true, scopes, ..TestKey::new(1).job(&payload) };
    job(&mut sent);
    let input = b"{\"n\":5}";
    sent.input_size = input.len() as u64;
    let mut stub = SpokenStub::start(home.path());
    stub.send(&ToStub::Job(Box::new(sent)));
    stub.send(&ToStub::Input(input.to_vec()));
    stub.send(&ToStub::Payload(payload));
    let (mut stdout, mut told, mut journal) = (Vec::new(), Vec::new(), Vec::new());
    let finished = loop {
        match stub.next() {
            FromStub::OpenTunnel { path } => {
                let answer = open(path);
                stub.send(&answer);
            }
            FromStub::Stdout(bytes) => stdout.extend(bytes),
            FromStub::Told(one) => told.push(one),
            FromStub::Journal(bytes) => journal.extend(bytes),
            FromStub::Finished(finished) => break finished,
            _ => {}
        }
    };
    assert_eq!(finished.end, End::Exited { code: 0 }, "{}", String::from_utf8_lossy(&stdout));
    let journal = String::from_utf8(journal).unwrap();
    let journal = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Seen { stdout: String::from_utf8(stdout).unwrap(), told, journal, finished }
}

fn snapshot(variables: &[(&str, Value)]) -> Snapshot {
    let variable = |(key, value): &(&str, Value)| SnapshotVariable {
        key: (*key).into(),
        value: value.clone(),
        version: 4,
        scope: "global".into(),
    };
    Snapshot { variables: variables.iter().map(variable).collect(), complete: true }
}

fn refused(_: Option<String>) -> ToStub {
    ToStub::TunnelRefused { reason: "not here".into() }
}

const SCRIPT: &str = "#!/bin/sh
set -e
cronium input .n
cronium getVariable known
cronium setVariable own 1
cronium getVariable own
cronium setVariable known '\"changed\"' --if-version 4
cronium getVariable known
cronium output done=true
cronium getVariable none --default 7
";

#[test]
fn a_host_without_any_tunnel() {
    let asked = std::cell::RefCell::new(Vec::new());
    let seen = run(
        SCRIPT,
        |job| job.snapshot = snapshot(&[("known", json!("as it was"))]),
        |path| {
            asked.borrow_mut().push(path.is_some());
            refused(path)
        },
    );
    assert_eq!(seen.stdout, "5\n\"as it was\"\n1\n\"changed\"\n7\n");
    assert_eq!(asked.into_inner(), [true, false], "a socket, then a port");
    let ops: Vec<Op> = seen.journal.iter().map(|write| write.op.clone()).collect();
    let set = |key: &str, value: Value, if_version| Op::Set {
        key: key.into(),
        value,
        if_version,
        after: None,
        scope: None,
    };
    // The output once more at the end, for an operator who comes late.
    let output = || Op::Output { value: json!({"done": true}) };
    let changed = set("known", json!("changed"), Some(4));
    assert_eq!(ops, [set("own", json!(1), None), changed, output(), output()]);
    let reason = "no Unix socket: not here; no TCP port: not here".to_owned();
    assert_eq!(seen.finished.helpers, Some(Helpers { mode: Mode::Bundled, reason: Some(reason) }));
}

/// The tunnel works, then is gone without a word: what was read and written through it is still
/// known, what follows is journalled, and the script goes on.
#[test]
fn a_tunnel_that_dies_in_the_middle() {
    let marker = tempfile::tempdir().unwrap();
    let (here, go) = (marker.path().join("here"), marker.path().join("go"));
    let script = format!(
        "#!/bin/sh\nset -e\ncronium getVariable read\ncronium setVariable kept 1\n: >{}\n\
         while [ ! -e {} ]; do sleep 0.02; done\n\
         cronium getVariable read\ncronium getVariable kept\ncronium setVariable later 2\n\
         cronium incr known 2\ncronium incr known 2\ncronium unset later\n\
         cronium getVariable later --default gone\n",
        here.display(),
        go.display()
    );
    let operator = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&operator);
    let cutting = thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(30);
        while !here.exists() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let (path, operator): (String, Operator) = slot.lock().unwrap().take().unwrap();
        operator.gone.store(true, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(50));
        fs::remove_file(path).unwrap();
        fs::write(go, "").unwrap();
        operator.calls.lock().unwrap().clone()
    });
    let seen = run(
        &script,
        |job| job.snapshot = snapshot(&[("read", json!("old")), ("known", json!(40))]),
        |path| {
            let path = path.expect("the socket is enough");
            *operator.lock().unwrap() = Some((path.clone(), Operator::serve(&path)));
            ToStub::TunnelOpen { port: None }
        },
    );
    let calls = cutting.join().unwrap();
    assert!(calls[0].contains("/context"), "{calls:?}");
    assert_eq!(calls.len(), 3, "one probe, one read, one write: {calls:?}");
    assert_eq!(seen.stdout, "\"from the operator\"\n\"from the operator\"\ntrue\n42\n44\n\"gone\"\n");
    let ids: Vec<&str> = seen.journal.iter().map(|write| write.id.as_str()).collect();
    assert_eq!(ids.len(), 4, "{:?}", seen.journal);
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    let helpers = seen.finished.helpers.unwrap();
    assert_eq!(helpers.mode, Mode::Bundled);
    assert!(helpers.reason.unwrap().starts_with("the tunnel was lost: "));
}

/// A script that starts waits for no tunnel; only a call that needs it does.
#[test]
fn the_script_starts_without_the_tunnel() {
    let begun = Instant::now();
    let seen = run(
        "#!/bin/sh\ncronium input .n\ncronium event .eventName\ncronium condition true\ncronium progress 50 half\n\
         cronium log info hello --context '{\"a\":1}'\ncronium notify ops 'look here'\n",
        |job| job.context = json!({"eventName": "e"}),
        // Nobody ever opens it.
        |_| ToStub::Payload(Vec::new()),
    );
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(seen.stdout, "5\n\"e\"\n");
    let want = [
        Told::Condition { condition: true },
        Told::Progress { percent: 50.0, step: Some("half".into()) },
        Told::Log { level: "info".into(), message: "hello".into(), context: "{\"a\":1}".into() },
        Told::Notify { audience: "ops".into(), message: "look here".into() },
    ];
    assert_eq!(seen.told, want);
}

/// Output that looks like a frame of ours is output.
#[test]
fn output_cannot_tell() {
    let frame =
        cronium_wire::message::Message::to_frame(&FromStub::Told(Told::Condition { condition: true }), 5);
    let hex: String = frame.iter().map(|byte| format!("\\{byte:03o}")).collect();
    let seen = run(&format!("#!/bin/sh\nprintf '{hex}'\n"), |_| {}, refused);
    assert_eq!(seen.told, []);
    assert_eq!(seen.stdout.as_bytes(), frame);
    assert_eq!(seen.finished.helpers, None);
}

/// The operator's machine falls asleep under a call and wakes up later: the script has gone on, and
/// what it wrote is there once, the call under way among it.
#[test]
fn an_operator_that_sleeps() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    environment.write(
        "job.sh",
        "#!/bin/sh\nset -e\ncronium incr n\n: >\"$HOME/called\"\n\
         while [ ! -e \"$HOME/go\" ]; do sleep 0.02; done\n\
         for i in 1 2 3 4; do cronium incr n; done\ncronium setVariable last \"$(cronium getVariable n)\"\n\
         cronium output done=true\n: >\"$HOME/over\"\n",
    );
    let name = fleet.name(1);
    let running = environment
        .exec(&fleet, &name)
        .args(["-o", "quiet", "--timeout", "100s", "job.sh"])
        .limit(120)
        .start();
    assert!(until(60, || fleet.home(1).join("called").exists()));
    running.signal(rustix::process::Signal::STOP);
    fs::write(fleet.home(1).join("go"), "").unwrap();
    let over = until(60, || fleet.home(1).join("over").exists());
    running.signal(rustix::process::Signal::CONT);
    assert!(over, "the script does not wait for the operator");
    running.wait().succeeds().ignore();
    let ledger = environment.ledger();
    let row = ledger.result(&ledger.last_run(), &name);
    assert_eq!(
        (row.helper_mode.as_deref(), row.output_json()),
        (Some("bundled"), json!({"done": true})),
        "{row:#?}"
    );
    assert_eq!(ledger.variable("n"), Some((json!(5), 5)), "each increment counts once");
    assert_eq!(ledger.variable("last").map(|(value, _)| value), Some(json!(5)));
}
