//! The operator's files for the script: from the cache, or asked for and put there.

use std::io::{self, Seek};

use cronium_wire::digest::{Sha256Hasher, hex};
use cronium_wire::manifest::Artifacts;
use cronium_wire::message::{FromStub, InputFile, Job};

use super::{Lost, Session, Stop, plain_name};
use crate::artifact::Inside;
use crate::payload::{Cache, Payload};
use crate::refusal::Refusal;
use crate::run_folder::RunFolder;
use crate::trust;

impl Session {
    /// Puts [`Job::files`] into the work folder, beside what the payload brought. Before anything
    /// is asked of the operator that it answers by other messages.
    pub(super) fn stage_inputs(
        &mut self,
        job: &Job,
        artifacts: &Artifacts,
        folder: &RunFolder,
    ) -> Result<(), Stop> {
        permitted(&job.files, artifacts)?;
        if job.files.is_empty() {
            return Ok(());
        }
        let cache = Cache::of_run();
        let work =
            Inside::open(&folder.work()).map_err(|error| Refusal::folder("open", &folder.work(), &error))?;
        let mut missing = Vec::new();
        for (at, file) in job.files.iter().enumerate() {
            // Files with one content are one file of the cache.
            if job.files[..at].iter().any(|other| other.digest == file.digest) {
                continue;
            }
            plain_name(&file.digest)?;
            match cached(&cache, file)? {
                Some(content) => place_all(&work, &job.files, file, content)?,
                None => missing.push(file),
            }
        }
        // Of all at once: one round trip, however many there are.
        for file in &missing {
            self.uplink.send(&FromStub::NeedFile { digest: file.digest.clone() }).map_err(Lost::from)?;
        }
        for file in missing {
            let mut incoming = cache.receive(&file.digest)?;
            let mut hasher = Sha256Hasher::default();
            self.receive_bytes(file.size, |piece| {
                hasher.update(piece);
                incoming.write(piece)
            })?;
            if hex(&hasher.finish()) != file.digest {
                let message = format!("'{}' arrived changed", file.path);
                return Err(Refusal::new("upload", "digest", message).into());
            }
            place_all(&work, &job.files, file, incoming.finish()?)?;
        }
        Ok(())
    }
}

/// Whoever signed the payload says which files may lie beside it: not the operator alone, who may
/// be another.
fn permitted(files: &[InputFile], artifacts: &Artifacts) -> Result<(), Refusal> {
    let refused =
        |message: String| Refusal::new("policy", "input", message).hint("cronium-run inspect PAYLOAD");
    for input in &artifacts.inputs {
        if !files.iter().any(|file| file.path == input.path) {
            return Err(refused(format!(
                "the job lacks '{}', which the manifest names as an input",
                input.path
            )));
        }
    }
    for (at, file) in files.iter().enumerate() {
        let is_second = files[..at].iter().any(|other| other.path == file.path);
        if is_second || !artifacts.inputs.iter().any(|input| input.path == file.path) {
            return Err(refused(format!("'{}' is no input of the manifest", file.path)));
        }
        if file.size > artifacts.max_bytes {
            let bytes = artifacts.max_bytes;
            return Err(refused(format!("'{}' has {} bytes, more than {bytes}", file.path, file.size)));
        }
    }
    Ok(())
}

fn cached(cache: &Cache, file: &InputFile) -> Result<Option<Payload>, Refusal> {
    let Some(mut found) = cache.find(&file.digest, file.size) else { return Ok(None) };
    if trust::digest_matches(&file.digest, &mut found)? {
        return Ok(Some(found));
    }
    cache.forget(&file.digest);
    Ok(None)
}

/// Puts the content of `like` wherever it belongs.
fn place_all(
    work: &Inside,
    files: &[InputFile],
    like: &InputFile,
    mut content: Payload,
) -> Result<(), Refusal> {
    let mut same = files.iter().filter(|file| file.digest == like.digest);
    same.try_for_each(|file| place(work, file, &mut content))
}

fn place(work: &Inside, file: &InputFile, content: &mut Payload) -> Result<(), Refusal> {
    let mode = if file.executable { 0o755 } else { 0o644 };
    let mut made = work.create(&file.path, mode).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let message = format!("the input '{}' would replace a file of the payload", file.path);
            Refusal::new("exec", "input", message).hint("change artifacts.inputs in manifest.yaml")
        }
        _ => unplaced(file, &error),
    })?;
    content
        .rewind()
        .and_then(|()| io::copy(content, &mut made))
        .map(drop)
        .map_err(|error| unplaced(file, &error))
}

fn unplaced(file: &InputFile, error: &io::Error) -> Refusal {
    let refusal = Refusal::new("tempdir", "input", format!("cannot write the input '{}'", file.path));
    match error.kind() {
        io::ErrorKind::StorageFull => refusal.because(error).hint("df -h ~"),
        // The payload has a file or a link where a folder is needed.
        io::ErrorKind::NotADirectory => refusal.because(error).hint("cronium-run inspect PAYLOAD"),
        _ => refusal.because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cronium_wire::manifest::artifacts::Input;

    #[test]
    fn only_what_the_manifest_names() {
        let file = |path: &str, size| InputFile { path: path.into(), size, ..InputFile::default() };
        let artifacts = Artifacts {
            inputs: ["a", "b/c"].map(|path| Input { path: path.into(), from: "x".into() }).into(),
            max_bytes: 9,
            ..Artifacts::default()
        };
        let table = [
            (vec![file("a", 9), file("b/c", 0)], true),
            (vec![file("b/c", 0), file("a", 9)], true),
            (vec![file("a", 10), file("b/c", 0)], false),
            (vec![file("a", 9)], false),
            (vec![], false),
            (vec![file("a", 9), file("b/c", 0), file("d", 0)], false),
            (vec![file("a", 9), file("b/c", 0), file("a", 0)], false),
            (vec![file("a", 9), file("b/c", 0), file("../a", 0)], false),
        ];
        for (files, want) in table {
            assert_eq!(permitted(&files, &artifacts).is_ok(), want, "{files:?}");
        }
        assert!(permitted(&[], &Artifacts::default()).is_ok());
    }
}
