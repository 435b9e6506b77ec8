//! Which stub this is.

use std::fs;

use cronium_wire::digest::sha256_hex;

/// SHA-256 of the running program, lower-case hex.
pub fn digest() -> std::io::Result<String> {
    Ok(sha256_hex(&fs::read("/proc/self/exe")?))
}

/// Whether the program lies under the name of its digest: a damaged one does not.
pub fn is_named(digest: &str) -> bool {
    let path = fs::read_link("/proc/self/exe").unwrap_or_default();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // Another name is a build folder or a test; a digest that is not ours is damage.
    name.len() != digest.len() || name == digest
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
