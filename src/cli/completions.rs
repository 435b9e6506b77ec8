use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Context};
use crate::cli::listing::printed;
use crate::error::{ExitCode, Result};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run completions bash > /etc/bash_completion.d/cronium-run
  cronium-run completions zsh > ~/.zfunc/_cronium-run
  cronium-run completions fish > ~/.config/fish/completions/cronium-run.fish")]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    printed(context.term.data(&script(args.shell)))
}

/// The completion script of a shell.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cronium-run", &mut script);
    script
}
