//! The `cronium` command, and the same under Cronium's names (`cronium.input` …).

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::expression::pick;
use super::protocol::{Reply, Request};
use super::socket::short;

const HELP: &str = "\
Helpers of a cronium-run script

  cronium input [PATH] [--raw] [--default V]       the run's input as JSON; PATH picks inside: .a.b[0]
  cronium output [VALUE | k=v ...] [--append]      sets the result's output; no VALUE: stdin
  cronium getVariable KEY [--raw] [--default V]    prints JSON; a missing key exits 3
  cronium setVariable KEY [VALUE] [--json|--string] [--if-version N]
                                                   VALUE is JSON if it parses, else a string; none: stdin

Each is also there by its own name: cronium.input, cronium.output, cronium.getVariable, cronium.setVariable.
--raw prints a string without its quotes. Exit codes: 0 done, 1 refused or out of reach, 2 usage, 3 no such value,
4 the version is another one.
";

/// Why a helper command ends badly: its exit code and a line for stderr.
struct Failure(u8, String);

type Outcome<T> = Result<T, Failure>;

fn usage(message: impl Into<String>) -> Failure {
    Failure(2, format!("{}\nhint: cronium --help", message.into()))
}

pub fn main(name: &str, mut args: Vec<String>) -> ExitCode {
    let subcommand = match name.strip_prefix("cronium.") {
        Some(name) => name.to_owned(),
        None if args.is_empty() => "--help".into(),
        None => args.remove(0),
    };
    if subcommand == "--help" || subcommand == "-h" || args.first().is_some_and(|arg| arg == "--help") {
        crate::print(HELP);
        return ExitCode::SUCCESS;
    }
    match run(&subcommand, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, message)) => {
            crate::tell(&format!("cronium {subcommand}: {message}"));
            ExitCode::from(code)
        }
    }
}

fn run(subcommand: &str, args: Vec<String>) -> Outcome<()> {
    match subcommand {
        "input" => {
            let words = Words::parse(args, &["--raw"], &["--default"])?;
            let [path] = words.positional::<1>()?;
            let input = expect(call(&Request::Input)?)?;
            let found = pick(&input, path.as_deref().unwrap_or("")).map_err(usage)?;
            words.print(found.cloned(), "the input has no such value")
        }
        "output" => {
            let words = Words::parse(args, &["--append"], &[])?;
            let value = match &words.plain[..] {
                [] => json_or_text(stdin()?),
                [one] if serde_json::from_str::<Value>(one).is_ok() => json_or_text(one.clone()),
                fields if fields.iter().all(|field| is_field(field)) => object(fields),
                [one] => Value::String(one.clone()),
                _ => return Err(usage("several words are either all k=v, or one VALUE in quotes")),
            };
            expect(call(&Request::Output { value, append: words.has("--append") })?).map(drop)
        }
        "getVariable" => {
            let words = Words::parse(args, &["--raw"], &["--default"])?;
            let [key] = words.positional::<1>()?;
            let key = key.ok_or_else(|| usage("which KEY?"))?;
            let message = format!("there is no variable '{key}'");
            let reply = call(&Request::GetVariable { key, scope: None })?;
            let found = if reply.status == 404 { None } else { Some(expect(reply)?["value"].take()) };
            words.print(found, &message)
        }
        "setVariable" => {
            let words = Words::parse(args, &["--json", "--string"], &["--if-version"])?;
            let [key, value] = words.positional::<2>()?;
            let key = key.ok_or_else(|| usage("which KEY?"))?;
            let text = value.map_or_else(stdin, Ok)?;
            let value = match (words.has("--json"), words.has("--string")) {
                (true, true) => return Err(usage("--json and --string exclude each other")),
                (true, false) => {
                    serde_json::from_str(&text).map_err(|error| usage(format!("not JSON: {error}")))?
                }
                (false, true) => Value::String(text),
                (false, false) => json_or_text(text),
            };
            let if_version = words.option("--if-version").map(|text| {
                text.parse().map_err(|_| usage(format!("--if-version takes a number, not '{text}'")))
            });
            expect(call(&Request::SetVariable {
                key,
                value,
                if_version: if_version.transpose()?,
                scope: None,
            })?)
            .map(drop)
        }
        other => Err(usage(format!("no helper is called '{other}'"))),
    }
}

/// Arguments taken apart: words, flags and options of one subcommand.
struct Words {
    plain: Vec<String>,
    flags: Vec<String>,
    options: Vec<(String, String)>,
}

impl Words {
    fn parse(args: Vec<String>, flags: &[&str], options: &[&str]) -> Outcome<Self> {
        let mut words = Self { plain: Vec::new(), flags: Vec::new(), options: Vec::new() };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                words.plain.extend(args.by_ref());
            } else if flags.contains(&arg.as_str()) {
                words.flags.push(arg);
            } else if let Some((name, value)) = arg.split_once('=').filter(|(name, _)| options.contains(name))
            {
                words.options.push((name.to_owned(), value.to_owned()));
            } else if options.contains(&arg.as_str()) {
                let value = args.next().ok_or_else(|| usage(format!("{arg} takes a value")))?;
                words.options.push((arg, value));
            } else if arg.starts_with("--") {
                return Err(usage(format!(
                    "unknown flag {arg}; a VALUE that starts with '--' goes behind '--'"
                )));
            } else {
                words.plain.push(arg);
            }
        }
        Ok(words)
    }

    fn positional<const N: usize>(&self) -> Outcome<[Option<String>; N]> {
        if self.plain.len() > N {
            return Err(usage(format!("one word too many: '{}'", self.plain[N])));
        }
        Ok(std::array::from_fn(|index| self.plain.get(index).cloned()))
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Prints what was found, else `--default`, else fails with 3.
    fn print(&self, found: Option<Value>, missing: &str) -> Outcome<()> {
        let value = match (found, self.option("--default")) {
            (Some(value), _) => value,
            (None, Some(default)) => json_or_text(default.to_owned()),
            (None, None) => return Err(Failure(3, format!("{missing}\nhint: --default V"))),
        };
        let text = match value {
            Value::String(text) if self.has("--raw") => text,
            value => value.to_string(),
        };
        let mut out = io::stdout().lock();
        let written =
            out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        written.map_err(|error| Failure(1, format!("cannot write to stdout: {error}")))
    }
}

/// `name=value` with a name like a shell variable's, dots and dashes allowed behind its first letter.
fn is_field(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    })
}

fn object(fields: &[String]) -> Value {
    let pairs = fields.iter().filter_map(|field| field.split_once('='));
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), json_or_text(value.to_owned()))).collect())
}

fn json_or_text(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// All of stdin, without its last line end, as `$(…)` in a shell does.
fn stdin() -> Outcome<String> {
    if io::stdin().is_terminal() {
        return Err(usage("no VALUE, and stdin is a terminal"));
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|error| Failure(1, format!("cannot read a value from stdin: {error}")))?;
    text.truncate(text.strip_suffix('\n').unwrap_or(&text).len());
    Ok(text)
}

fn call(request: &Request) -> Outcome<Reply> {
    let work = std::env::var_os("CRONIUM_WORK_DIR")
        .ok_or_else(|| Failure(1, "this is no cronium-run script: CRONIUM_WORK_DIR is not set".into()))?;
    let path = PathBuf::from(work).with_file_name(super::SOCKET);
    ask(&path, request).map_err(|error| Failure(1, format!("the runner does not answer: {error}")))
}

fn ask(path: &std::path::Path, request: &Request) -> io::Result<Reply> {
    let (_dir, short) = short(path)?;
    let mut stream = UnixStream::connect(short)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut reply)?;
    Ok(serde_json::from_slice(&reply)?)
}

fn expect(reply: Reply) -> Outcome<Value> {
    if reply.is_ok() {
        return Ok(reply.data);
    }
    let message = reply.error.unwrap_or_else(|| format!("the helper API says {}", reply.status));
    Err(Failure(if reply.status == 409 { 4 } else { 1 }, message))
}
