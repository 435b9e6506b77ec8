use proptest::prelude::*;

use super::*;

const FULL: &str = r#"
version: v1
name: disk-report
release: 7
interpreter: bash
entrypoint: ./bin//run.sh
args: [--all, 7, "x y"]
environment: {LEVEL: info, PORT: 080, RATIO: 1.10, ON: yes, EMPTY: , QUOTED: "~"}
timeout: 15m
metadata:
  eventId: "42"
  trigger: {kind: cron, every: 5, ratio: 0.5, on: true, none: ~, list: [1, -2, 0x10, 1e3]}
"#;

#[test]
fn every_key() {
    let manifest = Manifest::parse(FULL.as_bytes()).unwrap();
    let environment = [
        ("EMPTY", ""),
        ("LEVEL", "info"),
        ("ON", "yes"),
        ("PORT", "080"),
        ("QUOTED", "~"),
        ("RATIO", "1.10"),
    ];
    let want = Manifest {
        name: Some("disk-report".into()),
        release: Some(7),
        args: vec!["--all".into(), "7".into(), "x y".into()],
        environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
        timeout: Some(Duration::from_secs(900)),
        metadata: [
            ("eventId".to_owned(), Value::from("42")),
            (
                "trigger".to_owned(),
                serde_json::json!({"kind": "cron", "every": 5, "ratio": 0.5, "on": true, "none": null,
                    "list": [1, -2, 16, 1000.0]}),
            ),
        ]
        .into(),
        ..Manifest::new(Interpreter::Bash, "bin/run.sh")
    };
    assert_eq!(manifest, want);
    assert_eq!(Manifest::parse(manifest.to_yaml().as_bytes()).unwrap(), want);
}

#[test]
fn interpreters() {
    let exact = |words: &[&str]| Interpreter::Exact(words.iter().map(|word| (*word).to_owned()).collect());
    let table: &[(&str, Interpreter, &[&str], &[&str])] = &[
        ("sh", Interpreter::Sh, &["sh"], &[]),
        ("Bash", Interpreter::Bash, &["bash"], &[]),
        ("PYTHON", Interpreter::Python, &["python3", "python"], &[]),
        ("node", Interpreter::Node, &["node", "nodejs"], &[]),
        ("NodeJS", Interpreter::Node, &["node", "nodejs"], &[]),
        ("pwsh", Interpreter::Pwsh, &["pwsh"], &["-NoProfile", "-NonInteractive", "-File"]),
        ("binary", Interpreter::Binary, &[], &[]),
        ("[perl, -w]", exact(&["perl", "-w"]), &["perl"], &["-w"]),
        ("\n  - /opt/x\n", exact(&["/opt/x"]), &["/opt/x"], &[]),
    ];
    for (written, want, candidates, arguments) in table {
        let yaml = format!("version: v1\nentrypoint: run\ninterpreter: {written}\n");
        let manifest = Manifest::parse(yaml.as_bytes()).unwrap();
        assert_eq!(&manifest.interpreter, want, "{written}");
        assert_eq!(manifest.interpreter.candidates(), *candidates, "{written}");
        assert_eq!(manifest.interpreter.arguments(), *arguments, "{written}");
    }
}

/// Each line is a manifest (`|` is a line break) and the whole sentence it is refused with.
#[test]
fn faults() {
    let start = "version: v1|interpreter: sh|entrypoint: run.sh|";
    let table: &[(&str, &str)] = &[
        ("interpretor: sh", "4:1: unknown key 'interpretor', did you mean 'interpreter'?"),
        ("time_out: 5s", "4:1: unknown key 'time_out', did you mean 'timeout'?"),
        ("zzz: 5s", "4:1: unknown key 'zzz'"),
        ("  ", "fine"),
        ("args:", "fine"),
        (
            "name: Disk",
            "4:7: name 'Disk' must be 1 to 64 of 'a-z', '0-9', '.', '_' and '-', with a letter or digit first",
        ),
        ("name: [a]", "4:7: name must be text, not a list"),
        ("release: x", "4:10: release must be a whole number, not text"),
        ("release: -1", "4:10: release must be a whole number from 0"),
        ("release: 1.5", "4:10: release must be a whole number from 0"),
        ("release: 99999999999999999999", "4:10: release must be a whole number from 0"),
        ("release: .inf", "4:10: release must be a whole number from 0"),
        ("args: --all", "4:7: args must be a list, not text"),
        ("args: [a, [b]]", "4:11: an item of args must be text, not a list"),
        ("args: [a, ~]", "4:11: an item of args must be text, put it in quotes"),
        ("args: [\"a\\0\"]", "4:8: an item of args holds a NUL character"),
        ("environment: [A]", "4:14: environment must be a mapping, not a list"),
        (
            "environment:|  1A: x",
            "5:3: '1A' is no name of an environment variable: letters, digits and '_', no digit first",
        ),
        (
            "environment:|  A-B: x",
            "5:3: 'A-B' is no name of an environment variable: letters, digits and '_', no digit first",
        ),
        ("environment:|  A: {b: c}", "5:6: environment.A must be text, not a mapping"),
        ("environment:|  A: null", "5:6: environment.A must be text, put it in quotes"),
        ("environment: {A: 1, A: 2}", "4:21: key 'A' is already in line 4"),
        ("timeout: 15x", "4:10: timeout '15x' is no duration, write it as 90s, 15m or 1h30m"),
        ("timeout: 0", "4:10: timeout '0' is no time at all"),
        ("timeout: -3", "4:10: timeout '-3' is no duration, write it as 90s, 15m or 1h30m"),
        ("timeout: 9000h", "4:10: timeout '9000h' is more than a year"),
        ("metadata: 5", "4:11: metadata must be a mapping, not a number"),
        ("metadata: {a: .nan}", "4:15: JSON has no number '.nan', put it in quotes"),
        ("entrypoint: other", "4:1: key 'entrypoint' is already in line 3"),
        ("args: &a [x]", "fine"),
        ("args: &a [x]|environment: *a", "5:14: aliases ('*…') are not supported"),
        ("name: !x y", "4:10: tags ('!…') are not supported"),
        ("---|version: v1", "4:1: a second document, a manifest is only one"),
        ("{a: b}: c", "4:1: a key must be plain text"),
    ];
    for (line, want) in table {
        check(&format!("{start}{line}"), want);
    }
    let whole: &[(&str, &str)] = &[
        ("", "1:1: the file is empty"),
        ("# nothing|", "1:1: the file is empty"),
        ("text", "1:1: expected a mapping, not text"),
        ("|[a]", "2:1: expected a mapping, not a list"),
        ("interpreter: sh|entrypoint: run.sh", "1:1: missing key 'version'"),
        ("version: v2", "1:10: version 'v2' is not supported, only 'v1'"),
        ("version: 1", "1:10: version '1' is not supported, only 'v1'"),
        ("version: v1|entrypoint: run.sh", "1:1: missing key 'interpreter'"),
        ("version: v1|interpreter:|entrypoint: run.sh", "2:12: key 'interpreter' has no value"),
        ("version: v1|interpreter: sh", "1:1: missing key 'entrypoint'"),
        (
            "version: v1|interpreter: pyhton|entrypoint: a",
            "2:14: unknown interpreter 'pyhton', known are sh, bash, python, node, pwsh, binary, did you mean 'python'?",
        ),
        ("version: v1|interpreter: []|entrypoint: a", "2:14: interpreter is an empty list"),
        ("version: v1|interpreter: ['']|entrypoint: a", "2:14: the first word of interpreter is empty"),
        (
            "version: v1|interpreter: {a: b}|entrypoint: a",
            "2:14: interpreter must be text or a list, not a mapping",
        ),
        (
            "version: v1|interpreter: sh|entrypoint: /bin/ls",
            "3:13: entrypoint '/bin/ls' is absolute, it must be a path inside the payload",
        ),
        (
            "version: v1|interpreter: sh|entrypoint: a/../../b",
            "3:13: entrypoint 'a/../../b' holds '..', it must be a path inside the payload",
        ),
        ("version: v1|interpreter: sh|entrypoint: bin/", "3:13: entrypoint 'bin/' is a folder"),
        ("version: v1|interpreter: sh|entrypoint: .", "3:13: entrypoint '.' names no file"),
    ];
    for (yaml, want) in whole {
        check(yaml, want);
    }
}

fn check(yaml: &str, want: &str) {
    let got = match Manifest::parse(yaml.replace('|', "\n").as_bytes()) {
        Ok(_) => "fine".to_owned(),
        Err(error) => error.to_string(),
    };
    let want = if want == "fine" { want.to_owned() } else { format!("manifest.yaml:{want}") };
    assert_eq!(got, want, "{yaml}");
}

#[test]
fn broken_yaml_has_its_place() {
    for (yaml, line, column) in
        [("version: v1\nname: 'x", 2, 1), ("version: [v1\nname: x\n", 2, 1), ("a: b: c\n", 1, 1)]
    {
        let error = Manifest::parse(yaml.as_bytes()).unwrap_err();
        assert!(error.line >= line && error.column >= column, "{error}");
        assert!(!error.message.is_empty());
    }
    let error = Manifest::parse(b"version: v1\nname: \xc3\xa4\xff\n").unwrap_err();
    assert_eq!(error.to_string(), "manifest.yaml:2:8: not UTF-8");
    let error = Manifest::parse("[".repeat(5000).as_bytes()).unwrap_err();
    assert_eq!(error.line, 1);
    let error = Manifest::parse(&vec![b'#'; MAX_BYTES + 1]).unwrap_err();
    assert_eq!(error.to_string(), "manifest.yaml:1:1: 1048577 bytes are too many, at most 1048576");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark() {
    let yaml = "\u{feff}version: v1\r\ninterpreter: sh\r\nentrypoint: run.sh\r\n";
    assert_eq!(Manifest::parse(yaml.as_bytes()).unwrap(), Manifest::new(Interpreter::Sh, "run.sh"));
}

#[test]
fn names() {
    let mut manifest = Manifest::new(Interpreter::Sh, "run.sh");
    assert_eq!(manifest.effective_name("My Folder!"), "my-folder");
    assert_eq!(manifest.effective_name("…"), "payload");
    manifest.metadata.insert("eventName".into(), "Backup (Nightly)".into());
    assert_eq!(manifest.effective_name("folder"), "backup-nightly");
    manifest.metadata.insert("eventName".into(), 5.into());
    assert_eq!(manifest.effective_name("folder"), "folder");
    manifest.name = Some("disk".into());
    assert_eq!(manifest.effective_name("folder"), "disk");
}

#[test]
fn as_json() {
    let manifest = Manifest::parse(FULL.as_bytes()).unwrap();
    let json = serde_json::to_value(&manifest).unwrap();
    assert_eq!((&json["interpreter"], &json["timeout"]), (&"bash".into(), &"15m".into()));
}

/// Any text an argument or a value can be: all characters but NUL.
fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>().prop_filter("no NUL", |c| *c != '\0'), 0..20)
        .prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Manifest::parse(&bytes);
    }

    #[test]
    fn near_misses_never_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "version", "v1", ":", " ", "\n", "-", "[", "]", "{", "}", ",", "\"", "'", "&a", "*a", "!t", "|",
                ">", "?", "%", "#", "~", "interpreter", "sh", "entrypoint", "a", "\t", "---", "...", "<<", "0x",
            ]),
            0..60,
        )
    ) {
        let _ = Manifest::parse(pieces.concat().as_bytes());
    }

    #[test]
    fn what_is_written_is_read(
        args in prop::collection::vec(any_text(), 0..5),
        values in prop::collection::btree_map("[A-Z_][A-Z0-9_]{0,8}", any_text(), 0..4),
        words in prop::collection::vec(any_text(), 0..3),
        seconds in prop::option::of(1u64..100_000),
        release in any::<Option<u64>>(),
        key in any_text(),
        value in any_text(),
    ) {
        let mut argv = vec!["program".to_owned()];
        argv.extend(words);
        let manifest = Manifest {
            release,
            args,
            environment: values,
            timeout: seconds.map(Duration::from_secs),
            metadata: [(key, Value::String(value))].into(),
            ..Manifest::new(Interpreter::Exact(argv), "run")
        };
        let yaml = manifest.to_yaml();
        prop_assert_eq!(Manifest::parse(yaml.as_bytes()).map_err(|error| format!("{error}\n{yaml}")), Ok(manifest));
    }

    #[test]
    fn a_sanitised_name_is_a_name(text in any_text()) {
        let name = sanitise_name(&text);
        prop_assert!(name.is_empty() || is_name(&name), "{}", name);
    }
}
