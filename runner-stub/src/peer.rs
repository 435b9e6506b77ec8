//! Who is at the other end of a Unix socket: the script runs as the same user as we, and may speak for
//! the operator neither over the control socket nor in the tunnel's place.
//!
//! The kernel names the process that connected, or that listens. From there we go up to the first of
//! the system. A process that is no more, or a zombie, may have left its socket to anybody.
//!
//! What a script of the same user can do all the same is what it could do without us: end supervisors,
//! remove their folders, and leave its own run for a service of the host (cron, systemd, `ssh localhost`)
//! that starts something for it, which may then ask for a run as any login of this user may, cancel or
//! acknowledge it. Where `/proc` is closed to us (`hidepid`), whoever is hidden may do so, too, as one
//! that asks for a run is hidden there. So its own result may be false, or that of another run of this
//! user be lost; the tunnel's token it never gets: that goes only to the socket of the link that the job
//! came over, and there only to one whose process we see outside of the script, or that is hidden and
//! another user's, as sshd is. (Over a port, to one of another user.)

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

use crate::process_tree::{name_and_parent, stat_of};

/// More generations than there are.
const DEEPEST: usize = 256;
/// A process that ends while we look makes others move.
const TRIES: usize = 3;
/// Bytes of a program's name that the kernel keeps.
const NAME: usize = 15;
/// What the process is called that looks after a run, so that it is told from one that asks for a run.
const SUPERVISOR: &CStr = c"cronium-run:own";

/// From here on this process looks after a run. Called by its first thread, whose name counts.
pub fn become_supervisor() {
    // SAFETY: the name is a string that ends with a zero.
    unsafe { libc::prctl(libc::PR_SET_NAME, SUPERVISOR.as_ptr()) };
}

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Neither of the following.
    Apart,
    /// Below us: the script's.
    Below,
    /// Below the supervisor of another run: that one's script.
    Foreign,
    /// It has ended.
    Gone,
    /// We may not look at it, or at one above it.
    Hidden,
}

/// Of whoever connected to us there. Its user, too.
pub fn of(socket: impl AsFd) -> (Standing, u32) {
    seen(socket, true)
}

/// Of whoever listened where we connected to, which nobody who asks for a run does. Its user, too.
pub fn of_listener(socket: impl AsFd) -> (Standing, u32) {
    seen(socket, false)
}

fn seen(socket: impl AsFd, may_ask: bool) -> (Standing, u32) {
    let peer = credentials(socket);
    let standing = match peer.pid {
        // Outside of our world of processes; a script is always in it.
        0 => Standing::Apart,
        pid => standing(pid, may_ask),
    };
    (standing, peer.uid)
}

/// Whether a supervisor listened where we connected to, and no script that calls itself one. Where we may
/// not look, it is believed.
pub fn is_supervisor(socket: impl AsFd) -> bool {
    let ours = line_of(std::process::id() as i32).unwrap_or_default();
    match line_of(credentials(socket).pid) {
        // Outside of our world of processes, where no script is.
        Ok(line) if line.is_empty() => true,
        Ok(line) => looks_after_a_run(&line, &ours),
        Err(standing) => standing == Standing::Hidden,
    }
}

fn looks_after_a_run(line: &[Above], ours: &[Above]) -> bool {
    let is_ours = |above: &Above| ours.iter().any(|ours| ours.pid == above.pid);
    let mut line = line.iter();
    line.next().is_some_and(Above::is_supervisor)
        && !line.any(|above| above.is_supervisor() && !is_ours(above))
}

/// Not rustix's, whose processes are never 0.
pub fn credentials(socket: impl AsFd) -> libc::ucred {
    let mut peer = libc::ucred { pid: -1, uid: u32::MAX, gid: u32::MAX };
    let mut size = size_of_val(&peer) as libc::socklen_t;
    // SAFETY: the place is as large as we say.
    unsafe {
        let place = (&raw mut peer).cast();
        libc::getsockopt(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &mut size);
    }
    peer
}

fn standing(pid: i32, may_ask: bool) -> Standing {
    let ours = std::process::id() as i32;
    let mut seen = Err(Standing::Gone);
    for _ in 0..TRIES {
        seen = line_of(pid);
        if !matches!(seen, Err(Standing::Gone)) {
            break;
        }
    }
    let line = match seen {
        Ok(line) => line,
        Err(standing) => return standing,
    };
    judge(&line, &line_of(ours).unwrap_or_default(), may_ask)
}

/// Of a process, by those from it and from us up.
fn judge(line: &[Above], ours: &[Above], may_ask: bool) -> Standing {
    let is_ours = |above: &Above| ours.iter().any(|ours| ours.pid == above.pid);
    // We ourselves are not below us.
    if line.iter().skip(1).any(|above| ours.first().is_some_and(|us| us.pid == above.pid)) {
        return Standing::Below;
    }
    // Whoever asks for a run is a stub below its relay. Any other is another run's supervisor, unless
    // we are below that as well.
    let is_asking = |above: &&Above| may_ask && above.is_stub() && !above.is_supervisor();
    let asking = line.iter().take(2).take_while(is_asking).count();
    match line[asking..].iter().any(|above| above.is_stub() && !is_ours(above)) {
        true => Standing::Foreign,
        false => Standing::Apart,
    }
}

/// One of those from a process up.
#[derive(Debug, PartialEq)]
struct Above {
    pid: i32,
    name: String,
}

impl Above {
    /// A program of ours lies under its digest, on a host; nobody but itself can change its name.
    fn is_stub(&self) -> bool {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_digest = self.name.len() == NAME && self.name.bytes().all(is_digit);
        is_digest || self.name == "runner-stub" || self.is_supervisor()
    }

    fn is_supervisor(&self) -> bool {
        self.name.as_bytes() == SUPERVISOR.to_bytes()
    }
}

/// The process, and all above it.
fn line_of(mut pid: i32) -> Result<Vec<Above>, Standing> {
    let mut line = Vec::new();
    while pid > 0 && line.len() < DEEPEST {
        let Ok(stat) = stat_of(pid) else {
            // SAFETY: no signal is sent.
            let is_there = unsafe { libc::kill(pid, 0) } == 0
                || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH);
            return Err(if is_there { Standing::Hidden } else { Standing::Gone });
        };
        let (name, parent) = name_and_parent(&stat).ok_or(Standing::Gone)?;
        line.push(Above { pid, name: name.to_owned() });
        pid = parent;
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use super::*;

    #[test]
    fn where_processes_stand() {
        let ours = std::process::id() as i32;
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let pid = child.id() as i32;
        let (near, _far) = UnixStream::pair().unwrap();
        assert_eq!(of(&near), (Standing::Apart, rustix::process::getuid().as_raw()), "ourselves");
        assert_eq!(standing(ours, true), Standing::Apart);
        assert_eq!(standing(1, true), Standing::Apart);
        assert_eq!(standing(pid, true), Standing::Below);
        child.kill().unwrap();
        while standing(pid, true) == Standing::Below {
            std::thread::yield_now();
        }
        assert_eq!(standing(pid, true), Standing::Gone, "a zombie");
        child.wait().unwrap();
        assert_eq!(standing(pid, true), Standing::Gone);
    }

    #[test]
    fn by_whom_they_stand() {
        const STUB: &str = "0123456789abcde";
        type Line = &'static [(i32, &'static str)];
        let line = |line: Line| -> Vec<Above> {
            line.iter().map(|(pid, name)| Above { pid: *pid, name: (*name).to_owned() }).collect()
        };
        let ours = line(&[(90, STUB), (89, STUB), (7, "sh"), (6, STUB), (2, "sshd"), (1, "init")]);
        const SUP: &str = "cronium-run:own";
        let table: [(&str, Line, Standing); 9] = [
            ("one that asks", &[(50, STUB), (49, STUB), (3, "sshd"), (1, "init")], Standing::Apart),
            ("of another build", &[(50, "fedcba987654321"), (49, STUB), (1, "init")], Standing::Apart),
            ("sshd itself", &[(3, "sshd"), (1, "init")], Standing::Apart),
            ("beside us, in a script", &[(50, STUB), (49, STUB), (7, "sh"), (6, STUB)], Standing::Apart),
            ("our script", &[(50, "sh"), (90, STUB), (89, STUB), (1, "init")], Standing::Below),
            ("a stub of our script", &[(50, STUB), (49, STUB), (90, STUB), (1, "init")], Standing::Below),
            ("another's script", &[(50, "sh"), (60, STUB), (59, STUB), (1, "init")], Standing::Foreign),
            ("its stub", &[(50, STUB), (49, STUB), (60, STUB), (1, "init")], Standing::Foreign),
            ("its script under our name", &[(50, STUB), (60, SUP), (1, "init")], Standing::Foreign),
        ];
        for (what, peer, want) in table {
            assert_eq!(judge(&line(peer), &ours, true), want, "{what}");
        }
        let asking: Line = &[(50, STUB), (49, STUB), (3, "sshd"), (1, "init")];
        assert_eq!(judge(&line(asking), &ours, false), Standing::Foreign, "listens");
        let listeners: [(&str, Line, bool); 5] = [
            ("a supervisor", &[(60, SUP), (59, STUB), (3, "sshd"), (1, "init")], true),
            ("without its relay", &[(60, SUP), (1, "init")], true),
            ("a script", &[(50, "sh"), (60, SUP), (1, "init")], false),
            ("that calls itself one", &[(50, SUP), (60, SUP), (1, "init")], false),
            ("one that asks", &[(50, STUB), (49, STUB), (1, "init")], false),
        ];
        for (what, listener, want) in listeners {
            assert_eq!(looks_after_a_run(&line(listener), &ours), want, "{what}");
        }
    }

    #[test]
    fn programs_of_ours() {
        for (name, want) in
            [("runner-stub", true), ("0123456789abcde", true), ("sh", false), ("0123456789ABCDE", false)]
        {
            assert_eq!(Above { pid: 1, name: name.into() }.is_stub(), want, "{name}");
        }
    }
}
