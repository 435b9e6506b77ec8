//! `exec` from outside: what runs, how it ends, what it leaves.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use rustix::process::Signal;

mod harness;

use harness::{Environment, Fleet, FleetPlan, Outcome, Recorded, until, with_marker};

/// Runs something on host 1, telling nothing: the ledger is what is looked at.
#[track_caller]
fn exec_on(environment: &Environment, fleet: &Fleet, args: &[&str]) -> Outcome {
    environment.exec(fleet, &fleet.name(1)).args(["-o", "quiet"]).args(args).run()
}

/// What host 1 wrote to stdout in the last run.
#[track_caller]
fn stdout(environment: &Environment, fleet: &Fleet) -> String {
    let ledger = environment.ledger();
    let bytes = ledger.output(&ledger.last_run(), &fleet.name(1), "stdout").unwrap_or_default();
    String::from_utf8(bytes).unwrap()
}

/// A number that stands on no other command line of this machine: `sleep` it to be found.
fn marker() -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("7{:09}", nanos % 1_000_000_000)
}

#[test]
fn one_word_is_a_shell_line_and_several_are_the_exact_argv() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let table: &[(&[&str], &str)] = &[
        (&["echo one  two"], "one two\n"),
        (&["echo \"$((6 * 7))\" | tr 4 9"], "92\n"),
        (&["printf '%s|' 'a b' \"c\""], "a b|c|"),
        (&["false; echo $?"], "1\n"),
        (
            &[
                "printf",
                "[%s]",
                "a  b",
                "$HOME",
                "'q'",
                "\"d\"",
                "*",
                "",
                "a;b",
                "back\\slash",
                "new\nline",
                "é",
            ],
            "",
        ),
        (&["echo", "-n", "$PATH"], "$PATH"),
    ];
    for (words, want) in table {
        exec_on(&environment, &fleet, &[&["--"], *words].concat()).succeeds().ignore();
        let exact: String = words[1..].iter().skip(1).map(|word| format!("[{word}]")).collect();
        let want = if words[0] == "printf" { &exact } else { *want };
        assert_eq!(stdout(&environment, &fleet), want, "{words:?}");
    }
}

#[test]
fn payloads_of_every_form() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    environment.write(
        "report/manifest.yaml",
        "version: v1\nname: report\ninterpreter: bash\nentrypoint: run.sh\nargs: [first]\n\
         environment: {LEVEL: info}\n",
    );
    environment.write("report/run.sh", "#!/bin/bash\nset -eu\ncat data/words.txt\necho \"$LEVEL: $*\"\n");
    environment.write("report/data/words.txt", "from a file beside it\n");
    environment.write("alone.sh", "#!/bin/sh\necho \"shell $#: $*\"\n");
    environment.write("alone.py", "import sys\nprint('python', sys.argv[1:])\n");
    environment.write("alone.js", "console.log('node', process.argv.slice(2).join('+'))\n");
    environment.write("by-line", "#!/usr/bin/env python3\nimport sys\nprint('by its line', len(sys.argv))\n");
    environment.run(["pack", "report", "-o", "report.tar.gz"]).succeeds().ignore();
    let folder = "from a file beside it\ninfo: first more words\n";
    let table = [
        ("report", folder),
        ("report.tar.gz", folder),
        ("alone.sh", "shell 2: more words\n"),
        ("alone.py", "python ['more', 'words']\n"),
        ("alone.js", "node more+words\n"),
        ("by-line", "by its line 3\n"),
    ];
    for (payload, want) in table {
        exec_on(&environment, &fleet, &[payload, "--", "more", "words"]).succeeds().ignore();
        assert_eq!(stdout(&environment, &fleet), want, "{payload}");
    }
}

#[test]
fn usage_errors_touch_no_host() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let name = fleet.name(1);
    for args in [
        vec!["exec"],
        vec!["exec", &name],
        vec!["exec", &name, "no-such-payload"],
        vec!["exec", &name, "-o", "loud", "--", "true"],
        vec!["exec", &name, "--timeout", "soon", "--", "true"],
        vec!["exec", "@no-such-group", "--", "true"],
        vec!["exec", "web[3-", "--", "true"],
        vec!["exec", "^no-such-file", "--", "true"],
        vec!["exec", &name, "--input", "{not json", "--", "true"],
    ] {
        let outcome = environment.run(&args).exits(2);
        assert!(outcome.stdout.is_empty(), "{args:?}\n{outcome:?}");
        assert!(outcome.err().contains("error:"), "{args:?}\n{outcome:?}");
    }
    assert_eq!(fleet.executed(1).len(), 0);
}

#[test]
fn environment_of_the_script() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    exec_on(&environment, &fleet, &["--env", "COLOUR=deep blue", "--", "env; umask; pwd"])
        .succeeds()
        .ignore();
    let text = stdout(&environment, &fleet);
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!(value("COLOUR"), Some("deep blue"));
    assert_eq!(value("HOME"), fleet.home(1).to_str());
    assert_eq!(value("CRONIUM_HOST"), Some(fleet.name(1).as_str()));
    assert_eq!(value("CRONIUM_RUN_ID"), Some(environment.ledger().last_run().as_str()));
    for name in ["USER", "LOGNAME", "SHELL", "LANG", "PATH", "TMPDIR", "CRONIUM_WORK_DIR", "CRONIUM_JOB_ID"] {
        assert!(value(name).is_some_and(|value| !value.is_empty()), "{name} in\n{text}");
    }
    assert!(value("CRONIUM_HELPER_MODE").is_some() && value("CRONIUM_EXECUTION_ID").is_some(), "{text}");
    assert_eq!(value("SSH_CONNECTION").or(value("SSH_CLIENT")), None, "a clean base");
    assert!(text.contains("\n0077\n"), "umask: {text}");
}

#[test]
fn exit_codes_and_signals_are_exact() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    for (line, code, signal) in [
        ("exit 1", Some(1), None),
        ("exit 255", Some(255), None),
        ("exit 130", Some(130), None),
        ("kill -KILL $$", None, Some(9)),
        ("kill -SEGV $$", None, Some(11)),
        ("no-such-program-here", Some(127), None),
    ] {
        exec_on(&environment, &fleet, &["--", line]).exits(3).ignore();
        let ledger = environment.ledger();
        let row = ledger.result(&ledger.last_run(), &fleet.name(1));
        assert_eq!(
            (row.status.as_str(), row.exit_code, row.signal),
            ("failed", code, signal),
            "{line}: {row:#?}"
        );
    }
}

#[test]
fn stdout_and_stderr_are_apart_and_binary_safe() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let line =
        "printf 'a\\0b\\377'; printf 'c\\0d\\376\\n' >&2; head -c 300000 /dev/urandom | tee /dev/stderr";
    exec_on(&environment, &fleet, &["--", line]).succeeds().ignore();
    let ledger = environment.ledger();
    let read = |stream| ledger.output(&ledger.last_run(), &fleet.name(1), stream).unwrap();
    let (out, err) = (read("stdout"), read("stderr"));
    assert_eq!((&out[..4], &err[..5]), (b"a\0b\xff".as_slice(), b"c\0d\xfe\n".as_slice()));
    assert_eq!(out.len(), 300_004);
    assert!(out[4..] == err[5..]);
}

#[test]
fn a_timeout_kills_the_whole_tree() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let marker = marker();
    // A child, a child that ignores TERM, a daemon that left the session, and one that is stopped.
    let script = format!(
        "#!/bin/bash\n\
         trap '' TERM\n\
         sleep {marker} &\n\
         (setsid sh -c 'trap \"\" TERM; (sleep {marker}; sleep {marker}) & sleep {marker}' >/dev/null 2>&1 &) &\n\
         (setsid setsid sleep {marker} >/dev/null 2>&1 &)\n\
         sleep {marker} & kill -STOP $!\n\
         echo begun\n\
         while :; do sleep {marker}; done\n"
    );
    environment.write("stubborn.sh", script);
    let begun = std::time::Instant::now();
    exec_on(&environment, &fleet, &["--timeout", "1s", "stubborn.sh"]).exits(5).ignore();
    // TERM is ignored: KILL follows after the grace of 10 s.
    assert!(begun.elapsed().as_secs() < 25, "{:?}", begun.elapsed());
    assert!(until(5, || with_marker(&marker).is_empty()), "{:?}", with_marker(&marker));
    let ledger = environment.ledger();
    let row = ledger.result(&ledger.last_run(), &fleet.name(1));
    assert_eq!((row.status.as_str(), row.phase.as_deref()), ("timed_out", Some("timeout")), "{row:#?}");
    assert_eq!(stdout(&environment, &fleet), "begun\n");
    assert_eq!(fleet.runs(1).len(), 0);
}

#[test]
fn a_finished_run_leaves_nothing_but_the_cache() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let marker = marker();
    // What the script leaves in the background ends with it.
    let line = format!("touch here \"$TMPDIR/there\"; (setsid sleep {marker} >/dev/null 2>&1 &); echo done");
    exec_on(&environment, &fleet, &["--", &line]).succeeds().ignore();
    assert_eq!(stdout(&environment, &fleet), "done\n");
    assert!(until(5, || with_marker(&marker).is_empty()), "{:?}", with_marker(&marker));
    assert_eq!(fleet.runs(1).len(), 0, "{:?}", fleet.runs(1));
    let stubs = fleet.stubs(1);
    assert_eq!(stubs.len(), 1, "{stubs:?}");
    let digest = stubs[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(digest, cronium_wire::digest::sha256_hex(&fs::read(&stubs[0]).unwrap()));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(stubs[0].parent().unwrap()), 0o700);
    assert_eq!(mode(&stubs[0]) & 0o077, 0);
    let ledger = environment.ledger();
    assert_eq!(ledger.result(&ledger.last_run(), &fleet.name(1)).stub_digest.as_deref(), Some(digest));
    // Nothing else in the home than the two folders of the contract.
    let mut left: Vec<_> =
        fs::read_dir(fleet.home(1)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert!(left.iter().all(|name| name == ".cache" || name == ".local"), "{left:?}");
    assert_eq!(fs::read_dir(environment.temporary()).unwrap().count(), 0, "nor on this side");
}

#[test]
fn a_warm_start_uses_the_cached_stub() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    exec_on(&environment, &fleet, &["--", "true"]).succeeds().ignore();
    let before = fs::metadata(&fleet.stubs(1)[0]).unwrap();
    let (execs, logins) = (fleet.executed(1).len(), fleet.logins(1));
    assert_eq!(logins, 1, "one connection for each host");
    exec_on(&environment, &fleet, &["--", "echo warm"]).succeeds().ignore();
    let after = fs::metadata(&fleet.stubs(1)[0]).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec()),
        "it is not sent again"
    );
    assert_eq!(fleet.executed(1).len() - execs, 1, "{:?}", fleet.executed(1));
    assert_eq!(fleet.logins(1) - logins, 1);
    assert_eq!(stdout(&environment, &fleet), "warm\n");
}

#[test]
fn the_stub_is_looked_at_again_only_where_it_may_have_changed() {
    let environment = Environment::new();
    let counting = "PATH=$HOME/bin:$PATH; export PATH";
    let fleet = FleetPlan::default().host_with(1, |host| host.login = counting.to_owned()).start();
    let bin = fleet.home(1).join("bin");
    fs::create_dir(&bin).unwrap();
    let real = "#!/bin/sh\necho >>\"$HOME/digests\"\nexec /usr/bin/sha256sum\n";
    fs::write(bin.join("sha256sum"), real).unwrap();
    fs::set_permissions(bin.join("sha256sum"), fs::Permissions::from_mode(0o755)).unwrap();
    let digests = || {
        let before = fs::read(fleet.home(1).join("digests")).unwrap_or_default().len();
        exec_on(&environment, &fleet, &["--", "true"]).succeeds().ignore();
        fs::read(fleet.home(1).join("digests")).unwrap_or_default().len() - before
    };
    assert_eq!((digests(), digests(), digests()), (1, 0, 0), "it came, and is known");
    let touched = fs::File::open(&fleet.stubs(1)[0]).unwrap().set_modified(SystemTime::now());
    touched.unwrap();
    assert_eq!((digests(), digests()), (1, 0));
}

#[test]
fn a_changed_stub_is_replaced_and_never_run() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    exec_on(&environment, &fleet, &["--", "true"]).succeeds().ignore();
    let stub = fleet.stubs(1)[0].clone();
    let right = fs::read(&stub).unwrap();
    let mut flipped = right.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let ran = fleet.home(1).join("ran");
    let impostor = format!("#!/bin/sh\ntouch {}\necho cronium-run:ready\n", ran.display()).into_bytes();
    // It was found whole, and a stamp says so.
    exec_on(&environment, &fleet, &["--", "true"]).succeeds().ignore();
    for (case, bytes) in
        [("one changed byte", flipped), ("cut", right[..1000].to_vec()), ("a script", impostor)]
    {
        fs::write(&stub, &bytes).unwrap();
        exec_on(&environment, &fleet, &["--", "echo still right"]).succeeds().ignore();
        assert_eq!(stdout(&environment, &fleet), "still right\n", "{case}");
        assert!(fs::read(&stub).unwrap() == right, "{case}: it is replaced");
        assert!(!ran.exists(), "{case}: it is never run");
    }
}

#[test]
fn a_host_without_room_for_the_cache_still_works() {
    let environment = Environment::new();
    let fleet = FleetPlan::default()
        .host(1)
        // HOME that cannot be written to: not even by root.
        .host_with(2, |host| host.login = "export HOME=/proc/1; cd /".into())
        .start();
    // A file where the folder should be.
    fs::write(fleet.home(1).join(".cache"), "not a folder").unwrap();
    for number in [1, 2] {
        let name = fleet.name(number);
        let outcome = environment.exec(&fleet, &name).args(["-o", "quiet", "--", "echo works"]).run();
        let outcome = outcome.succeeds();
        assert!(outcome.stdout.is_empty());
        let ledger = environment.ledger();
        let out = ledger.output(&ledger.last_run(), &name, "stdout");
        assert_eq!(out.as_deref(), Some(b"works\n".as_slice()), "host {number}");
    }
}

/// Whether the kernel lets this process mount: CAP_SYS_ADMIN, bit 21 (capabilities(7)).
fn may_mount() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    u64::from_str_radix(effective, 16).unwrap() >> 21 & 1 == 1
}

/// For those who may mount: the folder of the cache is on a file system that runs nothing.
#[test]
fn a_host_whose_cache_is_noexec_still_works() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let cache = fleet.home(1).join(".cache");
    fs::create_dir(&cache).unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "noexec,size=8m", "none"]).arg(&cache).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        assert!(!may_mount(), "this user may mount, and the mount failed");
        eprintln!("NOT CHECKED: this user may not mount");
        return;
    }
    let outcome = exec_on(&environment, &fleet, &["--", "echo works"]);
    Command::new("umount").arg("-l").arg(&cache).status().unwrap();
    outcome.succeeds().ignore();
    assert_eq!(stdout(&environment, &fleet), "works\n");
}

#[test]
fn login_shells_that_talk() {
    let fleet = FleetPlan::default()
        .host_with(1, |host| host.login = "echo 'Welcome!'; printf 'no newline at the end'".into())
        .host_with(2, |host| host.login = "echo 'disk quota exceeded' >&2".into())
        .start();
    let environment = Environment::new();
    for round in ["cold", "warm"] {
        let targets = fleet.names([1, 2]);
        environment.exec(&fleet, &targets).args(["-o", "quiet", "--", "echo mine"]).run().succeeds().ignore();
        let ledger = environment.ledger();
        for number in [1, 2] {
            let out = ledger.output(&ledger.last_run(), &fleet.name(number), "stdout").unwrap();
            assert_eq!(String::from_utf8_lossy(&out), "mine\n", "host {number}, {round}");
        }
    }
}

#[test]
fn host_keys() {
    let environment = Environment::new();
    let fleet = FleetPlan::default()
        .host(1)
        .host_with(2, |host| host.recorded = Recorded::Nothing)
        .host_with(3, |host| host.recorded = Recorded::Wrong)
        .start();
    let recorded = || fs::read_to_string(fleet.known_hosts()).unwrap();
    let before = recorded();
    let run = |number, policy: &[&str]| {
        let name = fleet.name(number);
        environment.exec(&fleet, &name).args(policy).args(["-o", "quiet", "--", "true"]).run()
    };
    // Strict is the default.
    for (number, code) in [(1, 0), (2, 4), (3, 4)] {
        run(number, &[]).exits(code).ignore();
    }
    assert_eq!(recorded(), before, "strict records nothing");
    let outcome = run(3, &["--host-key", "accept-new"]).exits(4);
    assert!(outcome.err().contains("SHA256:"), "a changed key is named by its fingerprint\n{outcome:?}");
    assert_eq!(recorded(), before, "a changed key is never recorded");
    run(2, &["--host-key", "accept-new"]).exits(0).ignore();
    assert!(recorded().starts_with(&before) && recorded().contains(&fleet.name(2)), "{}", recorded());
    assert!(fleet.ssh(2, "true").status.success(), "ssh itself takes what was recorded");
    run(2, &[]).exits(0).ignore();
    run(3, &["--host-key", "off"]).exits(0).ignore();
}

#[test]
fn a_key_from_the_agent() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let socket = environment.path("agent.sock");
    // It ends with the command it was started for: when our end of the pipe closes.
    let mut agent = Command::new("ssh-agent")
        .arg("-a")
        .arg(&socket)
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("ssh-agent starts (tests/run installs it)");
    assert!(until(5, || socket.exists()));
    let name = fleet.name(1);
    let run = |agent: bool| {
        let mut command = environment
            .command(["exec", &name, "-u", harness::user(), "-p", &fleet.port().to_string(), "-o", "quiet"])
            .arg("--known-hosts")
            .arg(fleet.known_hosts());
        if agent {
            command = command.env("SSH_AUTH_SOCK", &socket);
        }
        command.args(["--", "true"]).run().code
    };
    let empty = run(true);
    let add =
        Command::new("ssh-add").arg("-q").arg(fleet.private_key()).env("SSH_AUTH_SOCK", &socket).status();
    assert!(add.unwrap().success());
    let codes = (run(false), empty, run(true));
    drop(agent.stdin.take());
    agent.wait().unwrap();
    assert_eq!(codes, (4, 4, 0), "without an agent, with an empty one, with the key");
}

#[test]
fn targets_of_every_form() {
    let (environment, fleet) = (Environment::new(), Fleet::start(4));
    let names = |numbers: &[u8]| numbers.iter().map(|number| fleet.name(*number)).collect::<Vec<_>>();
    environment.write("hosts.txt", format!("# two of them\n{}\n\n{}\n", fleet.name(2), fleet.name(4)));
    let prefix = fleet.prefix();
    let table: &[(String, &[u8])] = &[
        (fleet.name(1), &[1]),
        (format!("{prefix}[1-3]"), &[1, 2, 3]),
        (format!("{prefix}[1,3-4]"), &[1, 3, 4]),
        (format!("{prefix}[1-4],!{prefix}2"), &[1, 3, 4]),
        (format!("{0}1,{0}1,{0}2", prefix), &[1, 2]),
        ("^hosts.txt".into(), &[2, 4]),
        ("-".into(), &[3, 1]),
    ];
    for (targets, want) in table {
        let invocation = environment.exec(&fleet, targets).args(["-o", "quiet", "--", "true"]);
        invocation.stdin(format!("{}\n{}\n", fleet.name(3), fleet.name(1))).run().succeeds().ignore();
        let ledger = environment.ledger();
        let got: Vec<String> = ledger.results(&ledger.last_run()).into_iter().map(|row| row.host).collect();
        let mut want = names(want);
        want.sort();
        assert_eq!(got, want, "{targets}");
    }
    // With user and port in the name, and no flag that says them.
    let full = format!("{}@{}:{}", harness::user(), fleet.name(1), fleet.port());
    environment
        .command(["exec", &full, "-o", "quiet"])
        .args(["--private-key".as_ref(), fleet.private_key().as_os_str()])
        .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
        .args(["--", "true"])
        .run()
        .succeeds()
        .ignore();
}

#[test]
fn this_machine_without_ssh() {
    let environment = Environment::new();
    let args = ["exec", "local", "-o", "quiet", "--", "echo $CRONIUM_HOST; echo oops >&2; exit 7"];
    environment.run(args).exits(3).ignore();
    let ledger = environment.ledger();
    let run = ledger.last_run();
    let row = ledger.result(&run, "local");
    assert_eq!((row.status.as_str(), row.exit_code), ("failed", Some(7)), "{row:#?}");
    assert_eq!(ledger.output(&run, "local", "stdout").as_deref(), Some(b"local\n".as_slice()));
    assert_eq!(ledger.output(&run, "local", "stderr").as_deref(), Some(b"oops\n".as_slice()));
    let runs = environment.home().join(".local/state/cronium-run/runs");
    assert!(fs::read_dir(runs).map_or(0, Iterator::count) == 0);
}

#[test]
fn ctrl_c_kills_what_runs_and_says_130() {
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    let marker = marker();
    let line = format!("echo begun; : >\"$HOME/begun\"; sleep {marker}; echo after");
    let running = environment.exec(&fleet, &fleet.names([1, 2])).args(["-o", "quiet", "--", &line]).start();
    let begun = |number| fleet.home(number).join("begun").exists();
    assert!(until(30, || begun(1) && begun(2)));
    running.signal(Signal::INT);
    running.wait().exits(130).ignore();
    assert!(until(15, || with_marker(&marker).is_empty()), "{:?}", with_marker(&marker));
    assert_eq!((fleet.runs(1).len(), fleet.runs(2).len()), (0, 0));
    let ledger = environment.ledger();
    let run = ledger.last_run();
    assert_eq!(ledger.end_of(&run).1, Some(130));
    for number in [1, 2] {
        let row = ledger.result(&run, &fleet.name(number));
        assert_eq!(row.status, "cancelled", "{row:#?}");
        let out = ledger.output(&run, &fleet.name(number), "stdout");
        assert_eq!(out.as_deref(), Some(b"begun\n".as_slice()), "what was known is kept");
    }
}

#[test]
fn a_killed_operator_leaves_a_readable_ledger() {
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    let marker = marker();
    let line = format!(
        "case $CRONIUM_HOST in *.1) echo quick ;; *) echo begun; : >\"$HOME/begun\"; sleep {marker} ;; esac"
    );
    let running = environment
        .exec(&fleet, &fleet.names([1, 2]))
        .args(["-o", "jsonl", "--lease", "1s", "--", &line])
        .start();
    let told = |text: &str| String::from_utf8_lossy(&running.stdout_so_far()).contains(text);
    assert!(until(30, || told("host_finished") && fleet.home(2).join("begun").exists() && told("begun")));
    // What is told is written in batches, and so is a moment older than what is stored.
    std::thread::sleep(std::time::Duration::from_millis(500));
    running.signal(Signal::KILL);
    running.wait().exits(128 + 9).ignore();
    let ledger = environment.ledger();
    ledger.check();
    let run = ledger.last_run();
    let row = ledger.result(&run, &fleet.name(1));
    assert_eq!((row.status.as_str(), row.exit_code), ("succeeded", Some(0)));
    assert_eq!(ledger.end_of(&run).1, None, "the run has no end");
    // The commands say what was known.
    let shown = environment.run(["show", "last"]).succeeds().out();
    assert_eq!(fleet.numbers_in(&shown), [1, 2].into(), "{shown}");
    assert!(environment.run(["runs"]).succeeds().out().contains(&run[..10]));
    assert_eq!(environment.run(["logs", "last", &fleet.name(1)]).succeeds().out(), "quick\n");
    assert_eq!(environment.run(["logs", "last", &fleet.name(2)]).succeeds().out(), "begun\n");
    // The job of a dead operator does not go on for longer than its lease, and only its result stays.
    assert!(until(30, || with_marker(&marker).is_empty()), "{:?}", with_marker(&marker));
    assert!(until(10, || fleet.processes(2).is_empty()), "{:#?}", fleet.processes(2));
    assert_eq!(fleet.runs(2).len(), 1);
    // And the next run is served.
    exec_on(&environment, &fleet, &["--", "true"]).succeeds().ignore();
}

#[test]
fn deploy_puts_the_stub_and_pins_keys() {
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    let deploy =
        |args: &[&str]| environment.reaching(&fleet, ["deploy", &fleet.names([1, 2])]).args(args).run();
    deploy(&[]).succeeds().ignore();
    for number in [1, 2] {
        assert_eq!(fleet.stubs(number).len(), 1);
        assert!(fleet.runs(number).is_empty());
    }
    let keygen = environment.command(["keygen", "other"]).env("COSIGN_PASSWORD", "");
    keygen.run().succeeds().ignore();
    deploy(&["--trust", "other.pub"]).succeeds().ignore();
    let pinned = fleet.home(1).join(".config/cronium-run/trust");
    assert_eq!(fs::read_dir(&pinned).unwrap().count(), 1);
    // From now on only that key counts: the operator's own is not it.
    exec_on(&environment, &fleet, &["--", "true"]).exits(6).ignore();
    let ledger = environment.ledger();
    let row = ledger.result(&ledger.last_run(), &fleet.name(1));
    assert_eq!((row.status.as_str(), row.phase.as_deref()), ("rejected", Some("verify")), "{row:#?}");
    // Signed by it, all is well again, and the result says so.
    let with =
        environment.exec(&fleet, &fleet.name(1)).args(["--key", "other.key", "-o", "quiet", "--", "true"]);
    with.env("COSIGN_PASSWORD", "").run().succeeds().ignore();
    let ledger = environment.ledger();
    assert_eq!(ledger.result(&ledger.last_run(), &fleet.name(1)).trust.as_deref(), Some("pinned"));
}
