//! `cronium-run vars`, as a person types it.

mod harness;

use harness::{Environment, Outcome};
use serde_json::{Value, json};

/// An outcome whose columns do not hang on who and where the operator is, and on run ids.
fn shown(environment: &Environment, outcome: &Outcome) -> String {
    let mut text = outcome.to_string();
    for run in environment.ledger().runs() {
        text = text.replace(&format!("run:{run}"), "run:RUN");
    }
    let listed = environment.run(["vars", "list", "-o", "json"]).succeeds().json();
    let writers = listed.as_array().unwrap().iter().map(|it| it["updated_by"].as_str().unwrap().to_owned());
    for me in writers.filter(|by| by.starts_with("operator ")) {
        text = text.replace(&me, "operator ME");
    }
    let cells = |line: &str| {
        line.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" | ")
    };
    text.lines().map(|line| cells(line) + "\n").collect()
}

fn vars<const N: usize>(environment: &Environment, args: [&str; N]) -> Outcome {
    environment.command(["vars"]).args(args).run()
}

#[test]
fn what_is_set_can_be_read() {
    let environment = Environment::new();
    // VALUE and flags, `get`, `get --raw`
    let table: &[(&[&str], &str, &str)] = &[
        (&["41"], "41\n", "41\n"),
        (&["-7"], "-7\n", "-7\n"),
        (&["back at 5"], "\"back at 5\"\n", "back at 5\n"),
        (&["41", "--string"], "\"41\"\n", "41\n"),
        (&["\"41\""], "\"41\"\n", "41\n"),
        (&[""], "\"\"\n", "\n"),
        (&["null"], "null\n", "null\n"),
        (&["false"], "false\n", "false\n"),
        (
            &["{\"b\": [1, 2.5], \"a\": \"ž\\n\"}", "--json"],
            "{\"a\":\"ž\\n\",\"b\":[1,2.5]}\n",
            "{\"a\":\"ž\\n\",\"b\":[1,2.5]}\n",
        ),
    ];
    for (version, (args, json, raw)) in (1..).zip(table) {
        let set = environment.command(["vars", "set", "k e/y?"]).args(*args).run().succeeds();
        assert_eq!(
            (set.out(), set.err()),
            (String::new(), format!("`k e/y?` in global has version {version}\n"))
        );
        assert_eq!(vars(&environment, ["get", "k e/y?"]).succeeds().out(), *json, "{args:?}");
        assert_eq!(vars(&environment, ["get", "k e/y?", "--raw"]).succeeds().out(), *raw, "{args:?}");
    }
    // Without a VALUE: stdin, less its last line end.
    for (stdin, json) in [("[1]\n", "[1]\n"), ("two\nlines\n\n", "\"two\\nlines\\n\"\n"), ("7", "7\n")] {
        environment.command(["vars", "set", "stdin"]).stdin(stdin).run().succeeds().ignore();
        assert_eq!(vars(&environment, ["get", "stdin"]).succeeds().out(), json);
    }
    let found = vars(&environment, ["get", "stdin", "-o", "json"]).succeeds().json();
    assert_eq!(
        (&found["key"], &found["scope"], &found["value"], &found["version"], &found["secret"]),
        (&json!("stdin"), &json!("global"), &json!(7), &json!(3), &json!(false))
    );
}

#[test]
fn nothing_is_there_yet() {
    let environment = Environment::new();
    let table: &[(&[&str], i32)] = &[
        (&["get", "k"], 1),
        (&["rm", "k"], 1),
        (&["history", "k"], 1),
        (&["list"], 0),
        (&["explain", "k"], 0),
        (&["get", "k", "--scope", "run:last"], 2),
    ];
    for (args, code) in table {
        environment.command(["vars"]).args(*args).run().exits(*code).ignore();
    }
    assert!(!environment.ledger_path().exists(), "looking makes no ledger");
    insta::assert_snapshot!(vars(&environment, ["get", "k"]), @r"
    --- stderr
    error: there is no variable `k` in global

    hint: cronium-run vars list
    --- exit code 1
    ");
    insta::assert_snapshot!(vars(&environment, ["list"]), @r"
    --- stderr
    no such variable
    --- exit code 0
    ");
    insta::assert_snapshot!(vars(&environment, ["explain", "k", "--host", "web1"]), @r"
    --- stdout
       SCOPE      VERSION  BY  VALUE
    -  host:web1  -        -   -
    -  global     -        -   -
    --- stderr
    no scope in sight has `k`
    --- exit code 0
    ");
    insta::assert_snapshot!(vars(&environment, ["get", "k", "--scope", "run:last"]), @r"
    --- stderr
    error: there is no run yet

    hint: cronium-run exec HOSTS -- COMMAND
    --- exit code 2
    ");
}

#[test]
fn mistakes_are_told() {
    let environment = Environment::new();
    vars(&environment, ["set", "k", "1", "--scope", "host:web1"]).succeeds().ignore();
    vars(&environment, ["set", "k", "1", "--scope", "group:a b"]).succeeds().ignore();
    insta::assert_snapshot!(vars(&environment, ["get", "k"]), @r"
    --- stderr
    error: there is no variable `k` in global

    hint: cronium-run vars get --scope 'group:a b' k
    hint: cronium-run vars get --scope host:web1 k
    --- exit code 1
    ");
    insta::assert_snapshot!(vars(&environment, ["rm", "k"]), @r"
    --- stderr
    error: there is no variable `k` in global

    hint: cronium-run vars rm --scope 'group:a b' k
    hint: cronium-run vars rm --scope host:web1 k
    --- exit code 1
    ");
    insta::assert_snapshot!(vars(&environment, ["get", "k", "--scope", "web1"]), @r"
    --- stderr
    error: invalid value 'web1' for '--scope <SCOPE>': global, host:NAME, group:NAME, project:NAME or run:ID is meant

    For more information, try '--help'.
    --- exit code 2
    ");
    insta::assert_snapshot!(vars(&environment, ["set", "k", "no", "--json"]), @r"
    --- stderr
    error: the value is not JSON
    caused by: expected ident at line 1 column 2

    hint: --string takes it as it is
    --- exit code 2
    ");
    insta::assert_snapshot!(vars(&environment, ["set", "k", "hunter2", "--secret"]), @r"
    --- stderr
    error: a secret on the command line can be read by everybody on this machine

    hint: cronium-run vars set k --secret   asks for it, or reads stdin
    --- exit code 2
    ");
    for args in [["get", ""], ["get", "a\nb"], ["get", &"k".repeat(513)]] {
        vars(&environment, args).exits(2).ignore();
    }
}

#[test]
fn compare_and_set() {
    let environment = Environment::new();
    let set = |value: &str, version: &str| vars(&environment, ["set", "k", value, "--if-version", version]);
    insta::assert_snapshot!(set("1", "3"), @r"
    --- stderr
    error: `k` in global is not there: nothing was written

    hint: --if-version 0 writes where there is nothing
    --- exit code 1
    ");
    set("1", "0").succeeds().ignore();
    insta::assert_snapshot!(set("2", "0"), @r"
    --- stderr
    error: `k` in global is there with version 1: nothing was written

    hint: cronium-run vars history k
    --- exit code 1
    ");
    set("2", "1").succeeds().ignore();
    insta::assert_snapshot!(set("3", "1"), @r"
    --- stderr
    error: `k` in global has version 2, not 1: nothing was written

    hint: cronium-run vars history k
    --- exit code 1
    ");
    assert_eq!(vars(&environment, ["get", "k"]).succeeds().out(), "2\n");
}

/// A run's script and the operator write to several scopes.
fn fleet() -> Environment {
    let environment = Environment::new();
    vars(&environment, ["set", "release", "41"]).succeeds().ignore();
    environment.run(["exec", "local", "--", "cronium setVariable release 42 >/dev/null"]).succeeds().ignore();
    for (key, value, scope) in [
        ("release", "\"canary\"", "group:eu"),
        ("release", "43", "host:web1"),
        ("release", "{\"pin\": true}", "run:last"),
        ("db/user", "app", "global"),
        ("motd", "a\u{1b}[2Jb", "project:shop"),
    ] {
        vars(&environment, ["set", key, value, "--scope", scope]).succeeds().ignore();
    }
    environment
}

#[test]
fn list() {
    let environment = fleet();
    let list = |args: &[&str]| {
        let outcome = environment.command(["vars", "list"]).args(args).run().succeeds();
        shown(&environment, &outcome)
    };
    insta::assert_snapshot!(list(&[]), @r#"
    --- stdout
    KEY | SCOPE | VERSION | UPDATED | BY | VALUE
    db/user | global | 1 | WHEN | operator ME | "app"
    motd | project:shop | 1 | WHEN | operator ME | "a\u001b[2Jb"
    release | global | 2 | WHEN | run RUN host local | 42
    release | group:eu | 1 | WHEN | operator ME | "canary"
    release | host:web1 | 1 | WHEN | operator ME | 43
    release | run:RUN | 1 | WHEN | operator ME | {"pin":true}
    --- exit code 0
    "#);
    insta::assert_snapshot!(list(&["*d*"]), @r#"
    --- stdout
    KEY | SCOPE | VERSION | UPDATED | BY | VALUE
    db/user | global | 1 | WHEN | operator ME | "app"
    motd | project:shop | 1 | WHEN | operator ME | "a\u001b[2Jb"
    --- exit code 0
    "#);
    insta::assert_snapshot!(list(&["rel*", "--scope", "host:web1"]), @r"
    --- stdout
    KEY | SCOPE | VERSION | UPDATED | BY | VALUE
    release | host:web1 | 1 | WHEN | operator ME | 43
    --- exit code 0
    ");
    let json = vars(&environment, ["list", "release", "-o", "json"]).succeeds().json();
    let scopes: Vec<&str> = json.as_array().unwrap().iter().map(|it| it["scope"].as_str().unwrap()).collect();
    assert_eq!(scopes.len(), 4);
    assert_eq!(scopes[..3], ["global", "group:eu", "host:web1"]);
    assert_eq!(vars(&environment, ["list", "none", "-o", "json"]).succeeds().json(), json!([]));
}

#[test]
fn explain() {
    let environment = fleet();
    let explain = |args: &[&str]| {
        let outcome = environment.command(["vars", "explain", "release"]).args(args).run().succeeds();
        shown(&environment, &outcome)
    };
    insta::assert_snapshot!(explain(&[]), @r"
    --- stdout
    SCOPE | VERSION | BY | VALUE
    wins | global | 2 | run RUN host local | 42
    --- exit code 0
    ");
    insta::assert_snapshot!(explain(&["--host", "web2", "--group", "web", "--group", "eu", "--project", "shop"]), @r#"
    --- stdout
    SCOPE | VERSION | BY | VALUE
    - | host:web2 | - | - | -
    - | group:web | - | - | -
    wins | group:eu | 1 | operator ME | "canary"
    - | project:shop | - | - | -
    hidden | global | 2 | run RUN host local | 42
    --- exit code 0
    "#);
    insta::assert_snapshot!(explain(&["--host", "web1", "--run", "last", "--group", "eu"]), @r#"
    --- stdout
    SCOPE | VERSION | BY | VALUE
    wins | run:RUN | 1 | operator ME | {"pin":true}
    hidden | host:web1 | 1 | operator ME | 43
    hidden | group:eu | 1 | operator ME | "canary"
    hidden | global | 2 | run RUN host local | 42
    --- exit code 0
    "#);
    let json = vars(&environment, ["explain", "release", "--host", "web1", "-o", "json"]).succeeds().json();
    assert_eq!((&json["wins"], &json["scopes"][1]["variable"]["value"]), (&json!("host:web1"), &json!(42)));
    let json = vars(&environment, ["explain", "none", "--host", "web1", "-o", "json"]).succeeds().json();
    assert_eq!(json["wins"], Value::Null);
    assert_eq!(
        json["scopes"],
        json!([{"scope": "host:web1", "variable": null}, {"scope": "global", "variable": null}])
    );
}

#[test]
fn history() {
    let environment = fleet();
    let removed = vars(&environment, ["rm", "release"]).succeeds();
    assert_eq!((removed.out(), removed.err()), (String::new(), "`release` in global is removed\n".into()));
    vars(&environment, ["set", "release", "44"]).succeeds().ignore();
    let history = vars(&environment, ["history", "release"]).succeeds();
    insta::assert_snapshot!(shown(&environment, &history), @r"
    --- stdout
    VERSION | WHEN | WHO | VALUE
    1 | WHEN | operator ME | 41
    2 | WHEN | run RUN host local | 42
    2 | WHEN | operator ME | removed
    3 | WHEN | operator ME | 44
    --- exit code 0
    ");
    let json = vars(&environment, ["history", "release", "-o", "json"]).succeeds().json();
    let run = environment.ledger().last_run();
    assert_eq!(
        (&json[1]["run"], &json[1]["host"], &json[1]["value"]),
        (&json!(run), &json!("local"), &json!(42))
    );
    assert_eq!(
        (&json[2]["removed"], &json[2]["run"], &json[3]["version"]),
        (&json!(true), &Value::Null, &json!(3))
    );
    // Also of what is not there any longer.
    vars(&environment, ["rm", "release"]).succeeds().ignore();
    assert_eq!(vars(&environment, ["history", "release"]).succeeds().out().lines().count(), 6);
    vars(&environment, ["rm", "release"]).exits(1).ignore();
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_secret_reaches_scripts_and_nobody_else() {
    let environment = Environment::new();
    let secret = |value: &str| environment.command(["vars", "set", "pw", "--secret"]).stdin(value).run();
    let set = secret("s3cret-one\n").succeeds();
    assert_eq!((set.out(), set.err()), (String::new(), "`pw` in global has version 1\n".into()));
    // Scripts get it, and what they write in its place stays secret. No word of it is in the script,
    // which the ledger keeps.
    let log = environment.path("run.log");
    let script = "test \"$(cronium getVariable pw --raw | sha256sum | cut -c -8)\" = DIGEST && \
                  cronium getVariable pw --raw | tr a-z b-za | cronium setVariable pw >/dev/null && \
                  cronium getVariable pw --raw | wc -c";
    let script = script.replace("DIGEST", &sha256("s3cret-one\n")[..8]);
    let exec = environment.command(["exec", "local", "-o", "grouped", "-vvv", "--log-file"]).arg(&log);
    let ran = exec.args(["--", &script]).run().succeeds();
    assert!(ran.out().contains("11"), "{ran:?}");

    insta::assert_snapshot!(vars(&environment, ["get", "pw"]), @r"
    --- stderr
    error: the variable `pw` in global is secret: no command shows it

    hint: in a script: cronium getVariable 'pw'
    hint: cronium-run vars history pw
    --- exit code 1
    ");
    vars(&environment, ["get", "pw", "--raw"]).exits(1).ignore();
    vars(&environment, ["get", "pw", "-o", "json"]).exits(1).ignore();
    let mut told = String::new();
    for args in [["list", "pw"], ["history", "pw"], ["explain", "pw"]] {
        for format in ["text", "json"] {
            let outcome = environment.command(["vars"]).args(args).args(["-o", format]).run().succeeds();
            assert!(outcome.out().contains("***"), "{outcome:?}");
            told.push_str(&outcome.to_string());
        }
    }
    told.push_str(&std::fs::read_to_string(&log).unwrap());
    for name in ["ledger.db", "ledger.db-wal"] {
        let bytes = std::fs::read(environment.ledger_path().with_file_name(name)).unwrap_or_default();
        told.push_str(&String::from_utf8_lossy(&bytes));
    }
    for secret in ["s3cret-one", "t3dsfu-pof"] {
        assert!(!told.contains(secret), "{secret} was told");
    }
    assert_eq!(environment.ledger().variable("pw").unwrap().1, 2);

    // The key file is the operator's alone, or it is none.
    let key = environment.home().join(".config/cronium-run/variables.key");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    insta::assert_snapshot!(secret("three"), @r"
    --- stderr
    error: /ENV/home/.config/cronium-run/variables.key can be read by others (mode 0644)

    hint: chmod 600 /ENV/home/.config/cronium-run/variables.key
    --- exit code 1
    ");
}

#[test]
fn a_lost_key_is_told_and_never_replaced() {
    let environment = Environment::new();
    let secret = |key: &str| environment.command(["vars", "set", key, "--secret"]).stdin("s3cret").run();
    secret("pw").succeeds().ignore();
    let key = environment.home().join(".config/cronium-run/variables.key");
    std::fs::remove_file(&key).unwrap();
    insta::assert_snapshot!(secret("other"), @r"
    --- stderr
    error: the key of secret variables /ENV/home/.config/cronium-run/variables.key is not there
    caused by: the ledger holds secrets that no other key opens

    hint: put /ENV/home/.config/cronium-run/variables.key back from a copy
    hint: where it is lost for good, and they with it: (umask 077; head -c 32 /dev/urandom | base64 >/ENV/home/.config/cronium-run/variables.key)
    --- exit code 1
    ");
    // A script that asks for it fails, and the operator is told why; one that does not is not held up.
    let exec = |script: &str| environment.run(["exec", "local", "--", script]);
    let asked = exec("cronium getVariable pw; cronium setVariable pw 1; true").succeeds();
    let err = asked.err();
    assert_eq!(err.matches("there is no key file").count(), 1, "{err}");
    assert!(err.contains("the key of secret variables"), "{err}");
    let err = exec("true").succeeds().err();
    assert!(!err.contains("there is no key file"), "nobody asked for it: {err}");
    // The same key seals what runs are asked for.
    assert!(
        err.contains("warning: what this run was asked for is not kept, so that rerun will not know it"),
        "{err}"
    );
    assert!(!key.exists());
}

/// `get` waits for no run.
#[test]
fn read_while_a_run_goes_on() {
    let environment = Environment::new();
    let script = "cronium setVariable step 1 >/dev/null; \
                  while test \"$(cronium getVariable go --default 0)\" = 0; do sleep 0.1; done";
    let mut running = environment.command(["exec", "local", "--", script]).start();
    let seen = || environment.command(["vars", "get", "step"]).run().code == 0;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !seen() {
        assert!(std::time::Instant::now() < until && !running.is_over());
    }
    vars(&environment, ["set", "go", "1"]).succeeds().ignore();
    running.wait().succeeds().ignore();
}
