use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Context, completions};
use crate::error::{ExitCode, OrFail, Result};

/// Write man pages and completion scripts into a folder
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Gets the folders man and completions
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

const SHELLS: [(Shell, &str); 3] =
    [(Shell::Bash, "cronium-run.bash"), (Shell::Zsh, "_cronium-run"), (Shell::Fish, "cronium-run.fish")];

pub fn run(args: Args, _context: &Context) -> Result<ExitCode> {
    for (shell, name) in SHELLS {
        write(&args.dir.join("completions"), name, &completions::script(shell))?;
    }
    let mut command = Cli::command();
    command.build();
    pages(&command, &args.dir.join("man"))?;
    Ok(ExitCode::Success)
}

/// One page a command, named as `man` looks for it.
fn pages(command: &Command, dir: &Path) -> Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-");
    let mut page = Vec::new();
    // Without a date: the same source makes the same page.
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .or_fail(|| format!("cannot write the page of {name}"))?;
    write(dir, &format!("{name}.1"), &page)?;
    for subcommand in
        command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
    {
        pages(subcommand, dir)?;
    }
    Ok(())
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(dir).or_fail(|| format!("cannot make {}", dir.display()))?;
    let path = dir.join(name);
    fs::write(&path, bytes).or_fail(|| format!("cannot write {}", path.display()))
}
