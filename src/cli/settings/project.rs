//! What `cronium.toml` may say. It often came with a repository that somebody else wrote, and whoever
//! enters the folder has not read it: it must not run programs here, weaken the check of host keys,
//! choose whose signatures count, or take and write files.

use std::io;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};

use super::source;
use crate::config::{Layer, Settings, Source};
use crate::error::{Error, Result};
use crate::inventory::selection::Files;
use crate::inventory::{Account, format};

/// How hosts are chosen and reached, and how things are shown. A new flag is refused until it is
/// put here.
const ALLOWED: &[&str] = &[
    "canary",
    "color",
    "connect-timeout",
    "exclude",
    "forks",
    "gate-timeout",
    "hosts",
    "idle-timeout",
    "interpreter",
    "inventory",
    "jump",
    "lease",
    "limit",
    "max-fail",
    "output",
    "pause",
    "port",
    "private-key",
    "project",
    "reconnect",
    "retries",
    "scope",
    "serial",
    "timeout",
    "user",
    "verbose",
];

/// Why the file of a project cannot set a key; `None` where it can.
pub fn refusal(key: &str) -> Option<&'static str> {
    if ALLOWED.contains(&key) {
        return None;
    }
    Some(match key {
        "ssh-config" | "ssh-option" => {
            "ssh_config runs programs (ProxyCommand, Match exec): whoever wrote the project would run his"
        }
        "known-hosts" | "host-key" => {
            "it says which machines are believed to be your hosts: whoever wrote the project would say so"
        }
        "key" | "verify-key" | "trust" | "bundle" => {
            "it says whose signatures count: whoever wrote the project would make his count"
        }
        "become" | "become-user" | "become-method" => {
            "it says who scripts run as, on this machine too: whoever wrote the project would run his as root"
        }
        "password-file" | "become-password-file" => {
            "it names a file whose first line is sent to hosts: whoever wrote the project would choose which"
        }
        "env" => "variables such as BASH_ENV run programs: whoever wrote the project would run his",
        "input" => "@FILE sends a file of yours: whoever wrote the project would choose which",
        "ledger" | "log-file" | "events" | "junit" | "output-dir" | "output-file" | "into" => {
            "it names files to write: whoever wrote the project would choose which of yours"
        }
        "max-output" => {
            "it says how much of your disk, and of your hosts', a script may fill: that is yours to choose"
        }
        "persist" => "it leaves connections to your hosts open: that is yours to choose",
        "quiet" => "it hides which of your files are sent",
        _ => "only keys that choose, reach and show hosts can stand there",
    })
}

/// Refuses the inventories of a project that are programs: these are run where the operator names
/// them, and read as text where a project does.
pub fn runs_no_program(command: &Command, matches: &ArgMatches, settings: &Settings) -> Result<()> {
    const KEY: &str = "inventory";
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    let Some(command) = command.find_subcommand(name) else { return Ok(()) };
    let source = source(command, matches, settings, KEY);
    if !matches!(source, Source::File { layer: Layer::Project, .. }) {
        return Ok(());
    }
    let account = Account::current()?;
    let files: Vec<&PathBuf> = matches.get_many::<PathBuf>(KEY).unwrap_or_default().collect();
    let Some(program) = files.iter().find(|file| format::is_run(file, &account)) else {
        return names_no_program(&files, &source, &account);
    };
    let typed = typed(program);
    Err(Error::usage(format!("{source}: the inventory {typed} is a program, and a project runs none"))
        .hint(format!("look at it, then: -i {typed}  runs it"))
        .hint(format!("chmod -x {typed}  makes it a text to read")))
}

/// Refuses what a text of a project would have us run: a `ProxyCommand` in Ansible's arguments.
fn names_no_program(files: &[&PathBuf], source: &Source, account: &Account) -> Result<()> {
    let paths = files.iter().map(|file| file.as_path());
    // What cannot be read is told by whoever needs it.
    let Ok(inventory) = format::load(paths, &mut Files::new(io::empty()), account) else { return Ok(()) };
    let command = (0..inventory.entries().len()).find_map(|entry| inventory.settings(entry).proxy_command);
    let Some(command) = command else { return Ok(()) };
    Err(Error::usage(format!("{source}: the inventory has a ProxyCommand, and a project runs no programs"))
        .cause(format!("{}: {}", command.place, command.value))
        .hint("look at it, then name the inventory yourself: -i FILE"))
}

/// As somebody here would type it.
fn typed(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    match here.and_then(|here| Some(path.strip_prefix(here).ok()?.to_owned())) {
        Some(below) => format!("./{}", below.display()),
        None => path.display().to_string(),
    }
}
