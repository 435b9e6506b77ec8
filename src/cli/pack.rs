use super::Context;
use crate::error::{Error, ExitCode, Result};

/// Pack a folder into a signed payload
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _context: &Context) -> Result<ExitCode> {
    Err(Error::failure("not written yet"))
}
