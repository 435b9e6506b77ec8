//! The stubs as they are built: static, small, and alive on both architectures.

use std::fs;
use std::process::Command;

use cronium_wire::message::{End, FromStub};

mod harness;

use harness::{Arch, Archive, SpokenStub, TestKey, stub_path};

/// 850 kB: what a cold host is sent, compressed, is less than half.
const LIMIT: usize = 850_000;

/// What an ELF file asks of the machine it runs on.
#[derive(Debug, PartialEq)]
struct Elf {
    machine: u16,
    /// `PT_INTERP`: it wants a dynamic linker.
    interpreter: bool,
    /// `DT_NEEDED`: it wants libraries.
    needed: usize,
}

/// 64-bit little-endian ELF, as System V's ABI lays it out.
fn parse(bytes: &[u8]) -> Elf {
    let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(&bytes[..6], b"\x7fELF\x02\x01", "ELF, 64 bits, little-endian");
    let (headers, size, count) = (u64_at(32) as usize, u16_at(54) as usize, u16_at(56) as usize);
    let mut elf = Elf { machine: u16_at(18), interpreter: false, needed: 0 };
    for header in (0..count).map(|number| headers + number * size) {
        match u16_at(header) {
            3 => elf.interpreter = true,
            2 => {
                let (start, length) = (u64_at(header + 8) as usize, u64_at(header + 32) as usize);
                elf.needed += bytes[start..start + length].chunks_exact(16).filter(|tag| tag[0] == 1).count();
            }
            _ => {}
        }
    }
    elf
}

#[test]
fn static_and_small_on_both_architectures() {
    for (arch, machine) in [(Arch::Amd64, 62), (Arch::Arm64, 183)] {
        let path = stub_path(arch);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(parse(&bytes), Elf { machine, interpreter: false, needed: 0 }, "{arch:?}");
        let machine = if arch == Arch::Amd64 { "x86_64" } else { "aarch64" };
        let embedded = cronium_run::transport::bootstrap::stub(machine).unwrap();
        assert!(embedded.program() == bytes, "{arch:?}: this is the one the program carries");
        assert!(bytes.len() <= LIMIT, "{arch:?}: {} bytes", bytes.len());
        println!("{arch:?}: {} bytes, {} in gzip", bytes.len(), harness::gzip(&bytes).len());
    }
}

/// The parser itself: a program that is not static is told as such.
#[test]
fn this_test_is_not_static() {
    let bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
    let elf = parse(&bytes);
    assert!(elf.interpreter && elf.needed > 0, "{elf:?}");
}

#[test]
fn says_who_it_is_and_runs_a_job() {
    run_a_job(Command::new(stub_path(Arch::here())), Arch::here());
}

/// The other architecture, instruction by instruction, under QEMU's user mode.
#[test]
fn arm64_runs_under_qemu() {
    let mut command = Command::new("qemu-aarch64-static");
    command.arg(stub_path(Arch::Arm64));
    run_a_job(command, Arch::Arm64);
}

fn run_a_job(command: Command, arch: Arch) {
    let home = tempfile::tempdir().unwrap();
    let payload = Archive::new(harness::MANIFEST)
        .file("run.sh", b"#!/bin/sh\necho \"here: $*\"\necho oops >&2\ncat data\nexit 5\n")
        .file("data", b"from a file\n")
        .finish();
    let mut job = TestKey::new(1).job(&payload);
    job.args = vec!["a b".into(), "c".into()];
    let seen = SpokenStub::start_with(command, home.path()).run(job, &payload);
    let FromStub::Hello(hello) = &seen[0] else { panic!("the stub says who it is: {seen:?}") };
    let digest = cronium_wire::digest::sha256_hex(&fs::read(stub_path(arch)).unwrap());
    let name = if arch == Arch::Amd64 { "linux/amd64" } else { "linux/arm64" };
    assert_eq!((hello.arch.as_str(), hello.stub_digest.as_str()), (name, digest.as_str()));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for message in &seen {
        match message {
            FromStub::Stdout(bytes) => out.extend_from_slice(bytes),
            FromStub::Stderr(bytes) => err.extend_from_slice(bytes),
            _ => {}
        }
    }
    assert_eq!(String::from_utf8_lossy(&out), "here: a b c\nfrom a file\n");
    assert_eq!(String::from_utf8_lossy(&err), "oops\n");
    let Some(FromStub::Finished(finished)) = seen.last() else { unreachable!() };
    assert_eq!(finished.end, End::Exited { code: 5 });
    let runs = home.path().join(".local/state/cronium-run/runs");
    assert_eq!(fs::read_dir(runs).map_or(0, Iterator::count), 0, "the run folder is gone");
}
