use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;

use cronium_wire::digest::sha256_hex;
use cronium_wire::frame::Decoder;
use cronium_wire::message::Message as _;

use super::*;
use crate::run_folder::{private_all, random_word};

/// What came: path, mode, content and whether the digest was right; or a warning.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    File(String, u32, Vec<u8>),
    Cut(String),
    Warning(String),
}

fn file(path: &str, content: &str) -> Got {
    Got::File(path.into(), 0o644, content.into())
}

fn warning(text: &str) -> Got {
    Got::Warning(text.into())
}

/// A run folder without the rest of a run.
struct Folder(RunFolder);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(random_word().unwrap());
        private_all(&path.join("out")).unwrap();
        private_all(&path.join("work")).unwrap();
        Self(RunFolder::at(path))
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn sent(&self, artifacts: &Artifacts) -> Vec<Got> {
        self.sent_until(artifacts, || false)
    }

    fn sent_until(&self, artifacts: &Artifacts, stopped: impl FnMut() -> bool) -> Vec<Got> {
        let (mut link, out) = io::pipe().unwrap();
        let operator = thread::spawn(move || {
            let mut bytes = Vec::new();
            link.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let uplink = Uplink::over(OwnedFd::from(out).into());
        send_outputs(&self.0, artifacts, &uplink, stopped);
        uplink.hang_up();
        let mut decoder = Decoder::default();
        decoder.push(&operator.join().unwrap());
        let mut got = Vec::new();
        let mut open: Option<(Artifact, Vec<u8>)> = None;
        while let Some(frame) = decoder.next().unwrap() {
            match FromStub::decode(frame).unwrap() {
                FromStub::Artifact(artifact) => open = Some((artifact, Vec::new())),
                FromStub::ArtifactPiece(piece) => open.as_mut().unwrap().1.extend(piece),
                FromStub::ArtifactEnd { digest } => {
                    let (Artifact { path, size, mode }, content) = open.take().unwrap();
                    got.push(match digest.is_empty() {
                        true => Got::Cut(path),
                        false => {
                            assert_eq!(
                                (sha256_hex(&content), content.len() as u64),
                                (digest, size),
                                "{path}"
                            );
                            Got::File(path, mode, content)
                        }
                    });
                }
                FromStub::Warning { message } => got.push(Got::Warning(message)),
                other => panic!("{other:?}"),
            }
        }
        got
    }
}

fn outputs(patterns: &[&str]) -> Artifacts {
    Artifacts {
        outputs: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..Artifacts::default()
    }
}

#[test]
fn by_path_from_both_folders() {
    let folder = Folder::new();
    folder.write("out/z", "out");
    folder.write("out/deep/er/a", "");
    folder.write("work/run.sh", "not wanted");
    folder.write("work/logs/b.log", "b");
    folder.write("work/logs/old/c.log", "c");
    let want =
        |files: &[(&str, &str)]| files.iter().map(|(path, content)| file(path, content)).collect::<Vec<_>>();
    assert_eq!(folder.sent(&outputs(&[])), want(&[("deep/er/a", ""), ("z", "out")]));
    assert_eq!(
        folder.sent(&outputs(&["logs/*.log"])),
        want(&[("deep/er/a", ""), ("logs/b.log", "b"), ("z", "out")])
    );
    assert_eq!(
        folder.sent(&outputs(&["**/*.log", "logs/**"])),
        want(&[("deep/er/a", ""), ("logs/b.log", "b"), ("logs/old/c.log", "c"), ("z", "out")])
    );
}

#[test]
fn bytes_and_modes() {
    let folder = Folder::new();
    let content: Vec<u8> = (0..CHUNK * 3 + 7).map(|at| (at * 31 % 251) as u8).collect();
    folder.write("out/binary", &content);
    fs::set_permissions(folder.0.out().join("binary"), fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(folder.sent(&outputs(&[])), [Got::File("binary".into(), 0o755, content)]);
}

#[test]
fn nothing_is_nothing() {
    let folder = Folder::new();
    assert_eq!(folder.sent(&outputs(&[])), []);
    fs::remove_dir(folder.0.out()).unwrap();
    fs::remove_dir(folder.0.work()).unwrap();
    assert_eq!(folder.sent(&outputs(&[])), []);
    let want = "nothing matches artifacts.outputs: a, b/*, c and 1 more";
    assert_eq!(folder.sent(&outputs(&["a", "b/*", "c", "d"])), [warning(want)]);
}

#[test]
fn a_pattern_that_matches_a_folder_matches_no_file() {
    let folder = Folder::new();
    folder.write("work/logs/a", "");
    assert_eq!(folder.sent(&outputs(&["logs"])), [warning("nothing matches artifacts.outputs: logs")]);
}

#[test]
fn links_and_special_files_stay() {
    let folder = Folder::new();
    symlink("/etc/passwd", folder.0.out().join("passwd")).unwrap();
    symlink("/etc", folder.0.out().join("etc")).unwrap();
    symlink("/etc", folder.0.work().join("conf")).unwrap();
    symlink("run.sh", folder.0.work().join("x.log")).unwrap();
    folder.write("work/run.sh", "");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.0.out().join("fifo"),
        FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.0.out().join("socket")).unwrap();
    let want = [
        warning("not fetched: etc, passwd, x.log: symlinks are not followed"),
        warning("not fetched: fifo, socket: not a regular file"),
        warning("nothing matches artifacts.outputs: conf/*"),
    ];
    assert_eq!(folder.sent(&outputs(&["conf/*", "*.log"])), want);
}

/// The script may put links in the place of what it was given.
#[test]
fn a_folder_that_became_a_link() {
    for name in ["out", "work"] {
        let folder = Folder::new();
        fs::remove_dir(folder.0.path().join(name)).unwrap();
        symlink("/etc", folder.0.path().join(name)).unwrap();
        let variable = if name == "out" { "$CRONIUM_OUT" } else { "$CRONIUM_WORK_DIR" };
        let want = [
            warning(&format!("not fetched: {variable}: cannot be read")),
            warning("nothing matches artifacts.outputs: passwd"),
        ];
        assert_eq!(folder.sent(&outputs(&["passwd"])), want, "{name}");
    }
}

#[test]
fn caps_are_told() {
    let folder = Folder::new();
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        folder.write(&format!("out/{name}"), "12");
        folder.write(&format!("out/large-{name}"), "123");
    }
    let artifacts = Artifacts { max_files: 2, max_bytes: 2, ..Artifacts::default() };
    let large =
        "large-a, large-b, large-c and 4 more: over 2 bytes; raise artifacts.max_bytes in manifest.yaml";
    let want = [
        file("a", "12"),
        file("b", "12"),
        warning(&format!("not fetched: {large}")),
        warning("not fetched: c, d, e and 2 more: over 2 files; raise artifacts.max_files in manifest.yaml"),
    ];
    assert_eq!(folder.sent(&artifacts), want);
}

#[test]
fn one_path_in_both_folders() {
    let folder = Folder::new();
    for (out, work) in [("same", "same"), ("file", "file/beneath"), ("folder/file", "folder")] {
        folder.write(&format!("out/{out}"), "out");
        folder.write(&format!("work/{work}"), "work");
    }
    let taken = "not fetched: file/beneath, folder, same: a file of $CRONIUM_OUT is in its place";
    let want = [file("file", "out"), file("folder/file", "out"), file("same", "out"), warning(taken)];
    assert_eq!(folder.sent(&outputs(&["**"])), want);
}

#[test]
fn names_that_no_other_system_takes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = Folder::new();
    for name in [b"\xff".as_slice(), b"line\nbreak", b"\x1b[2J"] {
        fs::write(folder.0.out().join(OsStr::from_bytes(name)), "").unwrap();
    }
    folder.write("work/bad\nfolder/x", "");
    let names = "\u{fffd}[2J, line\u{fffd}break, \u{fffd}";
    let want = [warning(&format!("not fetched: {names}: not a name that every system takes"))];
    assert_eq!(folder.sent(&outputs(&[])), want);
    let deep = "d/".repeat(64) + "file";
    let folder = Folder::new();
    folder.write(&format!("out/{deep}"), "");
    assert_eq!(folder.sent(&outputs(&[])).len(), 1);
}

/// Each warning is one message, which has an end.
#[test]
fn warnings_are_short() {
    let artifacts = outputs(&["\u{1}"]);
    let mut skipped = skipped::Skipped::default();
    for at in 0..5000 {
        skipped.add(Why::Name, &format!("{}{at:04}", "\u{1b}".repeat(4000)));
    }
    let [warning] = &skipped.warnings(&artifacts)[..] else { panic!() };
    assert!(warning.len() < 2500 && warning.contains(" and 4997 more: "), "{warning}");
}

#[test]
fn a_cancelled_run_sends_no_more() {
    let folder = Folder::new();
    for name in ["a", "b", "c"] {
        folder.write(&format!("out/{name}"), vec![0; CHUNK * 4]);
    }
    let mut asked = 0;
    let got = folder.sent_until(&outputs(&[]), || {
        asked += 1;
        asked > 3
    });
    let want = [Got::Cut("a".into()), warning("not fetched: a, b, c: the run was cancelled")];
    assert_eq!(got, want);
}

#[test]
fn files_are_made_inside() {
    let folder = Folder::new();
    let work = Inside::open(&folder.0.work()).unwrap();
    let outside = folder.0.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, folder.0.work().join("link")).unwrap();
    folder.write("work/taken", "");
    let mode = |path: &str| fs::metadata(folder.0.work().join(path)).unwrap().permissions().mode() & 0o7777;
    drop(work.create("a/b/c", 0o755).unwrap());
    assert_eq!((mode("a"), mode("a/b"), mode("a/b/c")), (0o755, 0o755, 0o755));
    drop(work.create("a/d", 0o644).unwrap());
    assert_eq!(mode("a/d"), 0o644);
    for path in ["a/b/c", "taken", "link", "link/x", "taken/x", "a/b"] {
        assert!(work.create(path, 0o644).is_err(), "{path}");
    }
    assert!(!outside.join("x").exists());
}
