use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// A tar.gz entry by entry, with none of the checks of `pack`.
pub struct Archive {
    tar: Builder<GzEncoder<Vec<u8>>>,
}

impl Archive {
    /// Begins with `manifest.yaml`.
    pub fn new(manifest: &str) -> Self {
        Self { tar: Builder::new(GzEncoder::new(Vec::new(), Compression::best())) }
            .file("manifest.yaml", manifest.as_bytes())
    }

    /// A payload whose script prints `ran`.
    pub fn sound() -> Self {
        Self::new(MANIFEST).file("run.sh", b"#!/bin/sh\necho ran\n")
    }

    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(path, EntryType::Regular, "", content)
    }

    pub fn link(self, path: &str, to: &str) -> Self {
        self.entry(path, EntryType::Symlink, to, b"")
    }

    pub fn hard_link(self, path: &str, to: &str) -> Self {
        self.entry(path, EntryType::Link, to, b"")
    }

    pub fn entry(mut self, path: &str, kind: EntryType, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        // Set as bytes: the library refuses what these tests are about.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        self.tar.append(&header, content).unwrap();
        self
    }

    pub fn finish(self) -> Vec<u8> {
        self.tar.into_inner().unwrap().finish().unwrap()
    }
}

pub const MANIFEST: &str = "version: v1\nname: crafted\ninterpreter: sh\nentrypoint: run.sh\n";

/// `bytes` in gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}
