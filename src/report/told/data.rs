//! What machines read: JSON, JSON lines, JUnit.

use super::*;

/// Those of the table that differ most.
fn a_few() -> Vec<Event> {
    let differ = ["web07", "db1", "bin", "tell1", "tell2", "cut1", "again1", "left1"];
    events(&table().into_iter().filter(|host| differ.contains(&host.name)).collect::<Vec<_>>())
}

#[test]
fn json() {
    let few = a_few();
    insta::assert_snapshot!(shown(&told_on(Output::Json, &few, Term::captured(), Term::captured())), @r#"
    --- stdout
    {
      "run": "01JRUN",
      "command": "cronium-run exec @all -- uname -r",
      "version": "0.1.0",
      "payload": {
        "name": "command",
        "digest": "abababababababababababababababababababababababababababababababab",
        "bytes": 512,
        "release": null,
        "signer": null
      },
      "started_at": "2026-11-05T10:00:00Z",
      "finished_at": "2026-11-05T10:00:00.047Z",
      "status": "failed",
      "exit_code": 4,
      "summary": {
        "hosts": 8,
        "outcomes": {
          "succeeded": 5,
          "failed": 1,
          "unreachable": 1,
          "detached": 1
        },
        "duration_ms": 30120
      },
      "hosts": [
        {
          "host": "web07",
          "outcome": "failed",
          "attempt": 1,
          "exit_code": 7,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 9,
          "stderr_bytes": 13,
          "warnings": [
            "web07 has no clock"
          ],
          "told": [],
          "artifacts": [],
          "stdout": "half a li",
          "stderr": "no such file\n"
        },
        {
          "host": "db1",
          "outcome": "unreachable",
          "attempt": 1,
          "failure": {
            "phase": "tcp",
            "kind": "refused",
            "message": "cannot connect to db1:22",
            "causes": [
              "connection refused"
            ],
            "hint": "cronium-run doctor HOST"
          },
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [
            "db1 has no clock"
          ],
          "told": [],
          "artifacts": [],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "bin",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 11,
          "stderr_bytes": 0,
          "warnings": [],
          "told": [],
          "artifacts": [],
          "stdout": {
            "base64": "G1szMW1yZWT/DQo="
          },
          "stderr": ""
        },
        {
          "host": "tell1",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "helper_mode": "api",
          "condition": true,
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "told": [
            {
              "at": "2026-11-05T10:00:00.026Z",
              "kind": "host_progress",
              "percent": 12.5,
              "step": "reading\u001b[2J"
            },
            {
              "at": "2026-11-05T10:00:00.028Z",
              "kind": "host_log",
              "level": "info",
              "message": "begin"
            },
            {
              "at": "2026-11-05T10:00:00.03Z",
              "kind": "host_log",
              "level": "debug",
              "message": "not for people"
            },
            {
              "at": "2026-11-05T10:00:00.031Z",
              "context": {
                "disk": "/srv",
                "used": 0.98
              },
              "kind": "host_log",
              "level": "warn",
              "message": "disk of tell1 is full\nreally"
            },
            {
              "at": "2026-11-05T10:00:00.032Z",
              "audience": "ops\u001b[31m",
              "kind": "host_notify",
              "message": "please \u202elook"
            },
            {
              "at": "2026-11-05T10:00:00.033Z",
              "kind": "host_log",
              "level": "error",
              "message": "cannot mount \u009b31m"
            },
            {
              "at": "2026-11-05T10:00:00.034Z",
              "condition": false,
              "kind": "host_condition"
            },
            {
              "at": "2026-11-05T10:00:00.035Z",
              "kind": "host_progress",
              "percent": 100.0
            },
            {
              "at": "2026-11-05T10:00:00.036Z",
              "condition": true,
              "kind": "host_condition"
            }
          ],
          "artifacts": [
            {
              "path": "out/report.csv",
              "digest": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
              "bytes": 1234567
            },
            {
              "path": "out/a\u001b[2Jb",
              "digest": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
              "bytes": 0
            }
          ],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "tell2",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "helper_mode": "bundled",
          "helper_reason": "its sshd forwards nothing\u001b[2J",
          "conflicts": [
            {
              "key": "k",
              "reason": "it has version 5, the script wanted 3"
            },
            {
              "key": "a\u001b]0;b",
              "reason": "it is \"x\", no number"
            }
          ],
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "told": [
            {
              "at": "2026-11-05T10:00:00.027Z",
              "kind": "host_log",
              "level": "warn",
              "message": "disk of tell2 is full\nreally"
            }
          ],
          "artifacts": [
            {
              "path": "out/report.csv",
              "digest": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
              "bytes": 5
            }
          ],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "cut1",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 6,
          "stderr_bytes": 0,
          "warnings": [],
          "told": [],
          "artifacts": [],
          "stdout_cut": 5261334937,
          "stdout_cut_at": 3,
          "stdout": "ab\nyz\n",
          "stderr": ""
        },
        {
          "host": "again1",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 6,
          "stderr_bytes": 0,
          "warnings": [],
          "told": [],
          "artifacts": [],
          "stdout": "6.1.0\n",
          "stderr": ""
        },
        {
          "host": "left1",
          "outcome": "detached",
          "attempt": 1,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 6,
          "stderr_bytes": 0,
          "warnings": [],
          "told": [],
          "artifacts": [],
          "stdout": "begun\n",
          "stderr": ""
        }
      ]
    }
    --- stderr
    "#);
}

#[test]
fn jsonl() {
    let few = a_few();
    insta::assert_snapshot!(shown(&told_on(Output::Jsonl, &few, Term::captured(), Term::captured())), @r#"
    --- stdout
    {"seq":0,"at":"2026-11-05T10:00:00Z","kind":"run_started","run":"01JRUN","command":"cronium-run exec @all -- uname -r","version":"0.1.0","payload":{"name":"command","digest":"abababababababababababababababababababababababababababababababab","bytes":512,"release":null,"signer":null},"hosts":["web07","db1","bin","tell1","tell2","cut1","again1","left1"]}
    {"seq":1,"at":"2026-11-05T10:00:00.001Z","kind":"host_state","host":"web07","state":"running"}
    {"seq":2,"at":"2026-11-05T10:00:00.002Z","kind":"host_state","host":"db1","state":"running"}
    {"seq":3,"at":"2026-11-05T10:00:00.003Z","kind":"host_state","host":"bin","state":"running"}
    {"seq":4,"at":"2026-11-05T10:00:00.004Z","kind":"host_state","host":"tell1","state":"running"}
    {"seq":5,"at":"2026-11-05T10:00:00.005Z","kind":"host_state","host":"tell2","state":"running"}
    {"seq":6,"at":"2026-11-05T10:00:00.006Z","kind":"host_state","host":"cut1","state":"running"}
    {"seq":7,"at":"2026-11-05T10:00:00.007Z","kind":"host_state","host":"again1","state":"running"}
    {"seq":8,"at":"2026-11-05T10:00:00.008Z","kind":"host_state","host":"left1","state":"running"}
    {"seq":9,"at":"2026-11-05T10:00:00.009Z","kind":"host_warning","host":"web07","message":"web07 has no clock"}
    {"seq":10,"at":"2026-11-05T10:00:00.01Z","kind":"host_warning","host":"db1","message":"db1 has no clock"}
    {"seq":11,"at":"2026-11-05T10:00:00.011Z","kind":"host_output","host":"web07","stream":"stdout","text":"hal"}
    {"seq":12,"at":"2026-11-05T10:00:00.012Z","kind":"host_output","host":"web07","stream":"stderr","text":"no "}
    {"seq":13,"at":"2026-11-05T10:00:00.013Z","kind":"host_output","host":"bin","stream":"stdout","text":"\u001b[3"}
    {"seq":14,"at":"2026-11-05T10:00:00.014Z","kind":"host_output","host":"cut1","stream":"stdout","text":"ab\n"}
    {"seq":15,"at":"2026-11-05T10:00:00.015Z","kind":"host_output","host":"again1","stream":"stdout","text":"6.1"}
    {"seq":16,"at":"2026-11-05T10:00:00.016Z","kind":"host_output","host":"left1","stream":"stdout","text":"beg"}
    {"seq":17,"at":"2026-11-05T10:00:00.017Z","kind":"host_output_cut","host":"cut1","stream":"stdout","bytes":5261334937}
    {"seq":18,"at":"2026-11-05T10:00:00.018Z","kind":"host_state","host":"again1","state":"reconnecting"}
    {"seq":19,"at":"2026-11-05T10:00:00.019Z","kind":"host_state","host":"again1","state":"running"}
    {"seq":20,"at":"2026-11-05T10:00:00.02Z","kind":"host_output","host":"web07","stream":"stdout","text":"f a li"}
    {"seq":21,"at":"2026-11-05T10:00:00.021Z","kind":"host_output","host":"web07","stream":"stderr","text":"such file\n"}
    {"seq":22,"at":"2026-11-05T10:00:00.022Z","kind":"host_output","host":"bin","stream":"stdout","base64":"MW1yZWT/DQo="}
    {"seq":23,"at":"2026-11-05T10:00:00.023Z","kind":"host_output","host":"cut1","stream":"stdout","text":"yz\n"}
    {"seq":24,"at":"2026-11-05T10:00:00.024Z","kind":"host_output","host":"again1","stream":"stdout","text":".0\n"}
    {"seq":25,"at":"2026-11-05T10:00:00.025Z","kind":"host_output","host":"left1","stream":"stdout","text":"un\n"}
    {"seq":26,"at":"2026-11-05T10:00:00.026Z","kind":"host_progress","host":"tell1","percent":12.5,"step":"reading\u001b[2J"}
    {"seq":27,"at":"2026-11-05T10:00:00.027Z","kind":"host_log","host":"tell2","level":"warn","message":"disk of tell2 is full\nreally"}
    {"seq":28,"at":"2026-11-05T10:00:00.028Z","kind":"host_log","host":"tell1","level":"info","message":"begin"}
    {"seq":29,"at":"2026-11-05T10:00:00.029Z","kind":"host_artifact","host":"tell2","path":"out/report.csv","digest":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","bytes":5,"mode":420}
    {"seq":30,"at":"2026-11-05T10:00:00.03Z","kind":"host_log","host":"tell1","level":"debug","message":"not for people"}
    {"seq":31,"at":"2026-11-05T10:00:00.031Z","kind":"host_log","host":"tell1","level":"warn","message":"disk of tell1 is full\nreally","context":{"disk":"/srv","used":0.98}}
    {"seq":32,"at":"2026-11-05T10:00:00.032Z","kind":"host_notify","host":"tell1","audience":"ops\u001b[31m","message":"please \u202elook"}
    {"seq":33,"at":"2026-11-05T10:00:00.033Z","kind":"host_log","host":"tell1","level":"error","message":"cannot mount \u009b31m"}
    {"seq":34,"at":"2026-11-05T10:00:00.034Z","kind":"host_condition","host":"tell1","condition":false}
    {"seq":35,"at":"2026-11-05T10:00:00.035Z","kind":"host_progress","host":"tell1","percent":100.0}
    {"seq":36,"at":"2026-11-05T10:00:00.036Z","kind":"host_condition","host":"tell1","condition":true}
    {"seq":37,"at":"2026-11-05T10:00:00.037Z","kind":"host_artifact","host":"tell1","path":"out/report.csv","digest":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","bytes":1234567,"mode":420}
    {"seq":38,"at":"2026-11-05T10:00:00.038Z","kind":"host_artifact","host":"tell1","path":"out/a\u001b[2Jb","digest":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","bytes":0,"mode":420}
    {"seq":39,"at":"2026-11-05T10:00:00.039Z","kind":"host_finished","host":"web07","outcome":"failed","attempt":1,"exit_code":7,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":9,"stderr_bytes":13}
    {"seq":40,"at":"2026-11-05T10:00:00.04Z","kind":"host_finished","host":"db1","outcome":"unreachable","attempt":1,"failure":{"phase":"tcp","kind":"refused","message":"cannot connect to db1:22","causes":["connection refused"],"hint":"cronium-run doctor HOST"},"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":0,"stderr_bytes":0}
    {"seq":41,"at":"2026-11-05T10:00:00.041Z","kind":"host_finished","host":"bin","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":11,"stderr_bytes":0}
    {"seq":42,"at":"2026-11-05T10:00:00.042Z","kind":"host_finished","host":"tell1","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"helper_mode":"api","condition":true,"stdout_bytes":0,"stderr_bytes":0}
    {"seq":43,"at":"2026-11-05T10:00:00.043Z","kind":"host_finished","host":"tell2","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"helper_mode":"bundled","helper_reason":"its sshd forwards nothing\u001b[2J","conflicts":[{"key":"k","reason":"it has version 5, the script wanted 3"},{"key":"a\u001b]0;b","reason":"it is \"x\", no number"}],"stdout_bytes":0,"stderr_bytes":0}
    {"seq":44,"at":"2026-11-05T10:00:00.044Z","kind":"host_finished","host":"cut1","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":6,"stderr_bytes":0}
    {"seq":45,"at":"2026-11-05T10:00:00.045Z","kind":"host_finished","host":"again1","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":6,"stderr_bytes":0}
    {"seq":46,"at":"2026-11-05T10:00:00.046Z","kind":"host_finished","host":"left1","outcome":"detached","attempt":1,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":6,"stderr_bytes":0}
    {"seq":47,"at":"2026-11-05T10:00:00.047Z","kind":"run_finished","hosts":8,"outcomes":{"succeeded":5,"failed":1,"unreachable":1,"detached":1},"duration_ms":30120}
    --- stderr
    "#);
}

#[test]
fn junit() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut reporters = Reporters::default();
    reporters.junit(file.path()).unwrap();
    let mut told = a_few();
    let quoted = |host: &mut String| *host = host.replace("bin", "<bin> & \"co\"");
    for event in &mut told {
        match &mut event.kind {
            EventKind::HostOutput { host, .. } | EventKind::HostFinished { host, .. } => quoted(host),
            _ => {}
        }
    }
    tell(reporters, &told);
    insta::assert_snapshot!(std::fs::read_to_string(file.path()).unwrap(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="cronium-run 01JRUN" tests="8" failures="1" errors="1" skipped="1" time="30.120">
    <testsuite name="command" tests="8" failures="1" errors="1" skipped="1" time="30.120">
    <testcase name="web07" classname="command" time="1.200">
    <failure message="exit 7" type="exit"></failure>
    <system-out>half a li</system-out>
    <system-err>no such file
    </system-err>
    </testcase>
    <testcase name="db1" classname="command" time="1.200">
    <error message="unreachable: cannot connect to db1:22" type="refused">connection refused</error>
    </testcase>
    <testcase name="&lt;bin&gt; &amp; &quot;co&quot;" classname="command" time="1.200">
    <system-out>\x1b[31mred�
    </system-out>
    </testcase>
    <testcase name="tell1" classname="command" time="1.200">
    <properties>
    <property name="condition" value="true"/>
    <property name="helper_mode" value="api"/>
    <property name="artifacts" value="2"/>
    </properties>
    <system-err>info: begin
    warn: disk of tell1 is full\nreally {&quot;disk&quot;:&quot;/srv&quot;,&quot;used&quot;:0.98}
    notify ops\x1b[31m: please \u{202e}look
    error: cannot mount \u{9b}31m
    </system-err>
    </testcase>
    <testcase name="tell2" classname="command" time="1.200">
    <properties>
    <property name="helper_mode" value="bundled"/>
    <property name="helper_reason" value="its sshd forwards nothing\x1b[2J"/>
    <property name="artifacts" value="1"/>
    </properties>
    <system-err>warn: disk of tell2 is full\nreally
    conflict: 'k': it has version 5, the script wanted 3
    conflict: 'a\x1b]0;b': it is &quot;x&quot;, no number
    </system-err>
    </testcase>
    <testcase name="cut1" classname="command" time="1.200">
    <system-out>ab
    ⟨5.3 GB of stdout not kept⟩
    yz
    </system-out>
    </testcase>
    <testcase name="again1" classname="command" time="1.200">
    <system-out>6.1.0
    </system-out>
    </testcase>
    <testcase name="left1" classname="command" time="1.200">
    <skipped message="started and left"/>
    <system-out>begun
    </system-out>
    </testcase>
    </testsuite>
    </testsuites>
    "#);
}
