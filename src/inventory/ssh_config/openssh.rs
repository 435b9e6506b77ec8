//! Asking the installed OpenSSH: `ssh -G` prints what it would do for a host.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use super::keyword::{self, Meaning};
use super::{HostConfig, Place, Question, Source};
use crate::error::{Error, Result};

/// Printed where nobody configured an `IdentityFile`.
const DEFAULT_IDENTITIES: &[&str] = &[
    "~/.ssh/id_dsa",
    "~/.ssh/id_ecdsa",
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_ed25519_sk",
    "~/.ssh/id_mldsa44_ed25519",
    "~/.ssh/id_rsa",
    "~/.ssh/id_xmss",
];

/// How to ask, and why.
#[derive(Debug)]
pub struct OpenSsh {
    /// The line that only OpenSSH understands.
    because: Place,
    /// Which files are read.
    files: Vec<OsString>,
    options: Vec<OsString>,
    /// What it prints where nobody configured anything.
    defaults: OnceLock<HashSet<String>>,
}

impl OpenSsh {
    pub fn because_of(place: Place) -> Self {
        Self { because: place, files: Vec::new(), options: Vec::new(), defaults: OnceLock::new() }
    }

    /// What every question is asked with.
    pub fn ask_with(&mut self, source: &Source, options: &[String]) {
        match source {
            Source::Standard => {}
            Source::File(path) => self.files.extend(["-F".into(), path.into()]),
            Source::Nothing => self.files.extend(["-F".into(), "none".into()]),
        }
        for option in options {
            self.options.extend(["-o".into(), option.into()]);
        }
    }

    pub fn ask(&self, question: Question<'_>) -> Result<HostConfig> {
        self.ask_with_options(question, &self.options)
    }

    /// What the files alone say.
    pub fn ask_files(&self, question: Question<'_>) -> Result<HostConfig> {
        self.ask_with_options(question, &[])
    }

    fn ask_with_options(&self, question: Question<'_>, options: &[OsString]) -> Result<HostConfig> {
        let mut command = Command::new("ssh");
        command.arg("-G").args(&self.files).args(options);
        if let Some(user) = question.user {
            command.args(["-l", user]);
        }
        if let Some(port) = question.port {
            command.args(["-p", &port.to_string()]);
        }
        command.arg("--").arg(question.host).stdin(Stdio::null());
        let output = command.output().map_err(|error| {
            let missing = error.kind() == ErrorKind::NotFound;
            let error = Error::usage(format!("cannot ask ssh -G about {}", question.host))
                .because(error)
                .cause(format!("{} has a condition that only OpenSSH can answer", self.because));
            if missing {
                error.hint("install OpenSSH's client (ssh), or give another file with -F")
            } else {
                error
            }
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let mut error = Error::usage(format!("ssh -G cannot answer for {}", question.host))
                .hint(format!("ssh -G {}  shows what is wrong", question.host));
            for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
                error = error.cause(line.escape_debug().to_string());
            }
            return Err(error);
        }
        self.read(&String::from_utf8_lossy(&output.stdout)).map_err(|message| {
            Error::failure(format!("cannot read what ssh -G says of {}", question.host))
                .cause(message)
                .hint("please report it with the output of ssh -V")
        })
    }

    /// Lists of algorithms differ from version to version, and are printed whoever set them.
    fn defaults(&self) -> &HashSet<String> {
        self.defaults.get_or_init(|| {
            let output =
                Command::new("ssh").args(["-G", "-F", "none", "--", "host"]).stdin(Stdio::null()).output();
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            text.unwrap_or_default().lines().map(str::to_owned).collect()
        })
    }

    /// The answer: a keyword in lower case and a value without quotes on each line.
    fn read(&self, answer: &str) -> Result<HostConfig, String> {
        let place = Place { file: Arc::from(format!("ssh -G, asked because of {}", self.because)), line: 0 };
        let mut found = HostConfig::default();
        let mut set_env = Vec::new();
        for line in answer.lines() {
            let Some((keyword, value)) = line.split_once(' ') else { continue };
            if keyword::is_always_printed(keyword) && self.defaults().contains(line) {
                continue;
            }
            // One line each, and one setting all together.
            if keyword == "setenv" {
                set_env.push(value.to_owned());
                continue;
            }
            let arguments: Vec<String> = match keyword {
                "userknownhostsfile" | "globalknownhostsfile" => {
                    value.split(' ').map(str::to_owned).collect()
                }
                // Always expanded already. Of the others it depends on the version, and they are
                // expanded again: a path with a literal % is rarer than an old OpenSSH.
                "hostname" => vec![value.replace('%', "%%")],
                _ => vec![value.to_owned()],
            };
            if let Meaning::Setting(setting) = keyword::understand(keyword, &arguments)? {
                found.add(&setting, &place);
            }
        }
        if !set_env.is_empty()
            && let Meaning::Setting(setting) = keyword::understand("setenv", &set_env)?
        {
            found.add(&setting, &place);
        }
        if found.identity_files.iter().all(|file| DEFAULT_IDENTITIES.contains(&file.value.as_str())) {
            found.identity_files.clear();
        }
        Ok(found)
    }
}
