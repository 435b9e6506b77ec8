//! Values of configuration files become the defaults of flags, below environment and command line.

mod project;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::ci::is_ci;
use crate::config::{Setting, Settings, Source};
use crate::error::{Error, Result};

pub use project::{refusal as project_refusal, runs_no_program};

/// Flags that say what this one call does, not how things are done here, and flags that run
/// programs: the file of a project that somebody else wrote must not make us run its.
const NEVER_CONFIGURED: &[&str] = &[
    "adopt",
    "all",
    "failed",
    "help",
    "not-run",
    "unknown",
    "unreachable",
    "version",
    "check",
    "detach",
    "force",
    "gate",
    "groups",
    "list-hosts",
    "on-condition",
    "on-notify",
];

/// What a person wants at hand and a pipeline must not leave behind: its flag and its variable count
/// there, a file does not.
const NOT_IN_CI: &[&str] = &["persist"];

/// Words that a flag takes in place of a file.
const NO_FILES: &[(&str, &str)] = &[("ssh-config", "none")];

/// Every key that a file may have: the long names of all flags of all commands.
pub fn keys(command: &Command) -> Vec<&str> {
    let mut found: Vec<&str> = command
        .get_arguments()
        .filter_map(Arg::get_long)
        .filter(|long| !NEVER_CONFIGURED.contains(long))
        .collect();
    found.extend(command.get_subcommands().flat_map(keys));
    found.sort_unstable();
    found.dedup();
    found
}

/// Sets the defaults of each flag that has a setting, in all commands.
///
/// Commands may give one name to different flags (`--output`): a command whose flag does not take
/// the value keeps its own default. A value that none of them takes is an error with its place.
pub fn apply(command: Command, settings: &Settings) -> Result<Command> {
    for (key, setting) in settings.iter() {
        check(&command, key, setting)?;
    }
    Ok(set(command, settings))
}

fn set(command: Command, settings: &Settings) -> Command {
    let is_ci = is_ci();
    let setting_of = |arg: &Arg| {
        let setting = settings.get(arg.get_long()?)?;
        if is_ci && NOT_IN_CI.contains(&arg.get_long()?) {
            return None;
        }
        refusal(arg, setting).is_none().then(|| values(arg, setting))
    };
    command
        .mut_args(|arg| match setting_of(&arg) {
            Some(values) => arg.default_values(values),
            None => arg,
        })
        .mut_subcommands(|subcommand| set(subcommand, settings))
}

/// A file's own folder is where its relative paths begin. `~` is left to whoever opens the path.
fn values(arg: &Arg, setting: &Setting) -> Vec<OsString> {
    let key = arg.get_long().unwrap_or_default();
    let folder = match &setting.source {
        Source::File { path, .. } if arg.get_value_hint() == ValueHint::AnyPath => path.parent(),
        _ => None,
    };
    let value = |value: &String| match folder {
        Some(folder) if !value.starts_with('~') && !NO_FILES.contains(&(key, value.as_str())) => {
            folder.join(value).components().collect::<PathBuf>().into_os_string()
        }
        _ => value.into(),
    };
    setting.values.iter().map(value).collect()
}

/// Where the value of a flag of the parsed command comes from.
pub fn source(command: &Command, matches: &ArgMatches, settings: &Settings, key: &str) -> Source {
    let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(key)) else {
        return Source::Default;
    };
    match matches.value_source(arg.get_id().as_str()) {
        Some(ValueSource::CommandLine) => Source::Flag,
        Some(ValueSource::EnvVariable) => {
            Source::Environment(arg.get_env().unwrap_or_default().to_string_lossy().into_owned())
        }
        _ => settings
            .get(key)
            .filter(|setting| refusal(arg, setting).is_none())
            .map_or(Source::Default, |setting| setting.source.clone()),
    }
}

fn check(command: &Command, key: &str, setting: &Setting) -> Result<()> {
    let mut refusals = Vec::new();
    for arg in flags(command, key) {
        match refusal(arg, setting) {
            None => return Ok(()),
            Some(why) => refusals.push(why),
        }
    }
    let Some(why) = refusals.into_iter().next() else { return Ok(()) };
    Err(Error::usage(format!("{}: --{key} does not take this value", setting.source))
        .cause(why)
        .hint(format!("cronium-run exec --help  says what --{key} takes")))
}

fn flags<'a>(command: &'a Command, key: &str) -> Vec<&'a Arg> {
    let mut found: Vec<&Arg> = command.get_arguments().filter(|arg| arg.get_long() == Some(key)).collect();
    found.extend(command.get_subcommands().flat_map(|subcommand| flags(subcommand, key)));
    found
}

/// Why a flag does not take these values.
fn refusal(arg: &Arg, setting: &Setting) -> Option<String> {
    match (arg.get_action(), &setting.values[..]) {
        (ArgAction::Append, _) | (_, [_]) => {}
        (_, values) => return Some(format!("it takes one value, here are {}", values.len())),
    }
    // The flag alone, so that nothing it needs or excludes plays a part.
    let alone = Arg::new("value").long("value").value_parser(arg.get_value_parser().clone());
    let command = Command::new("check").no_binary_name(true).arg(alone);
    setting.values.iter().find_map(|value| {
        let error = command.clone().try_get_matches_from([format!("--value={value}")]).err()?;
        let first = error.to_string().lines().next().unwrap_or_default().to_owned();
        Some(first.trim_start_matches("error: ").replace(" for '--value <value>'", ""))
    })
}

#[cfg(test)]
mod tests;
