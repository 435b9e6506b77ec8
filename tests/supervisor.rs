//! The supervisor of a run on its host, over the wire that it speaks: what it keeps, who may ask for it,
//! and what becomes of it where processes are killed, links break and disks are full.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cronium_wire::message::{Attach, End, FromStub, Helpers, Job, Message, Mode, RunState, ToStub};

mod harness;

use harness::{Arch, Archive, SpokenStub, TestKey, stub_path};

/// A job whose script is `script`, and its payload.
fn shell(script: &str) -> (Job, Vec<u8>) {
    let payload = Archive::new(harness::MANIFEST).file("run.sh", format!("#!/bin/sh\n{script}\n").as_bytes());
    let payload = payload.finish();
    (TestKey::new(1).job(&payload), payload)
}

/// Lines of stdout, whole; panics where numbers of frames are not one behind the other from `from`.
#[track_caller]
fn stdout(seen: &[(u64, FromStub)], from: u64) -> String {
    let mut out = Vec::new();
    let numbered = seen.iter().filter(|(_, message)| message.is_numbered());
    for (due, (seq, message)) in (from..).zip(numbered) {
        assert_eq!(*seq, due, "{message:?}");
        if let FromStub::Stdout(bytes) = message {
            out.extend_from_slice(bytes);
        }
    }
    String::from_utf8(out).unwrap()
}

fn end(seen: &[(u64, FromStub)]) -> &End {
    match seen.last() {
        Some((_, FromStub::Finished(finished))) => &finished.end,
        other => panic!("{other:?}"),
    }
}

/// Waits for what another process does.
#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn runs(home: &Path) -> Vec<String> {
    let entries = fs::read_dir(home.join(".local/state/cronium-run/runs")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The link is lost while the script runs, in many places: what comes over the next one goes on exactly.
#[test]
fn the_relay_is_killed_and_the_run_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("for i in $(seq 40); do echo line $i; sleep 0.05; done; exit 7");
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(job, &payload);
    let supervisor = stub.supervisor();
    let mut seen = Vec::new();
    for part in 1..6 {
        while seen.iter().filter(|(_, message)| matches!(message, FromStub::Stdout(_))).count() < part * 4 {
            seen.push(stub.next_numbered());
        }
        stub.hang_up();
        let mark = seen.iter().filter(|(_, message)| message.is_numbered()).count() as u64;
        let (next, state) = SpokenStub::attach(home.path(), mark, true);
        assert_eq!(state, RunState::Running);
        stub = next;
    }
    seen.extend(stub.until_finished());
    let want: String = (1..=40).map(|number| format!("line {number}\n")).collect();
    assert_eq!(stdout(&seen, 0), want);
    assert_eq!(*end(&seen), End::Exited { code: 7 });
    stub.acknowledge();
    assert_eq!(runs(home.path()), [] as [&str; 0]);
    wait_until("the supervisor ends", || !is_alive(supervisor));
}

/// A link that breaks again and again, at once, in the middle of a flood or before the answer has come:
/// together all links bring every frame once, whatever stood in the way of each.
#[test]
fn links_that_break_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell(
        "for i in $(seq 60); do seq $((i * 1000)) $((i * 1000 + 999)); cronium log info $i; sleep 0.02; done",
    );
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(job, &payload);
    let (mut seen, mut number) = (Vec::new(), 7u32);
    let mut mark = 0;
    let ended = loop {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Frames that are read before the link breaks.
        let patience = number >> 28;
        let mut is_over = false;
        for _ in 0..patience.max(u32::from(mark == 0)) {
            let (seq, message) = stub.next_numbered();
            if seq == mark {
                mark += 1;
                is_over = matches!(message, FromStub::Finished(_));
                seen.push((seq, message));
            } else {
                assert!(!message.is_numbered(), "{seq} instead of {mark}");
            }
            if is_over {
                break;
            }
        }
        if is_over {
            break stub;
        }
        match number >> 20 & 3 {
            0 => drop(stub),
            1 => stub.close(),
            _ => stub.hang_up(),
        }
        (stub, _) = SpokenStub::attach(home.path(), mark, true);
    };
    let want: String = (1000..61_000).map(|line| format!("{line}\n")).collect();
    assert!(stdout(&seen, 0) == want, "every byte once");
    let told = seen.iter().filter(|(_, message)| matches!(message, FromStub::Told(_))).count();
    assert_eq!((told, end(&seen)), (60, &End::Exited { code: 0 }));
    let mut stub = ended;
    stub.acknowledge();
    assert_eq!(runs(home.path()), [] as [&str; 0]);
}

#[test]
fn a_run_that_ended_alone_is_fetched_later_by_whoever_asks() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("echo here; sleep 0.3; echo there; echo kept > $CRONIUM_OUT/file");
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(job, &payload);
    while !matches!(stub.next(), FromStub::Stdout(_)) {}
    let supervisor = stub.supervisor();
    stub.hang_up();
    let (mut stub, state) = SpokenStub::attach(home.path(), 0, false);
    assert_eq!((state, stub.rest()), (RunState::Running, vec![]));
    wait_until("no process stays", || !is_alive(supervisor));
    let folder = home.path().join(".local/state/cronium-run/runs/01JAR0M5K8Q9Z3V7C2X4B6N8D0");
    let mut left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["about", "control", "lease", "spool"]);
    // As often as it is asked for, until it is acknowledged.
    for from in [0, 1, 2, 3, 0] {
        let (mut stub, state) = SpokenStub::attach(home.path(), from, from % 2 == 0);
        assert_eq!(state, RunState::Ended);
        let seen = stub.until_finished();
        let want = ["here\nthere\n", "here\nthere\n", "there\n", ""][from as usize];
        assert_eq!(stdout(&seen, from), want, "from {from}");
        assert_eq!(*end(&seen), End::Exited { code: 0 });
        stub.hang_up();
    }
    let (mut stub, _) = SpokenStub::attach(home.path(), 99, true);
    let seen = stub.until_finished();
    assert_eq!(
        (seen.len(), seen[0].0),
        (1, 99),
        "behind a crash of the host the operator may have seen more"
    );
    stub.acknowledge();
    assert_eq!(runs(home.path()), [] as [&str; 0]);
}

/// What has a session of its own, forks twice, stops itself or is deaf to TERM.
const ESCAPED: &str = "
    setsid sh -c 'trap \"\" TERM HUP; echo $$ >> pids; sleep 1000 & echo $! >> pids; wait; sleep 1000' &
    setsid sh -c 'sh -c \"echo \\$\\$ >> pids; kill -STOP \\$\\$; sleep 1000\" & exit' &
    (setsid setsid sleep 1000 & echo $! >> pids) &
    sleep 0.3
    echo $$ >> pids
    echo ready
    ";

fn pids(home: &Path) -> Vec<i32> {
    let work = home.join(".local/state/cronium-run/runs/01JAR0M5K8Q9Z3V7C2X4B6N8D0/work/pids");
    let text = fs::read_to_string(work).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// With its relay, or without.
#[test]
fn the_supervisor_is_killed_and_nothing_runs_on() {
    for with_relay in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let (job, payload) = shell(&format!("{ESCAPED} sleep 1000"));
        let mut stub = SpokenStub::start(home.path());
        stub.send_job(job, &payload);
        while !matches!(stub.next(), FromStub::Stdout(_)) {}
        let pids = pids(home.path());
        assert_eq!(pids.len(), 5, "{pids:?}");
        let supervisor = rustix::process::Pid::from_raw(stub.supervisor()).unwrap();
        if with_relay {
            rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
            assert_eq!(stub.rest(), []);
            wait_until("all are gone", || !pids.iter().any(|pid| is_alive(*pid)));
        } else {
            stub.hang_up();
            rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
        }
        let (mut stub, state) = SpokenStub::attach(home.path(), 1, true);
        assert_eq!(state, RunState::Ended);
        let seen = stub.until_finished();
        assert_eq!((stdout(&seen, 1), end(&seen)), ("ready\n".into(), &End::RunnerKilled));
        wait_until("all are gone", || !pids.iter().any(|pid| is_alive(*pid)));
        stub.acknowledge();
        assert_eq!(runs(home.path()), [] as [&str; 0]);
    }
}

#[test]
fn the_newest_link_counts() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("echo one; sleep 1000");
    let mut first = SpokenStub::start(home.path());
    first.send_job(job, &payload);
    while !matches!(first.next(), FromStub::Stdout(_)) {}
    let (mut second, state) = SpokenStub::attach(home.path(), 0, true);
    assert_eq!(state, RunState::Running);
    assert_eq!(first.rest(), [FromStub::Superseded]);
    assert!(matches!(second.next(), FromStub::Started(_)));
    assert_eq!(second.next(), FromStub::Stdout(b"one\n".to_vec()));
    let (mut third, _) = SpokenStub::attach(home.path(), 2, true);
    assert_eq!(second.rest(), [FromStub::Superseded]);
    third.send(&ToStub::Cancel);
    let seen = third.until_finished();
    assert_eq!((stdout(&seen, 2).as_str(), end(&seen)), ("", &End::Cancelled));
    third.acknowledge();
    assert_eq!(runs(home.path()), [] as [&str; 0]);
}

/// A script that plays with the lock of its own run is told on all the same, and not taken for one whose
/// supervisor is dead.
#[test]
fn the_lease_is_tampered_with() {
    for (tampering, is_taken_over) in [("", false), ("rm", false), ("rm; :", false), ("rm", true)] {
        let home = tempfile::tempdir().unwrap();
        let lease = "~/.local/state/cronium-run/runs/*/lease";
        let tampering = match tampering {
            "" => "echo left alone".to_owned(),
            "rm" => format!("rm {lease}; echo removed"),
            _ => format!("set -- {lease}; rm $1; : > $1; echo replaced"),
        };
        let (job, payload) = shell(&format!("{tampering}; sleep 1000"));
        let mut stub = SpokenStub::start(home.path());
        stub.send_job(job, &payload);
        while !matches!(stub.next(), FromStub::Stdout(_)) {}
        let supervisor = rustix::process::Pid::from_raw(stub.supervisor()).unwrap();
        stub.hang_up();
        if is_taken_over {
            rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
        } else {
            // Another contact looks after what lies here.
            let (other, payload) = shell("true");
            let other = Job { run: "B".into(), ..other };
            assert_eq!(SpokenStub::start(home.path()).end_of(other, &payload).0, End::Exited { code: 0 });
        }
        let (mut stub, state) = SpokenStub::attach(home.path(), 2, true);
        let want = if is_taken_over { RunState::Ended } else { RunState::Running };
        assert_eq!(state, want, "{tampering}");
        if !is_taken_over {
            stub.send(&ToStub::Cancel);
        }
        let want = if is_taken_over { End::RunnerKilled } else { End::Cancelled };
        assert_eq!(*end(&stub.until_finished()), want, "{tampering}");
        stub.acknowledge();
        assert_eq!(runs(home.path()), [] as [&str; 0]);
    }
}

/// The script runs as the same user, and may not speak for the operator all the same.
#[test]
fn a_script_cannot_ask_for_its_own_run() {
    let home = tempfile::tempdir().unwrap();
    let Job { run, host, .. } = TestKey::new(1).job(b"");
    let frame = ToStub::Attach(Attach { run, host, from: 0, follow: true }).to_frame(0);
    let frame: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    let (job, payload) = shell(&format!(
        "cat > ask.py <<'END'
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('../control')
try:
    s.send(bytes.fromhex('{frame}'))
    print(len(s.recv(99)))
except OSError:
    print('closed')
END
setsid python3 ask.py"
    ));
    let (end, out) = SpokenStub::start(home.path()).end_of(job, &payload);
    assert_eq!((end, String::from_utf8(out).unwrap().as_str()), (End::Exited { code: 0 }, "closed\n"));
}

/// By a process that connects and ends, or by the script of another run of the same user.
#[test]
fn nor_by_another() {
    let home = tempfile::tempdir().unwrap();
    let Job { run, host, .. } = TestKey::new(1).job(b"");
    let control = home.path().join(".local/state/cronium-run/runs").join(&run).join("control");
    let frame = ToStub::Attach(Attach { run, host, from: 0, follow: true }).to_frame(0);
    let frame: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    let ask = |how: &str| {
        format!(
            "cat > ask.py <<'END'
import os, socket, time
s = socket.socket(socket.AF_UNIX)
child = os.fork() if '{how}' != 'itself' else 0
if child == 0:
    s.connect('{}')
    if '{how}' != 'itself':
        os._exit(0)
if '{how}' == 'reaped':
    os.waitpid(child, 0)
time.sleep(0.2)
try:
    s.send(bytes.fromhex('{frame}'))
    print(len(s.recv(99)))
except OSError:
    print('closed')
END
python3 ask.py",
            control.display(),
        )
    };
    let closed = |answer: (End, Vec<u8>), how: &str| {
        let (end, out) = answer;
        let out = String::from_utf8(out).unwrap();
        assert!(
            end == End::Exited { code: 0 } && matches!(&*out, "closed\n" | "0\n"),
            "{how}: {end:?} {out}"
        );
    };
    for how in ["zombie", "reaped"] {
        let (job, payload) = shell(&ask(how));
        closed(SpokenStub::start(home.path()).end_of(job, &payload), how);
    }
    let (job, payload) = shell("echo here; sleep 1000");
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(job, &payload);
    while !matches!(stub.next(), FromStub::Stdout(_)) {}
    let (job, payload) = shell(&ask("itself"));
    let job = Job { run: "01JAR0M5K8Q9Z3V7C2X4B6N8D1".into(), ..job };
    closed(SpokenStub::start(home.path()).end_of(job, &payload), "another run's");
    stub.send(&ToStub::Cancel);
    assert_eq!(*end(&stub.until_finished()), End::Cancelled, "its link is still the newest");
    stub.acknowledge();
}

/// The script puts a socket of its own in the tunnel's place: the token does not come there.
#[test]
fn a_script_is_no_tunnel() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell(
        "cat > serve.py <<'END'
import socket
s = socket.socket(socket.AF_UNIX)
s.bind('../tunnel')
s.listen()
print('ready', flush=True)
print(s.accept()[0].recv(99))
END
python3 serve.py",
    );
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(Job { tunnel_now: true, token: "secret".into(), ..job }, &payload);
    while !matches!(stub.next(), FromStub::Stdout(_)) {}
    stub.send(&ToStub::TunnelOpen { port: None });
    let seen = stub.until_finished();
    let last = seen.iter().rfind(|(_, message)| matches!(message, FromStub::Stdout(_)));
    assert_eq!(last.unwrap().1, FromStub::Stdout(b"b''\n".to_vec()));
    stub.acknowledge();
}

/// Over a link that the job did not come over, no operator is asked for a tunnel, and none is heard.
#[test]
fn a_tunnel_belongs_to_the_first_link() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell(
        "echo ready; while [ ! -e ~/go ]; do sleep 0.05; done; cronium getVariable key; cronium output done=true
        echo x > $CRONIUM_OUT/file; sleep 0.2",
    );
    let mut first = SpokenStub::start(home.path());
    first.send_job(Job { token: "secret".into(), scopes: vec!["global".into()], ..job }, &payload);
    while !matches!(first.next(), FromStub::Stdout(_)) {}
    let (mut second, _) = SpokenStub::attach(home.path(), 0, true);
    second.send(&ToStub::TunnelOpen { port: None });
    fs::write(home.path().join("go"), "").unwrap();
    let seen = second.until_finished();
    assert!(!seen.iter().any(|(_, message)| matches!(message, FromStub::OpenTunnel { .. })), "{seen:?}");
    let [
        ..,
        (_, FromStub::ArtifactEnd { .. }),
        (_, FromStub::Journal(output)),
        (_, FromStub::Finished(last)),
    ] = &seen[..]
    else {
        panic!("the output stands behind the artifacts: {seen:?}")
    };
    assert!(String::from_utf8_lossy(output).contains("done"));
    let reason = "the connection that it began with is lost".to_owned();
    assert_eq!(last.helpers, Some(Helpers { mode: Mode::Bundled, reason: Some(reason) }));
    assert_eq!(last.pinned, Some(false));
    assert!(last.wall_ms.is_some_and(|ms| (200..20_000).contains(&ms)), "{last:?}");
    second.acknowledge();
}

/// One that is slow to read has half a frame when another comes: it gets the rest, and the word.
#[test]
fn a_slow_link_is_told_as_well() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("head -c 5000000 /dev/zero; sleep 1000");
    let mut command = Command::new("sh");
    // What it prints is read only when this is over.
    command.args(["-c", "\"$0\" run | (sleep 2; cat)"]).arg(stub_path(Arch::here()));
    let mut first = SpokenStub::start_with(command, home.path());
    first.send_job(job, &payload);
    std::thread::sleep(Duration::from_secs(1));
    let (mut second, state) = SpokenStub::attach(home.path(), 0, true);
    assert_eq!(state, RunState::Running);
    let seen = first.rest();
    assert_eq!(seen.last(), Some(&FromStub::Superseded));
    second.send(&ToStub::Cancel);
    let seen = second.until_finished();
    assert_eq!(stdout(&seen, 0).len(), 5_000_000);
    second.acknowledge();
}

#[test]
fn a_run_that_never_came_never_will() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("touch ~/began");
    // Younger than the machine.
    let job = Job { run: ulid::Ulid::generate().to_string(), ..job };
    let asked = |from| {
        let (run, host) = (job.run.clone(), job.host.clone());
        let (mut stub, state) = SpokenStub::attach_to(home.path(), Attach { run, host, from, follow: true });
        assert_eq!(stub.rest(), []);
        state
    };
    assert_eq!(asked(3), RunState::Absent, "whoever has seen frames of it knows that it began");
    assert_eq!(runs(home.path()), [] as [&str; 0]);
    // What a supervisor left that was killed before the folder had its name.
    let draft = home.path().join(format!(".local/state/cronium-run/runs/.{}.12ab", job.run));
    fs::create_dir_all(&draft).unwrap();
    fs::write(draft.join("lease"), "").unwrap();
    assert_eq!(asked(0), RunState::Barred);
    assert_eq!(runs(home.path()), [job.run.as_str()]);
    let (refused, _) = SpokenStub::start(home.path()).end_of(job.clone(), &payload);
    let End::Refused { phase, kind, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((phase.as_str(), kind.as_str()), ("exec", "begun"));
    assert!(!home.path().join("began").exists());
    assert_eq!(asked(0), RunState::Barred);
    assert_eq!(asked(3), RunState::Absent, "whoever has seen frames of it knows that it began");
    // Another host that shares the home is none of it.
    let other = Job { host: "other".into(), ..job };
    assert_eq!(SpokenStub::start(home.path()).end_of(other, &payload).0, End::Exited { code: 0 });
    assert!(home.path().join("began").exists());
}

/// A job that comes many times at once, over as many links: one of them starts it.
#[test]
fn at_most_one_start() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("echo began >> ~/began; sleep 0.5");
    let ends: Vec<End> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| SpokenStub::start(home.path()).end_of(job.clone(), &payload).0))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(ends.iter().filter(|end| **end == End::Exited { code: 0 }).count(), 1, "{ends:?}");
    assert!(
        ends.iter().all(|end| matches!(end, End::Exited { .. })
            || matches!(end, End::Refused { phase, kind, .. } if phase == "exec" && kind == "begun")),
        "{ends:?}"
    );
    assert_eq!(fs::read_to_string(home.path().join("began")).unwrap(), "began\n");
}

/// What it did before the machine was started anew, nobody knows.
#[test]
fn a_run_from_before_the_boot_is_not_said_to_have_never_begun() {
    let home = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (mut stub, state) = SpokenStub::attach(home.path(), 0, true);
        assert_eq!((state, stub.rest()), (RunState::Absent, vec![]));
    }
}

#[test]
fn nobody_comes_within_the_lease() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("echo here; sleep 1000");
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(Job { lease_ms: 300, ..job }, &payload);
    while !matches!(stub.next(), FromStub::Stdout(_)) {}
    let supervisor = stub.supervisor();
    stub.hang_up();
    wait_until("it ends by itself", || !is_alive(supervisor));
    let (mut stub, state) = SpokenStub::attach(home.path(), 0, true);
    assert_eq!(state, RunState::Ended);
    let seen = stub.until_finished();
    assert_eq!(stdout(&seen, 0), "here\n");
    assert!(matches!(end(&seen), End::LeaseEnded { after_ms: 300..3000 }), "{seen:?}");
    stub.acknowledge();
}

#[test]
fn a_silent_script_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("for i in 1 2 3 4; do sleep 0.2; echo $i; done; sleep 1000");
    let (end, out) = SpokenStub::start(home.path()).end_of(Job { idle_ms: Some(500), ..job }, &payload);
    assert_eq!(String::from_utf8(out).unwrap(), "1\n2\n3\n4\n");
    assert!(matches!(end, End::Idle { after_ms: 500..3000 }), "{end:?}");
}

/// Half from the beginning, half from the end, and how much there was between them.
/// The end of its output was told, and its files were on their way.
#[test]
fn the_supervisor_is_killed_behind_the_script() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) =
        shell("cd $CRONIUM_OUT; seq 1500 | xargs touch; head -c 300000 /dev/zero | tr '\\0' x");
    let job = Job { max_output: 200_000, ..job };
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(job, &payload);
    let supervisor = rustix::process::Pid::from_raw(stub.supervisor()).unwrap();
    while !matches!(stub.next(), FromStub::Artifact(_)) {}
    rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
    stub.hang_up();
    for _ in 0..2 {
        let (mut stub, state) = SpokenStub::attach(home.path(), 0, true);
        assert_eq!(state, RunState::Ended);
        let seen = stub.until_finished();
        assert_eq!(*end(&seen), End::RunnerKilled);
        assert_eq!(stdout(&seen, 0).len(), 200_000);
        let count =
            |wanted: fn(&FromStub) -> bool| seen.iter().filter(|(_, message)| wanted(message)).count();
        assert_eq!(count(|message| matches!(message, FromStub::Cut { bytes: 100_000, .. })), 1);
        let begun = count(|message| matches!(message, FromStub::Artifact(_)));
        assert_eq!(count(|message| matches!(message, FromStub::ArtifactEnd { .. })), begun);
        assert!((1..1500).contains(&begun), "{begun}");
        stub.hang_up();
    }
}

#[test]
fn output_is_cut_in_the_middle() {
    let home = tempfile::tempdir().unwrap();
    let all: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    for most in [0u64, 1, 2, 1001, 100_000, 108_889, 108_890, 1 << 20] {
        let (job, payload) = shell("seq 0 19999; seq 0 19999 >&2");
        let mut stub = SpokenStub::start(home.path());
        let seen = stub.run(Job { max_output: most, ..job }, &payload);
        let (tail, total) = (most / 2, all.len() as u64);
        let head = most - tail;
        let want = match total <= most {
            true => all.clone(),
            false => {
                format!("{}[{}]{}", &all[..head as usize], total - most, &all[(total - tail) as usize..])
            }
        };
        for is_stderr in [false, true] {
            let mut got = String::new();
            for message in &seen {
                match message {
                    FromStub::Stdout(bytes) if !is_stderr => got += std::str::from_utf8(bytes).unwrap(),
                    FromStub::Stderr(bytes) if is_stderr => got += std::str::from_utf8(bytes).unwrap(),
                    FromStub::Cut { stderr, bytes } if *stderr == is_stderr => got += &format!("[{bytes}]"),
                    _ => {}
                }
            }
            assert!(got == want, "{most} {is_stderr}");
        }
    }
}

/// Everything that a script leaves is gone with it: at its end, when it is cancelled, and when its time
/// is over.
#[test]
fn nothing_escapes() {
    for (how, rest) in [("its end", "exit 3"), ("cancelled", "sleep 1000"), ("its time", "sleep 1000")] {
        let home = tempfile::tempdir().unwrap();
        let (job, payload) = shell(&format!("{ESCAPED} cp pids ~/pids; {rest}"));
        let timeout_ms = Some(if how == "its time" { 1500 } else { 30_000 });
        let mut stub = SpokenStub::start(home.path());
        stub.send_job(Job { timeout_ms, grace_ms: 300, ..job }, &payload);
        while !matches!(stub.next(), FromStub::Stdout(_)) {}
        if how == "cancelled" {
            stub.send(&ToStub::Cancel);
        }
        let seen = stub.until_finished();
        match how {
            "its end" => assert_eq!(*end(&seen), End::Exited { code: 3 }),
            "cancelled" => assert_eq!(*end(&seen), End::Cancelled),
            _ => assert!(matches!(end(&seen), End::TimedOut { after_ms: 1500..5000 }), "{seen:?}"),
        }
        let pids = fs::read_to_string(home.path().join("pids")).unwrap();
        for pid in pids.lines() {
            assert!(!is_alive(pid.parse().unwrap()), "{how}: {pid} of {pids}");
        }
        stub.acknowledge();
    }
}

/// The host has no room for what a script prints: it runs to its end, what there is no room for is
/// counted, and a result that nobody hears now is there for who asks later.
#[test]
fn the_disk_is_full() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for stays in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let mount = |arguments: &[&str]| Command::new(arguments[0]).args(&arguments[1..]).status().unwrap();
        let path = home.path().to_str().unwrap();
        assert!(mount(&["mount", "-t", "tmpfs", "-o", "size=16m", "none", path]).success());
        let (job, payload) = shell(
            "head -c 3000000 /dev/zero; while dd if=/dev/zero bs=65536 count=100 >>~/full 2>/dev/null; do :; done
             echo full; sleep 0.5; head -c 20000000 /dev/zero | tr '\\0' 1; sleep 0.5; rm ~/full; sleep 1.2; echo end",
        );
        let mut stub = SpokenStub::start(home.path());
        stub.send_job(job, &payload);
        if !stays {
            while !matches!(stub.next(), FromStub::Stdout(_)) {}
            let supervisor = stub.supervisor();
            stub.hang_up();
            wait_until("it ends", || !is_alive(supervisor));
            stub = SpokenStub::attach(home.path(), 0, true).0;
        }
        let seen = stub.until_finished();
        assert_eq!(*end(&seen), End::Exited { code: 0 });
        let out = stdout(&seen, 0);
        let cut: u64 = seen
            .iter()
            .map(|(_, message)| if let FromStub::Cut { bytes, .. } = message { *bytes } else { 0 })
            .sum();
        assert_eq!(out.len() as u64 + cut, 3_000_000 + 5 + 20_000_000 + 4);
        assert!(cut > 5_000_000 && out.ends_with("end\n"), "{cut}");
        stub.acknowledge();
        assert_eq!(runs(home.path()), [] as [&str; 0]);
        assert!(mount(&["umount", path]).success());
    }
}

/// The supervisor is killed where there is no room for the end of its output: that waits for room.
#[test]
fn killed_on_a_full_disk() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| Command::new(arguments[0]).args(&arguments[1..]).status().unwrap();
    let path = home.path().to_str().unwrap();
    assert!(mount(&["mount", "-t", "tmpfs", "-o", "size=16m", "none", path]).success());
    let (job, payload) = shell(
        "head -c 3000000 /dev/zero | tr '\\0' x; sleep 0.3
         dd if=/dev/zero bs=4096 >~/full 2>/dev/null; touch ~/ready; sleep 1000",
    );
    let job = Job { max_output: 2_000_000, ..job };
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(job.clone(), &payload);
    let supervisor = rustix::process::Pid::from_raw(stub.supervisor()).unwrap();
    wait_until("it is full", || home.path().join("ready").exists());
    stub.hang_up();
    rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
    for _ in 0..2 {
        let mut stub = SpokenStub::start(home.path());
        assert!(matches!(stub.next(), FromStub::Hello(_)));
        let (run, host) = (job.run.clone(), job.host.clone());
        stub.send(&ToStub::Attach(Attach { run, host, from: 0, follow: true }));
        assert_eq!(stub.rest(), []);
    }
    fs::remove_file(home.path().join("full")).unwrap();
    let (mut stub, _) = SpokenStub::attach(home.path(), 0, true);
    let seen = stub.until_finished();
    assert_eq!((stdout(&seen, 0).len(), end(&seen)), (2_000_000, &End::RunnerKilled));
    let cuts: Vec<_> = seen.iter().filter(|(_, message)| matches!(message, FromStub::Cut { .. })).collect();
    assert!(matches!(cuts[..], [(_, FromStub::Cut { stderr: false, bytes: 1_000_000 })]), "{cuts:?}");
    stub.acknowledge();
    assert_eq!(runs(home.path()), [] as [&str; 0]);
    drop(stub);
    assert!(mount(&["umount", path]).success());
}

/// Nobody came: what is too old or too much is dropped, and said so at the next contact.
#[test]
fn what_nobody_fetches_is_dropped() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("echo here");
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(job.clone(), &payload);
    stub.until_finished();
    let supervisor = stub.supervisor();
    stub.hang_up();
    wait_until("it ends", || !is_alive(supervisor));
    let about = home.path().join(".local/state/cronium-run/runs").join(&job.run).join("about");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&about).unwrap()).unwrap();
    assert_eq!(
        (&text["state"], &text["run"], &text["host"]),
        (&"over".into(), &job.run.clone().into(), &"pipe".into())
    );
    text["at"] = (text["at"].as_u64().unwrap() - 15 * 24 * 3600).into();
    text["boot"] = "another".into();
    fs::write(&about, text.to_string()).unwrap();
    let next = |run: &str| {
        let seen = SpokenStub::start(home.path()).run(Job { run: run.into(), ..job.clone() }, &payload);
        seen.into_iter().find_map(|message| match message {
            FromStub::Warning { message } => Some(message),
            _ => None,
        })
    };
    assert_eq!(next("A"), None);
    let (mut stub, state) = SpokenStub::attach(home.path(), 0, true);
    assert_eq!((state, stub.rest()), (RunState::Dropped, vec![]));
    let warning = next("B").unwrap();
    assert!(warning.starts_with("1 results") && warning.ends_with(&job.run), "{warning}");
    assert_eq!(next("C"), None);
}

/// A runner that was started for a job to come takes one, or is asked for a run.
#[test]
fn one_that_waits() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("sleep 0.5; echo here");
    let waiting = || {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" run waiting"]).arg(stub_path(Arch::here()));
        let stub = SpokenStub::start_with(command, home.path());
        std::thread::sleep(Duration::from_millis(300));
        stub
    };
    let mut stub = waiting();
    stub.send_job(job.clone(), &payload);
    while !matches!(stub.next(), FromStub::Started(_)) {}
    let mut other = waiting();
    assert!(matches!(other.next(), FromStub::Hello(_)));
    let Job { run, host, .. } = job;
    other.send(&ToStub::Attach(Attach { run, host, from: 1, follow: true }));
    assert_eq!(other.next(), FromStub::Attached(RunState::Running));
    assert_eq!(stdout(&other.until_finished(), 1), "here\n");
    other.acknowledge();
}

/// An operator that leaves on purpose says how long the script may go on.
#[test]
fn detached() {
    let home = tempfile::tempdir().unwrap();
    let (job, payload) = shell("echo here; sleep 1000");
    let mut stub = SpokenStub::start(home.path());
    stub.send_job(job, &payload);
    while !matches!(stub.next(), FromStub::Stdout(_)) {}
    let supervisor = stub.supervisor();
    stub.send(&ToStub::Detach { lease_ms: 700 });
    std::thread::sleep(Duration::from_millis(900));
    assert!(is_alive(supervisor), "the clock runs while nobody is there");
    stub.close();
    assert_eq!(stub.rest(), []);
    wait_until("its lease ends", || !is_alive(supervisor));
    let (mut stub, _) = SpokenStub::attach(home.path(), 0, true);
    assert!(matches!(end(&stub.until_finished()), End::LeaseEnded { after_ms: 700..3000 }));
    stub.acknowledge();
}
