//! Passwords and passphrases that connections need: asked for once, before any host is touched.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::connect::{ConnectArgs, HostArgs};
use super::privilege::PrivilegeArgs;
use crate::error::{Error, OrFail as _, Result};
use crate::inventory::{Address, Proxy, Secret, Ssh, Target};
use crate::term::Term;
use crate::transport::ssh;

/// As often as ssh asks.
const ATTEMPTS: usize = 3;

/// What a person typed.
#[derive(Default)]
pub struct Typed {
    password: Option<Secret>,
    become_password: Option<Secret>,
    /// `None` where he wants to go without the key.
    passphrases: HashMap<PathBuf, Option<Secret>>,
}

impl HostArgs {
    /// The targets with everything a person has to type: the passwords of `-k` and `-K`, and the
    /// passphrase of each key that would be tried and that no agent holds. Without a terminal nobody is asked
    /// for a passphrase; hosts that nothing else opens say so.
    pub fn unlock(&self, targets: Vec<Target>, term: &Term) -> Result<Vec<Target>> {
        self.unlock_by(&mut Typed::default(), targets, term)
    }

    /// [`HostArgs::unlock`], where nobody is asked again for what he has `typed`.
    pub fn unlock_by(&self, typed: &mut Typed, mut targets: Vec<Target>, term: &Term) -> Result<Vec<Target>> {
        if typed.password.is_none() {
            typed.password = self.connect.password(term)?;
        }
        let password = typed.password.clone();
        let becomes = targets.iter().any(|target| target.privilege.is_some());
        let become_password = match &typed.become_password {
            Some(known) if becomes => Some(known.clone()),
            _ => self.privilege.password(&targets, password.as_ref(), term)?,
        };
        typed.become_password = become_password.clone().or(typed.become_password.take());
        for target in &mut targets {
            if let Address::Ssh(ssh) = &mut target.address {
                ssh.password.clone_from(&password);
            }
            if let Some(privilege) = &mut target.privilege {
                privilege.password.clone_from(&become_password);
            }
        }
        if can_ask(term) {
            let ways = targets.iter().flat_map(|target| ways(&target.address));
            let addresses: Vec<&Ssh> = ways.filter(|address| !address.batch_mode).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.or_fail(|| "cannot start the threads that ask the agent")?;
            for key in runtime.block_on(ssh::locked_keys(addresses.iter().copied())) {
                let known = match typed.passphrases.get(&key) {
                    Some(known) => known.clone(),
                    None => passphrase(&key)?,
                };
                typed.passphrases.insert(key.clone(), known.clone());
                let Some(passphrase) = known else { continue };
                // All hosts of a run share one set.
                if let Some(address) = addresses.first() {
                    address.passphrases.set(&key, passphrase);
                }
            }
        }
        Ok(targets)
    }
}

impl ConnectArgs {
    fn password(&self, term: &Term) -> Result<Option<Secret>> {
        if let Some(path) = &self.password_file {
            return first_line(path, "--ask-pass  asks for it").map(Some);
        }
        if !self.ask_pass {
            return Ok(None);
        }
        if !can_ask(term) {
            return Err(Error::usage("no SSH password, and no terminal to ask for it")
                .hint("--password-file FILE  reads it from a file"));
        }
        prompt("SSH password: ").map(Some)
    }
}

impl PrivilegeArgs {
    /// What sudo, doas or su of the hosts want; `ssh` is what `-k` was given. Nobody is asked where
    /// no target becomes another user.
    fn password(&self, targets: &[Target], ssh: Option<&Secret>, term: &Term) -> Result<Option<Secret>> {
        if !targets.iter().any(|target| target.privilege.is_some()) {
            if let Some(flag) = self.idle() {
                term.note(&format!("warning: {flag} changes nothing: no host is told to --become"));
            }
            return Ok(None);
        }
        if let Some(path) = &self.become_password_file {
            return first_line(path, "--ask-become-pass  asks for it").map(Some);
        }
        if !self.ask_become_pass {
            return Ok(None);
        }
        if !can_ask(term) {
            return Err(Error::usage("no password to become another user, and no terminal to ask for it")
                .hint("--become-password-file FILE  reads it from a file"));
        }
        let same = if ssh.is_some() { " (empty: the SSH password)" } else { "" };
        let typed = prompt(&format!("Become password{same}: "))?;
        match (typed.expose().is_empty(), ssh) {
            (false, _) => Ok(Some(typed)),
            (true, Some(ssh)) => Ok(Some(ssh.clone())),
            (true, None) => Err(Error::usage("the password to become another user is empty")
                .hint("leave --ask-become-pass out where the hosts want none")),
        }
    }
}

/// Of a file that holds a password.
fn first_line(path: &Path, hint: &str) -> Result<Secret> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        Error::usage(format!("cannot read the password file {}", path.display())).because(error).hint(hint)
    })?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(Error::usage(format!("the password file {} has no first line", path.display())).hint(hint)),
    }
}

/// The host and the jump hosts on the way to it.
fn ways(address: &Address) -> Vec<&Ssh> {
    let mut ways = Vec::new();
    let mut next = match address {
        Address::Local => None,
        Address::Ssh(ssh) => Some(&**ssh),
    };
    while let Some(ssh) = next {
        ways.push(ssh);
        next = match &ssh.proxy {
            Some(Proxy::Jump(jump)) => Some(jump),
            _ => None,
        };
    }
    ways
}

/// `None` where the person gives nothing: the key is left out then.
fn passphrase(key: &Path) -> Result<Option<Secret>> {
    let name = key.display();
    for attempt in 1..=ATTEMPTS {
        let again = if attempt > 1 { "That does not open it. " } else { "" };
        let typed = prompt(&format!("{again}Passphrase of {name} (empty: go without it): "))?;
        if typed.expose().is_empty() {
            return Ok(None);
        }
        if ssh::opens_key(key, &typed) {
            return Ok(Some(typed));
        }
    }
    Err(Error::usage(format!("no passphrase opened {name}"))
        .hint(format!("ssh-add {name}"))
        .hint("--ssh-option IdentitiesOnly=yes --private-key FILE  uses another key"))
}

/// Whether a person is there: a terminal of ours, and one of our streams on it.
fn can_ask(term: &Term) -> bool {
    let is_there = io::stdin().is_terminal() || term.err_is_tty();
    is_there && File::options().read(true).write(true).open("/dev/tty").is_ok()
}

fn prompt(text: &str) -> Result<Secret> {
    rpassword::prompt_password(text).map(Secret::new).or_fail(|| "cannot read what you type".to_owned())
}
