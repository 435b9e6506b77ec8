//! Makes payloads: from a folder, a script, a command line. The same input gives the same bytes.

use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use cronium_wire::manifest::{FILE_NAME, Manifest};

use super::Packed;
use crate::error::{OrFail as _, Result};

mod command;
mod folder;
mod script;

pub use command::pack_command;
pub use folder::pack_dir;
pub use script::pack_script;

/// Writes a deterministic tar.gz: mtime 0, uid and gid 0, no names of users, modes 0755 and 0644.
struct Tarball {
    tar: Builder<GzEncoder<Vec<u8>>>,
}

/// "Unknown" in gzip's header (RFC 1952): the packer's own system shall not show.
const ANY_SYSTEM: u8 = 255;

impl Tarball {
    /// Starts with the manifest, as it was written.
    fn new(manifest: &[u8]) -> Result<Self> {
        let gzip = GzBuilder::new().mtime(0).operating_system(ANY_SYSTEM);
        let mut tarball = Self { tar: Builder::new(gzip.write(Vec::new(), Compression::default())) };
        tarball.file(FILE_NAME, manifest, false)?;
        Ok(tarball)
    }

    fn header(kind: EntryType, size: usize, executable: bool) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    fn file(&mut self, path: &str, content: &[u8], executable: bool) -> Result<()> {
        let mut header = Self::header(EntryType::Regular, content.len(), executable);
        self.tar.append_data(&mut header, path, content).or_fail(|| format!("cannot pack {path}"))
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        let mut header = Self::header(EntryType::Directory, 0, true);
        self.tar.append_data(&mut header, path, std::io::empty()).or_fail(|| format!("cannot pack {path}"))
    }

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let mut header = Self::header(EntryType::Symlink, 0, true);
        self.tar.append_link(&mut header, path, target).or_fail(|| format!("cannot pack {path}"))
    }

    fn finish(self) -> Result<Vec<u8>> {
        let fail = || "cannot finish the archive";
        let mut gzip = self.tar.into_inner().or_fail(fail)?;
        gzip.flush().or_fail(fail)?;
        gzip.finish().or_fail(fail)
    }
}

/// A payload of a manifest and the one file it runs.
fn pack_single(manifest: &Manifest, content: &[u8]) -> Result<Packed> {
    let mut tarball = Tarball::new(manifest.to_yaml().as_bytes())?;
    tarball.file(&manifest.entrypoint, content, true)?;
    let name = manifest.effective_name(&manifest.entrypoint);
    Packed::new(tarball.finish()?, &name).or_fail(|| format!("cannot pack {name}"))
}

#[cfg(test)]
mod tests;
