//! One script, the same in every language and in every mode: `tests/conformance/` against one
//! table of expectations.

use serde_json::{Value, json};

mod harness;

use harness::{Environment, Fleet, FleetPlan, HostTraits, Outcome};

/// How a host is reached, and what `results.helper_mode` says of it.
struct Mode {
    helper_mode: &'static str,
    /// What its sshd forbids; `None`: no SSH at all.
    host: Option<fn(&mut HostTraits)>,
}

const API: Mode = Mode { helper_mode: "api", host: Some(|_| {}) };
const TCP: Mode = Mode { helper_mode: "tcp", host: Some(|host| host.streamlocal = false) };
const BUNDLED: Mode = Mode { helper_mode: "bundled", host: Some(|host| host.forwarding = false) };
const LOCAL: Mode = Mode { helper_mode: "api", host: None };

/// A script and what runs it.
const LANGUAGES: [(&str, &str); 4] = [
    ("conformance.sh", "bash"),
    ("conformance.sh", "sh"),
    ("conformance.py", "python"),
    ("conformance.js", "node"),
];

/// Every section of the scripts, in this order; `output` is last.
const SECTIONS: [&str; 15] = [
    "input",
    "values",
    "keys",
    "missing",
    "before",
    "versions",
    "counters",
    "unset",
    "vars",
    "scopes",
    "limits",
    "event",
    "told",
    "processes",
    "output",
];

/// What the scripts may touch.
const LIMITS: &str = "helpers: {read: ['conf/*', 'locked/*'], write: ['conf/*']}\n";

#[test]
fn through_a_forwarded_socket() {
    check(&API, &SECTIONS);
}

#[test]
fn through_a_forwarded_port() {
    check(&TCP, &SECTIONS);
}

#[test]
fn where_forwarding_is_forbidden() {
    check(&BUNDLED, &SECTIONS);
}

#[test]
fn on_this_machine() {
    check(&LOCAL, &SECTIONS);
}

/// Input, output and variables alone, the first words of a script.
#[test]
fn the_first_four_calls() {
    check(&API, &["input", "values", "keys", "missing", "before", "output"]);
    check(&LOCAL, &["input", "values", "keys", "missing", "before", "output"]);
}

fn check(mode: &Mode, sections: &[&str]) {
    let fleet = mode.host.map(|host| FleetPlan::default().host_with(1, host).start());
    for (script, interpreter) in LANGUAGES {
        let which = format!("{script} with {interpreter}, mode {}", mode.helper_mode);
        let environment = Environment::new();
        seed(&environment);
        let (host, outcome) = run(&environment, fleet.as_ref(), script, interpreter, sections);
        assert_eq!(outcome.code, 0, "{which}: {outcome:?}");
        let events = outcome.json_lines();
        let has = |section: &str| sections.contains(&section);

        let row = environment.ledger().result(&environment.ledger().last_run(), &host);
        let output = json!([1, "two", {"three": [3], "four": ""}, {"checked": "all"}]);
        assert_eq!(row.output_json(), output, "{which}");
        assert_eq!(harness::finished(&events, &host)["output"], output, "{which}");
        assert_eq!(row.helper_mode.as_deref(), Some(mode.helper_mode), "{which}: {row:#?}");
        check_variables(&environment, &which, sections);
        if has("told") {
            assert_eq!(told(&events), told_by_the_scripts(), "{which}");
        }
        if let Some(fleet) = &fleet {
            assert!(fleet.runs(1).is_empty(), "{which}: nothing is left on the host");
        }
    }
}

/// What a run before left: one key the scripts may read, one they may not.
fn seed(environment: &Environment) {
    let line =
        "cronium setVariable locked/before '{\"by\": \"another run\"}'; cronium setVariable other/secret 1";
    environment.run(["exec", "local", "-o", "quiet", "--", line]).succeeds().ignore();
}

/// The scripts' input: what they set as variables stands in `values`.
fn input() -> Value {
    json!({
        "deep": {"list": [1, {"name": "Zoë"}], "nothing": null},
        "odd.key [0]": true,
        "values": {
            "empty": "",
            "text": "two words",
            "unicode": "grün 漢 🦀 e\u{301}",
            "quotes": "\"\\ ' `$x` %s",
            "lines": "a\nb\r\n\t",
            "zero": 0,
            "minus": -1,
            "half": 1.5,
            "large": 9_007_199_254_740_992_u64,
            "true": true,
            "false": false,
            "null": null,
            "list": [],
            "object": {},
            "nested": {"a": [{"b": [null, [1, "x"]]}], "": {"c": ""}},
        },
    })
}

/// The host by its name in the ledger, and what the run told as JSON lines.
fn run(
    environment: &Environment,
    fleet: Option<&Fleet>,
    script: &str,
    interpreter: &str,
    sections: &[&str],
) -> (String, Outcome) {
    let folder = format!("{}/tests/conformance", env!("CARGO_MANIFEST_DIR"));
    // Without the sections that run against limits, there are none.
    let limits = if sections.contains(&"limits") { LIMITS } else { "" };
    let manifest = format!(
        "version: v1\nname: conformance\ninterpreter: {interpreter}\nentrypoint: {script}\ntimeout: 60s\n\
         metadata: {{eventId: \"42\", ticket: T-1}}\n{limits}"
    );
    environment.write("payload/manifest.yaml", manifest);
    environment.write(format!("payload/{script}"), std::fs::read(format!("{folder}/{script}")).unwrap());
    let input = input().to_string();
    let (host, invocation) = match fleet {
        Some(fleet) => (fleet.name(1), environment.exec(fleet, &fleet.name(1))),
        None => ("local".into(), environment.command(["exec", "local"])),
    };
    let invocation = invocation.args(["-o", "jsonl", "--input", &input, "payload", "--"]).args(sections);
    (host, invocation.limit(120).run())
}

/// What the scripts left in the ledger.
fn check_variables(environment: &Environment, which: &str, sections: &[&str]) {
    let ledger = environment.ledger();
    ledger.check();
    let value = |key: &str| ledger.variable(key).map(|(value, _)| value);
    if sections.contains(&"values") {
        for (name, want) in input()["values"].as_object().unwrap() {
            assert_eq!(
                ledger.variable(&format!("conf/v/{name}")),
                Some((want.clone(), 1)),
                "{which}: {name}"
            );
        }
        assert_eq!(value("conf/big"), Some(json!("x".repeat(900_000))), "{which}");
    }
    if sections.contains(&"keys") {
        for key in ["a/b", "a?b", "a#b", "a%2Fb", "two words", "grün", ".", "it's"] {
            assert_eq!(ledger.variable(&format!("conf/k/{key}")), Some((json!(key), 1)), "{which}: {key}");
        }
    }
    let table = [
        ("versions", "conf/version", Some((json!(2), 2))),
        ("counters", "conf/count", Some((json!(3.5), 3))),
        ("counters", "conf/word", Some((json!("abc"), 1))),
        ("unset", "conf/gone", None),
        ("scopes", "conf/scoped", Some((json!("widest"), 1))),
        ("limits", "other/secret", Some((json!(1), 1))),
        ("limits", "locked/before", Some((json!({"by": "another run"}), 1))),
        ("limits", "locked/count", None),
        ("limits", "conf/huge", None),
        ("processes", "conf/sum", Some((json!(200), 200))),
        ("processes", "conf/own/1", Some((json!(1), 1))),
        ("processes", "conf/own/20", Some((json!(20), 1))),
    ];
    for (section, key, want) in table {
        if sections.contains(&section) {
            assert_eq!(ledger.variable(key), want, "{which}: {key}");
        }
    }
}

/// What was told beside the output, in order, without what says where and when.
fn told(events: &[Value]) -> Vec<Value> {
    const KINDS: [&str; 4] = ["host_log", "host_progress", "host_notify", "host_condition"];
    let told = events.iter().filter(|event| event["kind"].as_str().is_some_and(|kind| KINDS.contains(&kind)));
    told.map(|event| {
        let mut event = event.clone();
        let fields = event.as_object_mut().unwrap();
        fields
            .retain(|name, value| !["seq", "at", "run", "host"].contains(&name.as_str()) && !value.is_null());
        event
    })
    .collect()
}

fn told_by_the_scripts() -> Vec<Value> {
    vec![
        json!({"kind": "host_log", "level": "info", "message": "hello", "context": {"a": [1, null]}}),
        json!({"kind": "host_log", "level": "warn", "message": "zwölf % done"}),
        json!({"kind": "host_progress", "percent": 12.5, "step": "copying files"}),
        json!({"kind": "host_progress", "percent": 100.0}),
        json!({"kind": "host_notify", "audience": "oncall", "message": "wake up"}),
        json!({"kind": "host_condition", "condition": false}),
        json!({"kind": "host_condition", "condition": true}),
    ]
}
