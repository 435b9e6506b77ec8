//! The helpers of each language as they lie on a host, and the command's manual.

use std::fs;
use std::path::PathBuf;

mod harness;

use harness::Environment;

/// One line in each language that needs its helpers.
const SCRIPTS: [(&str, &str); 4] = [
    ("job.py", "#!/usr/bin/env python3\nimport cronium\nprint(cronium.input('.n'))\n"),
    ("job.js", "#!/usr/bin/env node\nconsole.log(cronium.input('.n'))\n"),
    ("job.bash", "#!/bin/bash\ncronium_input .n\n"),
    ("job.sh", "#!/bin/sh\nset -eu\n. cronium.sh\ncronium_input .n\n"),
];

#[track_caller]
fn prints_five(environment: &Environment, script: &str) {
    let outcome = environment.run(["exec", "local", "-o", "jsonl", "--input", "{\"n\": 5}", script]);
    assert_eq!(outcome.code, 0, "{script}: {outcome:?}");
    let out = harness::bytes_of(&outcome.json_lines(), "local", "stdout");
    assert_eq!(String::from_utf8_lossy(&out), "5\n", "{script}: {outcome:?}");
}

fn cache(environment: &Environment) -> PathBuf {
    environment.home().join(".cache/cronium-run/sdk")
}

/// The cache's folder of the helpers, of which there is one.
fn installed(environment: &Environment) -> PathBuf {
    let mut found = fs::read_dir(cache(environment)).unwrap().map(|entry| entry.unwrap().path());
    let (first, None) = (found.next().unwrap(), found.next()) else { panic!("more than one version") };
    first
}

#[test]
fn put_there_once_and_mended() {
    let environment = Environment::new();
    for (script, text) in SCRIPTS {
        environment.write(script, text);
        prints_five(&environment, script);
    }
    let folder = installed(&environment);
    for (file, script) in [
        ("cronium.py", "job.py"),
        ("node_modules/cronium/index.js", "job.js"),
        ("cronium.sh", "job.bash"),
        ("cronium.sh", "job.sh"),
    ] {
        let file = folder.join(file);
        let whole = fs::read(&file).unwrap();
        for damage in [&b"syntax error ("[..], b""] {
            fs::write(&file, damage).unwrap();
            prints_five(&environment, script);
            assert_eq!(fs::read(&file).unwrap(), whole, "{script}");
        }
        fs::remove_file(&file).unwrap();
        prints_five(&environment, script);
    }
    assert_eq!(installed(&environment), folder);
}

/// Where the cache cannot be had they lie in the run folder, and go with it.
#[test]
fn without_a_cache() {
    let environment = Environment::new();
    fs::create_dir_all(environment.home().join(".cache/cronium-run")).unwrap();
    fs::write(cache(&environment), "in the way").unwrap();
    for (script, text) in SCRIPTS {
        environment.write(script, text);
        prints_five(&environment, script);
    }
    assert_eq!(fs::read(cache(&environment)).unwrap(), b"in the way");
    let runs = environment.home().join(".local/state/cronium-run/runs");
    assert_eq!(fs::read_dir(runs).map_or(0, Iterator::count), 0);
}

/// What a payload brings and what its manifest sets goes before ours.
#[test]
fn a_payload_has_its_own() {
    let environment = Environment::new();
    let manifest = "version: v1\ninterpreter: python\nentrypoint: main.py\nenvironment: {PYTHONPATH: lib}\n";
    environment.write("own/manifest.yaml", manifest);
    environment.write("own/cronium.py", "def input(path): return 5\n");
    environment.write("own/lib/more.py", "");
    environment.write("own/main.py", "import more, cronium\nprint(cronium.input('none'))\n");
    prints_five(&environment, "own");

    let manifest = "version: v1\ninterpreter: node\nentrypoint: main.mjs\n";
    environment.write("module/manifest.yaml", manifest);
    let text =
        "import helpers, { input } from 'cronium'\nif (helpers === cronium) console.log(input('.n'))\n";
    environment.write("module/main.mjs", text);
    prints_five(&environment, "module");
}

#[test]
fn the_manual() {
    let environment = Environment::new();
    let table = [
        ("cronium --help | head -n 1", "Helpers of a cronium-run script\n"),
        ("cronium incr -h | head -n 1", "Usage: cronium incr KEY [N] [--scope run|host|project|global]\n"),
        ("cronium help get-variable | head -n 1 | cut -c1-30", "Usage: cronium getVariable KEY\n"),
        ("cronium.event --help | head -n 1", "Usage: cronium event [FIELD] [--raw] [--default V]\n"),
        (
            "cronium ouput 1 2>&1; echo $?",
            "cronium: no helper is called 'ouput'; did you mean 'output'?\nhint: cronium output --help\n2\n",
        ),
        (
            "cronium progress 101 2>&1; echo $?",
            "cronium progress: N is a number from 0 to 100, not '101'\nhint: cronium progress --help\n2\n",
        ),
        (
            "cronium log loud x 2>&1; echo $?",
            "cronium log: 'loud' is no level: debug, info, warn, error\nhint: cronium log --help\n2\n",
        ),
        (
            "env -u CRONIUM_WORK_DIR cronium input 2>&1; echo $?",
            "cronium input: this is no cronium-run script: CRONIUM_WORK_DIR is not set\n1\n",
        ),
    ];
    let script = table.iter().map(|(line, _)| format!("{{ {line}; }}\necho @\n"));
    environment.write("manual.sh", format!("#!/bin/sh\n{}", script.collect::<String>()));
    let outcome = environment.run(["exec", "local", "-o", "jsonl", "manual.sh"]).succeeds();
    let out = String::from_utf8(harness::bytes_of(&outcome.json_lines(), "local", "stdout")).unwrap();
    for ((line, want), got) in table.iter().zip(out.split("@\n")) {
        assert_eq!(got, *want, "{line}");
    }
}
