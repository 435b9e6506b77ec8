use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::Context;
use crate::error::{ExitCode, OrFail as _, Result};
use crate::payload::template::Template;

/// Make a payload folder from a template
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run init disk-report
  cronium-run init nightly --interpreter python

The script reads its input, counts in a variable, leaves a file and a result: a start to change. Prints \
the files it wrote. No file is ever replaced.")]
pub struct Args {
    /// The folder to make; its name becomes the payload's
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// What runs the script
    #[arg(long, value_name = "NAME", env = "CRONIUM_RUN_INTERPRETER", default_value = "bash")]
    interpreter: Template,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { dir, interpreter } = args;
    let written = interpreter.write(&dir)?;
    let list: String = written.iter().map(|path| format!("{}\n", path.display())).collect();
    context.term.data(list.as_bytes()).or_fail(|| "cannot write to stdout")?;
    context.term.note(&format!("next: cronium-run exec local {}", quoted(&dir)));
    Ok(ExitCode::Success)
}

/// As a shell reads it back.
fn quoted(dir: &Path) -> String {
    let text = dir.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), Cow::into_owned)
}
