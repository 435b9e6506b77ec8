//! The files a script leaves: found when it has ended and sent before its run folder goes.

use std::io::{self, Read};

use cronium_wire::digest::{Sha256Hasher, hex};
use cronium_wire::frame::CHUNK;
use cronium_wire::manifest::Artifacts;
use cronium_wire::message::{Artifact, FromStub};
use rustix::fs::{FileType, fstat};

use crate::run_folder::RunFolder;
use crate::uplink::Uplink;

mod inside;
mod search;
mod skipped;
mod sorted;

pub use inside::Inside;
use search::Search;
use skipped::Why;

/// Sends the files below `$CRONIUM_OUT` and those of the work folder that the manifest names, by
/// path, and a warning for each reason why some are not sent. `stopped` is asked before each piece:
/// once it says so, nothing more is sent.
pub fn send_outputs(
    folder: &RunFolder,
    artifacts: &Artifacts,
    uplink: &Uplink,
    mut stopped: impl FnMut() -> bool,
) {
    let mut search = Search::new(artifacts);
    search.run(folder);
    for (path, root) in search.files.take() {
        let sent = match stopped() {
            true => Err(Why::Stopped),
            false => send(&root.dir(folder), &path, artifacts.max_bytes, uplink, &mut stopped),
        };
        if let Err(why) = sent {
            search.skipped.add(why, &path);
        }
    }
    for message in search.warnings() {
        // Warnings are kept in any case.
        let _ = uplink.send(&FromStub::Warning { message });
    }
}

/// One file, as it is while it is read.
fn send(
    dir: &io::Result<Inside>,
    path: &str,
    max_bytes: u64,
    uplink: &Uplink,
    stopped: &mut impl FnMut() -> bool,
) -> Result<(), Why> {
    let dir = dir.as_ref().map_err(|_| Why::Unreadable)?;
    let mut file = dir.file(path).map_err(|_| Why::Unreadable)?;
    let stat = fstat(&file).map_err(|_| Why::Unreadable)?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    // Looked at when it was found; it may be another by now.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Why::Special);
    }
    if size > max_bytes {
        return Err(Why::TooLarge);
    }
    let artifact = Artifact { path: path.to_owned(), size, mode: stat.st_mode & 0o777 };
    uplink.send(&FromStub::Artifact(artifact)).map_err(|_| Why::NoRoom)?;
    let (digest, why) = match send_content(&mut file, size, uplink, stopped) {
        Ok(digest) => (digest, Ok(())),
        Err(why) => (String::new(), Err(why)),
    };
    // Kept in any case, as what was begun must have its end.
    let _ = uplink.send(&FromStub::ArtifactEnd { digest });
    why
}

/// At most `size` bytes, as the operator was told; their digest.
fn send_content(
    file: &mut impl Read,
    size: u64,
    uplink: &Uplink,
    stopped: &mut impl FnMut() -> bool,
) -> Result<String, Why> {
    let mut hasher = Sha256Hasher::default();
    let mut buffer = vec![0; CHUNK];
    let mut file = file.take(size);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finish())),
            Ok(_) if stopped() => return Err(Why::Stopped),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                let piece = FromStub::ArtifactPiece(buffer[..count].to_vec());
                uplink.send(&piece).map_err(|_| Why::NoRoom)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Why::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests;
