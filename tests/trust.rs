//! What was not signed does not run; what leaves its folder is not unpacked. Refused on the
//! operator's side and, where the operator's side is gone around, by the stub.

use std::fs;
use std::path::Path;

use cronium_wire::message::{End, FromStub, Job};
use tar::EntryType;

mod harness;

use harness::{Archive, Environment, Fleet, MANIFEST, SpokenStub, TestKey};

/// Archives that no stub may unpack, whoever signed them.
fn crafted() -> Vec<(&'static str, Vec<u8>)> {
    let elsewhere = MANIFEST.replace("entrypoint: run.sh", "entrypoint: ../run.sh");
    let absolute = MANIFEST.replace("entrypoint: run.sh", "entrypoint: /bin/ls");
    let missing = MANIFEST.replace("entrypoint: run.sh", "entrypoint: no-such.sh");
    let with = |manifest: &str| Archive::new(manifest).file("run.sh", b"#!/bin/sh\necho ran\n");
    vec![
        ("a .. path", Archive::sound().file("../escaped", b"x").finish()),
        ("a .. path in the middle", Archive::sound().file("a/../../escaped", b"x").finish()),
        ("an absolute path", Archive::sound().file("/tmp/cronium-run-escaped", b"x").finish()),
        ("a link out", Archive::sound().link("out", "../..").finish()),
        ("an absolute link", Archive::sound().link("out", "/etc").finish()),
        ("a file through a link", Archive::sound().link("out", "..").file("out/escaped", b"x").finish()),
        ("a hard link out", Archive::sound().hard_link("out", "/etc/passwd").finish()),
        ("a device", Archive::sound().entry("null", EntryType::Char, "", b"").finish()),
        ("a fifo", Archive::sound().entry("pipe", EntryType::Fifo, "", b"").finish()),
        ("a doubled name", Archive::sound().file("run.sh", b"#!/bin/sh\necho other\n").finish()),
        ("an entrypoint outside", with(&elsewhere).finish()),
        ("an absolute entrypoint", with(&absolute).finish()),
        ("an entrypoint that is missing", with(&missing).finish()),
        ("no manifest", harness::gzip(&[0; 1024])),
        ("an unknown key", with(&format!("{MANIFEST}entripoint: x\n")).finish()),
        ("not a tar", harness::gzip(b"just some text")),
        ("not a gzip", b"just some text".to_vec()),
        ("a bomb", Archive::sound().file("zeros", &vec![0; 8 << 20]).finish()),
    ]
}

/// A key pair with the empty password.
fn keygen(environment: &Environment, name: &str) {
    environment.command(["keygen", name]).env("COSIGN_PASSWORD", "").run().succeeds().ignore();
}

#[test]
fn the_operator_refuses_crafted_archives() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    for (case, bytes) in crafted() {
        environment.write("crafted.tar.gz", bytes);
        let outcome = environment.exec(&fleet, &fleet.name(1)).arg("crafted.tar.gz").run();
        assert!([2, 6].contains(&outcome.code), "{case}: {outcome:?}");
        assert!(outcome.err().contains("error:"), "{case}: {outcome:?}");
        assert_eq!(fleet.executed(1).len(), 0, "{case}: no host is touched");
    }
}

#[test]
fn the_operator_refuses_crafted_folders() {
    let environment = Environment::new();
    let fresh = |name: &str, manifest: &str| {
        environment.write(format!("{name}/manifest.yaml"), manifest);
        environment.write(format!("{name}/run.sh"), "#!/bin/sh\necho ran\n");
    };
    fresh("outside", &MANIFEST.replace("run.sh", "../run.sh"));
    fresh("missing", &MANIFEST.replace("run.sh", "no-such.sh"));
    fresh("link", MANIFEST);
    std::os::unix::fs::symlink("../..", environment.path("link/out")).unwrap();
    fresh("sound", MANIFEST);
    for (folder, refused) in [("outside", true), ("missing", true), ("link", true), ("sound", false)] {
        let outcome = environment.run(["pack", folder]);
        assert_eq!([2, 6].contains(&outcome.code), refused, "{folder}: {outcome:?}");
        assert!(refused || outcome.code == 0, "{folder}: {outcome:?}");
    }
}

#[test]
fn the_operator_refuses_what_the_signature_does_not_cover() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    keygen(&environment, "right");
    keygen(&environment, "other");
    environment.write("job/manifest.yaml", MANIFEST);
    environment.write("job/run.sh", "#!/bin/sh\necho ran\n");
    let pack = |key: &str, out: &str| {
        let pack = environment.command(["pack", "job", "-o", out, "--key", key]).env("COSIGN_PASSWORD", "");
        pack.run().succeeds().ignore();
    };
    pack("right.key", "job.tar.gz");
    pack("other.key", "other.tar.gz");
    let archive = environment.path("job.tar.gz");
    let bundle = environment.path("job.tar.gz.sigstore.json");
    let (right, right_bundle) = (fs::read(&archive).unwrap(), fs::read(&bundle).unwrap());
    let other_bundle = fs::read(environment.path("other.tar.gz.sigstore.json")).unwrap();
    assert!(right == fs::read(environment.path("other.tar.gz")).unwrap(), "packing is deterministic");

    let check = |case: &str, codes: &[i32]| {
        let verify = environment.run(["verify", "job.tar.gz", "--key", "right.pub"]);
        assert!(codes.contains(&verify.code), "verify, {case}: {verify:?}");
        let exec =
            environment.exec(&fleet, &fleet.name(1)).args(["-o", "quiet", "--verify-key", "right.pub"]);
        let exec = exec.arg("job.tar.gz").run();
        assert!(codes.contains(&exec.code), "exec, {case}: {exec:?}");
    };
    let mut changed = right.clone();
    // The last byte of the compressed data, before gzip's own check sum of 8 bytes.
    let at = changed.len() - 9;
    changed[at] ^= 1;
    fs::write(&archive, &changed).unwrap();
    check("one changed byte", &[6]);
    fs::write(&archive, [right.as_slice(), b"\0"].concat()).unwrap();
    check("one byte more", &[6]);
    fs::write(&archive, &right).unwrap();
    fs::write(&bundle, &other_bundle).unwrap();
    check("another key's bundle", &[6]);
    let mut flipped = String::from_utf8(right_bundle.clone()).unwrap();
    let at = flipped.find("\"signature\"").unwrap() + 30;
    let letter = if &flipped[at..=at] == "A" { "B" } else { "A" };
    flipped.replace_range(at..=at, letter);
    fs::write(&bundle, flipped).unwrap();
    check("one changed byte of the signature", &[6]);
    fs::write(&bundle, "{}").unwrap();
    check("an empty bundle", &[2, 6]);
    fs::remove_file(&bundle).unwrap();
    check("no bundle", &[2, 6]);
    assert_eq!(fleet.executed(1).len(), 0, "no host was touched");
    fs::write(&bundle, &right_bundle).unwrap();
    check("as it was", &[0]);
}

#[test]
fn the_stub_refuses_crafted_archives() {
    let key = TestKey::new(1);
    let (sound, home) = (Archive::sound().finish(), tempfile::tempdir().unwrap());
    let (end, _) = SpokenStub::start(home.path()).end_of(key.job(&sound), &sound);
    assert_eq!(end, End::Exited { code: 0 }, "what the others are made from is sound");
    for (case, bytes) in crafted() {
        let home = tempfile::tempdir().unwrap();
        refused(case, home.path(), key.job(&bytes), &bytes);
    }
    assert!(!Path::new("/tmp/cronium-run-escaped").exists());
}

#[test]
fn the_stub_refuses_what_the_signature_does_not_cover() {
    let (key, other) = (TestKey::new(1), TestKey::new(2));
    let payload = Archive::sound().finish();
    let mut changed = payload.clone();
    let at = changed.len() - 9;
    changed[at] ^= 1;
    let digest = cronium_wire::digest::sha256_hex(&changed);
    let job = |change: &dyn Fn(&mut Job)| {
        let mut job = key.job(&payload);
        change(&mut job);
        job
    };
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    refused("a changed byte under the old digest", home, key.job(&payload), &changed);
    refused(
        "a changed byte under its own digest",
        home,
        job(&|job| job.digest.clone_from(&digest)),
        &changed,
    );
    refused("another key's signature", home, job(&|job| job.signature = other.sign(&payload)), &payload);
    refused("another key", home, job(&|job| job.session_key = other.public_pem()), &payload);
    refused("no signature", home, job(&|job| job.signature.clear()), &payload);
    refused("no key", home, job(&|job| job.session_key.clear()), &payload);
    let signature = key.sign(b"something else");
    refused(
        "a signature of something else",
        home,
        job(&|job| job.signature.clone_from(&signature)),
        &payload,
    );

    let (end, stdout) = SpokenStub::start(home).end_of(key.job(&payload), &payload);
    assert_eq!((end, stdout.as_slice()), (End::Exited { code: 0 }, b"ran\n".as_slice()), "as it should be");

    // A refused payload was not kept under a digest that is asked for later.
    let mut job = key.job(&payload);
    job.payload_follows = false;
    job.signature = other.sign(&payload);
    refused("another key's signature of a cached payload", home, job, &payload);
}

/// Where a key is pinned only that one counts, whatever the operator says.
#[test]
fn the_stub_obeys_pinned_keys() {
    let (key, other) = (TestKey::new(1), TestKey::new(2));
    let payload = Archive::sound().finish();
    let home = tempfile::tempdir().unwrap();
    let trust = home.path().join(".config/cronium-run/trust");
    fs::create_dir_all(&trust).unwrap();
    fs::write(trust.join("team.pub"), key.public_pem()).unwrap();
    refused("the operator's key beside a pinned one", home.path(), other.job(&payload), &payload);
    let seen = SpokenStub::start(home.path()).run(key.job(&payload), &payload);
    let pinned = seen.iter().find_map(|message| match message {
        FromStub::Started(started) => Some(started.pinned),
        _ => None,
    });
    assert_eq!(pinned, Some(true));
    // A pinned key that cannot be read is no reason to trust anybody.
    fs::write(trust.join("team.pub"), "not a key").unwrap();
    refused("a broken pinned key", home.path(), other.job(&payload), &payload);
}

/// The stub refuses the job: nothing ran, nothing left its folder, nothing stays.
#[track_caller]
fn refused(case: &str, home: &Path, job: Job, payload: &[u8]) {
    let (end, stdout) = SpokenStub::start(home).end_of(job, payload);
    assert!(matches!(end, End::Refused { .. }), "{case}: {end:?}");
    assert!(stdout.is_empty(), "{case}: it ran: {}", String::from_utf8_lossy(&stdout));
    let runs = home.join(".local/state/cronium-run/runs");
    assert_eq!(fs::read_dir(&runs).map_or(0, Iterator::count), 0, "{case}: something stays in {runs:?}");
    let mut files = Vec::new();
    walk(home, &mut files);
    assert!(!files.iter().any(|file| file.ends_with("escaped")), "{case}: {files:?}");
}

fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
