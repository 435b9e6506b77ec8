//! Gets the runner stub to a host.
//!
//! Warm, in one flight: open a channel, exec a shell line that becomes the cached stub, and send
//! it the first frames without waiting. Where there is no stub the line says so and what machine
//! it is on. Cold, over the same connection: exec a second line, send the compressed stub behind
//! it and the first frames behind that. The lines need a POSIX sh, `dd`, `gzip` and what else is
//! in busybox; they hold no quote, so that every login shell passes them on unharmed.

use std::io::Read;
use std::sync::LazyLock;

use bytes::Bytes;
use cronium_wire::message::Hello;

use super::greet::{Answer, greet};
use super::link::{Carrier, Link};
use super::mute::Mute;
use super::{Fault, Flight, Phase, Step, ssh};

/// A slow link is seen to carry so many bytes at a time.
const PIECE: usize = 32 << 10;

/// A stub as the build embedded it.
pub struct Embedded {
    /// `amd64` or `arm64`.
    pub arch: &'static str,
    /// SHA-256 of the program, lower-case hex: its name on hosts.
    pub digest: &'static str,
    /// Size of the program in bytes.
    pub size: usize,
    pub gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/stubs.rs"));

impl Embedded {
    /// The program itself.
    pub fn program(&self) -> Vec<u8> {
        let mut program = Vec::with_capacity(self.size);
        let mut gzip = flate2::read::GzDecoder::new(self.gzip);
        gzip.read_to_end(&mut program).expect("the build wrote it");
        program
    }

    /// As it is sent.
    fn pieces(&self) -> impl Iterator<Item = Bytes> + use<> {
        let gzip = Bytes::from_static(self.gzip);
        (0..gzip.len()).step_by(PIECE).map(move |at| gzip.slice(at..gzip.len().min(at + PIECE)))
    }
}

/// The stub for `machine`, which is what `uname -m` prints.
pub fn stub(machine: &str) -> Option<&'static Embedded> {
    let arch = match machine {
        "x86_64" | "amd64" => "amd64",
        "aarch64" | "arm64" => "arm64",
        _ => return None,
    };
    STUBS.iter().find(|stub| stub.arch == arch)
}

/// Runs the cached stub of whichever architecture is there and whole, or asks for one. Where the
/// host cannot compute a digest, the stub looks at itself.
static WARM: LazyLock<String> = LazyLock::new(|| {
    let digests: Vec<&str> = STUBS.iter().map(|stub| stub.digest).collect();
    format!(
        "exec sh -c 'd=${{XDG_CACHE_HOME:-${{HOME:-/dev/null}}/.cache}}/cronium-run/stub; for s in {}; do \
         if [ -x \"$d/$s\" ]; then case $(sha256sum < \"$d/$s\" 2>/dev/null || echo none) in \
         $s*) exec \"$d/$s\" run checked;; none) exec \"$d/$s\" run;; esac; fi; done; \
         echo \"cronium-run:need $(uname -m)\"'",
        digests.join(" ")
    )
});

/// Reads the stub from stdin into the first folder that can hold a program, and becomes it.
///
/// `dd` takes exactly the stub's bytes and leaves the frames behind it unread. In a folder that
/// others share, the stub gets one of its own without a name that could be guessed, and no cache.
/// Without HOME, these are what is left: nobody can make a folder beneath /dev/null.
/// Zeros of its size are written first: once the stub is read, it is too late for another folder.
/// Where two starts put the same stub in its place at once, either one's is run.
fn cold_line(stub: &Embedded) -> String {
    let Embedded { digest, gzip, size, .. } = stub;
    let length = gzip.len();
    format!(
        "exec sh -c 'umask 077; s={digest}; t=; a=; w=; \
         drop() {{ rm -f \"$t\"; case $a in temporary*) rmdir \"$d\";; esac; }} 2>/dev/null; \
         fail() {{ drop; echo \"cronium-run:fail $1\"; exit 1; }}; \
         for p in dd gzip mktemp; do command -v $p >/dev/null || fail \"there is no $p\"; done; \
         dd iflag=fullblock if=/dev/null of=/dev/null 2>/dev/null || \
         fail \"there is no dd that knows iflag=fullblock\"; \
         for b in \"${{XDG_CACHE_HOME:-${{HOME:-/dev/null}}/.cache}}\" /var/tmp /tmp; do \
         case $b in \
         /var/tmp|/tmp) d=$(mktemp -d $b/cronium-run.XXXXXXXXXX 2>&1) || {{ w=\"$w; $d\"; continue; }}; a=temporary;; \
         *) d=$b/cronium-run/stub; e=$( (mkdir -p \"$d\" && chmod 700 \"$d\") 2>&1) || \
         {{ w=\"$w; $e\"; continue; }}; a=;; \
         esac; \
         if t=$(mktemp \"$d/.$s.XXXXXXXX\" 2>&1) && chmod 700 \"$t\"; then \
         if [ -x \"$t\" ]; then dd if=/dev/zero of=\"$t\" bs={size} count=1 2>/dev/null && break; \
         e=\"no room in $b\"; else e=\"$b is mounted noexec\"; fi; else e=$t; t=; fi; \
         w=\"$w; $e\"; drop; t=; a=; done; \
         [ -n \"$t\" ] || fail \"no folder can hold a program: ${{w#; }}\"; \
         dd bs={length} count=1 iflag=fullblock 2>/dev/null | gzip -dc > \"$t\" || \
         fail \"the runner cannot be written to $d\"; \
         case $(sha256sum < \"$t\" 2>/dev/null || echo none) in $s*) a=\"$a checked\";; none) ;; \
         *) fail \"the runner arrived changed\";; esac; \
         mv -f \"$t\" \"$d/$s\"; exec \"$d/$s\" run $a'"
    )
}

/// Starts the stub over `connection` and sends it `first`. `step` is told when the job is on its
/// way, and when it turns out not to be.
pub async fn start(
    connection: &ssh::Connection,
    first: &Flight,
    step: &impl Fn(Step),
) -> Result<(Link, Hello), Fault> {
    let (warm, delivered) = connection.exec(&WARM, first.pieces()).await?;
    if delivered {
        step(Step::Delivered);
    }
    let machine = match greet(Carrier::Ssh(warm), first.frames()).await {
        Ok(Answer::Stub(started)) => return Ok(*started),
        Ok(Answer::NeedsStub { machine }) => machine,
        // A cached stub that cannot even start: put a whole one in its place.
        Ok(Answer::Mute(mute)) => ask_machine(connection, mute).await?,
        Err(fault) => return Err(undelivered(fault, delivered)),
    };
    step(Step::Bootstrapping);
    tracing::debug!(machine, "no runner in the host's cache");
    let stub = stub(&machine).ok_or_else(|| {
        Fault::new(Phase::Upload, "architecture", format!("there is no runner for a {machine} machine"))
            .hint("Linux on x86_64 and aarch64 is served")
    })?;
    let pieces = stub.pieces().chain(first.pieces());
    // The next one is asked for once the host has taken the one before.
    let pieces = pieces.inspect(|_| step(Step::Uploading));
    let (cold, delivered) = connection.exec(&cold_line(stub), pieces).await?;
    if delivered {
        step(Step::Delivered);
    }
    match greet(Carrier::Ssh(cold), first.frames()).await {
        Ok(Answer::Stub(started)) => Ok(*started),
        Ok(Answer::NeedsStub { .. }) => {
            Err(Fault::new(Phase::Upload, "damaged", "the runner arrived changed")
                .hint("run the same command again"))
        }
        Ok(Answer::Mute(mute)) => Err(mute.fault_of_runner(&machine)),
        Err(fault) => Err(undelivered(fault, delivered)),
    }
}

/// A connection that broke before the job was sent leaves no doubt about it.
fn undelivered(fault: Fault, delivered: bool) -> Fault {
    match fault.phase {
        Phase::Lost if !delivered => Fault { phase: Phase::Upload, ..fault },
        _ => fault,
    }
}

async fn ask_machine(connection: &ssh::Connection, mute: Mute) -> Result<String, Fault> {
    let line = "exec sh -c 'echo \"cronium-run:need $(uname -m)\"'";
    match greet(Carrier::Ssh(connection.exec(line, []).await?.0), 0).await? {
        Answer::NeedsStub { machine } => Ok(machine),
        Answer::Mute(_) | Answer::Stub(_) => Err(mute.fault(connection)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_pass_through_every_login_shell() {
        for line in STUBS.iter().map(cold_line).chain([WARM.clone()]) {
            assert_eq!(line.matches('\'').count(), 2, "{line}");
            assert!(!line.contains(['\n', '!', '\\']), "{line}");
        }
    }

    #[test]
    fn the_embedded_stubs_are_whole() {
        for stub in STUBS {
            assert_eq!(cronium_wire::digest::sha256_hex(&stub.program()), stub.digest);
        }
    }
}
