use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::*;
use crate::config::Layer;

#[derive(Debug, Parser)]
#[command(name = "try")]
struct Cli {
    #[arg(long, global = true)]
    ledger: Option<PathBuf>,
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Exec {
        // PATH is set wherever tests run, so that nobody has to change the environment.
        #[arg(long, env = "PATH", default_value = "built in")]
        from_path: String,
        #[arg(long, env = "CRONIUM_RUN_NOBODY_SETS_THIS", default_value_t = 10)]
        forks: u16,
        #[arg(long)]
        private_key: Vec<PathBuf>,
        #[arg(long)]
        ssh_config: Option<PathBuf>,
        #[arg(long)]
        r#become: bool,
        #[arg(long, value_parser = ["auto", "grouped"], default_value = "auto")]
        output: String,
        #[arg(long, conflicts_with = "forks")]
        serial: Option<String>,
    },
    Runs {
        #[arg(long, value_parser = ["text", "json"], default_value = "text")]
        output: String,
    },
}

/// What real files say, found as in real life.
fn settings(text: &str) -> Settings {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("cronium.toml");
    std::fs::write(&path, text).unwrap();
    let command = Cli::command();
    Settings::of_file(&path, Layer::User, &keys(&command)).unwrap()
}

fn parse(text: &str, words: &[&str]) -> (Cli, impl Fn(&str) -> String) {
    let settings = settings(text);
    let command = apply(Cli::command(), &settings).unwrap();
    let matches = command.clone().get_matches_from([&["try"], words].concat());
    let cli = Cli::from_arg_matches(&matches).unwrap();
    let source = move |key: &str| {
        let (name, matches) = matches.subcommand().unwrap();
        let command = command.find_subcommand(name).unwrap();
        match source(command, matches, &settings, key) {
            Source::File { line, .. } => format!("line {line}"),
            other => other.to_string(),
        }
    };
    (cli, source)
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_files_and_these_over_defaults() {
    let file = "forks = 50\nfrom-path = 'file'\nledger = '/tmp/ledger'\n";
    let (cli, source) = parse(file, &["exec"]);
    let Sub::Exec { from_path, forks, .. } = cli.command else { panic!() };
    assert_eq!((forks, source("forks").as_str()), (50, "line 1"));
    assert_eq!((from_path, source("from-path").as_str()), (std::env::var("PATH").unwrap(), "$PATH"));
    assert_eq!(cli.ledger, Some("/tmp/ledger".into()));

    let words = ["exec", "--forks", "7", "--from-path", "flag", "--ledger", "here"];
    let (cli, source) = parse(file, &words);
    let Sub::Exec { from_path, forks, .. } = cli.command else { panic!() };
    assert_eq!((forks, source("forks").as_str()), (7, "command line"));
    assert_eq!((from_path.as_str(), source("from-path").as_str()), ("flag", "command line"));
    assert_eq!(cli.ledger, Some("here".into()));

    let (cli, source) = parse("", &["exec"]);
    let Sub::Exec { forks, .. } = cli.command else { panic!() };
    assert_eq!((forks, source("forks").as_str()), (10, "default"));
}

#[test]
fn switches_and_lists_can_be_configured() {
    let file = "become = true\nprivate-key = ['/a', '/b']\n";
    let (cli, _) = parse(file, &["exec"]);
    let Sub::Exec { private_key, r#become, .. } = cli.command else { panic!() };
    assert!(r#become);
    assert_eq!(private_key, [PathBuf::from("/a"), "/b".into()]);
    let (cli, _) = parse(file, &["exec", "--private-key", "c"]);
    let Sub::Exec { private_key, .. } = cli.command else { panic!() };
    assert_eq!(private_key, [PathBuf::from("c")]);
}

#[test]
fn a_relative_path_begins_in_the_folder_of_its_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("config.toml");
    for (text, expected) in [
        ("private-key = 'keys/./a'", folder.path().join("keys/a")),
        ("private-key = '../a'", folder.path().join("../a")),
        ("private-key = '/etc/a'", "/etc/a".into()),
        ("private-key = '~/.ssh/a'", "~/.ssh/a".into()),
        ("ssh-config = 'none'", "none".into()),
        ("ssh-config = './none'", folder.path().join("none")),
        // No path.
        ("serial = '10%'", "10%".into()),
    ] {
        std::fs::write(&path, text).unwrap();
        let command = Cli::command();
        let settings = Settings::of_file(&path, Layer::User, &keys(&command)).unwrap();
        let matches = apply(Cli::command(), &settings).unwrap().get_matches_from(["try", "exec"]);
        let Sub::Exec { private_key, ssh_config, serial, .. } =
            Cli::from_arg_matches(&matches).unwrap().command
        else {
            panic!()
        };
        let mut found = private_key.into_iter().chain(ssh_config).chain(serial.map(PathBuf::from));
        assert_eq!(found.next(), Some(expected), "{text}");
    }
}

#[test]
fn a_default_excludes_no_flag() {
    let (cli, _) = parse("forks = 5\n", &["exec", "--serial", "1"]);
    let Sub::Exec { serial, .. } = cli.command else { panic!() };
    assert_eq!(serial.as_deref(), Some("1"));
}

#[test]
fn a_value_goes_where_it_is_understood() {
    let file = "output = 'grouped'\n";
    let (cli, _) = parse(file, &["exec"]);
    let Sub::Exec { output, .. } = cli.command else { panic!() };
    assert_eq!(output, "grouped");
    let (cli, source) = parse(file, &["runs"]);
    let Sub::Runs { output } = cli.command else { panic!() };
    assert_eq!((output.as_str(), source("output").as_str()), ("text", "default"));
}

#[test]
fn a_value_that_no_flag_takes_is_an_error_with_its_place() {
    for (text, line, cause) in [
        ("\nforks = 'many'", 2, "invalid value 'many': invalid digit found in string"),
        ("forks = [1, 2]", 1, "it takes one value, here are 2"),
        ("output = 'colourful'", 1, "invalid value 'colourful'"),
        ("become = 'perhaps'", 1, "invalid value 'perhaps'"),
    ] {
        let error = apply(Cli::command(), &settings(text)).unwrap_err();
        assert!(error.message.contains(&format!("cronium.toml:{line}: --")), "{error}");
        assert_eq!(error.causes, [cause], "{error}");
    }
}

#[test]
fn keys_are_the_long_names_of_flags_that_say_how() {
    let command = Cli::command();
    let expected =
        ["become", "forks", "from-path", "ledger", "output", "private-key", "serial", "ssh-config"];
    assert_eq!(keys(&command), expected);
}

/// The file of a project that somebody else wrote must not make us run programs.
#[test]
fn no_file_makes_us_run_a_program() {
    let command = crate::cli::Cli::command();
    let keys = keys(&command);
    assert!(keys.contains(&"output-dir"));
    for flag in ["on-condition", "on-notify"] {
        assert!(!flags(&command, flag).is_empty(), "there is --{flag}");
        assert!(!keys.contains(&flag), "{flag}");
    }
}

/// Every flag is decided upon: what stands here, the file of a project cannot set.
#[test]
fn what_a_project_cannot_set() {
    let command = crate::cli::Cli::command();
    let refused: Vec<&str> =
        keys(&command).into_iter().filter(|key| project_refusal(key).is_some()).collect();
    insta::assert_snapshot!(refused.join(" "), @"ask-become-pass ask-pass become become-method become-password-file become-user bundle env events format group host host-key if-version input into json junit key known-hosts ledger log-file max-output output-dir output-file password-file persist quiet raw run secret ssh-config ssh-option status stream string told trust verify-key");
}
