//! The command line: one file a command, with its arguments and its `run`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use rustix::process::DumpableBehavior;

use crate::config;
use crate::error::{Error, ExitCode, Result};
use crate::inventory::Account;
use crate::term::{Color, Term};

pub mod artifact_store;
mod artifacts;
mod attach;
mod cancel;
mod ci;
mod collect;
mod completions;
pub mod connect;
mod demo;
mod deploy;
mod descriptors;
mod doctor;
mod exec;
mod gate;
mod generate;
mod hooks;
mod hosts;
mod init;
mod inspect;
mod keeper;
mod keygen;
mod launch;
mod leave;
mod left_open;
mod listing;
mod logging;
mod logs;
mod operator;
mod order;
mod pack;
mod privilege;
mod rerun;
mod resume;
mod rollout;
mod runs;
pub mod settings;
mod settled;
mod shell;
mod show;
mod sign;
mod strangers;
mod supervision;
mod task;
mod unlock;
pub mod variables;
mod vars;
mod verify;

/// Run signed scripts on many hosts over SSH, with nothing installed there.
#[derive(Debug, Parser)]
#[command(name = "cronium-run", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CRONIUM_RUN_LEDGER",
        help_heading = "Global options"
    )]
    pub ledger: Option<PathBuf>,
    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "CRONIUM_RUN_COLOR",
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub color: Color,
    /// Append what the program does to a file, for whoever looks for a fault
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CRONIUM_RUN_LOG_FILE",
        help_heading = "Global options"
    )]
    pub log_file: Option<PathBuf>,
    /// Log more (repeat); to stderr where no --log-file is named
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// The long names of flags that stand on the command line.
    #[arg(skip)]
    pub given: BTreeSet<String>,
}

impl Global {
    pub fn is_given(&self, long: &str) -> bool {
        self.given.contains(long)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Exec(Box<exec::Args>),
    Deploy(Box<deploy::Args>),
    Attach(Box<attach::Args>),
    Collect(Box<collect::Args>),
    Cancel(Box<cancel::Args>),
    Rerun(Box<rerun::Args>),
    Init(init::Args),
    Pack(pack::Args),
    Sign(sign::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
    Keygen(keygen::Args),
    Hosts(Box<hosts::Args>),
    Doctor(Box<doctor::Args>),
    Runs(runs::Args),
    Show(show::Args),
    Logs(logs::Args),
    Artifacts(artifacts::Args),
    Keeper(keeper::Args),
    Vars(vars::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Generate(generate::Args),
}

/// What every command is given.
pub struct Context {
    pub term: Term,
    pub global: Global,
}

impl Context {
    /// Where the ledger is: `--ledger`, else the user's state folder.
    pub fn ledger_path(&self) -> Result<PathBuf> {
        match &self.global.ledger {
            // A configuration file's `~` is expanded by nobody else.
            Some(path) => Ok(expanded(path)),
            None => Ok(state_dir()?.join("ledger.db")),
        }
    }

    /// Where is remembered which key each host took.
    pub fn login_keys_path(&self) -> Result<PathBuf> {
        Ok(state_dir()?.join("login-keys"))
    }
}

fn expanded(path: &Path) -> PathBuf {
    let home = path.strip_prefix("~").ok().zip(Account::current().ok());
    home.map_or_else(|| path.to_owned(), |(below, account)| account.home.join(below))
}

/// `$XDG_STATE_HOME/cronium-run`.
fn state_dir() -> Result<PathBuf> {
    use etcetera::BaseStrategy as _;
    let base = etcetera::base_strategy::Xdg::new().map_err(|error| {
        Error::failure("cannot find your home folder").because(error).hint("export HOME=/home/you")
    })?;
    Ok(base.state_dir().expect("XDG has one").join("cronium-run"))
}

/// Parses the command line, runs the command and says how it went.
pub fn main() -> process::ExitCode {
    // Keys and tokens are in our memory, and a script of `local` runs as the same user.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Until the command line is read, nothing is known of what the operator wants of colours.
    let outcome = parse().map_err(|error| (Term::new(Color::Auto), error)).and_then(|cli| {
        // What the environment or a file says is said of the next command, too.
        let ledger = cli.global.ledger.as_deref().filter(|_| cli.global.is_given("ledger"));
        let term = Term::new(cli.global.color).about(ledger);
        let context = Context { term, global: cli.global };
        let run = || {
            logging::start(&context.global, &context.term)?;
            dispatch(cli.command, &context)
        };
        run().map_err(|error| (context.term.clone(), error))
    });
    let code = outcome.unwrap_or_else(|(term, error)| {
        term.error(&error);
        error.code
    });
    process::ExitCode::from(code as u8)
}

/// The command line over the environment over configuration files. Ends the process for `--help`
/// and for what clap itself refuses.
fn parse() -> Result<Cli> {
    let command = Cli::command();
    let settings = config::load(&settings::keys(&command), settings::project_refusal);
    let configured = settings.and_then(|settings| {
        let configured = settings::apply(Cli::command(), &settings)?;
        Ok((configured, settings))
    });
    let matches = match configured {
        Ok((configured, settings)) => {
            let matches = configured.try_get_matches().unwrap_or_else(|error| with_tip(error).exit());
            settings::runs_no_program(&command, &matches, &settings)?;
            matches
        }
        Err(error) => {
            // Help and a mistyped command come before a mistake in a file.
            command.get_matches();
            return Err(error);
        }
    };
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.global.given = given(&command, &matches);
    Ok(cli)
}

/// As opposed to defaults, configuration files and the environment: those say how things are done here,
/// always.
fn given(command: &clap::Command, matches: &ArgMatches) -> BTreeSet<String> {
    let Some((name, matches)) = matches.subcommand() else { return BTreeSet::new() };
    let arguments = command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    let is_given = |arg: &&clap::Arg| {
        let id = arg.get_id().as_str();
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    arguments
        .chain(command.get_arguments())
        .filter(is_given)
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect()
}

/// What `ssh -o` takes, another flag takes here.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let of = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let (flag, value) = (of(ContextKind::InvalidArg), of(ContextKind::InvalidValue));
    if flag.starts_with("--output ") && value.contains('=') {
        let tip = format!("ssh's -o is '--ssh-option {value}' here");
        error.remove(ContextKind::SuggestedValue);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

fn dispatch(command: Command, context: &Context) -> Result<ExitCode> {
    match command {
        Command::Exec(args) => exec::run(*args, context),
        Command::Deploy(args) => deploy::run(*args, context),
        Command::Attach(args) => attach::run(*args, context),
        Command::Collect(args) => collect::run(*args, context),
        Command::Cancel(args) => cancel::run(*args, context),
        Command::Rerun(args) => rerun::run(*args, context),
        Command::Init(args) => init::run(args, context),
        Command::Pack(args) => pack::run(args, context),
        Command::Sign(args) => sign::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Keygen(args) => keygen::run(args, context),
        Command::Hosts(args) => hosts::run(*args, context),
        Command::Doctor(args) => doctor::run(*args, context),
        Command::Runs(args) => runs::run(args, context),
        Command::Show(args) => show::run(args, context),
        Command::Logs(args) => logs::run(args, context),
        Command::Artifacts(args) => artifacts::run(args, context),
        Command::Keeper(args) => keeper::run(args, context),
        Command::Vars(args) => vars::run(args, context),
        Command::Demo(args) => demo::run(args, context),
        Command::Completions(args) => completions::run(args, context),
        Command::Generate(args) => generate::run(args, context),
    }
}
