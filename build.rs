//! Builds the runner stub for every architecture we push to and leaves it compressed in `OUT_DIR`.
//!
//! An inner cargo does it, so that `cargo build`, `clippy`, `test` and `install` all work alone.
//! `CRONIUM_STUB_DIR` names a folder with prebuilt `runner-stub-amd64` and `runner-stub-arm64`.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

/// Our name of the architecture, cargo's target.
const TARGETS: [(&str, &str); 2] =
    [("amd64", "x86_64-unknown-linux-musl"), ("arm64", "aarch64-unknown-linux-musl")];

/// Small beats fast: the stub is sent to every new host.
const CONFIG: [&str; 11] = [
    "profile.release.opt-level='z'",
    "profile.release.lto='fat'",
    "profile.release.codegen-units=1",
    // Without unwinding and all that serves it; see runner-stub/src/unwinding.rs.
    "profile.release.panic='abort'",
    "profile.release.strip='symbols'",
    "profile.release.debug=false",
    // Costs 2 %: a sum that overflows on a host must not go on.
    "profile.release.overflow-checks=true",
    "profile.release.incremental=false",
    // Checking the signature is most of what the stub computes.
    "profile.release.package.p256.opt-level=3",
    "profile.release.package.primeorder.opt-level=3",
    "profile.release.package.crypto-bigint.opt-level=3",
];

/// How the stub is linked.
const LINK: [&str; 7] = [
    // The bundled linker needs no C compiler for either architecture.
    "-Clinker=rust-lld",
    "-Clinker-flavor=ld.lld",
    "-Clink-self-contained=yes",
    // Functions that came out alike are kept once.
    "-Clink-arg=--icf=all",
    // The addresses to be fixed at start as a bitmap: musl reads it, and so the address space is
    // random for 24 kB less.
    "-Clink-arg=--pack-dyn-relocs=relr",
    // No unwind tables (100 kB), and no index of them. Relative to the workspace, where rustc runs.
    "-Clink-arg=-Trunner-stub/discard.ld",
    "-Clink-arg=--no-eh-frame-hdr",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CRONIUM_STUB_DIR");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    let prebuilt = env::var_os("CRONIUM_STUB_DIR").map(PathBuf::from);
    let mut table = String::from("pub const STUBS: &[Embedded] = &[\n");
    for (arch, triple) in TARGETS {
        let stub = match &prebuilt {
            Some(dir) => {
                let stub = dir.join(format!("runner-stub-{arch}"));
                println!("cargo::rerun-if-changed={}", stub.display());
                stub
            }
            None => match build(&root, &out, triple) {
                Some(stub) => stub,
                None => continue,
            },
        };
        let bytes =
            fs::read(&stub).unwrap_or_else(|error| fail(&format!("cannot read {}: {error}", stub.display())));
        let digest: String = Sha256::digest(&bytes).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let packed = out.join(format!("runner-stub-{arch}.gz"));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&bytes).expect("a Vec takes all");
        fs::write(&packed, gzip.finish().expect("a Vec takes all")).expect("OUT_DIR is writable");
        writeln!(
            table,
            "    Embedded {{ arch: {arch:?}, digest: {digest:?}, size: {}, gzip: include_bytes!({packed:?}) }},",
            bytes.len()
        )
        .expect("a String takes all");
    }
    table.push_str("];\n");
    fs::write(out.join("stubs.rs"), table).expect("OUT_DIR is writable");
}

/// The stub's binary for `triple`. `None` where only another architecture's stub can be built here.
fn build(root: &Path, out: &Path, triple: &str) -> Option<PathBuf> {
    let target_dir = target_dir(out);
    let has_std = |triple: &str| {
        let sysroot = Command::new(variable("RUSTC")).args(["--print", "sysroot"]).output();
        let sysroot = sysroot.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        sysroot.is_ok_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(triple).join("lib").is_dir())
    };
    if has_std(triple) {
        return Some(run_cargo(Command::new(variable("CARGO")), root, &target_dir, triple, &LINK));
    }
    if command_exists("rustup") {
        // rust-toolchain.toml names both targets; asking rustup for them is idempotent.
        let _ = clean(Command::new("rustup").current_dir(root).args(["target", "add", triple]))
            .stdout(Stdio::null())
            .status();
        let mut cargo = Command::new("cargo");
        cargo.env_remove("RUSTUP_TOOLCHAIN");
        return Some(run_cargo(cargo, root, &target_dir, triple, &LINK));
    }
    let host = variable("HOST");
    if triple.split('-').next() == host.split('-').next() && host.contains("linux") {
        let link = ["-Ctarget-feature=+crt-static", "-Crelocation-model=static"];
        return Some(run_cargo(Command::new(variable("CARGO")), root, &target_dir, &host, &link));
    }
    if host.contains("linux") {
        println!(
            "cargo::warning=no standard library for {triple}: this build cannot serve such hosts (install rustup)"
        );
        return None;
    }
    fail(&format!(
        "the runner stub needs the standard library of {triple}, and this machine has neither it nor rustup. \
         Install rustup (https://rustup.rs), or name a folder of prebuilt stubs in CRONIUM_STUB_DIR."
    ))
}

fn run_cargo(
    mut cargo: Command,
    root: &Path,
    target_dir: &Path,
    triple: &str,
    rustflags: &[&str],
) -> PathBuf {
    clean(&mut cargo);
    cargo.current_dir(root);
    cargo.args(["build", "--release", "--package", "runner-stub", "--target", triple]);
    cargo.arg("--target-dir").arg(target_dir);
    for config in CONFIG {
        cargo.args(["--config", config]);
    }
    // A folder from `cargo install` or a package may be read-only but always has a lock file.
    if root.join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    // Messages of panics name sources; where they lie on this machine is no concern of the hosts.
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let remap = home.map(|home| format!("--remap-path-prefix={}=cargo", home.display()));
    let rustflags: Vec<&str> = rustflags.iter().copied().chain(remap.as_deref()).collect();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\x1f"));
    let status = cargo
        .status()
        .unwrap_or_else(|error| fail(&format!("cannot start cargo for the runner stub: {error}")));
    if !status.success() {
        fail(&format!("the runner stub does not build for {triple} ({status}); its messages stand above"));
    }
    let stub = target_dir.join(triple).join("release/runner-stub");
    watch(&stub.with_extension("d"));
    stub
}

/// Rebuild when a source of the stub changes, and only then. The stub itself is none: it is newer
/// than the start of this build, so naming it would make cargo build again.
fn watch(dep_info: &Path) {
    // Relative to the package. Dependencies and their features are no sources to rustc.
    for file in ["Cargo.toml", "Cargo.lock", "runner-stub/Cargo.toml", "runner-stub/wire/Cargo.toml"] {
        // A missing file would count as changed each time.
        if Path::new(file).exists() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    let Ok(text) = fs::read_to_string(dep_info) else { return };
    // As make reads it: `FILE: SOURCE SOURCE…`, with a backslash before a space inside a name.
    let text = text.replace("\\ ", "\0");
    let sources = text.lines().flat_map(|line| line.split_once(": ")).flat_map(|(_, files)| files.split(' '));
    for source in sources.filter(|source| !source.is_empty()) {
        println!("cargo::rerun-if-changed={}", source.replace('\0', " "));
    }
}

/// The outer build's settings are not the stub's: only where cargo finds its home, its registries
/// and the job server goes through.
fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let kept = ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_TERM_COLOR"].contains(&text)
            || ["CARGO_REGISTR", "CARGO_SOURCE", "CARGO_NET", "CARGO_HTTP"]
                .iter()
                .any(|part| text.starts_with(part));
        let ours = text.starts_with("CARGO") || text.starts_with("RUSTC") || text.starts_with("DEP_");
        let others = [
            "RUSTFLAGS",
            "RUSTDOCFLAGS",
            "TARGET",
            "HOST",
            "OPT_LEVEL",
            "PROFILE",
            "DEBUG",
            "NUM_JOBS",
            "CLIPPY_ARGS",
        ];
        if (ours && !kept) || others.contains(&text) {
            command.env_remove(&name);
        }
    }
    command
}

/// `target/stub`: cargo's own target folder is locked by the build that runs us.
fn target_dir(out: &Path) -> PathBuf {
    // OUT_DIR is TARGET/PROFILE/build/PACKAGE-HASH/out, with a triple before PROFILE when cross-building.
    let build = out.ancestors().find(|dir| dir.file_name() == Some(OsStr::new("build")));
    build.and_then(|dir| dir.ancestors().nth(2)).unwrap_or(out).join("stub")
}

fn command_exists(name: &str) -> bool {
    Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("cargo sets {name} for build scripts")))
}

fn fail(sentence: &str) -> ! {
    println!("cargo::error={sentence}");
    std::process::exit(1)
}
