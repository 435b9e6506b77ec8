//! Every `console` example of README.md and docs/helpers.md is run, each file from the top to the
//! bottom in a folder of its own, as its reader would: hosts `web1` to `web3` stand in
//! `~/.ssh/config`, `COSIGN_PASSWORD` is empty.
//!
//! The rule: a line that begins with `$ ` is a command (`> ` goes on with it) and must exit 0; the
//! lines below it are what it prints, stdout and stderr together. `…` stands for any part of a
//! line; a line that is `…` alone, for any number of lines, none included.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

mod harness;

use harness::{Environment, Fleet};

struct Example {
    line: usize,
    command: String,
    output: Vec<String>,
}

#[test]
fn every_example_does_as_it_says() {
    run("README.md");
}

#[test]
fn every_example_of_the_helpers_does_as_it_says() {
    run("docs/helpers.md");
}

#[track_caller]
fn run(file: &str) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (environment, fleet) = (Environment::new(), Fleet::start(3));
    let mut config = String::new();
    for number in 1..=3 {
        writeln!(
            config,
            "Host web{number}\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {}\n  UserKnownHostsFile {}",
            fleet.name(number),
            fleet.port(),
            harness::user(),
            fleet.private_key().display(),
            fleet.known_hosts().display(),
        )
        .unwrap();
    }
    fs::create_dir(environment.home().join(".ssh")).unwrap();
    fs::write(environment.home().join(".ssh/config"), config).unwrap();
    let mut wrong = String::new();
    for example in examples(&text) {
        let outcome = environment
            .program("sh", ["-c", &format!("exec 2>&1\n{}", example.command)])
            .env("COSIGN_PASSWORD", "")
            .run();
        let out = outcome.out();
        let got: Vec<&str> = out.lines().collect();
        let want: Vec<&str> = example.output.iter().map(String::as_str).collect();
        if outcome.code != 0 || !lines_match(&want, &got) {
            let Example { line, command, output } = &example;
            let (output, code) = (output.join("\n"), outcome.code);
            writeln!(
                wrong,
                "{file}:{line}: $ {command}\n--- says\n{output}\n--- prints, exit code {code}\n{out}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            found.push(Example { line: number + 1, command: command.to_owned(), output: Vec::new() });
        } else if inside {
            let example = found.last_mut().expect("a block begins with a command");
            match line.strip_prefix("> ") {
                Some(more) if example.output.is_empty() => example.command += &format!("\n{more}"),
                _ => example.output.push(line.to_owned()),
            }
        }
    }
    assert!(!found.is_empty(), "the file has examples");
    found
}

fn lines_match(want: &[&str], got: &[&str]) -> bool {
    match want {
        [] => got.is_empty(),
        ["…", want @ ..] => (0..=got.len()).any(|skipped| lines_match(want, &got[skipped..])),
        [line, want @ ..] => {
            got.first().is_some_and(|first| line_matches(line, first)) && lines_match(want, &got[1..])
        }
    }
}

fn line_matches(want: &str, got: &str) -> bool {
    match want.split_once('…') {
        None => want == got,
        Some((before, behind)) => got.strip_prefix(before).is_some_and(|rest| {
            let mut cuts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            cuts.any(|at| line_matches(behind, &rest[at..]))
        }),
    }
}

#[test]
fn the_rule() {
    for (want, got, matches) in [
        ("a b", "a b", true),
        ("a b", "a b c", false),
        ("a … c", "a b c", true),
        ("a … c", "a b d", false),
        ("took … s, …", "took 1.5 s, é", true),
    ] {
        assert_eq!(line_matches(want, got), matches, "{want} / {got}");
    }
    assert!(lines_match(&["…"], &[]) && lines_match(&["a", "…", "c"], &["a", "b", "b", "c"]));
    assert!(!lines_match(&["a", "…"], &["b"]) && !lines_match(&[], &["a"]));
}

/// The two commands for a fresh machine stand first: what `.ci/run` takes from here.
#[test]
fn it_opens_with_two_commands() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks[..2], ["cargo run --release -- demo\n", "tests/run\n"]);
    let first = text.find("```").unwrap();
    assert!(text[first..].starts_with("```sh\ncargo run") && text[..first].lines().count() < 15);
}
