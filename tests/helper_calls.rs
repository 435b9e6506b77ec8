//! Scripts that call their helpers, in every language, through the tunnel to the operator.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

mod harness;

use harness::{Environment, Fleet, FleetPlan, ResultRow, until};

/// Runs a file of the environment on host 1; its row in the ledger.
#[track_caller]
fn row_of(environment: &Environment, fleet: &Fleet, args: &[&str]) -> ResultRow {
    let outcome = environment.exec(fleet, &fleet.name(1)).args(["-o", "quiet"]).args(args).run();
    let ledger = environment.ledger();
    let run = ledger.last_run();
    let row = ledger.result(&run, &fleet.name(1));
    let err = ledger.output(&run, &fleet.name(1), "stderr").unwrap_or_default();
    assert_eq!(outcome.code, 0, "{outcome:?}{row:#?}\n{}", String::from_utf8_lossy(&err));
    row
}

#[track_caller]
fn stdout(environment: &Environment, fleet: &Fleet) -> String {
    let ledger = environment.ledger();
    let bytes = ledger.output(&ledger.last_run(), &fleet.name(1), "stdout").unwrap_or_default();
    String::from_utf8(bytes).unwrap()
}

const BASH: &str = r#"#!/bin/bash
set -euo pipefail
name=$(cronium input .user.name --raw)
cronium setVariable greeting "hello $name"
cronium setVariable count 41
cronium setVariable list '[1, "two", null]'
count=$(cronium getVariable count)
cronium output "$(printf '{"greeting": %s, "count": %d, "list": %s, "missing": %s}' \
    "$(cronium getVariable greeting)" "$((count + 1))" "$(cronium getVariable list)" \
    "$(cronium getVariable no-such --default '"none"')")"
"#;

const PYTHON: &str = r#"#!/usr/bin/env python3
import json, subprocess
def call(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout
data = json.loads(call("cronium", "input"))
call("cronium", "setVariable", "greeting", "hello " + data["user"]["name"])
call("cronium", "setVariable", "count", "41")
call("cronium", "setVariable", "list", json.dumps([1, "two", None]))
call("cronium", "output", json.dumps({
    "greeting": json.loads(call("cronium", "getVariable", "greeting")),
    "count": json.loads(call("cronium", "getVariable", "count")) + 1,
    "list": json.loads(call("cronium", "getVariable", "list")),
    "missing": json.loads(call("cronium", "getVariable", "no-such", "--default", '"none"')),
}))
"#;

const NODE: &str = r#"#!/usr/bin/env node
const { execFileSync } = require('child_process')
const call = (...args) => execFileSync('cronium', args, { encoding: 'utf8' })
const data = JSON.parse(call('input'))
call('setVariable', 'greeting', 'hello ' + data.user.name)
call('setVariable', 'count', '41')
call('setVariable', 'list', JSON.stringify([1, 'two', null]))
call('output', JSON.stringify({
  greeting: JSON.parse(call('getVariable', 'greeting')),
  count: JSON.parse(call('getVariable', 'count')) + 1,
  list: JSON.parse(call('getVariable', 'list')),
  missing: JSON.parse(call('getVariable', 'no-such', '--default', '"none"')),
}))
"#;

#[test]
fn the_same_from_every_language() {
    let fleet = Fleet::start(1);
    let want = json!({"greeting": "hello Zoë", "count": 42, "list": [1, "two", null], "missing": "none"});
    for (file, text) in [("job.sh", BASH), ("job.py", PYTHON), ("job.js", NODE)] {
        let environment = Environment::new();
        environment.write(file, text);
        let row = row_of(&environment, &fleet, &["--input", r#"{"user": {"name": "Zoë"}}"#, file]);
        assert_eq!(row.output_json(), want, "{file}: {row:#?}");
        assert_eq!(row.helper_mode.as_deref(), Some("api"), "{file}: {:?}", row.helper_reason);
        let ledger = environment.ledger();
        assert_eq!(ledger.variable("count"), Some((json!(41), 1)), "{file}");
        assert_eq!(ledger.variable("greeting"), Some((json!("hello Zoë"), 1)), "{file}");
        assert!(fleet.runs(1).is_empty());
    }
}

/// The names Cronium's scripts know are commands as well.
#[test]
fn croniums_own_names() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    environment.write(
        "names.sh",
        "#!/bin/sh\nset -e\ncronium.input\ncronium.setVariable k '{\"a\": 1}'\ncronium.getVariable k\n\
         cronium.output \"from its own name\"\n",
    );
    let row = row_of(&environment, &fleet, &["--input", "[1, 2]", "names.sh"]);
    let lines: Vec<Value> =
        stdout(&environment, &fleet).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [json!([1, 2]), json!({"a": 1})]);
    assert_eq!(row.output_json(), json!("from its own name"));
}

/// A line of shell, and what it prints or how it exits.
#[test]
fn what_each_call_prints() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let table: &[(&str, &str)] = &[
        ("cronium input", "{\"a\":{\"b\":[10,\"x y\"]},\"n\":null}\n"),
        ("cronium input .a.b[0]", "10\n"),
        ("cronium input .a.b[1]", "\"x y\"\n"),
        ("cronium input .a.b[1] --raw", "x y\n"),
        ("cronium input .n", "null\n"),
        ("cronium input .no.such --default 5", "5\n"),
        ("cronium getVariable none; echo $?", "3\n"),
        ("cronium getVariable none --default 7", "7\n"),
        // JSON if it parses, else a string.
        ("cronium setVariable v 5; cronium getVariable v", "5\n"),
        ("cronium setVariable v '\"5\"'; cronium getVariable v", "\"5\"\n"),
        ("cronium setVariable v --string 5; cronium getVariable v", "\"5\"\n"),
        ("cronium setVariable v true; cronium getVariable v", "true\n"),
        ("cronium setVariable v 'two words'; cronium getVariable v", "\"two words\"\n"),
        ("cronium setVariable v 'two words'; cronium getVariable v --raw", "two words\n"),
        ("cronium setVariable v ''; cronium getVariable v", "\"\"\n"),
        ("cronium setVariable v null; cronium getVariable v", "null\n"),
        ("printf 'from stdin' | cronium setVariable v; cronium getVariable v", "\"from stdin\"\n"),
        ("cronium setVariable 'a/b ? # % é' 1; cronium getVariable 'a/b ? # % é'", "1\n"),
        ("cronium setVariable v --json '{no' 2>/dev/null || echo refused", "refused\n"),
    ];
    let mut script = String::from("#!/bin/sh\n");
    for (number, (line, _)) in table.iter().enumerate() {
        script += &format!("echo '@{number}'\n( {line} )\n");
    }
    environment.write("calls.sh", script);
    row_of(&environment, &fleet, &["--input", r#"{"a": {"b": [10, "x y"]}, "n": null}"#, "calls.sh"]);
    let text = stdout(&environment, &fleet);
    for (number, (line, want)) in table.iter().enumerate() {
        let behind = text.split(&format!("@{number}\n")).nth(1).unwrap();
        let got = behind.split("@").next().unwrap();
        assert_eq!(got, *want, "{line}");
    }
}

#[test]
fn input_of_every_form() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    environment.write("input.json", "{\"from\": \"a file\"}");
    let name = fleet.name(1);
    let cases = [
        (None, "", "null\n"),
        (Some("[1,2]"), "", "[1,2]\n"),
        (Some("@input.json"), "", "{\"from\":\"a file\"}\n"),
        (Some("-"), "{\"from\":\"stdin\"}", "{\"from\":\"stdin\"}\n"),
    ];
    for (input, stdin, want) in cases {
        let mut invocation = environment.exec(&fleet, &name).args(["-o", "quiet"]).stdin(stdin);
        if let Some(input) = input {
            invocation = invocation.args(["--input", input]);
        }
        invocation.args(["--", "cronium input"]).run().succeeds().ignore();
        assert_eq!(stdout(&environment, &fleet), want, "{input:?}");
    }
}

/// Output reaches `-o json` and `-o jsonl` as it reaches the ledger.
#[test]
fn output_is_told() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    for (line, want) in [
        ("cronium output '{\"disk\": 81.5}'", json!({"disk": 81.5})),
        ("cronium output 'just text'", json!("just text")),
        ("echo '[1,2]' | cronium output", json!([1, 2])),
        ("cronium output 1; cronium output 2", json!(2)),
        ("cronium output used=81 host=web", json!({"used": 81, "host": "web"})),
        ("true", Value::Null),
    ] {
        let name = fleet.name(1);
        let outcome = environment.exec(&fleet, &name).args(["-o", "jsonl", "--", line]).run().succeeds();
        assert_eq!(harness::finished(&outcome.json_lines(), &name)["output"], want, "{line}");
        let ledger = environment.ledger();
        assert_eq!(ledger.result(&ledger.last_run(), &name).output_json(), want, "{line}");
    }
    let name = fleet.name(1);
    let outcome =
        environment.exec(&fleet, &name).args(["-o", "json", "--", "cronium output '{\"k\": 12321}'"]);
    assert!(outcome.run().succeeds().json().to_string().contains("{\"k\":12321}"));
}

/// Fifty hosts write one key each and read a common one at once; every write is there.
#[test]
fn fifty_hosts_at_once() {
    const HOSTS: u8 = 50;
    let (environment, fleet) = (Environment::new(), Fleet::start(HOSTS));
    environment.write(
        "many.sh",
        "#!/bin/sh\nset -e\nfor round in 1 2 3 4; do\n\
         cronium setVariable \"own/$CRONIUM_HOST\" \"$round\"\n\
         cronium setVariable shared \"\\\"$CRONIUM_HOST\\\"\"\n\
         test \"$(cronium getVariable \"own/$CRONIUM_HOST\")\" = \"$round\"\n\
         cronium getVariable shared >/dev/null\ndone\n\
         cronium output \"$CRONIUM_HOST\"\n",
    );
    let invocation = environment.exec(&fleet, &format!("{}[1-{HOSTS}]", fleet.prefix()));
    invocation.args(["-o", "quiet", "-f", "50", "many.sh"]).limit(240).run().succeeds().ignore();
    let ledger = environment.ledger();
    ledger.check();
    let results = ledger.results(&ledger.last_run());
    assert_eq!(results.len(), usize::from(HOSTS));
    for row in results {
        assert_eq!(row.output_json(), json!(row.host), "{row:#?}");
        assert_eq!(row.helper_mode.as_deref(), Some("api"), "{row:#?}");
        assert_eq!(ledger.variable(&format!("own/{}", row.host)), Some((json!(4), 4)), "{}", row.host);
    }
    let (value, version) = ledger.variable("shared").unwrap();
    assert_eq!(version, i64::from(HOSTS) * 4, "no write is lost");
    assert!(value.as_str().unwrap().starts_with(&fleet.prefix()));
}

/// The token of the tunnel stays in the stub: no argv, no environment and no file of the host has it.
#[test]
fn the_token_is_nowhere_on_the_host() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    environment.write(
        "wait.sh",
        "#!/bin/sh\ncronium setVariable k 1\n: >\"$HOME/called\"\nwhile [ ! -e \"$HOME/go\" ]; do sleep 0.05; done\n",
    );
    let name = fleet.name(1);
    let running = environment.exec(&fleet, &name).args(["-o", "quiet", "wait.sh"]).start();
    assert!(until(30, || fleet.home(1).join("called").exists()));
    // A JWT of HS256 begins like this, whatever it claims.
    let token = b"eyJ";
    let mut looked_at = 0;
    let ours = fleet.home(1).display().to_string();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let folder = entry.path();
        let of_host = ["exe", "cwd"].iter().any(|link| {
            fs::read_link(folder.join(link)).is_ok_and(|to| to.display().to_string().starts_with(&ours))
        });
        if of_host {
            looked_at += 1;
            for file in ["cmdline", "environ"] {
                let bytes = fs::read(folder.join(file)).unwrap_or_default();
                assert!(!contains(&bytes, token), "{}/{file}", folder.display());
            }
        }
    }
    assert!(looked_at > 0, "the stub and its script were seen");
    let files = all_files(&fleet.home(1));
    assert!(files.iter().any(|file| file.ends_with("wait.sh")), "the work folder was seen: {files:?}");
    for file in files.iter().filter(|file| !file.display().to_string().contains("/stub/")) {
        assert!(!contains(&fs::read(file).unwrap_or_default(), token), "{}", file.display());
    }
    assert!(!contains(&fs::read(fleet.home(1).join("../host1.execs")).unwrap(), token));
    fs::write(fleet.home(1).join("go"), "").unwrap();
    running.wait().succeeds().ignore();
}

/// Where sshd forbids forwarding a script without helper calls runs all the same.
#[test]
fn a_host_that_forbids_forwarding() {
    let environment = Environment::new();
    let fleet = FleetPlan::default().host_with(1, |host| host.forwarding = false).start();
    let row = row_of(&environment, &fleet, &["--", "echo no helper"]);
    assert_eq!(row.status, "succeeded");
    // A call says so, and ends; it does not hang.
    let line = "cronium setVariable k 1 || echo \"said $?\"";
    environment
        .exec(&fleet, &fleet.name(1))
        .args(["-o", "quiet", "--", line])
        .limit(60)
        .run()
        .succeeds()
        .ignore();
}

/// Helpers on this machine need no tunnel.
#[test]
fn helpers_without_ssh() {
    let environment = Environment::new();
    let line = "cronium setVariable k \"$(cronium input .n)\"; cronium output \"$(cronium getVariable k)\"";
    environment
        .run(["exec", "local", "-o", "quiet", "--input", "{\"n\": 5}", "--", line])
        .succeeds()
        .ignore();
    let ledger = environment.ledger();
    assert_eq!(ledger.result(&ledger.last_run(), "local").output_json(), json!(5));
    assert_eq!(ledger.variable("k"), Some((json!(5), 1)));
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn all_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(all_files(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}
