//! `artifacts.inputs`: files of the operator that go with a payload.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use cronium_wire::archive::{Entry, EntryKind};
use cronium_wire::digest::{Sha256Hasher, hex};
use cronium_wire::frame::CHUNK;
use cronium_wire::manifest::artifacts::{Artifacts, collide};

use super::Packed;
use crate::error::{Error, OrFail as _, Result};

/// A file as it was when the run was planned. Its bytes stay on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Inside the work folder.
    pub path: String,
    /// As the manifest names it.
    pub from: String,
    /// SHA-256, lower-case hex.
    pub digest: String,
    pub size: u64,
    pub executable: bool,
    /// Where it lies, without symlinks.
    source: PathBuf,
}

/// Looks up what the manifest names below `current`, the folder we are in.
pub fn read_inputs(packed: &Packed, current: &Path) -> Result<Vec<Input>> {
    let artifacts = &packed.manifest.artifacts;
    let usage = |message: String| Error::usage(format!("{}: artifacts.inputs: {message}", packed.name));
    let (count, most) = (artifacts.inputs.len(), artifacts.max_files);
    if count > most {
        return Err(usage(format!("{count} files, more than {most}"))
            .hint("raise artifacts.max_files in manifest.yaml"));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let current = current.canonicalize().or_fail(|| format!("cannot find {}", current.display()))?;
    let mut inputs = Vec::new();
    for named in &artifacts.inputs {
        let (path, from) = (named.path.clone(), named.from.clone());
        if let Some(entry) = packed.entries.iter().find(|entry| is_in_the_way(entry, &path)) {
            let message = format!("'{path}' is in the way of the payload's own '{}'", entry.path);
            return Err(usage(message).hint(format!("cronium-run inspect {}", packed.name)));
        }
        let unreadable = |error: std::io::Error| {
            let hint = "'from' is a path below the folder that cronium-run is started in";
            usage(format!("cannot read {from}")).because(error).hint(hint)
        };
        let hidden = |path: &Path| {
            let why =
                format!("{} is hidden: such files often hold secrets, and are not sent", path.display());
            usage(why).hint(format!("cp {from} NAME  and name that, if the hosts may have it"))
        };
        if is_hidden(Path::new(&from)) {
            return Err(hidden(Path::new(&from)));
        }
        let source = current.join(&from).canonicalize().map_err(unreadable)?;
        if !source.starts_with(&current) {
            let message = format!("{from} leads out of the current folder, to {}", source.display());
            return Err(usage(message).hint(format!("cp --remove-destination {} {from}", source.display())));
        }
        // A symlink may have another name than what it leads to.
        if let Some(below) = source.strip_prefix(&current).ok().filter(|below| is_hidden(below)) {
            return Err(hidden(below));
        }
        // Not opened where it is no file: a FIFO would be waited for.
        let metadata = source.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(usage(format!("{from} is not a file")).hint("name each file by itself"));
        }
        if metadata.len() > artifacts.max_bytes {
            let (bytes, most) = (metadata.len(), artifacts.max_bytes);
            return Err(usage(format!("{from} has {bytes} bytes, more than {most}"))
                .hint("raise artifacts.max_bytes in manifest.yaml"));
        }
        let (digest, size) =
            File::open(&source).and_then(|file| digest(file, artifacts)).map_err(unreadable)?;
        let executable = is_executable(&metadata);
        inputs.push(Input { path, from, digest, size, executable, source });
    }
    Ok(inputs)
}

impl Input {
    /// Reads the file again and hands it out in pieces, until `take` wants no more. The last piece
    /// is held back until the whole is known to be what was planned.
    pub fn pieces(&self, mut take: impl FnMut(Vec<u8>) -> bool) -> Result<()> {
        let unreadable = || format!("cannot read the input {}", self.from);
        let mut file = File::open(&self.source).or_fail(unreadable)?;
        let mut hasher = Sha256Hasher::default();
        let mut missing = self.size;
        let changed = || {
            Error::failure(format!("the input {} has changed since the run was planned", self.from))
                .hint("start the run again")
        };
        while missing > 0 {
            let mut piece = Vec::with_capacity(CHUNK);
            (&mut file).take(missing.min(CHUNK as u64)).read_to_end(&mut piece).or_fail(unreadable)?;
            if piece.is_empty() {
                return Err(changed());
            }
            missing -= piece.len() as u64;
            hasher.update(&piece);
            if missing == 0 && !self.is_whole(std::mem::take(&mut hasher), &mut file) {
                return Err(changed());
            }
            if !take(piece) {
                break;
            }
        }
        Ok(())
    }

    fn is_whole(&self, hasher: Sha256Hasher, rest: &mut File) -> bool {
        let is_longer = matches!(rest.read(&mut [0]), Ok(1));
        hex(&hasher.finish()) == self.digest && !is_longer
    }
}

/// Whether a file, or a folder it lies in, has a name that begins with a dot.
fn is_hidden(path: &Path) -> bool {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    names.into_iter().any(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether a payload's entry and a file at `path` cannot both be unpacked.
fn is_in_the_way(entry: &Entry, path: &str) -> bool {
    let holds = path.strip_prefix(&entry.path).is_some_and(|rest| rest.starts_with('/'));
    collide(&entry.path, path) && !(entry.kind == EntryKind::Folder && holds)
}

/// SHA-256 and length of no more than what is allowed.
fn digest(file: File, artifacts: &Artifacts) -> std::io::Result<(String, u64)> {
    let mut file = file.take(artifacts.max_bytes);
    let mut hasher = Sha256Hasher::default();
    let mut size = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hex(&hasher.finish()), size)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use cronium_wire::digest::sha256_hex;

    use super::*;
    use crate::payload::pack_dir;

    /// A folder with a payload in `p`, whose manifest ends with `artifacts`, and files beside it.
    fn folder(artifacts: &str) -> (tempfile::TempDir, Packed) {
        let folder = tempfile::tempdir().unwrap();
        let payload = folder.path().join("p");
        fs::create_dir_all(payload.join("lib")).unwrap();
        let manifest =
            format!("version: v1\nname: p\ninterpreter: sh\nentrypoint: run.sh\nartifacts: {artifacts}\n");
        fs::write(payload.join("manifest.yaml"), manifest).unwrap();
        fs::write(payload.join("run.sh"), "").unwrap();
        fs::write(payload.join("lib/a"), "").unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/x"), "some text").unwrap();
        let packed = pack_dir(&payload).unwrap();
        (folder, packed)
    }

    fn pieces(input: &Input) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        input.pieces(|piece| {
            sizes.push(piece.len());
            true
        })?;
        Ok(sizes)
    }

    #[test]
    fn what_is_named_is_found() {
        let (folder, packed) = folder("{inputs: [{path: lib/x, from: ./data//x}, {path: y, from: link}]}");
        symlink("data/x", folder.path().join("link")).unwrap();
        let inputs = read_inputs(&packed, folder.path()).unwrap();
        let told: Vec<_> =
            inputs.iter().map(|input| (&*input.path, &*input.from, input.size, input.executable)).collect();
        assert_eq!(told, [("lib/x", "data/x", 9, false), ("y", "link", 9, false)]);
        assert!(inputs.iter().all(|input| input.digest == sha256_hex(b"some text")));
        assert_eq!(pieces(&inputs[0]).unwrap(), [9]);
    }

    #[test]
    fn faults_name_payload_key_and_file() {
        for (artifacts, want) in [
            ("{inputs: [{path: x, from: none}]}", "p: artifacts.inputs: cannot read none"),
            ("{inputs: [{path: x, from: data}]}", "p: artifacts.inputs: data is not a file"),
            (
                "{inputs: [{path: x, from: out}]}",
                "p: artifacts.inputs: out leads out of the current folder, to /etc/passwd",
            ),
            (
                "{inputs: [{path: x, from: .ssh/id}]}",
                "p: artifacts.inputs: .ssh/id is hidden: such files often hold secrets, and are not sent",
            ),
            (
                "{inputs: [{path: x, from: data/.env}]}",
                "p: artifacts.inputs: data/.env is hidden: such files often hold secrets, and are not sent",
            ),
            (
                "{inputs: [{path: x, from: key}]}",
                "p: artifacts.inputs: .ssh/id is hidden: such files often hold secrets, and are not sent",
            ),
            (
                "{inputs: [{path: x, from: data/x}], max_bytes: 8}",
                "p: artifacts.inputs: data/x has 9 bytes, more than 8",
            ),
            (
                "{inputs: [{path: x, from: data/x}, {path: y, from: data/x}], max_files: 1}",
                "p: artifacts.inputs: 2 files, more than 1",
            ),
            (
                "{inputs: [{path: run.sh, from: data/x}]}",
                "p: artifacts.inputs: 'run.sh' is in the way of the payload's own 'run.sh'",
            ),
            (
                "{inputs: [{path: run.sh/x, from: data/x}]}",
                "p: artifacts.inputs: 'run.sh/x' is in the way of the payload's own 'run.sh'",
            ),
            (
                "{inputs: [{path: lib, from: data/x}]}",
                "p: artifacts.inputs: 'lib' is in the way of the payload's own 'lib/a'",
            ),
            (
                "{inputs: [{path: manifest.yaml, from: data/x}]}",
                "p: artifacts.inputs: 'manifest.yaml' is in the way of the payload's own 'manifest.yaml'",
            ),
        ] {
            let (folder, packed) = folder(artifacts);
            symlink("/etc/passwd", folder.path().join("out")).unwrap();
            fs::create_dir(folder.path().join(".ssh")).unwrap();
            fs::write(folder.path().join(".ssh/id"), "secret").unwrap();
            symlink(".ssh/id", folder.path().join("key")).unwrap();
            let error = read_inputs(&packed, folder.path()).unwrap_err();
            assert_eq!((error.code, &*error.message), (crate::error::ExitCode::Usage, want));
            assert!(!error.hints.is_empty(), "{want}");
        }
    }

    #[test]
    fn a_file_that_changed_is_never_handed_out_whole() {
        for (content, handed_out) in [
            (vec![1; 2 * CHUNK + 5], Some(vec![CHUNK, CHUNK, 5])),
            (vec![2; 2 * CHUNK + 5], None),
            (vec![1; 2 * CHUNK + 4], None),
            (vec![1; 2 * CHUNK + 6], None),
            (vec![], None),
        ] {
            let (folder, packed) = folder("{inputs: [{path: x, from: big}]}");
            fs::write(folder.path().join("big"), vec![1; 2 * CHUNK + 5]).unwrap();
            let [input] = &read_inputs(&packed, folder.path()).unwrap()[..] else { panic!() };
            fs::write(folder.path().join("big"), content).unwrap();
            let mut bytes = 0;
            let result = input.pieces(|piece| {
                bytes += piece.len();
                true
            });
            match handed_out {
                Some(_) => assert_eq!(bytes, 2 * CHUNK + 5),
                None => {
                    assert_eq!(
                        result.unwrap_err().message,
                        "the input big has changed since the run was planned"
                    );
                    assert!(bytes < 2 * CHUNK + 5);
                }
            }
        }
    }
}
