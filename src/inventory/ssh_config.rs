//! OpenSSH's client configuration, read once and asked for any number of hosts.
//!
//! The format is that of ssh_config(5). The first value of a keyword wins; `IdentityFile` adds up.
//! What OpenSSH would follow and we cannot is never dropped in silence: see [`Weight`]. A
//! configuration with `CanonicalizeHostname`, or a `Match` that asks for more than names, is answered
//! by `ssh -G`.

mod criteria;
mod expansion;
mod host_config;
mod keyword;
mod line;
mod openssh;
mod reader;
#[cfg(test)]
mod tests;
pub mod time;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Account, wildcard};
use crate::error::{Error, Result};

pub use expansion::{Names, host_name};
pub use host_config::{HostConfig, Placed};
pub use keyword::{Unsupported, Weight};

use criteria::{Criteria, Known};
use keyword::Setting;
use openssh::OpenSsh;

/// `-F`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// `~/.ssh/config`, then `/etc/ssh/ssh_config`; either may be missing.
    #[default]
    Standard,
    File(PathBuf),
    /// `-F none`.
    Nothing,
}

/// Everything that the files say, for all hosts.
#[derive(Debug)]
pub struct Config {
    sections: Vec<Section>,
    /// How many of the first sections are `--ssh-option`s.
    options: usize,
    scopes: Vec<Scope>,
    openssh: Option<OpenSsh>,
    local_user: String,
    /// The patterns of all `Host` lines, and where each stands.
    hosts: Vec<(String, Place)>,
    /// What a person should know of the files themselves.
    pub warnings: Vec<String>,
}

/// Settings that hold under the same conditions.
#[derive(Debug)]
struct Section {
    /// Indices of scopes that must all hold: the block, and the blocks around its `Include`.
    scopes: Vec<usize>,
    settings: Vec<(Setting, Place)>,
}

#[derive(Debug)]
enum Scope {
    /// The patterns of a `Host` line.
    Host(Vec<String>),
    Match(Criteria),
}

/// `file:line`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    /// Counted from 1; 0 where there are no lines.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A line's keyword, in lower case, and its arguments; nothing for an empty line or a comment. An error
/// for what OpenSSH would not know.
pub fn known_setting(line: &str) -> Result<Option<(String, Vec<String>)>, String> {
    match line::split(line)? {
        Some(line) if !keyword::is_known(&line.keyword) => Err(format!("no such keyword: {}", line.keyword)),
        Some(line) if line.arguments.is_empty() => Err(format!("{} needs an argument", line.keyword)),
        line => Ok(line.map(|line| (line.keyword, line.arguments))),
    }
}

/// What is asked about: a host as it was typed, and what was said about it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub host: &'a str,
    pub user: Option<&'a str>,
    pub port: Option<u16>,
}

impl Config {
    /// Reads all files. `options` are values of `--ssh-option`, which come before every file.
    pub fn load(source: &Source, options: &[String], account: &Account) -> Result<Self> {
        let mut config = reader::read(source, options, account)?;
        if let Some(openssh) = &mut config.openssh {
            openssh.ask_with(source, options);
        }
        Ok(config)
    }

    /// The patterns of all `Host` lines, in the order of the files.
    pub fn hosts(&self) -> &[(String, Place)] {
        &self.hosts
    }

    /// What holds for one host, not yet expanded.
    pub fn for_host(&self, question: Question<'_>) -> Result<HostConfig> {
        match &self.openssh {
            Some(openssh) => openssh.ask(question),
            None => Ok(self.look_up(&self.sections, question)),
        }
    }

    /// [`for_host`](Self::for_host) for a jump host: options are for the hosts behind it, as with
    /// `ssh -o`.
    pub fn for_jump(&self, question: Question<'_>) -> Result<HostConfig> {
        match &self.openssh {
            Some(openssh) => openssh.ask_files(question),
            None => Ok(self.look_up(&self.sections[self.options..], question)),
        }
    }

    /// [`for_host`](Self::for_host) for many, in order. Asks OpenSSH several times at once.
    pub fn for_hosts(&self, questions: &[Question<'_>]) -> Result<Vec<HostConfig>> {
        const AT_ONCE: usize = 8;
        if self.openssh.is_none() || questions.len() < 2 {
            return questions.iter().map(|&question| self.for_host(question)).collect();
        }
        let chunks = questions.chunks(questions.len().div_ceil(AT_ONCE));
        let answers = std::thread::scope(|scope| {
            let threads: Vec<_> = chunks
                .map(|chunk| {
                    scope.spawn(move || {
                        chunk.iter().map(|&question| self.for_host(question)).collect::<Result<Vec<_>>>()
                    })
                })
                .collect();
            let ended = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<HostConfig>>>| {
                thread.join().unwrap_or_else(|_| Err(Error::failure("a thread that asked ssh -G panicked")))
            };
            threads.into_iter().map(ended).collect::<Result<Vec<_>>>()
        })?;
        Ok(answers.into_iter().flatten().collect())
    }
}

impl Config {
    fn look_up(&self, sections: &[Section], question: Question<'_>) -> HostConfig {
        // Unknown yet, or whether the scope holds: each is asked once, where its line stands.
        let mut holds: Vec<Option<bool>> = vec![None; self.scopes.len()];
        let mut found = HostConfig::default();
        for section in sections {
            let applies = section.scopes.iter().all(|&scope| {
                *holds[scope]
                    .get_or_insert_with(|| self.scopes[scope].holds(question, &found, &self.local_user))
            });
            if applies {
                for (setting, place) in &section.settings {
                    found.add(setting, place);
                }
            }
        }
        found
    }
}

impl Scope {
    fn holds(&self, question: Question<'_>, so_far: &HostConfig, local_user: &str) -> bool {
        let typed = question.host;
        let criteria = match self {
            Self::Host(patterns) => return wildcard::any_matches(patterns, typed),
            Self::Match(criteria) => criteria,
        };
        let name = so_far.host_name.as_ref().and_then(|name| host_name(&name.value, typed).ok());
        criteria.hold(Known {
            host: name.as_deref().unwrap_or(typed),
            original_host: typed,
            user: question
                .user
                .or(so_far.user.as_ref().map(|user| user.value.as_str()))
                .unwrap_or(local_user),
            local_user,
        })
    }
}
