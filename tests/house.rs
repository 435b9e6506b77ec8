//! The rules of the house: who may import whom, how long a file may be, who writes to the
//! terminal, and that every flag says what it does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

/// Each module of `src/` and what it may name behind `crate::`, itself aside (design, section 2).
/// Everybody may fail, so everybody but the lowest may name `error`.
const IMPORTS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("event", &["error"]),
    ("term", &["error"]),
    ("ownership", &[]),
    ("config", &["ownership", "error"]),
    ("inventory", &["ownership", "error"]),
    ("payload", &["error"]),
    ("transport", &["inventory", "error"]),
    ("helper_api", &["error"]),
    ("plan", &["config", "inventory", "payload", "event", "error"]),
    ("fleet", &["plan", "transport", "helper_api", "event", "error", "inventory", "payload"]),
    ("ledger", &["event", "error"]),
    ("report", &["event", "term", "error"]),
    (
        "cli",
        &[
            "config",
            "error",
            "event",
            "fleet",
            "helper_api",
            "inventory",
            "ledger",
            "payload",
            "plan",
            "report",
            "term",
            "transport",
        ],
    ),
];

const LONGEST: usize = 800;

#[test]
fn modules_import_only_what_they_may() {
    let known: BTreeSet<&str> = IMPORTS.iter().map(|(module, _)| *module).collect();
    for (path, text) in sources("src") {
        let module =
            path.strip_prefix("src").unwrap().components().next().unwrap().as_os_str().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let row = IMPORTS.iter().find(|(name, _)| *name == module);
        let (_, allowed) = row.unwrap_or_else(|| panic!("{} belongs to no room", path.display()));
        for (number, line) in code_lines(&text) {
            for named in line.split("crate::").skip(1) {
                let named = named.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                // `crate::{a, b}` would slip through: write one line a module.
                assert!(!named.is_empty(), "{}:{number}: {line}", path.display());
                let fine = named == module || allowed.contains(&named) || !known.contains(named);
                assert!(fine, "{}:{number}: {module} may not know {named}", path.display());
            }
        }
    }
}

#[test]
fn one_room_each_for_the_terminal_for_ssh_and_for_sqlite() {
    let rules: &[(&[&str], &str)] = &[
        (&["println!", "eprintln!", "print!(", "eprint!(", "io::stdout()", "io::stderr()"], "src/term"),
        (&["russh::", "use russh"], "src/transport/ssh"),
        (&["rusqlite::", "use rusqlite"], "src/ledger"),
    ];
    for (path, text) in sources("src") {
        for (words, room) in rules {
            let file = path.to_str().unwrap();
            // The demo's servers are russh's other side.
            if file.starts_with(room) || (*room == "src/transport/ssh" && file.contains("demo")) {
                continue;
            }
            for (number, line) in code_lines(&text) {
                let found = words.iter().find(|word| line.contains(**word));
                assert!(found.is_none(), "{file}:{number}: only {room} may: {line}");
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_800_lines() {
    for folder in ["src", "runner-stub", "tests"] {
        for (path, text) in sources(folder) {
            assert!(text.lines().count() <= LONGEST, "{}: {} lines", path.display(), text.lines().count());
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["TO", "DO"].concat();
    let fixme = ["FIX", "ME"].concat();
    let macros = [["todo", "!("].concat(), ["unimplemented", "!("].concat(), ["#[ig", "nore"].concat()];
    for folder in ["src", "runner-stub", "tests"] {
        for (path, text) in sources(folder) {
            for word in macros.iter().chain([&words, &fixme]) {
                assert!(!text.contains(word.as_str()), "{}: {word}", path.display());
            }
        }
    }
}

#[test]
fn every_flag_says_what_it_does() {
    let mut root = cronium_run::cli::Cli::command();
    root.build();
    check_command(&root, root.get_name());
}

fn check_command(command: &clap::Command, name: &str) {
    assert!(command.get_about().is_some(), "{name} says what it does");
    let mut names = BTreeSet::new();
    for arg in command.get_arguments() {
        let id = format!("{name}: {}", arg.get_id());
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(!help.is_empty(), "{id} has a help text");
        assert!(!help.ends_with('.'), "{id}: one line without a full stop: {help}");
        if let Some(long) = arg.get_long() {
            assert!(names.insert(format!("--{long}")), "{id}: --{long} twice");
        }
        if let Some(short) = arg.get_short() {
            assert!(names.insert(format!("-{short}")), "{id}: -{short} twice");
        }
        // `verify --key` is the public half: what `exec` calls `--verify-key`.
        if let (Some(long), Some(env)) = (arg.get_long(), arg.get_env()) {
            let want = format!("CRONIUM_RUN_{}", long.replace('-', "_").to_uppercase());
            let env = env.to_str().unwrap();
            assert!(env == want || (long, env) == ("key", "CRONIUM_RUN_VERIFY_KEY"), "{id}: {env}");
        }
    }
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        check_command(sub, &format!("{name} {}", sub.get_name()));
    }
}

/// Lines of code with their numbers: comments and what stands in a file's tests are not looked at.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    numbered.take_while(|(_, line)| *line != "#[cfg(test)]").filter(|(_, line)| !line.starts_with("//"))
}

/// Every Rust file beneath a folder of the package, by its path in it.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}
