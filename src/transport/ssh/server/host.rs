//! One pretend host.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Stdio;

use russh::keys::PublicKey;
use tokio::process::Command;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Who may come in, and what is found there.
pub struct Host {
    pub user: String,
    /// The one key that is let in.
    pub key: PublicKey,
    /// A folder of its own, and the only trace of what runs there: see [`super::leftovers`].
    pub home: PathBuf,
    /// Where files without a name may lie.
    pub folder: PathBuf,
}

impl Host {
    pub fn admits(&self, user: &str, key: &PublicKey) -> bool {
        user == self.user && key.key_data() == self.key.key_data()
    }

    /// A shell that runs `line`, with pipes, in a process group of its own: a Ctrl-C at the
    /// operator's terminal is not for it.
    pub fn shell(&self, line: &[u8]) -> Command {
        let of_ours = |name: &str, default: &str| match std::env::var_os(name) {
            Some(value) if !value.is_empty() => value,
            _ => default.into(),
        };
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(OsStr::from_bytes(line))
            // The operator's environment stays here: its XDG folders would be those of all hosts.
            .env_clear()
            .env("PATH", of_ours("PATH", DEFAULT_PATH))
            .env("HOME", &self.home)
            .env("USER", &self.user)
            .env("LOGNAME", &self.user)
            .env("SHELL", "/bin/sh")
            .env("LANG", of_ours("LANG", "C.UTF-8"))
            .current_dir(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }
}
