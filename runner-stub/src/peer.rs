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
//! came over, and there only to one whose process we see outside of the script.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};

/// More generations than there are.
const DEEPEST: usize = 256;
/// A process that ends while we look makes others move.
const TRIES: usize = 3;
/// Bytes of a program's name that the kernel keeps.
const NAME: usize = 15;

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

/// Of whoever connected to us there, or listened where we connected to. Its user, too.
pub fn of(socket: impl AsFd) -> (Standing, u32) {
    let peer = credentials(socket);
    let standing = match peer.pid {
        // Outside of our world of processes; a script is always in it.
        0 => Standing::Apart,
        pid => standing(pid),
    };
    (standing, peer.uid)
}

/// Not rustix's, whose processes are never 0.
fn credentials(socket: impl AsFd) -> libc::ucred {
    let mut peer = libc::ucred { pid: -1, uid: u32::MAX, gid: u32::MAX };
    let mut size = size_of_val(&peer) as libc::socklen_t;
    // SAFETY: the place is as large as we say.
    unsafe {
        let place = (&raw mut peer).cast();
        libc::getsockopt(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &mut size);
    }
    peer
}

pub fn standing(pid: i32) -> Standing {
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
    judge(&line, &line_of(ours).unwrap_or_default())
}

/// Of a process, by those from it and from us up.
fn judge(line: &[Above], ours: &[Above]) -> Standing {
    let is_ours = |above: &Above| ours.iter().any(|ours| ours.pid == above.pid);
    // We ourselves are not below us.
    if line.iter().skip(1).any(|above| ours.first().is_some_and(|us| us.pid == above.pid)) {
        return Standing::Below;
    }
    // Whoever asks for a run is a stub below its relay. Any other is another run's supervisor, unless
    // we are below that as well.
    let asking = line.iter().take(2).take_while(|above| above.is_stub()).count();
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
        self.name.len() == NAME && self.name.bytes().all(is_digit) || self.name == "runner-stub"
    }
}

/// The process, and all above it.
fn line_of(mut pid: i32) -> Result<Vec<Above>, Standing> {
    let mut line = Vec::new();
    while pid > 0 && line.len() < DEEPEST {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
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

/// From `pid (name) state parent …`; the name may hold anything, `)` too (proc(5)). `None` for a zombie.
fn name_and_parent(stat: &str) -> Option<(&str, i32)> {
    let (start, end) = (stat.find('(')?, stat.rfind(')')?);
    let mut fields = stat[end + 1..].split_ascii_whitespace();
    let is_alive = !matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    is_alive.then_some((stat.get(start + 1..end)?, parent))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use super::*;

    #[test]
    fn lines_of_stat() {
        assert_eq!(name_and_parent("7 (a) b) S 3 7 7"), Some(("a) b", 3)));
        assert_eq!(name_and_parent("7 (sh) Z 1 7"), None);
        assert_eq!(name_and_parent("7"), None);
    }

    #[test]
    fn where_processes_stand() {
        let ours = std::process::id() as i32;
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let pid = child.id() as i32;
        let (near, _far) = UnixStream::pair().unwrap();
        assert_eq!(of(&near), (Standing::Apart, rustix::process::getuid().as_raw()), "ourselves");
        assert_eq!(standing(ours), Standing::Apart);
        assert_eq!(standing(1), Standing::Apart);
        assert_eq!(standing(pid), Standing::Below);
        child.kill().unwrap();
        while standing(pid) == Standing::Below {
            std::thread::yield_now();
        }
        assert_eq!(standing(pid), Standing::Gone, "a zombie");
        child.wait().unwrap();
        assert_eq!(standing(pid), Standing::Gone);
    }

    #[test]
    fn by_whom_they_stand() {
        const STUB: &str = "0123456789abcde";
        type Line = &'static [(i32, &'static str)];
        let line = |line: Line| -> Vec<Above> {
            line.iter().map(|(pid, name)| Above { pid: *pid, name: (*name).to_owned() }).collect()
        };
        let ours = line(&[(90, STUB), (89, STUB), (7, "sh"), (6, STUB), (2, "sshd"), (1, "init")]);
        let table: [(&str, Line, Standing); 8] = [
            ("one that asks", &[(50, STUB), (49, STUB), (3, "sshd"), (1, "init")], Standing::Apart),
            ("of another build", &[(50, "fedcba987654321"), (49, STUB), (1, "init")], Standing::Apart),
            ("sshd itself", &[(3, "sshd"), (1, "init")], Standing::Apart),
            ("beside us, in a script", &[(50, STUB), (49, STUB), (7, "sh"), (6, STUB)], Standing::Apart),
            ("our script", &[(50, "sh"), (90, STUB), (89, STUB), (1, "init")], Standing::Below),
            ("a stub of our script", &[(50, STUB), (49, STUB), (90, STUB), (1, "init")], Standing::Below),
            ("another's script", &[(50, "sh"), (60, STUB), (59, STUB), (1, "init")], Standing::Foreign),
            ("its stub", &[(50, STUB), (49, STUB), (60, STUB), (1, "init")], Standing::Foreign),
        ];
        for (what, peer, want) in table {
            assert_eq!(judge(&line(peer), &ours), want, "{what}");
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
