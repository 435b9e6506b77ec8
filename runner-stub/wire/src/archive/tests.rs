//! Archives that must pass and archives that must not, each both read and unpacked.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::EntryType;

use super::*;

const MANIFEST: &str = "version: v1\ninterpreter: sh\nentrypoint: run.sh\n";

/// A tar stream, header by header, without the checks that tar writers make.
#[derive(Clone, Default)]
struct Tar(Vec<u8>);

impl Tar {
    /// With a manifest and its entrypoint.
    fn good() -> Self {
        Self::default().file("manifest.yaml", MANIFEST).file("run.sh", "echo hi\n")
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.add(name, "", EntryType::Regular, 0o644, content.as_ref())
    }

    fn folder(self, name: &str) -> Self {
        self.add(name, "", EntryType::Directory, 0o755, b"")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.add(name, target, EntryType::Symlink, 0o777, b"")
    }

    fn hard(self, name: &str, target: &str) -> Self {
        self.add(name, target, EntryType::Link, 0o644, b"")
    }

    fn kind(self, name: &str, kind: EntryType) -> Self {
        self.add(name, "", kind, 0o644, b"")
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let records: String = records
            .iter()
            .map(|(key, value)| {
                let rest = key.len() + value.len() + 3;
                let digits = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap();
                format!("{} {key}={value}\n", rest + digits)
            })
            .collect();
        self.add("pax", "", EntryType::XHeader, 0o644, records.as_bytes())
    }

    fn add(mut self, name: &str, target: &str, kind: EntryType, mode: u32, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        gzip(&self.0)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Both ends' answer: they must agree.
fn judge(bytes: &[u8]) -> Result<Contents, String> {
    let folder = tempfile::tempdir().unwrap();
    let checked = check(bytes).map_err(|error| error.to_string());
    let unpacked = unpack(bytes, folder.path()).map_err(|error| error.to_string());
    match (&checked, &unpacked) {
        (Ok(contents), Ok(manifest)) => assert_eq!(contents.manifest, *manifest),
        _ => assert_eq!(checked.as_ref().err(), unpacked.as_ref().err()),
    }
    checked
}

#[test]
fn what_is_accepted() {
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    let table: Vec<(&str, Tar, Vec<&str>)> = vec![
        ("ours", Tar::good(), vec!["manifest.yaml", "run.sh"]),
        (
            "manifest last, as manifest.yml, ./ before all",
            Tar::default().folder("./").file("./run.sh", "x").file("./manifest.yml", MANIFEST),
            vec!["run.sh", "manifest.yml"],
        ),
        (
            "a folder after its file",
            Tar::good().file("d/x", "").folder("d/"),
            vec!["manifest.yaml", "run.sh", "d/x", "d"],
        ),
        ("v7 folder", Tar::good().kind("d/", EntryType::Regular), vec!["manifest.yaml", "run.sh", "d"]),
        (
            "AppleDouble",
            Tar::good().file("._run.sh", "x").file("d/._x", "y").file("._run.sh", "x"),
            vec!["manifest.yaml", "run.sh"],
        ),
        (
            "links that stay inside",
            Tar::good()
                .link("d/e/up", "../../run.sh")
                .link("dangling", "d/nothing")
                .hard("copy", "./run.sh")
                .link("dir", "d"),
            vec!["manifest.yaml", "run.sh", "d/e/up", "dangling", "copy", "dir"],
        ),
        (
            "GNU long name",
            Tar::good()
                .add("././@LongLink", "", EntryType::GNULongName, 0, format!("{long}\0").as_bytes())
                .file("cut", ""),
            vec!["manifest.yaml", "run.sh", &long],
        ),
        (
            "pax long name",
            Tar::good()
                .pax(&[("mtime", "1.5"), ("path", &long), ("comment", "a\nb=c"), ("size", "1")])
                .file("cut", "x"),
            vec!["manifest.yaml", "run.sh", &long],
        ),
        (
            "git's global header",
            Tar::default()
                .add("g", "", EntryType::XGlobalHeader, 0, b"11 comment=\n")
                .file("manifest.yaml", MANIFEST)
                .file("run.sh", ""),
            vec!["manifest.yaml", "run.sh"],
        ),
        ("no end mark", Tar::good(), vec!["manifest.yaml", "run.sh"]),
    ];
    for (what, tar, want) in table {
        let bytes = if what == "no end mark" { gzip(&tar.0) } else { tar.end() };
        let contents = judge(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        let paths: Vec<&str> = contents.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, want, "{what}");
        assert_eq!(read_manifest(&bytes).unwrap(), contents.manifest, "{what}");
    }
}

#[test]
fn what_is_refused() {
    let good = Tar::good;
    let manifest = |text: &str| Tar::default().file("manifest.yaml", text).file("run.sh", "");
    let table: Vec<(Tar, &str)> = vec![
        (good().file("../x", ""), "entry '../x' holds '..'"),
        (good().file("a/../../x", ""), "entry 'a/../../x' holds '..'"),
        (good().file("/etc/x", ""), "entry '/etc/x' is an absolute path"),
        (good().pax(&[("path", "/etc/x")]).file("fine", ""), "entry '/etc/x' is an absolute path"),
        (good().file("a\nb", ""), "entry 'a\\nb' has a control character in its name"),
        (good().file("", ""), "entry '' has no name"),
        (good().file("./", "x"), "entry './' has data, though it is no file"),
        (good().link("l", "/etc"), "entry 'l' links to '/etc', outside of the payload"),
        (good().link("l", "../x"), "entry 'l' links to '../x', outside of the payload"),
        (good().link("d/l", "../../x"), "entry 'd/l' links to '../../x', outside of the payload"),
        (good().link("l", "nothing/../../x"), "entry 'l' links to 'nothing/../../x', outside of the payload"),
        // Each target alone looks as if it stayed inside.
        (
            good().link("d/e/up", "..").link("x", "d/e/up/../../y"),
            "entry 'x' links to 'd/e/up/../../y', outside of the payload",
        ),
        (good().link("a", "b").link("b", "a"), "entry 'a' is a link that leads back to itself"),
        (good().link("l", "d").file("l/x", ""), "entry 'l/x' lies beneath a link"),
        (good().folder("d").link("l", "d").file("l/x", ""), "entry 'l/x' lies beneath a link"),
        (good().link("run", "d").folder("run"), "entry 'run' is there twice"),
        (good().file("f", "").file("f/x", ""), "entry 'f/x' lies beneath a file"),
        (good().file("d/x", "").file("d", ""), "entry 'd' is there twice"),
        (good().hard("h", "/etc/passwd"), "entry 'h' links to '/etc/passwd', outside of the payload"),
        (good().hard("h", "../x"), "entry 'h' links to '../x', outside of the payload"),
        (
            good().hard("h", "later").file("later", ""),
            "entry 'h' is a hard link to 'later', which is no file before it",
        ),
        (
            good().link("l", "run.sh").hard("h", "l"),
            "entry 'h' is a hard link to 'l', which is no file before it",
        ),
        (good().kind("dev", EntryType::Char), "entry 'dev' is a character device"),
        (good().kind("dev", EntryType::Block), "entry 'dev' is a block device"),
        (good().kind("pipe", EntryType::Fifo), "entry 'pipe' is a named pipe"),
        (good().kind("s", EntryType::GNUSparse), "entry 's' is a sparse file"),
        (good().pax(&[("GNU.sparse.major", "1")]).file("s", ""), "entry 's' is a sparse file"),
        (good().kind("v", EntryType::new(b'V')), "entry 'v' is a kind of entry we do not know"),
        (good().pax(&[("size", "7")]).file("s", ""), "entry 's' has a bad header: two sizes"),
        (
            good().add("p", "", EntryType::XHeader, 0, b"999 path=x\n").file("s", ""),
            "entry 'p' has a bad header: a malformed pax record",
        ),
        (good().add("d", "", EntryType::Directory, 0o755, b"x"), "entry 'd' has data, though it is no file"),
        (good().file("run.sh", "other"), "entry 'run.sh' is there twice"),
        (good().file("./run.sh", "other"), "entry './run.sh' is there twice"),
        (good().folder("d").folder("d/"), "entry 'd' is there twice"),
        (Tar::default().file("run.sh", ""), "no manifest.yaml in it"),
        (Tar::default().file("x/manifest.yaml", MANIFEST).file("run.sh", ""), "no manifest.yaml in it"),
        (Tar::default().file("manifest.yaml", MANIFEST), "entrypoint 'run.sh' is not in the payload"),
        (Tar::default().file("manifest.yaml", MANIFEST).folder("run.sh"), "entrypoint 'run.sh' is a folder"),
        (
            Tar::default().file("manifest.yaml", MANIFEST).link("run.sh", "gone"),
            "entrypoint 'run.sh' is not in the payload",
        ),
        (
            Tar::default().link("manifest.yaml", "run.sh"),
            "entry 'manifest.yaml' is a manifest, which must be a file",
        ),
        (good().file("manifest.yml", MANIFEST), "entry 'manifest.yml' is a second manifest"),
        (
            manifest("version: v1\nintrepreter: sh\n"),
            "manifest.yaml:2:1: unknown key 'intrepreter', did you mean 'interpreter'?",
        ),
        (
            Tar::default().file("manifest.yml", "version: v2").file("run.sh", ""),
            "manifest.yml:1:10: version 'v2' is not supported, only 'v1'",
        ),
    ];
    for (tar, want) in table {
        let got = judge(&tar.end()).map(|contents| contents.entries);
        // A name is told as it is written or in its clean form.
        let same = got.as_ref().err().is_some_and(|got| got == want || *got == want.replace("'./", "'"));
        assert!(same, "{got:?}\n want {want}");
    }
}

#[test]
fn broken_streams_are_refused() {
    let good = Tar::good().file("data", vec![7; 3000]).end();
    let mut changed = good.clone();
    let last = changed.len() - 5;
    changed[last] ^= 1;
    let garbage = [good.as_slice(), b"garbage"].concat();
    let padded = [good.as_slice(), &[0; 512]].concat();
    let second = {
        let mut tar = Tar::good().0;
        tar.resize(tar.len() + 1024, 0);
        tar.extend(Tar::good().file("hidden", "").0);
        gzip(&tar)
    };
    let cut_inside = gzip(&Tar::good().file("data", vec![7; 3000]).0[..3000]);
    let table: &[(&str, &[u8])] = &[
        ("nothing", b""),
        ("no gzip", b"hello"),
        ("no tar", &gzip(b"hello")),
        ("a wrong gzip checksum", &changed),
        ("cut gzip", &good[..good.len() - 9]),
        ("cut tar", &cut_inside),
        ("garbage behind", &garbage),
        ("zeros behind", &padded),
        ("a second archive behind the first", &second),
    ];
    for (what, bytes) in table {
        let error = judge(bytes).expect_err(what);
        let empty = ["nothing"].contains(what);
        assert!(error.starts_with("not a readable tar.gz: ") || empty, "{what}: {error}");
    }
}

#[test]
fn gzip_members_are_one_stream() {
    let mut tar = Tar::good().0;
    tar.resize(tar.len() + 1024, 0);
    let (first, second) = tar.split_at(700);
    judge(&[gzip(first), gzip(second)].concat()).unwrap();
}

#[test]
fn a_changed_byte_never_goes_unseen() {
    let good = Tar::good().end();
    let contents = check(&good).unwrap();
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x10;
        if let Ok(other) = check(&changed) {
            // Another way to pack the same bytes: gzip's own header, or a copy of zeros from elsewhere.
            assert_eq!(other, contents, "byte {at}");
        }
    }
}

#[test]
fn limits() {
    // Ten thousand files take their time to write: these are only read.
    let read = |bytes: &[u8]| check(bytes).map_err(|error| error.to_string());
    let entries = |count: usize| (2..count).fold(Tar::good(), |tar, at| tar.file(&format!("f{at}"), ""));
    assert_eq!(read(&entries(MAX_ENTRIES).end()).unwrap().entries.len(), MAX_ENTRIES);
    assert_eq!(read(&entries(MAX_ENTRIES + 1).end()).unwrap_err(), "more than 10000 entries");

    // 1 MiB of zeros and less may be as dense as it likes; more may not.
    let zeros = |bytes: usize| Tar::good().file("zeros", vec![0; bytes]).end();
    judge(&zeros(900 << 10)).unwrap();
    assert_eq!(judge(&zeros(4 << 20)).unwrap_err(), "unpacks to more than 200 times its size");
    // The ratio is that of the whole: what is dense may stand beside what is not.
    let mut noise = vec![0u8; 100 << 10];
    let mut state = 1u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    judge(&Tar::good().file("zeros", vec![0; 4 << 20]).file("noise", noise).end()).unwrap();

    // A header is enough to refuse what is too large.
    let mut large = Tar::good();
    let mut header = tar::Header::new_gnu();
    header.set_path("large").unwrap();
    header.set_size(MAX_UNPACKED + 1);
    header.set_mode(0o644);
    header.set_cksum();
    large.0.extend_from_slice(header.as_bytes());
    assert_eq!(judge(&gzip(&large.0)).unwrap_err(), "more than 1024 MiB unpacked");

    // A long name may not fill the memory.
    let name = vec![b'x'; 65 << 10];
    let long = Tar::good().add("././@LongLink", "", EntryType::GNULongName, 0, &name).file("x", "");
    assert_eq!(judge(&long.end()).unwrap_err(), "entry '././@LongLink' has a name that is too long");

    // Nor may headers without entries, nor folders that are only implied.
    let headers = (0..40_001).fold(Tar::default(), |tar, _| tar.kind("g", EntryType::XGlobalHeader));
    assert_eq!(read(&headers.end()).unwrap_err(), "more than 10000 entries");
    let deep = (0..500).fold(Tar::good(), |tar, at| tar.file(&format!("{at}/{}x", "d/".repeat(30)), ""));
    assert_eq!(read(&deep.end()).unwrap_err(), "more than 10000 entries");
}

#[test]
fn what_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::default()
        .file("bin/data", "content")
        .add("run.sh", "", EntryType::Regular, 0o6755, b"echo")
        .link("bin/again", "../run.sh")
        .hard("copy", "bin/data")
        .folder("empty")
        .file("manifest.yaml", MANIFEST);
    let manifest = unpack(&tar.end(), folder.path()).unwrap();
    assert_eq!(manifest.entrypoint, "run.sh");
    let path = |name: &str| folder.path().join(name);
    let mode = |name: &str| fs::symlink_metadata(path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(fs::read_to_string(path("copy")).unwrap(), "content");
    assert_eq!(fs::read_to_string(path("bin/again")).unwrap(), "echo");
    assert_eq!(fs::read_link(path("bin/again")).unwrap(), Path::new("../run.sh"));
    assert_eq!([mode("run.sh"), mode("bin/data"), mode("bin"), mode("empty")], [0o755, 0o644, 0o755, 0o755]);
}

#[test]
fn nothing_is_written_before_the_manifest_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::default().file("first", "x").file("manifest.yaml", "version: v2\n").file("run.sh", "");
    unpack(&tar.end(), folder.path()).unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_failure_to_write_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.sh"), "in the way").unwrap();
    let error = unpack(&Tar::good().end(), folder.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write {}/run.sh", folder.path().display()));
    assert_eq!(fs::read_to_string(folder.path().join("run.sh")).unwrap(), "in the way");
}

#[derive(Debug, Clone)]
struct Random {
    kind: u8,
    name: &'static str,
    target: &'static str,
    content: Vec<u8>,
}

fn random_entry() -> impl Strategy<Value = Random> {
    let name = || {
        prop::sample::select(vec![
            "a",
            "b",
            "a/b",
            "a/b/c",
            "./a",
            "b/a",
            "c",
            "c/d",
            "..",
            "../x",
            "a/../../x",
            "/x",
            "",
            "./",
            "a/",
            "run.sh",
            "l",
            "l/x",
            "l/..",
            "manifest.yaml",
        ])
    };
    let target = prop::sample::select(vec![
        "a",
        "b",
        "..",
        "../..",
        "../a",
        "../../x",
        "l",
        "l/..",
        "l/../..",
        "a/b/..",
        "/",
        "/etc",
        ".",
        "c/d",
        "",
        "run.sh",
        "../run.sh",
    ]);
    (0u8..8, name(), target, prop::collection::vec(any::<u8>(), 0..600))
        .prop_map(|(kind, name, target, content)| Random { kind, name, target, content })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever stands in it, an archive writes nothing outside, leaves no link that leads
    /// outside, and both ends judge it alike.
    #[test]
    fn unpack_stays_inside(entries in prop::collection::vec(random_entry(), 0..8), with_manifest in any::<bool>()) {
        let start = if with_manifest { Tar::good() } else { Tar::default() };
        let tar = entries.iter().fold(start, |tar, entry| match entry.kind {
            0..=2 => tar.file(entry.name, &entry.content),
            3 => tar.folder(entry.name),
            4 | 5 => tar.link(entry.name, entry.target),
            6 => tar.hard(entry.name, entry.target),
            _ => tar.pax(&[("path", entry.target)]).file(entry.name, &entry.content),
        });
        let bytes = tar.end();
        let outer = tempfile::tempdir().unwrap();
        let dest = outer.path().join("dest");
        fs::create_dir(&dest).unwrap();
        let unpacked = unpack(&bytes, &dest);
        prop_assert_eq!(unpacked.is_ok(), check(&bytes).is_ok());
        let names: Vec<_> = fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        prop_assert_eq!(names, ["dest"]);
        let mut folders = vec![dest.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let kind = fs::symlink_metadata(&path).unwrap().file_type();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_symlink() {
                    prop_assert!(unpacked.is_ok());
                    if let Ok(real) = path.canonicalize() {
                        prop_assert!(real.starts_with(dest.canonicalize().unwrap()), "{:?}", path);
                    }
                }
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), zipped in any::<bool>()) {
        let bytes = if zipped { gzip(&bytes) } else { bytes };
        prop_assert!(judge(&bytes).is_err());
    }
}
