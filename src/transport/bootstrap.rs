//! Gets the runner stub to a host.
//!
//! Warm, in one flight: open a channel, exec a shell line that becomes the cached stub, and send
//! it the first frames without waiting. Where there is no stub the line says so and what machine
//! it is on. Cold, over the same connection: exec a second line, send the compressed stub behind
//! it and the first frames behind that. The lines need a POSIX sh, `dd`, `gzip` and what else is
//! in busybox; they hold no quote, so that every login shell passes them on unharmed.

use std::io::Read;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cronium_wire::message::Hello;

use super::greet::{Answer, greet};
use super::link::{Carrier, Link};
use super::mute::Mute;
use super::privilege::{self, Escalation};
use super::{Connection, Fault, Flight, Phase, Step};
use crate::inventory::Method;

/// What helps where nothing has run.
pub const AGAIN: &str = "run the same command again";

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
/// host cannot compute a digest, the stub looks at itself, or `unchecked` is what is done.
///
/// Beside a stub that was found whole lies a stamp of this hour `$h`. A stub that is older than its
/// stamp was not written to since, as far as its time of change tells: computing its digest costs a
/// host more than all else that a job does.
fn warm_script(word: &str, unchecked: &str) -> String {
    let digests: Vec<&str> = STUBS.iter().map(|stub| stub.digest).collect();
    format!(
        "d=${{XDG_CACHE_HOME:-${{HOME:-/dev/null}}/.cache}}/cronium-run/stub; for s in {}; do \
         p=$d/$s; k=$d/.$s.whole.$h; if [ -x \"$p\" ]; then \
         if [ \"$p\" -ot \"$k\" ] 2>/dev/null; then exec \"$p\" run checked{word}; fi; \
         case $(sha256sum < \"$p\" 2>/dev/null || echo none) in \
         $s*) true 2>/dev/null > \"$k\"; exec \"$p\" run checked{word};; \
         none) {unchecked};; esac; fi; done; \
         echo \"cronium-run:need $(uname -m)\"",
        digests.join(" ")
    )
}

static WARM: LazyLock<String> = LazyLock::new(|| warm_script("", "exec \"$p\" run"));

/// The same, with a stub that may be started long before its job comes.
static WAITING: LazyLock<String> = LazyLock::new(|| warm_script(" waiting", "exec \"$p\" run waiting"));

/// Warm, and cold behind it where the stub and its size are named on stdin: whoever asks for a
/// password asks once. A stub that found itself damaged would have left nobody to send a whole one
/// to, so one that cannot be checked here is sent again.
static WARM_OR_COLD: LazyLock<String> =
    LazyLock::new(|| format!("{}; read -r s l n || exit 1; {COLD}", warm_script("", ":")));

/// Reads the stub `$s`, `$n` bytes in `$l` of gzip, from stdin into the first folder that can hold a
/// program, and becomes it.
///
/// `dd` takes exactly the stub's bytes and leaves the frames behind it unread. In a folder that
/// others share, the stub gets one of its own without a name that could be guessed, and no cache.
/// Without HOME, these are what is left: nobody can make a folder beneath /dev/null.
/// Zeros of its size are written first: once the stub is read, it is too late for another folder.
/// Where two starts put the same stub in its place at once, either one's is run.
const COLD: &str = "umask 077; t=; a=; w=; \
     drop() { rm -f \"$t\"; case $a in temporary*) rmdir \"$d\";; esac; } 2>/dev/null; \
     fail() { drop; echo \"cronium-run:fail $1\"; exit 1; }; \
     for p in dd gzip mktemp; do command -v $p >/dev/null || fail \"there is no $p\"; done; \
     dd iflag=fullblock if=/dev/null of=/dev/null 2>/dev/null || \
     fail \"there is no dd that knows iflag=fullblock\"; \
     for b in \"${XDG_CACHE_HOME:-${HOME:-/dev/null}/.cache}\" /var/tmp /tmp; do \
     case $b in \
     /var/tmp|/tmp) d=$(mktemp -d $b/cronium-run.XXXXXXXXXX 2>&1) || { w=\"$w; $d\"; continue; }; a=temporary;; \
     *) d=$b/cronium-run/stub; e=$( (mkdir -p \"$d\" && chmod 700 \"$d\") 2>&1) || \
     { w=\"$w; $e\"; continue; }; a=;; \
     esac; \
     if t=$(mktemp \"$d/.$s.XXXXXXXX\" 2>&1) && chmod 700 \"$t\"; then \
     if [ -x \"$t\" ]; then dd if=/dev/zero of=\"$t\" bs=$n count=1 2>/dev/null && break; \
     e=\"no room in $b\"; else e=\"$b is mounted noexec\"; fi; else e=$t; t=; fi; \
     w=\"$w; $e\"; drop; t=; a=; done; \
     [ -n \"$t\" ] || fail \"no folder can hold a program: ${w#; }\"; \
     dd bs=$l count=1 iflag=fullblock 2>/dev/null | gzip -dc > \"$t\" || \
     fail \"the runner cannot be written to $d\"; \
     case $(sha256sum < \"$t\" 2>/dev/null || echo none) in $s*) a=\"$a checked\";; none) ;; \
     *) fail \"the runner arrived changed\";; esac; \
     mv -f \"$t\" \"$d/$s\"; case $a in \" checked\") true 2>/dev/null > \"$d/.$s.whole.$h\";; esac; \
     exec \"$d/$s\" run $a";

fn cold_script(stub: &Embedded) -> String {
    format!("s={}; l={}; n={}; {COLD}", stub.digest, stub.gzip.len(), stub.size)
}

/// A script that looks for stamps, with the hour by our clock.
fn this_hour(script: &str) -> String {
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 3600;
    format!("h={hour}; {script}")
}

/// The line for the login shell that makes an sh run `script`.
fn line(escalation: Option<&Escalation<'_>>, script: &str) -> String {
    match escalation {
        None => format!("exec sh -c '{script}'"),
        Some(escalation) => privilege::line(escalation.privilege, script),
    }
}

/// Starts the stub over `connection`, as the user of `escalation`, and sends it `first`. `step` is
/// told when the job is on its way, and when it turns out not to be.
pub async fn start(
    connection: &Connection,
    escalation: Option<&Escalation<'_>>,
    first: &Flight,
    step: &impl Fn(Step),
) -> Result<(Link, Hello), Fault> {
    let Some(asking) = escalation.filter(|escalation| privilege::may_ask(escalation.privilege)) else {
        return match (start_at_once(connection, escalation, first, step).await, escalation) {
            (Err(fault), Some(escalation)) if fault.kind == privilege::NO_TERMINAL => {
                step(Step::Bootstrapping);
                start_asked(connection, escalation, true, first, step).await
            }
            (started, _) => started,
        };
    };
    // doas takes a password from a terminal only.
    let terminal = asking.privilege.method == Method::Doas;
    match start_asked(connection, asking, terminal, first, step).await {
        Err(fault) if fault.kind == privilege::NO_TERMINAL && !terminal && !asking.is_answered() => {
            start_asked(connection, asking, true, first, step).await
        }
        started => started,
    }
}

/// With the first frames in the same flight as the line.
async fn start_at_once(
    connection: &Connection,
    escalation: Option<&Escalation<'_>>,
    first: &Flight,
    step: &impl Fn(Step),
) -> Result<(Link, Hello), Fault> {
    let script = if connection.is_kept() { &WAITING } else { &WARM };
    let mut warm = connection.exec_again(&line(escalation, &this_hour(script))).await?;
    let delivered = send(&mut warm, first.pieces()).await;
    if delivered {
        step(Step::Delivered);
    }
    let machine = match greet(warm, first.frames(), escalation).await {
        Ok(Answer::Stub(started)) => return Ok(*started),
        Ok(Answer::NeedsStub { machine, .. }) => machine,
        // A cached stub that cannot even start: put a whole one in its place.
        Ok(Answer::Mute(mute)) => ask_machine(connection, escalation, mute).await?,
        Err(fault) => return Err(undelivered(fault, delivered)),
    };
    step(Step::Bootstrapping);
    let stub = stub_for(&machine)?;
    // The next one is asked for once the host has taken the one before.
    let pieces = stub.pieces().chain(first.pieces()).inspect(|_| step(Step::Uploading));
    let mut cold = connection.exec(&line(escalation, &this_hour(&cold_script(stub))), false).await?;
    let delivered = send(&mut cold, pieces).await;
    if delivered {
        step(Step::Delivered);
    }
    match greet(cold, first.frames(), escalation).await {
        Ok(Answer::Stub(started)) => Ok(*started),
        Ok(Answer::NeedsStub { .. }) => Err(damaged()),
        Ok(Answer::Mute(mute)) => Err(mute.fault_of_runner(&machine)),
        Err(fault) => Err(undelivered(fault, delivered)),
    }
}

/// Where a password may be asked for: nothing but that is sent before the stub greets or asks to be
/// sent.
async fn start_asked(
    connection: &Connection,
    escalation: &Escalation<'_>,
    terminal: bool,
    first: &Flight,
    step: &impl Fn(Step),
) -> Result<(Link, Hello), Fault> {
    if terminal && matches!(connection, Connection::Local(_)) {
        return Err(privilege::no_terminal_here(escalation.privilege));
    }
    let carrier = connection.exec(&line(Some(escalation), &this_hour(&WARM_OR_COLD)), terminal).await?;
    let asked = greet(carrier, 0, Some(escalation)).await;
    let answer = match asked.map_err(|fault| undelivered(fault, false))? {
        Answer::NeedsStub { machine, mut carrier } => {
            let stub = stub_for(&machine)?;
            let name = format!("{} {} {}\n", stub.digest, stub.gzip.len(), stub.size);
            let pieces = [name.into()].into_iter().chain(stub.pieces());
            send(&mut carrier, pieces.inspect(|_| step(Step::Uploading))).await;
            match greet(carrier, 0, None).await.map_err(|fault| undelivered(fault, false))? {
                Answer::Mute(mute) => return Err(mute.fault_of_runner(&machine)),
                answer => answer,
            }
        }
        answer => answer,
    };
    match answer {
        Answer::Stub(started) => {
            let (mut link, hello) = *started;
            step(Step::Delivered);
            link.send_first(first).await;
            Ok((link, hello))
        }
        Answer::NeedsStub { .. } => Err(damaged()),
        Answer::Mute(mute) => Err(mute.fault(connection.address())),
    }
}

fn damaged() -> Fault {
    Fault::new(Phase::Upload, "damaged", "the runner arrived changed").hint(AGAIN)
}

/// Whether all was sent; if not, reading tells why.
async fn send(carrier: &mut Carrier, pieces: impl IntoIterator<Item = Bytes>) -> bool {
    for piece in pieces {
        if !carrier.write(piece).await {
            return false;
        }
    }
    true
}

fn stub_for(machine: &str) -> Result<&'static Embedded, Fault> {
    tracing::debug!(machine, "no runner in the host's cache");
    stub(machine).ok_or_else(|| {
        Fault::new(Phase::Upload, "architecture", format!("there is no runner for a {machine} machine"))
            .hint("Linux on x86_64 and aarch64 is served")
    })
}

/// A connection that broke before the job was sent leaves no doubt about it.
pub fn undelivered(fault: Fault, delivered: bool) -> Fault {
    match fault.phase {
        Phase::Lost if !delivered => Fault { phase: Phase::Upload, ..fault }.hint(AGAIN),
        _ => fault,
    }
}

async fn ask_machine(
    connection: &Connection,
    escalation: Option<&Escalation<'_>>,
    mute: Mute,
) -> Result<String, Fault> {
    let line = line(escalation, "echo \"cronium-run:need $(uname -m)\"");
    match greet(connection.exec(&line, false).await?, 0, escalation).await? {
        Answer::NeedsStub { machine, .. } => Ok(machine),
        Answer::Mute(_) | Answer::Stub(_) => Err(mute.fault(connection.address())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Privilege, Secret};

    #[test]
    fn the_lines_pass_through_every_login_shell() {
        let asked = |method| Privilege {
            method,
            login: "ann".into(),
            user: "app".into(),
            password: Some(Secret::new("x")),
        };
        let privileges = Method::ALL.map(asked);
        let scripts: Vec<String> = STUBS
            .iter()
            .map(cold_script)
            .chain([WARM.clone(), WAITING.clone(), WARM_OR_COLD.clone()])
            .collect();
        let escalations = privileges.each_ref().map(Escalation::new);
        for escalation in escalations.iter().map(Some).chain([None]) {
            for line in scripts.iter().map(|script| line(escalation, script)) {
                assert_eq!(line.matches('\'').count(), 2, "{line}");
                assert!(!line.contains(['\n', '!', '\\']), "{line}");
            }
        }
    }

    #[test]
    fn the_embedded_stubs_are_whole() {
        for stub in STUBS {
            assert_eq!(cronium_wire::digest::sha256_hex(&stub.program()), stub.digest);
        }
    }
}
