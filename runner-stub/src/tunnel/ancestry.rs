//! Whose processes stand between this one and the first of the system.

use std::fs;

/// More generations than there are between sshd and us.
const DEEPEST: usize = 64;

/// The real users of this process and of all it descends from, as far as they can be seen.
pub fn users() -> Vec<u32> {
    let mut found = vec![rustix::process::getuid().as_raw()];
    let mut next = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    for _ in 0..DEEPEST {
        let Some(pid) = next else { break };
        // Not the owner of the folder: that of a process closed to others' eyes is root.
        let Some((parent, user)) =
            fs::read_to_string(format!("/proc/{pid}/status")).ok().as_deref().and_then(parent_and_user)
        else {
            break;
        };
        if !found.contains(&user) {
            found.push(user);
        }
        next = (parent > 0).then_some(parent);
    }
    found
}

/// proc(5): `PPid:` and the first number of `Uid:`. The name in front of them holds no line's end.
fn parent_and_user(status: &str) -> Option<(i32, u32)> {
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next();
    Some((field("PPid:")?.parse().ok()?, field("Uid:")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let status = "Name:\tsh\nState:\tS\nPid:\t7\nPPid:\t3\nUid:\t1000\t0\t0\t0\n";
        assert_eq!(parent_and_user(status), Some((3, 1000)));
        assert_eq!(parent_and_user("Name:\tsh\n"), None);
        assert!(users().contains(&rustix::process::getuid().as_raw()));
    }
}
