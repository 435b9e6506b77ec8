//! The HTTP door: scripts that speak Cronium's helper API themselves, with no helper of ours.

use serde_json::{Value, json};

mod harness;

use harness::{Environment, Fleet, FleetPlan, ResultRow};

/// Runs the payload `job` on host 1; its row in the ledger.
#[track_caller]
fn row_of(environment: &Environment, fleet: &Fleet, args: &[&str]) -> ResultRow {
    let outcome = environment.exec(fleet, &fleet.name(1)).args(["-o", "quiet"]).args(args).arg("job").run();
    let ledger = environment.ledger();
    let run = ledger.last_run();
    let row = ledger.result(&run, &fleet.name(1));
    let err = ledger.output(&run, &fleet.name(1), "stderr").unwrap_or_default();
    assert_eq!(outcome.code, 0, "{outcome:?}{row:#?}\n{}", String::from_utf8_lossy(&err));
    row
}

/// A payload `job` with this script and lines in its manifest.
fn payload(environment: &Environment, interpreter: &str, lines: &str, script: &str) {
    let manifest =
        format!("version: v1\nname: job\ninterpreter: {interpreter}\nentrypoint: job.x\n{lines}\n");
    environment.write("job/manifest.yaml", manifest);
    environment.write("job/job.x", script);
}

const DOOR: &str = "helpers: {http: true}";

const PYTHON: &str = r#"
import json, os, urllib.error, urllib.parse, urllib.request
API, ID = os.environ["CRONIUM_RUNTIME_API"], os.environ["CRONIUM_EXECUTION_ID"]
def call(method, path, body=None, id=ID, token=os.environ["CRONIUM_EXECUTION_TOKEN"]):
    request = urllib.request.Request(
        f"{API}/executions/{id}/{path}", method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
def data(*args):
    status, answer = call(*args)
    assert status == 200 and answer["success"] is True, (status, answer)
    return answer.get("data")
name = data("GET", "input")["user"]["name"]
key = "variables/" + urllib.parse.quote("a/b ? # % é", safe="")
first = data("PUT", key, {"value": "hello " + name})
conflict = call("PUT", key, {"value": 1, "ifVersion": first["version"] + 7})
data("PUT", "variables/list", {"value": [None, False, 0, ""]})
data("PUT", "variables/large", {"value": "x" * 900_000})
data("POST", "condition", {"condition": True})
data("PUT", "variables/gone", {"value": 1})
data("DELETE", "variables/gone")
data("POST", "output", {"data": {
    "greeting": data("GET", key)["value"],
    "list": data("GET", "variables/list")["value"],
    "large": len(data("GET", "variables/large")["value"]),
    "execution": data("GET", "context")["executionId"] == ID,
    "conflict": [conflict[0], conflict[1]["version"]],
    "statuses": [
        call("GET", "variables/gone")[0],
        call("GET", "input", token="x")[0],
        call("GET", "input", id="other")[0],
        call("POST", "output", [1])[0],
        call("PUT", "variables/large", {"value": "x" * 3_000_000})[0],
    ],
}})
"#;

/// The one call that differs: `send(method, path, body, headers)` gives status and text.
const NODE: &str = r#"
const { CRONIUM_RUNTIME_API: API, CRONIUM_EXECUTION_ID: ID, CRONIUM_EXECUTION_TOKEN: TOKEN } = process.env
const call = async (method, path, body, { id = ID, token = TOKEN } = {}) => {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
  const text = body === undefined ? undefined : JSON.stringify(body)
  const [status, answer] = await send(method, `${API}/executions/${id}/${path}`, headers, text)
  return [status, JSON.parse(answer)]
}
const data = async (...args) => {
  const [status, answer] = await call(...args)
  if (status !== 200 || answer.success !== true) throw new Error(`${args}: ${status} ${JSON.stringify(answer)}`)
  return answer.data
}
const main = async () => {
  const { name } = (await data('GET', 'input')).user
  const key = 'variables/' + encodeURIComponent('a/b ? # % é')
  const { version } = await data('PUT', key, { value: 'hello ' + name })
  const conflict = await call('PUT', key, { value: 1, ifVersion: version + 7 })
  await Promise.all([
    data('PUT', 'variables/list', { value: [null, false, 0, ''] }),
    data('PUT', 'variables/large', { value: 'x'.repeat(900000) }),
    data('POST', 'condition', { condition: true }),
  ])
  await data('PUT', 'variables/gone', { value: 1 })
  await data('DELETE', 'variables/gone')
  const statuses = []
  for (const [method, path, body, who] of [
    ['GET', 'variables/gone'],
    ['GET', 'input', undefined, { token: 'x' }],
    ['GET', 'input', undefined, { id: 'other' }],
    ['POST', 'output', [1]],
    ['PUT', 'variables/large', { value: 'x'.repeat(3000000) }],
  ]) statuses.push((await call(method, path, body, who))[0])
  await data('POST', 'output', { data: {
    greeting: (await data('GET', key)).value,
    list: (await data('GET', 'variables/list')).value,
    large: (await data('GET', 'variables/large')).value.length,
    execution: (await data('GET', 'context')).executionId === ID,
    conflict: [conflict[0], conflict[1].version],
    statuses,
  } })
}
main().catch((error) => { console.error(error); process.exitCode = 1 })
"#;

const FETCH: &str = r#"
const send = async (method, url, headers, body) => {
  const response = await fetch(url, { method, headers, body })
  return [response.status, await response.text()]
}
"#;

const HTTP: &str = r#"
const http = require('http')
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 })
const send = (method, url, headers, body) => new Promise((resolve, reject) => {
  const request = http.request(url, { method, headers, agent }, (response) => {
    const pieces = []
    response.on('data', (piece) => pieces.push(piece))
    response.on('end', () => resolve([response.statusCode, Buffer.concat(pieces).toString()]))
  })
  request.on('error', reject)
  // In pieces: without a length, it goes out in chunks.
  for (let at = 0; at < (body || '').length; at += 100000) request.write(body.slice(at, at + 100000))
  request.end()
})
"#;

const BASH: &str = r#"
set -euo pipefail
api=$CRONIUM_RUNTIME_API
# call METHOD PATH [BODY|@FILE] [ID] [TOKEN]: the answer in $answer, its status in $status
call() {
    local body=()
    [ -z "${3-}" ] || body=(-H 'Content-Type: application/json' -H 'Expect: 100-continue' --data-binary "$3")
    status=$(curl -sS -o answer -w '%{http_code}' -X "$1" "${body[@]}" \
        -H "Authorization: Bearer ${5-$CRONIUM_EXECUTION_TOKEN}" \
        "$api/executions/${4-$CRONIUM_EXECUTION_ID}/$2") || [ "$status" = 413 ]
}
data() { call "$@"; [ "$status" = 200 ] || { echo "$*: $status $(cat answer)" >&2; exit 1; }; }
# pick EXPRESSION FILE: of the answer, as JSON
if command -v jq >/dev/null; then
    pick() { jq -c "$1" answer; }
else
    pick() { python3 -c 'import functools, json, sys
print(json.dumps(functools.reduce(lambda v, k: v[k], sys.argv[1].strip(".").split("."), json.load(open("answer")))))' "$1"; }
fi
status_of() { call "$@"; echo "$status"; }
large() { printf '{"value":"%s"}' "$(head -c "$1" /dev/zero | tr '\0' x)"; }

data GET input
name=$(pick .data.user.name)
key=variables/a%2Fb%20%3F%20%23%20%25%20%C3%A9
data PUT $key "{\"value\":\"hello ${name:1:-1}\"}"
version=$(pick .data.version)
call PUT $key "{\"value\":1,\"ifVersion\":$((version + 7))}"
conflict="[$status,$(pick .version)]"
data PUT variables/list '{"value":[null,false,0,""]}'
large 900000 >body; data PUT variables/large @body
data POST condition '{"condition":true}'
data PUT variables/gone '{"value":1}'
data DELETE variables/gone
data GET $key; greeting=$(pick .data.value)
data GET variables/list; list=$(pick .data.value)
data GET variables/large; length=$(($(pick .data.value | wc -c) - 3))
data GET context; execution=$(pick .data.executionId)
[ "$execution" = "\"$CRONIUM_EXECUTION_ID\"" ] && execution=true
large 3000000 >body
statuses="$(status_of GET variables/gone),$(status_of GET input '' "$CRONIUM_EXECUTION_ID" x),$(status_of GET input '' other)"
statuses="$statuses,$(status_of POST output '[1]'),$(status_of PUT variables/large @body)"
data POST output "{\"data\":{\"greeting\":$greeting,\"list\":$list,\"large\":$length,\"execution\":$execution,\
\"conflict\":$conflict,\"statuses\":[$statuses]}}"
"#;

#[test]
fn the_same_from_every_language() {
    let fleet = Fleet::start(1);
    let want = json!({
        "greeting": "hello Zoë", "list": [null, false, 0, ""], "large": 900_000, "execution": true,
        "conflict": [409, 1], "statuses": [404, 401, 403, 400, 413],
    });
    let (fetch, http) = (format!("{FETCH}{NODE}"), format!("{HTTP}{NODE}"));
    for (what, interpreter, script) in [
        ("python urllib", "python", PYTHON),
        ("node fetch", "node", &fetch),
        ("node http", "node", &http),
        ("bash curl", "bash", BASH),
    ] {
        let environment = Environment::new();
        payload(&environment, interpreter, DOOR, script);
        let row = row_of(&environment, &fleet, &["--input", r#"{"user": {"name": "Zoë"}}"#]);
        assert_eq!(row.output_json(), want, "{what}: {row:#?}");
        assert_eq!(row.helper_mode.as_deref(), Some("api"), "{what}");
        let ledger = environment.ledger();
        assert_eq!(ledger.variable("a/b ? # % é"), Some((json!("hello Zoë"), 1)), "{what}");
        assert_eq!(ledger.variable("list"), Some((json!([null, false, 0, ""]), 1)), "{what}");
        assert_eq!(ledger.variable("gone"), None, "{what}");
        assert!(fleet.runs(1).is_empty());
    }
}

/// The door and the commands are two ways to one desk.
#[test]
fn beside_the_commands() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let script = "
        set -eu
        curl() { command curl -sSf -H \"Authorization: Bearer $CRONIUM_EXECUTION_TOKEN\" \"$@\"; }
        base=$CRONIUM_RUNTIME_API/executions/$CRONIUM_EXECUTION_ID
        cronium setVariable a 1
        curl \"$base/variables/a\" | grep -q '\"value\":1,'
        curl -X PUT -d '{\"value\":2}' \"$base/variables/a\" >body
        test \"$(cronium getVariable a)\" = 2
        curl -sf \"$CRONIUM_RUNTIME_API/health\"
        cronium output done
    ";
    payload(&environment, "bash", DOOR, script);
    assert_eq!(row_of(&environment, &fleet, &[]).output_json(), json!("done"));
    assert_eq!(environment.ledger().variable("a"), Some((json!(2), 2)));
}

/// Twenty processes, each with twenty calls of its own connection.
#[test]
fn many_processes_of_one_script() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let script = r#"
import http.client, json, os
from multiprocessing import Pool
host = os.environ["CRONIUM_RUNTIME_API"].removeprefix("http://")
base = "/executions/" + os.environ["CRONIUM_EXECUTION_ID"]
headers = {"Authorization": "Bearer " + os.environ["CRONIUM_EXECUTION_TOKEN"]}
def work(number):
    connection = http.client.HTTPConnection(host)
    for value in range(20):
        for method, body in [("PUT", json.dumps({"value": value})), ("GET", None)]:
            connection.request(method, f"{base}/variables/own%2F{number}", body, headers)
            response = connection.getresponse()
            answer = json.load(response)
            assert (response.status, answer["data"]["value"]) == (200, value), answer
    return number
if __name__ == "__main__":
    with Pool(20) as pool:
        done = pool.map(work, range(20))
    connection = http.client.HTTPConnection(host)
    connection.request("POST", base + "/output", json.dumps({"data": done}), headers)
    assert connection.getresponse().status == 200
"#;
    payload(&environment, "python", DOOR, script);
    let row = row_of(&environment, &fleet, &[]);
    assert_eq!(row.output_json(), Value::from((0..20).collect::<Vec<_>>()));
    for number in 0..20 {
        assert_eq!(environment.ledger().variable(&format!("own/{number}")), Some((json!(19), 20)));
    }
}

/// No door unless the manifest asks for it; the id of the execution is nobody's secret.
#[test]
fn without_the_manifests_word() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let script = "echo \"${CRONIUM_RUNTIME_API-no} ${CRONIUM_EXECUTION_TOKEN-no} ${CRONIUM_EXECUTION_ID:+id}\"\n\
                  tr '\\0' '\\n' </proc/$$/environ | grep -c -E 'RUNTIME_API|TOKEN' || true\n";
    for (lines, want) in [
        ("", "no no id\n0\n"),
        ("helpers: {http: false}", "no no id\n0\n"),
        ("helpers: {read: ['*']}", "no no id\n0\n"),
    ] {
        payload(&environment, "sh", lines, script);
        row_of(&environment, &fleet, &[]);
        let ledger = environment.ledger();
        let bytes = ledger.output(&ledger.last_run(), &fleet.name(1), "stdout").unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), want, "{lines}");
    }
}

/// Where the operator cannot be asked, a call says so and does not hang.
#[test]
fn without_a_tunnel_a_call_ends() {
    let environment = Environment::new();
    let fleet = FleetPlan::default().host_with(1, |host| host.forwarding = false).start();
    let script = "curl -s -m 60 -o body -w '%{http_code}' -H \"Authorization: Bearer $CRONIUM_EXECUTION_TOKEN\" \
                  \"$CRONIUM_RUNTIME_API/executions/$CRONIUM_EXECUTION_ID/variables/k\"\n";
    payload(&environment, "sh", DOOR, script);
    row_of(&environment, &fleet, &[]);
    let ledger = environment.ledger();
    let status = ledger.output(&ledger.last_run(), &fleet.name(1), "stdout").unwrap();
    // 404: answered from what came with the job.
    assert!([&b"503"[..], b"404"].contains(&&*status), "{}", String::from_utf8_lossy(&status));
}
