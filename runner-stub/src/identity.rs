//! Which stub this is.

use std::fs;
use std::path::{Path, PathBuf};

use cronium_wire::digest::sha256_hex;

/// Where the running program lies, also after the same program was put in its place.
pub fn program() -> PathBuf {
    without_note(fs::read_link("/proc/self/exe").unwrap_or_default())
}

/// The kernel marks the path of a file that was removed or replaced (proc(5)).
fn without_note(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(text) => Path::new(text).to_owned(),
        None => path,
    }
}

/// SHA-256 of the running program, lower-case hex; `None` where the program lies under the name
/// of another digest, as a damaged one does.
///
/// `checked`: whoever started us has compared name and content, so the name is believed.
pub fn digest(checked: bool) -> Option<String> {
    let path = program();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_digest = name.len() == 64;
    if checked && is_digest {
        return Some(name.to_owned());
    }
    let digest = sha256_hex(&fs::read("/proc/self/exe").ok()?);
    // A name that is no digest is that of a build folder or a test.
    (!is_digest || name == digest).then_some(digest)
}

/// `linux/amd64` or `linux/arm64`.
pub fn arch() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{arch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_program_is_found_by_its_name() {
        for path in ["/c/stub/ab12", "/c/stub/ab12 (deleted)"] {
            assert_eq!(without_note(path.into()), Path::new("/c/stub/ab12"));
        }
    }
}
