//! The runner stub: the only thing that ever runs a job on a host.
//!
//! Started as `runner-stub run`, it speaks the wire on stdin and stdout: verify, stage, run,
//! result. Started under the name `cronium` (or `cronium.input` and so on), it is the helper
//! command of a script.

use std::io::{self, Write as _};
use std::process::ExitCode;

mod about;
mod artifact;
mod aside;
mod attach;
mod cgroup;
mod clock;
mod desk;
mod door;
mod downlink;
mod environment;
mod events;
mod fnv;
mod helper_call;
mod identity;
mod inherited;
mod journal;
mod kept;
mod lease;
mod payload;
mod peer;
mod plain_file;
mod process_tree;
mod pump;
mod refusal;
mod relay;
mod ring;
mod run_folder;
mod script;
mod sdk;
mod serve;
mod session;
mod settle;
mod spool;
mod stale;
#[cfg(all(panic = "abort", target_env = "musl"))]
mod thread_name;
mod trust;
mod tunnel;
#[cfg(all(panic = "abort", target_env = "musl"))]
mod unwinding;
mod uplink;
mod usage;
mod watch;

fn main() -> ExitCode {
    let Ok(args) = std::env::args_os().map(|arg| arg.into_string()).collect::<Result<Vec<_>, _>>() else {
        tell("an argument is not UTF-8");
        return ExitCode::from(2);
    };
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    if name == "cronium" || name.starts_with("cronium.") {
        return helper_call::command::main(name, args.collect());
    }
    match args.next().as_deref() {
        Some("run") => session::main(&args.collect::<Vec<_>>()),
        Some("--version") => {
            print(concat!("runner-stub ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::SUCCESS
        }
        _ => {
            tell("runner-stub is started by cronium-run; see `cronium-run help exec`");
            ExitCode::from(2)
        }
    }
}

/// Unlike `print!`, no panic where nobody reads any more.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
}

/// A line on stderr; no panic where nobody reads any more.
fn tell(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
