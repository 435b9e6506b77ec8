//! Who is running us: the defaults of every connection.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The user on this machine, and what a configuration may ask of the environment.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: String,
    pub uid: u32,
    pub home: PathBuf,
    /// The name of this machine.
    pub machine: String,
    /// Environment variables that are UTF-8.
    pub environment: HashMap<String, String>,
}

impl Account {
    /// The user's name is the one that the system knows for our user id, else `$LOGNAME`, else
    /// `$USER`; the home folder is `$HOME`, else the system's.
    pub fn current() -> Result<Self> {
        let uid = rustix::process::getuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entry = passwd_entry(&passwd, uid);
        let environment: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        let user = entry
            .as_ref()
            .map(|(user, _)| user.clone())
            .or_else(|| variable("LOGNAME"))
            .or_else(|| variable("USER"))
            .ok_or_else(|| {
                Error::failure(format!("cannot find the name of user {uid} of this machine"))
                    .hint("export USER=your-name")
            })?;
        let home = std::env::var_os("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
            .or_else(|| entry.map(|(_, home)| home))
            .ok_or_else(|| {
                Error::failure("cannot find your home folder").hint(format!("export HOME=/home/{user}"))
            })?;
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self { user, uid, home, machine, environment })
    }

    /// A path of a configuration: `~` and `~/…` are the home folder. `None` for `~somebody`.
    pub fn expand_home(&self, path: &str) -> Option<PathBuf> {
        match path.strip_prefix('~') {
            None => Some(PathBuf::from(path)),
            Some("") => Some(self.home.clone()),
            Some(rest) => Some(self.home.join(rest.strip_prefix('/')?.trim_start_matches('/'))),
        }
    }

    /// The agent that `$SSH_AUTH_SOCK` names.
    pub fn agent(&self) -> Option<PathBuf> {
        self.environment.get("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    pub fn ssh_dir(&self) -> PathBuf {
        self.home.join(".ssh")
    }

    /// Whether we may believe what a file of this owner says: it is ours or root's.
    pub fn trusts(&self, owner: u32) -> bool {
        owner == self.uid || owner == 0
    }

    /// An account of a test: nothing of this machine.
    #[cfg(test)]
    pub(crate) fn pretend(home: &Path) -> Self {
        Self {
            user: "me".into(),
            uid: rustix::process::getuid().as_raw(),
            home: home.into(),
            machine: "desk.example.com".into(),
            environment: HashMap::new(),
        }
    }
}

/// Name and home folder of a user id in the text of `/etc/passwd`.
fn passwd_entry(passwd: &str, uid: u32) -> Option<(String, PathBuf)> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [user, _, id, _, _, home, _] if id.parse() == Ok(uid) && !user.is_empty() => {
                Some((user.to_owned(), Path::new(home).to_owned()))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_passwd_file_names_users_and_homes() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nann:x:1000:1000:Ann,,,:/home/ann:/bin/sh\n";
        assert_eq!(passwd_entry(passwd, 1000), Some(("ann".into(), "/home/ann".into())));
        assert_eq!(passwd_entry(passwd, 7), None);
    }

    #[test]
    fn a_tilde_is_the_home_folder_of_ourselves_only() {
        let account = Account::pretend(Path::new("/home/me"));
        for (typed, expected) in [
            ("~", Some("/home/me")),
            ("~/.ssh/key", Some("/home/me/.ssh/key")),
            ("~//key", Some("/home/me/key")),
            ("/a/~b", Some("/a/~b")),
            ("~ann/key", None),
        ] {
            assert_eq!(account.expand_home(typed), expected.map(PathBuf::from), "{typed}");
        }
    }
}
