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
helpers:
  read: [app/*, 7]
  write: []
  http: true
artifacts:
  outputs: ["./logs//*.log", "**/core"]
  inputs:
    - {path: data/hosts.csv, from: ./inventory/hosts.csv}
  max_files: 20
  max_bytes: 1.5 MiB
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
        helpers: HelperAccess {
            read: Some(KeyPatterns(vec!["app/*".into(), "7".into()])),
            write: Some(KeyPatterns::default()),
            http: true,
        },
        artifacts: Artifacts {
            outputs: vec!["logs/*.log".into(), "**/core".into()],
            inputs: vec![artifacts::Input {
                path: "data/hosts.csv".into(),
                from: "inventory/hosts.csv".into(),
            }],
            max_files: 20,
            max_bytes: 3 << 19,
        },
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
        ("helpers:", "fine"),
        ("helpers: {}", "fine"),
        ("helpers: []", "4:10: helpers must be a mapping, not a list"),
        ("helpers:|  raed: [a]", "5:3: unknown key 'raed' of helpers, did you mean 'read'?"),
        ("helpers: {https: true}", "4:11: unknown key 'https' of helpers, did you mean 'http'?"),
        ("helpers: {read: a}", "4:17: helpers.read must be a list, not text"),
        ("helpers: {read: }", "4:15: helpers.read has no value: leave it out, or write [] for no key at all"),
        ("helpers: {write: [a, '']}", "4:22: an item of helpers.write is empty"),
        ("helpers: {write: [{a: b}]}", "4:19: an item of helpers.write must be text, not a mapping"),
        ("helpers: {http: yes}", "4:17: helpers.http must be true or false, not text"),
        ("helpers: {http: 1}", "4:17: helpers.http must be true or false, not a number"),
        ("helpers: {http: }", "fine"),
        ("artifacts: {outputs: , inputs: , max_files: , max_bytes: }", "fine"),
        ("artifacts: {output: [a]}", "4:13: unknown key 'output' of artifacts, did you mean 'outputs'?"),
        ("artifacts: {maxfiles: 1}", "4:13: unknown key 'maxfiles' of artifacts, did you mean 'max_files'?"),
        ("artifacts: {outputs: '*'}", "4:22: artifacts.outputs must be a list, not text"),
        ("artifacts: {outputs: []}", "4:22: artifacts.outputs is an empty list"),
        (
            "artifacts: {outputs: [/etc/passwd]}",
            "4:23: an item of artifacts.outputs '/etc/passwd' is absolute, it must be a path inside the work folder",
        ),
        (
            "artifacts: {outputs: [a, ../*]}",
            "4:26: an item of artifacts.outputs '../*' holds '..', it must be a path inside the work folder",
        ),
        ("artifacts: {outputs: ['[a']}", "4:23: an item of artifacts.outputs '[a' holds '[' without ']'"),
        ("artifacts: {outputs: [logs/]}", "4:23: an item of artifacts.outputs 'logs/' is a folder"),
        ("artifacts: {inputs: [a]}", "4:22: an item of artifacts.inputs must be a mapping, not text"),
        ("artifacts: {inputs: [{path: a}]}", "4:22: an item of artifacts.inputs has no 'from'"),
        (
            "artifacts: {inputs: [{path: a, form: b}]}",
            "4:32: unknown key 'form' of an item of artifacts.inputs, did you mean 'from'?",
        ),
        (
            "artifacts: {inputs: [{path: a, from: /etc/passwd}]}",
            "4:38: artifacts.inputs.from '/etc/passwd' is absolute, it must be a path below the current folder",
        ),
        (
            "artifacts: {inputs: [{path: a/../../b, from: c}]}",
            "4:29: artifacts.inputs.path 'a/../../b' holds '..', it must be a path inside the work folder",
        ),
        (
            "artifacts: {inputs: [{path: \"a\\nb\", from: c}]}",
            "4:29: artifacts.inputs.path holds a control character",
        ),
        (
            "artifacts: {inputs: [{path: a, from: b}, {path: ./a/c, from: d}]}",
            "4:49: artifacts.inputs.path 'a/c' is in the way of 'a'",
        ),
        ("artifacts: {max_files: 0}", "4:24: artifacts.max_files must be from 1 to 10000"),
        ("artifacts: {max_files: 10001}", "4:24: artifacts.max_files must be from 1 to 10000"),
        ("artifacts: {max_files: many}", "4:24: artifacts.max_files must be a whole number, not text"),
        ("artifacts: {max_bytes: 4GiB}", "fine"),
        ("artifacts: {max_bytes: 4294967297}", "4:24: artifacts.max_bytes '4294967297' is more than 4 GiB"),
        ("artifacts: {max_bytes: 0k}", "4:24: artifacts.max_bytes '0k' leaves room for nothing"),
        (
            "artifacts: {max_bytes: 5 apples}",
            "4:24: artifacts.max_bytes '5 apples' is no size, write it as 500000, 64k, 25MiB or 1 GB",
        ),
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
fn lists_and_their_texts_have_an_end() {
    let parse = |key: &str, items: usize, bytes: usize| {
        let list = vec![format!("'{}'", "x".repeat(bytes)); items].join(", ");
        let yaml = format!("version: v1\ninterpreter: sh\nentrypoint: a\n{key}: [{list}]}}\n");
        Manifest::parse(yaml.as_bytes()).map(drop).map_err(|error| error.message)
    };
    for (key, name) in [("helpers: {read", "helpers.read"), ("artifacts: {outputs", "artifacts.outputs")] {
        assert_eq!(parse(key, 256, 512), Ok(()));
        assert_eq!(parse(key, 257, 1), Err(format!("{name} has more than 256 items")));
        assert_eq!(parse(key, 1, 513), Err(format!("an item of {name} has 513 bytes, at most 512")));
    }
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
    assert_eq!(json["helpers"], serde_json::json!({"read": ["app/*", "7"], "write": [], "http": true}));
    let artifacts = serde_json::json!({
        "outputs": ["logs/*.log", "**/core"],
        "inputs": [{"path": "data/hosts.csv", "from": "inventory/hosts.csv"}],
        "max_files": 20,
        "max_bytes": 1_572_864,
    });
    assert_eq!(json["artifacts"], artifacts);
    let plain = serde_json::to_value(Manifest::new(Interpreter::Sh, "run.sh")).unwrap();
    assert_eq!((plain.get("helpers"), plain.get("artifacts")), (None, None));
}

/// Any text an argument or a value can be: all characters but NUL.
fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>().prop_filter("no NUL", |c| *c != '\0'), 0..20)
        .prop_map(|characters| characters.into_iter().collect())
}

/// Those that a list of patterns can hold.
fn patterns() -> impl Strategy<Value = Option<KeyPatterns>> {
    prop::option::of(prop::collection::vec(r"[^\x00]{1,9}", 0..4).prop_map(KeyPatterns))
}

fn any_artifacts() -> impl Strategy<Value = Artifacts> {
    let outputs = prop::collection::vec(r"[a-z*?é]{1,5}(/(\*\*|\[!a-c\]|[^/.\[\x00]{1,5})){0,3}", 0..4);
    // Each in a folder of its own, so that none is in the way of another.
    let inputs = prop::collection::vec((r"[^/\pC]{1,5}x", r"[^/\pC]{1,5}x"), 0..4).prop_map(|names| {
        let input = |(at, (path, from))| artifacts::Input { path: format!("{at}/{path}"), from };
        names.into_iter().enumerate().map(input).collect()
    });
    (outputs, inputs, 1..=artifacts::MOST_FILES, 1..=artifacts::MOST_BYTES).prop_map(
        |(outputs, inputs, max_files, max_bytes)| Artifacts { outputs, inputs, max_files, max_bytes },
    )
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
                "helpers", "read", "http", "artifacts", "inputs", "outputs", "max_bytes", "path", "1k",
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
        helpers in (patterns(), patterns(), any::<bool>())
            .prop_map(|(read, write, http)| HelperAccess { read, write, http }),
        artifacts in any_artifacts(),
    ) {
        let mut argv = vec!["program".to_owned()];
        argv.extend(words);
        let manifest = Manifest {
            release,
            args,
            environment: values,
            timeout: seconds.map(Duration::from_secs),
            metadata: [(key, Value::String(value))].into(),
            helpers,
            artifacts,
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
