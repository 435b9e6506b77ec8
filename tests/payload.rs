//! The commands about payloads, as a person types them: each in a home of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A home, a working folder and nothing of the environment of whoever runs the tests.
struct Home(tempfile::TempDir);

#[must_use]
#[derive(Debug, PartialEq)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let done = Command::new(env!("CARGO_BIN_EXE_cronium-run"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }

    /// Runs what must succeed and gives what it printed as data.
    fn data(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.out
    }

    /// Runs what must be refused and gives code and message, without the hints.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let ran = self.run(arguments);
        assert_ne!(ran.code, 0, "{arguments:?}");
        assert_eq!(ran.out, "");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        (ran.code, ran.err.split("\n\nhint: ").next().unwrap().trim_end().to_owned())
    }

    /// Unpacks the files that the real cosign made.
    fn vectors(&self) {
        const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/cosign.tar.gz");
        let file = fs::File::open(VECTORS).unwrap_or_else(|error| panic!("{VECTORS}: {error}"));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().file_name().unwrap().to_owned();
            let mut bytes = Vec::new();
            if entry.header().entry_type().is_file() {
                entry.read_to_end(&mut bytes).unwrap();
                fs::write(self.0.path().join(name), bytes).unwrap();
            }
        }
    }
}

#[test]
fn from_a_template_to_a_verified_payload() {
    for interpreter in ["bash", "python", "node"] {
        let home = Home::new();
        let written = home.data(&["init", "first-job", "--interpreter", interpreter]);
        assert_eq!(written.lines().next(), Some("first-job/manifest.yaml"));
        let packed = home.data(&["pack", "first-job"]);
        let (digest, file) = packed.trim_end().split_once("  ").unwrap();
        assert_eq!((digest.len(), file), (64, "first-job.tar.gz"));
        let bytes = fs::read(home.path(file)).unwrap();
        let bundle = fs::read(home.path("first-job.tar.gz.sigstore.json")).unwrap();

        assert_eq!(home.data(&["verify", file]), packed);
        assert_eq!(home.data(&["pack", "first-job"]), packed);
        assert_eq!(fs::read(home.path(file)).unwrap(), bytes);
        // The signature has no randomness in it either.
        assert_eq!(fs::read(home.path("first-job.tar.gz.sigstore.json")).unwrap(), bundle);

        // It does in its language what the first line of its script says to try.
        let run = ["exec", "local", file, "--input", r#"{"name": "Ada"}"#, "-o", "json"];
        for visits in 1..=2 {
            let told: serde_json::Value = serde_json::from_str(&home.data(&run)).unwrap();
            assert_eq!(told["hosts"][0]["output"]["visits"], visits, "{interpreter}: {told:#}");
        }
        assert!(home.data(&["logs", "last"]).contains("hello Ada from "), "{interpreter}");
        assert_eq!(home.data(&["vars", "get", "visits/local"]), "2\n");
        assert_eq!(home.data(&["artifacts", "last"]).lines().count(), 2, "a head and a file");
    }
}

#[test]
fn init_replaces_nothing() {
    let home = Home::new();
    let _ = home.data(&["init", "job"]);
    fs::write(home.path("job/run.sh"), "mine").unwrap();
    assert_eq!(home.refused(&["init", "job"]), (2, "error: job/manifest.yaml is already there".into()));
    assert_eq!(fs::read_to_string(home.path("job/run.sh")).unwrap(), "mine");
}

#[test]
fn packing_a_folder_from_inside_it_packs_no_output() {
    let home = Home::new();
    let _ = home.data(&["init", "job"]);
    let pack = || {
        let done = Command::new(env!("CARGO_BIN_EXE_cronium-run"))
            .args(["pack", "."])
            .current_dir(home.path("job"))
            .env("HOME", home.0.path())
            .env_remove("XDG_CONFIG_HOME")
            .output()
            .unwrap();
        assert!(done.status.success());
        done.stdout
    };
    assert_eq!(pack(), pack());
    // Named otherwise, it would be packed the next time.
    let _ = home.data(&["pack", "job", "-o", "job/out.tar.gz"]);
    let (code, message) = home.refused(&["pack", "job", "-o", "job/out.tar.gz"]);
    assert_eq!((code, message.as_str()), (2, "error: job/out.tar.gz would be packed into itself"));
}

#[test]
fn any_changed_byte_is_refused() {
    let home = Home::new();
    let _ = home.data(&["init", "job"]);
    let _ = home.data(&["pack", "job"]);
    let good = fs::read(home.path("job.tar.gz")).unwrap();
    for at in [0, 9, good.len() / 2, good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        fs::write(home.path("job.tar.gz"), changed).unwrap();
        let want = "error: job.tar.gz does not verify with job.tar.gz.sigstore.json
caused by: the signature was made for other bytes: the digests differ";
        assert_eq!(home.refused(&["verify", "job.tar.gz"]), (6, want.into()), "byte {at}");
    }
    fs::write(home.path("job.tar.gz"), good).unwrap();

    // Another key's bundle, over the same bytes.
    fs::rename(home.path(".config"), home.path("old")).unwrap();
    let _ = home.data(&["sign", "job.tar.gz"]);
    let (code, message) = home.refused(&["verify", "job.tar.gz", "--key", "old/cronium-run/operator.pub"]);
    assert_eq!(code, 6);
    assert!(message.contains("caused by: the signature is not of a trusted key (SHA256:"), "{message}");

    fs::remove_file(home.path("job.tar.gz.sigstore.json")).unwrap();
    let (code, message) = home.refused(&["verify", "job.tar.gz"]);
    assert_eq!((code, message.lines().next()), (6, Some("error: job.tar.gz has no signature beside it")));
}

/// A signature makes no hostile archive a good one.
#[test]
fn what_breaks_the_rules_is_refused_though_signed() {
    let home = Home::new();
    let manifest = "version: v1\ninterpreter: sh\nentrypoint: run.sh\n";
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut add = |name: &str, content: &str| {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    };
    add("manifest.yaml", manifest);
    add("run.sh", "");
    add("../../escape", "");
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    fs::write(home.path("bad.tar.gz"), &bytes).unwrap();
    let want = "error: bad.tar.gz is refused\ncaused by: entry '../../escape' holds '..'";
    assert_eq!(home.refused(&["sign", "bad.tar.gz"]), (6, want.into()));
    assert_eq!(home.refused(&["inspect", "bad.tar.gz"]), (6, want.into()));

    // Signed by hand, with the key of a good payload.
    let _ = home.data(&["init", "job"]);
    let _ = home.data(&["pack", "job"]);
    let pem = fs::read_to_string(home.path(".config/cronium-run/operator.key")).unwrap();
    let key = {
        use p256::pkcs8::DecodePrivateKey as _;
        p256::ecdsa::SigningKey::from_pkcs8_pem(&pem).unwrap()
    };
    let signature: p256::ecdsa::DerSignature = p256::ecdsa::signature::Signer::sign(&key, &bytes);
    let text = <base64ct::Base64 as base64ct::Encoding>::encode_string(signature.as_bytes());
    fs::write(home.path("bad.tar.gz.sig"), text).unwrap();
    assert_eq!(home.refused(&["verify", "bad.tar.gz"]), (6, want.into()));
}

#[test]
fn cosigns_signatures_of_a_file_that_is_no_payload() {
    let home = Home::new();
    home.vectors();
    let table = [
        ("blob.bin.2.5.0.sig", "key-2.5.0-password.pub", true),
        ("blob.bin.2.5.0.legacy.json", "key-2.5.0-password.pub", true),
        ("blob.bin.2.5.0.sigstore.json", "key-2.5.0-password.pub", true),
        ("blob.bin.3.1.1.sigstore.json", "key-3.1.1-password.pub", true),
        ("blob.bin.3.1.1.sigstore.json", "key-3.1.1-empty.pub", false),
    ];
    for (bundle, key, verifies) in table {
        let (code, message) = home.refused(&["verify", "blob.bin", "--bundle", bundle, "--key", key]);
        assert_eq!(code, 6);
        // The signature is asked first, the contents only when it is right.
        let want = if verifies { "error: blob.bin is refused" } else { "error: blob.bin does not verify" };
        assert!(message.starts_with(want), "{bundle}: {message}");
    }
}

#[test]
fn a_pair_made_for_cosign() {
    let home = Home::new();
    let password = [("COSIGN_PASSWORD", "correct horse")];
    let made = home.run_with(&["keygen", "release"], &password);
    assert_eq!((made.code, made.out.as_str()), (0, "release.key\nrelease.pub\n"));
    let _ = home.data(&["init", "job"]);
    let packed = home.run_with(&["pack", "job", "--key", "release.key"], &password);
    assert_eq!(packed.code, 0, "{}", packed.err);
    assert_eq!(home.data(&["verify", "job.tar.gz", "--key", "release.pub"]), packed.out);

    let wrong = home.run_with(&["sign", "job.tar.gz", "--key", "release.key"], &[("COSIGN_PASSWORD", "")]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.starts_with("error: the password does not open release.key\n"), "{}", wrong.err);
    // No password and nobody to ask: an answer, not a wait.
    let unasked = "error: no password for release.key, and no terminal to ask for it";
    assert_eq!(home.refused(&["sign", "job.tar.gz", "--key", "release.key"]), (2, unasked.into()));
    // Keys in each other's place.
    let (code, message) = home.refused(&["verify", "job.tar.gz", "--key", "release.key"]);
    assert_eq!((code, message.lines().next()), (2, Some("error: release.key is not a public key")));
    let (code, message) = home.refused(&["sign", "job.tar.gz", "--key", "release.pub"]);
    assert_eq!((code, message.lines().next()), (2, Some("error: release.pub is not a signing key")));
}

#[test]
fn inspect_tells_what_is_there() {
    let home = Home::new();
    fs::create_dir(home.path("job")).unwrap();
    let manifest = "version: v1\nname: disk\nrelease: 7\ninterpreter: sh\nentrypoint: run.sh\nargs: [a b]\n\
                    timeout: 90s\nmetadata: {eventId: \"42\"}\n";
    fs::write(home.path("job/manifest.yaml"), manifest).unwrap();
    fs::write(home.path("job/run.sh"), "echo hi\n").unwrap();
    let _ = home.data(&["pack", "job"]);

    let text = home.data(&["inspect", "disk.tar.gz"]);
    let lines: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(label, rest)| (label, rest.trim())))
        .collect();
    assert_eq!((lines["name"], lines["release"], lines["args"]), ("disk", "7", "'a b'"));
    assert_eq!((lines["timeout"], lines["metadata"]), ("1m30s", "eventId: \"42\""));
    assert!(lines["signature"].starts_with("verified with "), "{text}");
    assert!(text.ends_with("  0755         8  run.sh\n"), "{text}");

    let json: serde_json::Value =
        serde_json::from_str(&home.data(&["inspect", "disk.tar.gz", "-o", "json"])).unwrap();
    assert_eq!(json["manifest"]["timeout"], "1m30s");
    assert_eq!(json["signature"]["verified"], true);
    let script = serde_json::json!({"path": "run.sh", "type": "file", "size": 8, "mode": "0755"});
    assert_eq!(json["files"][1], script);

    // A folder and a script are packed in memory and have no signature.
    assert!(home.data(&["inspect", "job"]).contains("\nsignature    none\n"));
    assert!(home.data(&["inspect", "job/run.sh"]).contains("\ninterpreter  sh\n"));
}

#[test]
fn faults_have_their_place_and_a_hint() {
    let home = Home::new();
    fs::create_dir(home.path("job")).unwrap();
    fs::write(home.path("job/manifest.yaml"), "version: v1\nname: x\ninterpretor: sh\n").unwrap();
    let want = "error: job/manifest.yaml:3:1: unknown key 'interpretor', did you mean 'interpreter'?";
    assert_eq!(home.refused(&["pack", "job"]), (2, want.into()));
    let nothing = [
        (vec!["pack", "gone"], 2, "error: gone is not a folder"),
        (vec!["inspect", "gone"], 2, "error: cannot read gone"),
        (vec!["verify", "gone"], 2, "error: no public key to verify with: there is no operator key yet"),
        (vec!["sign", "job"], 2, "error: job is a folder, not a packed payload"),
        (vec!["keygen"], 2, "error: no password for the new key, and no terminal to ask for it"),
    ];
    for (arguments, code, want) in nothing {
        let ran = home.run(&arguments);
        assert_eq!((ran.code, ran.err.lines().next()), (code, Some(want)), "{arguments:?}");
        assert!(ran.err.contains("\n\nhint: "), "{arguments:?}: {}", ran.err);
    }
    assert!(!Path::new(&home.path(".config")).exists(), "looking makes no keys");
}
