//! Packs the helpers of each language (`helpers/`) for `src/sdk.rs`: in one piece and compressed, as
//! the stub is to be small.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use flate2::Compression;
use flate2::write::DeflateEncoder;

#[path = "src/fnv.rs"]
mod fnv;

/// The file in `helpers/`, and where it goes in the folder on the host.
const FILES: [(&str, &str); 5] = [
    ("cronium.sh", "cronium.sh"),
    ("cronium.py", "cronium.py"),
    ("cronium.js", "node_modules/cronium/index.js"),
    ("cronium.d.ts", "node_modules/cronium/index.d.ts"),
    ("package.json", "node_modules/cronium/package.json"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/fnv.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    let mut digest = fnv::BASIS;
    let mut table = format!("const FILES: [File; {}] = [\n", FILES.len());
    for (file, name) in FILES {
        let path = format!("../helpers/{file}");
        println!("cargo::rerun-if-changed={path}");
        let content = fs::read(&path).unwrap_or_else(|error| {
            println!("cargo::error=cannot read {path}: {error}");
            std::process::exit(1)
        });
        packed.write_all(&content).expect("a Vec takes all");
        digest = fnv::fnv(fnv::fnv(digest, name.as_bytes()), &content);
        let (length, own) = (content.len(), fnv::fnv(fnv::BASIS, &content));
        writeln!(table, "    File {{ name: {name:?}, length: {length}, digest: {own:#x} }},")
            .expect("a String takes all");
    }
    write!(table, "];\n/// Of all names and contents.\nconst DIGEST: u64 = {digest:#x};\n")
        .expect("a String takes all");
    fs::write(out.join("sdk.rs"), table).expect("OUT_DIR is writable");
    fs::write(out.join("sdk.deflate"), packed.finish().expect("a Vec takes all"))
        .expect("OUT_DIR is writable");
}
