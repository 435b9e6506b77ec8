//! Files that scripts leave, and files that go with a payload.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use cronium_wire::digest::sha256_hex;
use cronium_wire::message::{End, FromStub, InputFile, Job, ToStub};
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};

mod harness;

use harness::{Archive, Environment, Fleet, Outcome, SpokenStub, TestKey, finished, until};

/// A row of `artifacts`, with the content that is kept for it.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    host: String,
    path: String,
    mode: u32,
    content: Vec<u8>,
}

fn kept(host: &str, path: &str, mode: u32, content: &str) -> Kept {
    Kept { host: host.into(), path: path.into(), mode, content: content.into() }
}

fn contents(environment: &Environment) -> PathBuf {
    environment.ledger_path().with_extension("artifacts")
}

/// Of the last run, by host and path. Digest and size are those of the content.
fn artifacts(environment: &Environment) -> Vec<Kept> {
    let run = environment.ledger().last_run();
    let connection = Connection::open(environment.ledger_path()).unwrap();
    let sql = "SELECT host, path, mode, digest, bytes FROM artifacts WHERE run_id = ?1 ORDER BY host, path";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([&run], |row| {
        let (digest, bytes): (String, i64) = (row.get("digest")?, row.get("bytes")?);
        let content = fs::read(contents(environment).join(&digest[..2]).join(&digest)).unwrap();
        assert_eq!((sha256_hex(&content), content.len() as i64), (digest, bytes));
        Ok(Kept { host: row.get("host")?, path: row.get("path")?, mode: row.get("mode")?, content })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Files of the folder of contents, whatever they are for.
fn files_kept(environment: &Environment) -> Vec<PathBuf> {
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    let deep = |path: PathBuf| if path.is_dir() { entries(path).collect() } else { vec![path] };
    entries(contents(environment)).flat_map(deep).collect()
}

/// A payload `job` whose manifest ends with `artifacts`.
fn payload(environment: &Environment, artifacts: &str, script: &str) {
    let manifest = format!("version: v1\ninterpreter: sh\nentrypoint: run.sh\nartifacts: {artifacts}\n");
    environment.write("job/manifest.yaml", manifest);
    environment.write("job/run.sh", script);
}

#[track_caller]
fn exec(environment: &Environment, fleet: &Fleet, args: &[&str]) -> Outcome {
    environment.exec(fleet, &fleet.name(1)).args(["-o", "jsonl"]).args(args).run()
}

/// What was warned of on any host.
fn warnings(outcome: &Outcome) -> Vec<String> {
    let events = outcome.json_lines();
    let warnings = events.iter().filter(|event| event["kind"] == "host_warning");
    warnings.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn nothing_is_left(fleet: &Fleet, number: u8) {
    assert_eq!(fleet.runs(number), Vec::<PathBuf>::new());
    let home = fs::read_dir(fleet.home(number)).unwrap();
    let mut names: Vec<String> =
        home.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| ![".cache", ".local", ".ssh"].contains(&name.as_str()));
    assert_eq!(names, Vec::<String>::new(), "besides the caches");
}

/// `$CRONIUM_OUT` and the work folder, byte by byte, from several hosts; what is the same on all is
/// kept once.
#[test]
fn what_scripts_leave_comes_back() {
    let (environment, fleet) = (Environment::new(), Fleet::start(3));
    payload(
        &environment,
        "{outputs: ['logs/**/*.log', '*.txt']}",
        "set -e\nmkdir -p \"$CRONIUM_OUT/deep/er\" logs/old\n\
         printf same >\"$CRONIUM_OUT/deep/er/same\"\nprintf %s \"$CRONIUM_HOST\" >\"$CRONIUM_OUT/own\"\n\
         chmod 750 \"$CRONIUM_OUT/own\"\n: >empty.txt\nprintf same >logs/a.log\nprintf b >logs/old/b.log\n\
         printf no >logs/no\nprintf '\\0\\377\\n\\r' >'two words é.txt'\n\
         chmod 644 empty.txt *.txt logs/*.log logs/old/*.log \"$CRONIUM_OUT/deep/er/same\"\n",
    );
    let targets = fleet.names([1, 2, 3]);
    let outcome = environment.exec(&fleet, &targets).args(["-o", "jsonl", "job"]).run().succeeds();
    assert_eq!(warnings(&outcome), Vec::<String>::new());
    let mut want = Vec::new();
    for number in [1, 2, 3] {
        let host = fleet.name(number);
        want.push(kept(&host, "deep/er/same", 0o644, "same"));
        want.push(kept(&host, "empty.txt", 0o644, ""));
        want.push(kept(&host, "logs/a.log", 0o644, "same"));
        want.push(kept(&host, "logs/old/b.log", 0o644, "b"));
        want.push(kept(&host, "own", 0o750, &host));
        let binary = vec![0, 0xff, b'\n', b'\r'];
        want.push(Kept { content: binary, ..kept(&host, "two words é.txt", 0o644, "") });
        nothing_is_left(&fleet, number);
    }
    assert_eq!(artifacts(&environment), want);
    assert_eq!(files_kept(&environment).len(), 7, "four that all left, and one of each host");
    let told = outcome.json_lines();
    let told =
        told.iter().filter(|event| event["kind"] == "host_artifact" && event["host"] == *fleet.name(2));
    let paths: Vec<&str> = told.map(|event| event["path"].as_str().unwrap()).collect();
    assert_eq!(
        paths,
        ["deep/er/same", "empty.txt", "logs/a.log", "logs/old/b.log", "own", "two words é.txt"]
    );
}

#[test]
fn five_mebibytes_of_noise() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let line = "head -c 5242883 /dev/urandom >\"$CRONIUM_OUT/noise\"; sha256sum <\"$CRONIUM_OUT/noise\"";
    for target in [&*fleet.name(1), "local"] {
        environment.exec(&fleet, target).args(["-o", "quiet", "--", line]).run().succeeds().ignore();
        let ledger = environment.ledger();
        let told = ledger.output(&ledger.last_run(), target, "stdout").unwrap();
        let [noise] = &artifacts(&environment)[..] else { panic!("one file is kept") };
        assert_eq!((noise.path.as_str(), noise.content.len()), ("noise", 5_242_883));
        assert!(told.starts_with(sha256_hex(&noise.content).as_bytes()), "{target}");
    }
}

#[test]
fn caps_are_kept_and_said() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    payload(
        &environment,
        "{max_files: 3, max_bytes: 1KiB, outputs: [none, 'no/*.log']}",
        "cd \"$CRONIUM_OUT\"\nfor n in 1 2 3 4 5; do printf $n >f$n; done\n\
         head -c 1024 /dev/zero >fits; head -c 1025 /dev/zero >large\n",
    );
    let outcome = exec(&environment, &fleet, &["job"]).succeeds();
    let paths: Vec<String> = artifacts(&environment).into_iter().map(|kept| kept.path).collect();
    assert_eq!(paths, ["f1", "f2", "f3"]);
    let want = [
        "not fetched: large: over 1024 bytes; raise artifacts.max_bytes in manifest.yaml",
        "not fetched: f4, f5, fits: over 3 files; raise artifacts.max_files in manifest.yaml",
        "nothing matches artifacts.outputs: none, no/*.log",
    ];
    assert_eq!(warnings(&outcome), want);
}

/// What is no file of the script stays where it is.
#[test]
fn links_lead_nowhere() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    payload(
        &environment,
        "{outputs: ['conf/*', '*']}",
        "ln -s /etc/passwd \"$CRONIUM_OUT/passwd\"\nln -s /etc conf\n\
         mkfifo \"$CRONIUM_OUT/fifo\"\nln \"$0\" \"$CRONIUM_OUT/script\"\n",
    );
    let outcome = exec(&environment, &fleet, &["job"]).succeeds();
    let paths: Vec<String> = artifacts(&environment).into_iter().map(|kept| kept.path).collect();
    assert_eq!(paths, ["manifest.yaml", "run.sh", "script"]);
    let want = [
        "not fetched: conf, passwd: symlinks are not followed",
        "not fetched: fifo: not a regular file",
        "nothing matches artifacts.outputs: conf/*",
    ];
    assert_eq!(warnings(&outcome), want);
    nothing_is_left(&fleet, 1);
}

/// Of a script that fails or takes too long they are wanted most.
#[test]
fn however_the_script_ends() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let leave = "echo why >\"$CRONIUM_OUT/core\"";
    for (end, args, code) in
        [("exit 3", &[][..], 3), ("kill -9 $$", &[], 3), ("sleep 60", &["--timeout", "1s"], 5)]
    {
        let line = format!("{leave}; {end}");
        let args = [args, &["--", &line]].concat();
        exec(&environment, &fleet, &args).exits(code).ignore();
        let kept = artifacts(&environment);
        assert_eq!((kept.len(), kept[0].content.as_slice()), (1, b"why\n".as_slice()), "{end}");
        nothing_is_left(&fleet, 1);
    }
}

/// Ctrl-C does not wait for gigabytes, and none of them lie in memory.
#[test]
fn a_run_is_left_in_the_middle_of_a_file() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    payload(&environment, "{max_bytes: 4GiB}", "truncate -s 4G \"$CRONIUM_OUT/huge\"\n");
    let run = environment.exec(&fleet, &fleet.name(1)).args(["-o", "jsonl", "job"]).limit(60).start();
    let flows =
        || files_kept(&environment).iter().any(|file| file.metadata().is_ok_and(|meta| meta.len() > 1 << 20));
    assert!(until(30, flows));
    run.signal(Signal::INT);
    let status = fs::read_to_string(format!("/proc/{}/status", run.pid())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|peak| peak.trim().to_owned());
    let kilobytes: u64 = peak.and_then(|peak| peak.strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    assert!(kilobytes < 200_000, "{kilobytes} kB of memory");
    let outcome = run.wait();
    assert_eq!(artifacts(&environment), []);
    let want = "not fetched: huge: the run was cancelled";
    assert!(warnings(&outcome).iter().any(|warning| warning == want), "{outcome:?}");
    assert_eq!(files_kept(&environment), Vec::<PathBuf>::new());
    assert!(until(10, || fleet.runs(1).is_empty()));
}

/// Where a disk is full here, the host keeps what it has until it is collected.
#[test]
fn a_store_that_fails() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    exec(&environment, &fleet, &["--", "true"]).succeeds().ignore();
    // A file where the folder of contents is to be.
    fs::write(contents(&environment), "").unwrap();
    let line = "for n in 1 2 3; do head -c 200000 /dev/urandom >\"$CRONIUM_OUT/$n\"; done";
    let outcome = exec(&environment, &fleet, &["--", line]).exits(8);
    let (run, events) = (environment.ledger().last_run(), outcome.json_lines());
    let failure = &finished(&events, &fleet.name(1))["failure"];
    assert_eq!((&failure["phase"], &failure["kind"]), (&"lost".into(), &"store".into()));
    assert_eq!(failure["message"], "the artifact 1 cannot be kept here");
    assert_eq!(failure["hint"], format!("cronium-run collect {run}"));
    outcome.ignore();
    assert_eq!(artifacts(&environment), []);
    fs::remove_file(contents(&environment)).unwrap();
    environment.run(["collect"]).succeeds().ignore();
    let kept: Vec<_> = artifacts(&environment).into_iter().map(|kept| kept.path).collect();
    assert_eq!(kept, ["1", "2", "3"]);
    nothing_is_left(&fleet, 1);
}

/// The operator's files are there when the script starts; the host keeps them for the next run.
#[test]
fn inputs_arrive_and_are_kept() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let manifest = "{inputs: [{path: data/hosts.csv, from: inventory/hosts.csv}, {path: bin/tool, from: tool}, \
                    {path: again, from: tool}, {path: none, from: none}, {path: big, from: big}]}";
    payload(
        &environment,
        manifest,
        "set -e\ncat data/hosts.csv\nbin/tool\n./again\nwc -c <none\nsha256sum <big\n\
         stat -c '%a' . data bin data/hosts.csv bin/tool\n",
    );
    environment.write("inventory/hosts.csv", "one,two\n");
    let tool = environment.write("tool", "#!/bin/sh\necho tool\n");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o700)).unwrap();
    environment.write("none", "");
    let big: Vec<u8> = (0..700_000u32).flat_map(|at| (at ^ (at >> 7)).to_le_bytes()).collect();
    environment.write("big", &big);
    let cached = |content: &[u8]| fleet.home(1).join(".cache/cronium-run/payload").join(sha256_hex(content));
    let inode = |content: &[u8]| cached(content).metadata().unwrap().ino();
    let want = format!("one,two\ntool\ntool\n0\n{}  -\n700\n755\n755\n644\n755\n", sha256_hex(&big));
    let stdout = || {
        exec(&environment, &fleet, &["job"]).succeeds().ignore();
        let ledger = environment.ledger();
        let stdout = ledger.output(&ledger.last_run(), &fleet.name(1), "stdout").unwrap();
        nothing_is_left(&fleet, 1);
        String::from_utf8(stdout).unwrap()
    };
    assert_eq!(stdout(), want);
    let before = inode(&big);
    assert_eq!(stdout(), want);
    assert_eq!(inode(&big), before, "a file asked for again would be another");
    // Damaged in the cache, it comes anew.
    let mut damaged = big.clone();
    damaged[5] ^= 1;
    fs::write(cached(&big), damaged).unwrap();
    assert_eq!(stdout(), want);
    assert_eq!(fs::read(cached(&big)).unwrap(), big);
    // Changed at its source, it is another file.
    environment.write("inventory/hosts.csv", "three\n");
    assert_eq!(stdout(), want.replace("one,two", "three"));
}

#[test]
fn a_script_may_change_its_inputs() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    payload(&environment, "{inputs: [{path: list, from: list}], outputs: [list]}", "echo more >>list\n");
    environment.write("list", "first\n");
    for _ in 0..2 {
        exec(&environment, &fleet, &["job"]).succeeds().ignore();
        assert_eq!(artifacts(&environment), [kept(&fleet.name(1), "list", 0o644, "first\nmore\n")]);
    }
}

/// Found before any host is touched.
#[test]
fn inputs_that_cannot_be_had() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    environment.write("here", "text");
    symlink("/etc/passwd", environment.path("out")).unwrap();
    for (artifacts, want) in [
        ("{inputs: [{path: a, from: none}]}", "job: artifacts.inputs: cannot read none"),
        (
            "{inputs: [{path: a, from: out}]}",
            "job: artifacts.inputs: out leads out of the current folder, to /etc/passwd",
        ),
        (
            "{inputs: [{path: a, from: here}], max_bytes: 3}",
            "job: artifacts.inputs: here has 4 bytes, more than 3",
        ),
        (
            "{inputs: [{path: run.sh, from: here}]}",
            "job: artifacts.inputs: 'run.sh' is in the way of the payload's own 'run.sh'",
        ),
    ] {
        payload(&environment, artifacts, "");
        for extra in [&["job"][..], &["--check", "job"]] {
            let outcome = exec(&environment, &fleet, extra).exits(2);
            assert!(outcome.err().starts_with(&format!("error: {want}\n")), "{outcome:?}");
            assert!(outcome.err().contains("\nhint: "), "{outcome:?}");
        }
    }
    assert_eq!(fleet.logins(1), 0);
}

/// Whoever wrote the payload chose them.
#[test]
fn what_leaves_is_named_and_is_not_hidden() {
    let environment = Environment::new();
    let inputs = "{inputs: [{path: a, from: list}, {path: b, from: data/x}]}";
    payload(&environment, inputs, "cat a b\n");
    for name in ["list", "data/x", ".ssh/id"] {
        environment.write(name, "text\n");
    }
    let run = |args: &[&str]| environment.run([&["exec", "local", "job"], args].concat());
    assert!(run(&[]).succeeds().err().contains("sending 2 files: list, data/x\n"));
    for args in [&["-q"], &["--check"]] {
        assert!(!run(args).succeeds().err().contains("sending"), "{args:?}");
    }
    payload(&environment, "{inputs: [{path: a, from: .ssh/id}]}", "cat a\n");
    let told = run(&["-q"]).exits(2).err();
    assert!(told.contains("job: artifacts.inputs: .ssh/id is hidden"), "{told}");
}

#[test]
fn the_plan_lists_inputs() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    payload(&environment, "{inputs: [{path: data/x, from: here}]}", "");
    environment.write("here", "text");
    let plan = exec(&environment, &fleet, &["--check", "job"]).succeeds().json();
    let want = json!([{"path": "data/x", "from": "here", "digest": sha256_hex(b"text"), "bytes": 4}]);
    assert_eq!(plan["task"]["run"]["inputs"], want);
    assert_ne!(plan["task"]["run"]["payload"], Value::Null);
}

#[test]
fn inspect_shows_what_a_payload_may_touch() {
    let environment = Environment::new();
    environment.write(
        "job/manifest.yaml",
        "version: v1\nname: job\ninterpreter: sh\nentrypoint: run.sh\n\
         helpers: {read: ['app/*', two words], write: [], http: true}\n\
         artifacts: {outputs: ['logs/*'], inputs: [{path: a, from: b}], max_bytes: 1 MiB}\n",
    );
    environment.write("job/run.sh", "");
    let outcome = environment.run(["inspect", "job"]).succeeds();
    let shown = outcome.out();
    let want = "\
helpers      read 'app/*' 'two words'
             write no variable
             http
artifacts    input a from b
             output logs/*
             at most 255 files of 1048576 bytes each
";
    assert!(shown.contains(want), "{shown}");
}

/// The stub takes only the files that whoever signed the payload named, whole, and puts them
/// nowhere else.
#[test]
fn the_stub_refuses_what_the_manifest_does_not_name() {
    let key = TestKey::new(1);
    let manifest = "version: v1\nname: crafted\ninterpreter: sh\nentrypoint: run.sh\n\
                    artifacts: {inputs: [{path: link/x, from: a}, {path: b, from: b}]}\n";
    let script = b"#!/bin/sh\ncat b\n";
    let sound = Archive::new(manifest).file("run.sh", script).finish();
    let linked =
        Archive::new(manifest).file("run.sh", script).link("link", "tmp").file("tmp/y", b"").finish();
    let taken = Archive::new(manifest).file("run.sh", script).file("b", b"").finish();
    let file = |path: &str, content: &str| InputFile {
        path: path.into(),
        digest: sha256_hex(content.as_bytes()),
        size: content.len() as u64,
        executable: false,
    };
    let both = || vec![file("link/x", "one"), file("b", "two\n")];
    let with = |files: Vec<InputFile>, payload: &[u8]| Job { files, ..key.job(payload) };
    let extra = [both(), vec![file("../escaped", "one")]].concat();
    let other = InputFile { digest: "../escaped".into(), ..file("b", "two\n") };
    let table = [
        ("as it should be", &sound, both(), &["one", "two\n"][..], Ok("two\n")),
        ("one file for two", &sound, vec![file("link/x", "same"), file("b", "same")], &["same"], Ok("same")),
        ("none", &sound, vec![], &[], Err("policy")),
        ("one too many", &sound, extra, &[], Err("policy")),
        ("a bad digest", &sound, vec![file("link/x", "one"), other], &["one"], Err("verify")),
        ("changed on its way", &sound, both(), &["eno", "two\n"], Err("upload")),
        ("through a link", &linked, both(), &["one", "two\n"], Err("tempdir")),
        ("in the place of the payload's", &taken, both(), &["one", "two\n"], Err("exec")),
    ];
    for (case, payload, files, contents, want) in table {
        let home = tempfile::tempdir().unwrap();
        let mut stub = SpokenStub::start(home.path());
        let sent: Vec<String> = contents.iter().map(|content| (*content).to_owned()).collect();
        stub.send(&ToStub::Job(Box::new(with(files, payload))));
        stub.send(&ToStub::Payload(payload.clone()));
        let (mut asked, mut stdout) = (0, Vec::new());
        let end = loop {
            match stub.next() {
                FromStub::NeedFile { .. } => {
                    stub.send(&ToStub::Payload(sent[asked].clone().into_bytes()));
                    asked += 1;
                }
                FromStub::Stdout(bytes) => stdout.extend(bytes),
                FromStub::Finished(finished) => break finished.end,
                _ => {}
            }
        };
        match (end, want) {
            (End::Exited { code: 0 }, Ok(want)) => assert_eq!(stdout, want.as_bytes(), "{case}"),
            (End::Refused { phase, .. }, Err(want)) => assert_eq!(phase, want, "{case}"),
            (end, _) => panic!("{case}: {end:?}"),
        }
        stub.acknowledge();
        let runs = home.path().join(".local/state/cronium-run/runs");
        assert_eq!(fs::read_dir(&runs).map_or(0, Iterator::count), 0, "{case}");
        let cached = home.path().join(".cache/cronium-run/payload");
        for entry in fs::read_dir(cached).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            assert_eq!(sha256_hex(&fs::read(entry.path()).unwrap()), name, "{case}: kept under a wrong name");
        }
        assert!(!fs::exists(home.path().join(".cache/cronium-run/escaped")).unwrap(), "{case}");
    }
}
