use cronium_wire::manifest::{Interpreter, Manifest, sanitise_name};

use super::pack_single;
use crate::error::{Error, Result};
use crate::payload::Packed;

/// The file a one-off command is packed as.
const ENTRYPOINT: &str = "command.sh";
/// The shell gives way to the command at once: PATH is searched, every word stays as it is, and
/// exit code and signal are the command's own.
const EXEC: &str = "exec \"$@\"\n";

/// Packs a one-off command.
///
/// One word is a line for `sh` and becomes the script itself. Several are an exact argv: they
/// stand in the manifest's `args`, and the script runs them unchanged.
pub fn pack_command(argv: &[String]) -> Result<Packed> {
    let fault = match argv {
        [] => Some("no command was given"),
        [line] if line.trim().is_empty() => Some("the command is empty"),
        [program, ..] if program.is_empty() => Some("the command's first word is empty"),
        _ => None,
    };
    if let Some(fault) = fault {
        return Err(Error::usage(fault).hint("cronium-run exec web[01-20] -- uptime -p"));
    }
    if let Some(word) = argv.iter().find(|word| word.contains('\0')) {
        return Err(Error::usage(format!("the command's word '{}' holds a NUL", word.escape_debug())));
    }
    let mut manifest = Manifest::new(Interpreter::Sh, ENTRYPOINT);
    manifest.name = Some(command_name(argv));
    match argv {
        [line] => pack_single(&manifest, format!("{line}\n").as_bytes()),
        words => {
            manifest.args = words.to_vec();
            pack_single(&manifest, EXEC.as_bytes())
        }
    }
}

/// The program's name, without its folder.
fn command_name(argv: &[String]) -> String {
    let program = argv.first().and_then(|word| word.split_whitespace().next()).unwrap_or_default();
    let name = sanitise_name(program.rsplit('/').next().unwrap_or_default());
    if name.is_empty() { "command".into() } else { name }
}
