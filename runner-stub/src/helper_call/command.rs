//! The `cronium` command, and the same under Cronium's names (`cronium.input` …).

use std::process::ExitCode;

mod data;
mod help;
mod line;
mod name;
mod told;
mod variables;
mod words;

/// Why a helper command ends badly: its exit code and a line for stderr.
///
/// 1: refused or out of reach, 2: usage, 3: no such value, 4: the version is another one.
#[derive(Debug, PartialEq)]
struct Failure(u8, String);

type Outcome<T> = Result<T, Failure>;

fn usage(message: impl Into<String>) -> Failure {
    Failure(2, message.into())
}

/// `name` is what the program was called by: `cronium`, or `cronium.` and a subcommand.
pub fn main(name: &str, mut args: Vec<String>) -> ExitCode {
    let mut given = match name.strip_prefix("cronium.") {
        Some(name) => name.to_owned(),
        None if args.is_empty() => "help".into(),
        None => args.remove(0),
    };
    let mut wants_help = args.first().is_some_and(|arg| is_help(arg));
    if given == "help" || is_help(&given) {
        if args.is_empty() {
            crate::print(help::ALL);
            return ExitCode::SUCCESS;
        }
        given = args.remove(0);
        wants_help = true;
    }
    let Some(subcommand) = name::canonical(&given) else {
        crate::tell(&format!("cronium: no helper is called '{given}'{}", name::suggestion(&given)));
        return ExitCode::from(2);
    };
    if wants_help {
        crate::print(help::of(subcommand));
        return ExitCode::SUCCESS;
    }
    match run(subcommand, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, message)) => {
            let hint = if code == 2 { format!("\nhint: cronium {subcommand} --help") } else { String::new() };
            crate::tell(&format!("cronium {subcommand}: {message}{hint}"));
            ExitCode::from(code)
        }
    }
}

fn is_help(arg: &str) -> bool {
    arg == "--help" || arg == "-h"
}

fn run(subcommand: &str, args: Vec<String>) -> Outcome<()> {
    match subcommand {
        "input" => data::input(args),
        "output" => data::output(args),
        "event" => data::event(args),
        "getVariable" => variables::get(args),
        "setVariable" => variables::set(args),
        "incr" => variables::incr(args),
        "vars" => variables::list(args),
        "unset" => variables::unset(args),
        "condition" => told::condition(args),
        "log" => told::log(args),
        "progress" => told::progress(args),
        "notify" => told::notify(args),
        other => unreachable!("{other} is canonical"),
    }
}
