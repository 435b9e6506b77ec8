use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use cronium_wire::archive;
use proptest::prelude::*;

use super::*;
use crate::error::ExitCode;
use crate::payload::load_any;

const MANIFEST: &str = "version: v1\ninterpreter: sh\nentrypoint: run.sh\n";

/// A folder of its own with a manifest and its script.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("manifest.yaml", MANIFEST).write("run.sh", "echo hi\n")
    }

    fn write(self, name: &str, content: &str) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("Disk Report")
    }
}

fn paths(packed: &Packed) -> Vec<&str> {
    packed.entries.iter().map(|entry| entry.path.as_str()).collect()
}

#[test]
fn a_folder_packs_the_same_wherever_and_whenever() {
    let make = |order: &[&str], mode: u32| {
        let folder = order.iter().fold(Folder::new(), |folder, name| folder.write(name, name));
        fs::set_permissions(folder.path().join("run.sh"), fs::Permissions::from_mode(mode)).unwrap();
        folder
    };
    let one = make(&["b/z", "a", "b.txt", "B"], 0o755);
    let two = make(&["B", "b.txt", "a", "b/z"], 0o600);
    let (first, again, other) =
        (pack_dir(&one.path()).unwrap(), pack_dir(&one.path()).unwrap(), pack_dir(&two.path()).unwrap());
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(first.bytes, other.bytes);
    assert_eq!(paths(&first), ["manifest.yaml", "B", "a", "b.txt", "b/z", "run.sh"]);
    assert_eq!(first.name, "disk-report");

    // gzip: no time, no name, no system; tar: nobody's, of no time.
    assert_eq!(first.bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(first.bytes.as_slice()));
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
        let mode = if entry.path().unwrap() == Path::new("run.sh") { 0o755 } else { 0o644 };
        assert_eq!(header.mode().unwrap(), mode);
    }
}

/// The bytes are a promise to everybody who compares digests.
#[test]
fn the_bytes_of_the_tar_do_not_change() {
    use std::io::Read as _;
    let packed = pack_command(&["uptime".into(), "-p".into()]).unwrap();
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(packed.bytes.as_slice()).read_to_end(&mut tar).unwrap();
    assert_eq!(
        cronium_wire::digest::sha256_hex(&tar),
        "fc10615f9414415d61d1b3da72224753caeb4028dac7e7cbda5396dc52c96ac2"
    );
}

#[test]
fn what_is_left_out() {
    let folder = Folder::new()
        .write(".croniumignore", "*.log\n/build/\n")
        .write("a.log", "")
        .write("deep/b.log", "")
        .write("deep/build/kept", "")
        .write("build/gone", "")
        .write("local/.croniumignore", "secret\n")
        .write("local/secret", "")
        .write("local/kept", "")
        .write(".git/config", "")
        .write(".gitignore", "run.sh\n")
        .write("._run.sh", "")
        .write(".DS_Store", "")
        .write(".hidden", "")
        .write("disk-report.tar.gz", "of an earlier run")
        .write("disk-report.tar.gz.sigstore.json", "");
    fs::create_dir(folder.path().join("empty")).unwrap();
    symlink("deep/build", folder.path().join("link")).unwrap();
    let packed = pack_dir(&folder.path()).unwrap();
    let want = [
        "manifest.yaml",
        ".gitignore",
        ".hidden",
        "deep/build/kept",
        "empty",
        "link",
        "local/kept",
        "run.sh",
    ];
    assert_eq!(paths(&packed), want);
}

#[test]
fn what_cannot_be_packed() {
    let broken = |change: &dyn Fn(&Path)| {
        let folder = Folder::new();
        change(&folder.path());
        let error = pack_dir(&folder.path()).unwrap_err();
        let place = folder.path().display().to_string();
        assert_eq!(error.code, ExitCode::Usage);
        assert!(!error.hints.is_empty());
        [vec![error.message], error.causes].concat().join(": ").replace(&place, "DIR")
    };
    type Change = fn(&Path);
    let table: &[(&str, Change)] = &[
        ("no manifest.yaml in DIR", |dir| fs::remove_file(dir.join("manifest.yaml")).unwrap()),
        ("both manifest.yaml and manifest.yml in DIR", |dir| {
            fs::write(dir.join("manifest.yml"), "").unwrap()
        }),
        ("DIR/manifest.yaml:2:1: unknown key 'interpretor', did you mean 'interpreter'?", |dir| {
            fs::write(dir.join("manifest.yaml"), "version: v1\ninterpretor: sh\n").unwrap();
        }),
        ("DIR cannot be packed: entrypoint 'run.sh' is not in the payload", |dir| {
            fs::remove_file(dir.join("run.sh")).unwrap();
        }),
        ("DIR cannot be packed: entrypoint 'run.sh' is not in the payload", |dir| {
            fs::write(dir.join(".croniumignore"), "*.sh\n").unwrap();
        }),
        ("DIR cannot be packed: entry 'l' links to '/etc', outside of the payload", |dir| {
            symlink("/etc", dir.join("l")).unwrap();
        }),
        ("DIR cannot be packed: entry 'l' links to '../x', outside of the payload", |dir| {
            symlink("../x", dir.join("l")).unwrap();
        }),
        ("DIR/s is a device, socket or pipe", |dir| drop(UnixListener::bind(dir.join("s")).unwrap())),
        ("DIR cannot be packed: unpacks to more than 200 times its size", |dir| {
            fs::write(dir.join("zeros"), vec![0; 8 << 20]).unwrap();
        }),
        ("DIR cannot be packed: more than 1024 MiB unpacked", |dir| {
            fs::File::create(dir.join("sparse")).unwrap().set_len((1 << 30) + 1).unwrap();
        }),
    ];
    for (want, change) in table {
        assert_eq!(broken(change), *want);
    }
}

#[test]
fn an_older_manifest_name_is_packed_as_the_new_one() {
    let folder = Folder::new();
    fs::rename(folder.path().join("manifest.yaml"), folder.path().join("manifest.yml")).unwrap();
    assert_eq!(paths(&pack_dir(&folder.path()).unwrap()), ["manifest.yaml", "run.sh"]);
}

#[test]
fn commands() {
    let pack = |argv: &[&str]| {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        pack_command(&argv)
    };
    let line = pack(&["uptime -p | cat"]).unwrap();
    assert_eq!((line.name.as_str(), line.manifest.args.len()), ("uptime", 0));
    assert_eq!(script_of(&line), "uptime -p | cat\n");

    let exact =
        pack(&["/usr/bin/printf", "%s\n", "a  b", "$HOME", "'\"", "", "ü\u{7f}\u{85}\u{1f600}"]).unwrap();
    assert_eq!(exact.name, "printf");
    assert_eq!(script_of(&exact), "exec \"$@\"\n");
    assert_eq!(exact.manifest.args[3..], ["$HOME", "'\"", "", "ü\u{7f}\u{85}\u{1f600}"]);
    assert_eq!(
        exact.bytes,
        pack(&["/usr/bin/printf", "%s\n", "a  b", "$HOME", "'\"", "", "ü\u{7f}\u{85}\u{1f600}"])
            .unwrap()
            .bytes
    );

    for argv in [&[] as &[&str], &[""], &["  "], &["", "x"], &["a\0b"]] {
        assert_eq!(pack(argv).unwrap_err().code, ExitCode::Usage, "{argv:?}");
    }
    assert_eq!(pack(&["…"]).unwrap().name, "command");
}

/// The script of a one-off command, as a host would get it.
fn script_of(packed: &Packed) -> String {
    let folder = tempfile::tempdir().unwrap();
    let manifest = archive::unpack(&packed.bytes, folder.path()).unwrap();
    fs::read_to_string(folder.path().join(manifest.entrypoint)).unwrap()
}

#[test]
fn one_script() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Nightly Backup.py");
    fs::write(&path, "print(1)\n").unwrap();
    let packed = load_any(&path).unwrap();
    assert_eq!(
        (packed.name.as_str(), paths(&packed)),
        ("nightly-backup", vec!["manifest.yaml", "Nightly Backup.py"])
    );
    assert_eq!(script_of(&packed), "print(1)\n");
    assert_eq!(packed.bytes, load_any(&path).unwrap().bytes);

    let path = folder.path().join("notes.txt");
    fs::write(&path, "hello").unwrap();
    let error = load_any(&path).unwrap_err();
    assert_eq!(error.message, format!("cannot tell what runs {}", path.display()));
}

/// Every payload we ship keeps the rules, and each template is what `init` writes.
#[test]
fn shipped_payloads() {
    let payloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads");
    for name in ["init/bash", "init/python", "init/node", "disk-report", "count-visits"] {
        let packed = pack_dir(&payloads.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(packed.name, name.rsplit('/').next().unwrap());
    }
}

proptest! {
    #[test]
    fn any_command_survives(argv in prop::collection::vec("[^\0]{1,20}", 2..6)) {
        let packed = pack_command(&argv).unwrap();
        let folder = tempfile::tempdir().unwrap();
        prop_assert_eq!(archive::unpack(&packed.bytes, folder.path()).unwrap().args, argv);
    }
}
