use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::*;

const LEDGER: &str = "CRONIUM_TEST_KILLED_LEDGER";

/// Not a test by itself: what the process does that is killed below.
#[test]
fn child() {
    let Some(path) = std::env::var_os(LEDGER) else { return };
    let ledger = Ledger::open(Path::new(&path)).unwrap();
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1", "web2", "web3"]));
    teller.state("web1", HostState::Running);
    teller.print("web1", Stream::Stdout, b"whole\n");
    teller.end("web1", HostResult { exit_code: Some(0), stdout_bytes: 6, ..ended(Outcome::Succeeded) });
    teller.state("web2", HostState::Connecting);
    teller.state("web2", HostState::Running);
    teller.print("web2", Stream::Stdout, b"so ");
    teller.print("web2", Stream::Stderr, b"\xff\n");
    teller.print("web2", Stream::Stdout, b"far");
    teller.recorder.finish().unwrap();
    std::fs::write(Path::new(&path).parent().unwrap().with_extension("ready"), "").unwrap();
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn sigkill_leaves_what_was_known() {
    let place = Place::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::tests::killed::child"])
        .env(LEDGER, place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !place.folder.path().join("state.ready").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the child died by itself");
        thread::sleep(Duration::from_millis(5));
    }

    // It lives, so nobody calls it interrupted: neither a reader nor a second writer.
    assert_eq!(place.reader().run("R1").unwrap().status, RunStatus::Running);
    drop(place.ledger());
    assert_eq!(place.reader().run("R1").unwrap().status, RunStatus::Running);

    child.kill().unwrap();
    child.wait().unwrap();
    let check = |reader: &Reader| {
        let run = reader.run("R1").unwrap();
        assert_eq!((run.status, run.exit_code, run.finished_at), (RunStatus::Interrupted, None, None));
        assert_eq!(run.last_event_at, Some(at(8)));
        let states: Vec<_> =
            reader.results("R1").unwrap().into_iter().map(|row| (row.status, row.result.is_some())).collect();
        let wanted = [("succeeded", true), ("running", false), ("queued", false)];
        assert_eq!(states, wanted.map(|(status, ended)| (status.to_owned(), ended)));
        assert_eq!(reader.output_bytes("R1", "web1", Stream::Stdout).unwrap(), b"whole\n");
        assert_eq!(reader.output_bytes("R1", "web2", Stream::Stdout).unwrap(), b"so far");
        assert_eq!(reader.output_bytes("R1", "web2", Stream::Stderr).unwrap(), b"\xff\n");
        assert_eq!(reader.events("R1").unwrap().map(Result::unwrap).count(), 9);
    };
    check(&place.reader());
    assert_eq!(place.sql::<String>("SELECT status FROM runs"), "running");
    // The next process to write says it for good and clears the lock file away.
    drop(place.ledger());
    assert_eq!(place.sql::<String>("SELECT status FROM runs"), "interrupted");
    check(&place.reader());
    let left = std::fs::read_dir(place.path().parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "only the ledger is left");
}
