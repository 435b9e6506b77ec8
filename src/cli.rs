//! The command line: one file a command, with its arguments and its `run`.

use std::path::PathBuf;
use std::process;

use clap::{Parser, Subcommand};

use crate::error::{Error, ExitCode, Result};
use crate::term::{Color, Term};

pub mod connect;
mod hosts;
mod init;
mod inspect;
mod keygen;
mod listing;
mod logs;
mod pack;
mod runs;
pub mod settings;
mod show;
mod sign;
pub mod variables;
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
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Pack(pack::Args),
    Sign(sign::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
    Keygen(keygen::Args),
    Hosts(Box<hosts::Args>),
    Runs(runs::Args),
    Show(show::Args),
    Logs(logs::Args),
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
            Some(path) => Ok(path.clone()),
            None => Ok(state_dir()?.join("ledger.db")),
        }
    }
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
    let cli = Cli::parse();
    let term = Term::new(cli.global.color);
    let context = Context { term, global: cli.global };
    let code = match dispatch(cli.command, &context) {
        Ok(code) => code,
        Err(error) => {
            context.term.error(&error);
            error.code
        }
    };
    process::ExitCode::from(code as u8)
}

fn dispatch(command: Command, context: &Context) -> Result<ExitCode> {
    match command {
        Command::Init(args) => init::run(args, context),
        Command::Pack(args) => pack::run(args, context),
        Command::Sign(args) => sign::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Keygen(args) => keygen::run(args, context),
        Command::Hosts(args) => hosts::run(*args, context),
        Command::Runs(args) => runs::run(args, context),
        Command::Show(args) => show::run(args, context),
        Command::Logs(args) => logs::run(args, context),
    }
}
