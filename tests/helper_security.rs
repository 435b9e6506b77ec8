//! Who may not call helpers, and what a call never reaches.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

mod harness;

use harness::{Environment, Fleet, FleetPlan, HostTraits, Running, until};

/// Debian's `nobody`.
const NOBODY: u32 = 65534;

/// A payload that opens the tunnel and the door, and waits until `$HOME/go` is there.
fn waiting_payload(environment: &Environment) {
    environment.write(
        "job/manifest.yaml",
        "version: v1\nname: job\ninterpreter: sh\nentrypoint: job.sh\nhelpers: {http: true}\n",
    );
    environment.write(
        "job/job.sh",
        "cronium setVariable k 1 || exit 9\n: >\"$HOME/called-$WHO\"\nwhile [ ! -e \"$HOME/go\" ]; do sleep 0.05; done\n",
    );
}

/// A run of that payload on host 1 that has made its first call; `who` tells runs apart.
struct Waiting {
    running: Running,
    /// The environment of its script.
    script: BTreeMap<String, String>,
}

impl Waiting {
    #[track_caller]
    fn start(environment: &Environment, fleet: &Fleet, who: &str) -> Self {
        let running = environment
            .exec(fleet, &fleet.name(1))
            .args(["-o", "quiet", "--input", &format!("\"secret of {who}\""), "--env"])
            .args([&format!("WHO={who}"), "job"])
            .start();
        assert!(until(60, || fleet.home(1).join(format!("called-{who}")).exists()), "{who} makes its call");
        let found = processes(fleet).into_iter().find_map(|folder| {
            let script = environment_of(&folder);
            (script.get("WHO").map(String::as_str) == Some(who)).then_some(script)
        });
        Self { running, script: found.expect("the script is seen") }
    }

    fn get(&self, name: &str) -> &str {
        &self.script[name]
    }

    /// Of the door, for an execution.
    fn input_url(&self, execution: &str) -> String {
        format!("{}/executions/{execution}/input", self.get("CRONIUM_RUNTIME_API"))
    }

    fn id(&self) -> &str {
        self.get("CRONIUM_EXECUTION_ID")
    }

    fn token(&self) -> &str {
        self.get("CRONIUM_EXECUTION_TOKEN")
    }

    fn run_folder(&self) -> PathBuf {
        Path::new(self.get("CRONIUM_WORK_DIR")).parent().unwrap().to_owned()
    }

    #[track_caller]
    fn finish(self) {
        self.running.wait().succeeds().ignore();
    }
}

fn let_go(fleet: &Fleet) {
    fs::write(fleet.home(1).join("go"), "").unwrap();
}

/// Exit code and HTTP status of curl, run by another user where one is named.
fn curl<S: AsRef<OsStr>>(user: Option<u32>, token: &str, args: impl IntoIterator<Item = S>) -> (i32, u16) {
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*"]);
    command.arg("-H").arg(format!("Authorization: Bearer {token}")).args(args);
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let output = command.env_clear().current_dir("/").output().expect("curl starts (tests/run installs it)");
    let status = String::from_utf8(output.stdout).unwrap().parse().unwrap_or(0);
    (output.status.code().unwrap(), status)
}

/// What curl says of a socket that it cannot connect to.
const REFUSED: i32 = 7;

/// `/proc/PID` of everything that runs below the fleet's sshd, itself among them.
fn processes(fleet: &Fleet) -> Vec<PathBuf> {
    let marker = fleet.known_hosts().parent().unwrap().display().to_string();
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end while we look.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&line).contains(&marker);
        let parent =
            stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse::<u32>().unwrap();
        parents.insert(pid, (parent, ours));
    }
    let is_below = |pid: &u32| {
        let mut pid = *pid;
        while let Some((parent, ours)) = parents.get(&pid) {
            if *ours {
                return true;
            }
            pid = *parent;
        }
        false
    };
    parents.keys().filter(|pid| is_below(pid)).map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect()
}

fn environment_of(process: &Path) -> BTreeMap<String, String> {
    let bytes = fs::read(process.join("environ")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split('\0').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
}

/// The ports of 127.0.0.1 that processes below the fleet's sshd listen on: the door's, and one that
/// sshd forwards to the operator.
fn loopback_ports(fleet: &Fleet) -> Vec<u16> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let listening: BTreeMap<String, u16> = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[3] == "0A")
        .filter_map(|fields| {
            let port = fields[1].strip_prefix("0100007F:")?;
            Some((format!("socket:[{}]", fields[9]), u16::from_str_radix(port, 16).unwrap()))
        })
        .collect();
    let mut ports = Vec::new();
    for process in processes(fleet) {
        for fd in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(fd.path()).unwrap_or_default();
            ports.extend(listening.get(&*target.to_string_lossy()));
        }
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

type Change = fn(&mut HostTraits);

/// Ways to the operator, by what sshd allows.
const WAYS: [(&str, Change); 2] = [("streamlocal", |_| {}), ("tcp", |host| host.streamlocal = false)];

#[test]
fn another_user_of_the_host() {
    if !rustix::process::getuid().is_root() {
        eprintln!("NOT CHECKED: only root can be another user; run tests/run as root");
        return;
    }
    for (way, traits) in WAYS {
        let environment = Environment::new();
        let fleet = FleetPlan::default().host_with(1, traits).start();
        waiting_payload(&environment);
        let waiting = Waiting::start(&environment, &fleet, "alice");
        let folder = waiting.run_folder();
        let (helper, tunnel) = (folder.join("helper.sock"), folder.join("tunnel"));
        let url = format!("http://127.0.0.1/executions/{}/input", waiting.id());
        let through = |user, socket: &Path| {
            curl(user, "x", ["--unix-socket".as_ref(), socket.as_os_str(), url.as_ref()])
        };

        // The sockets: we reach them, the other does not.
        assert_ne!(through(None, &helper).0, REFUSED, "{way}");
        let has_socket = tunnel.exists();
        assert!(has_socket || way != "streamlocal", "{way}");
        if has_socket {
            assert_eq!(through(None, &tunnel), (0, 401), "{way}");
        }
        for socket in [&helper, &tunnel] {
            assert_eq!(through(Some(NOBODY), socket), (REFUSED, 0), "{way} {}", socket.display());
        }
        // Nor where the folders above are open to all.
        for above in folder.ancestors().take_while(|above| *above != fleet.home(1)) {
            fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for socket in [&helper, &tunnel] {
            assert_eq!(through(Some(NOBODY), socket), (REFUSED, 0), "{way} {}", socket.display());
        }
        // Nor where the sockets are as well: the stub looks at who it is, and the operator at the token.
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o777)).unwrap();
        let (code, status) = through(Some(NOBODY), &helper);
        // Closed so soon that curl may take it for one that was never open.
        assert!(code != 0 && status == 0, "{way}: {code} {status}");
        if has_socket {
            fs::set_permissions(&tunnel, fs::Permissions::from_mode(0o777)).unwrap();
            assert_eq!(through(Some(NOBODY), &tunnel), (0, 401), "{way}");
        }

        // Ports: anybody can connect, and hears 401.
        let ports = loopback_ports(&fleet);
        let door: u16 = waiting.get("CRONIUM_RUNTIME_API").rsplit(':').next().unwrap().parse().unwrap();
        assert!(ports.contains(&door), "{way}: {ports:?}");
        assert_eq!(
            ports.len() == 1,
            has_socket,
            "{way}: the door, and the forward where it is a port: {ports:?}"
        );
        for port in ports {
            for token in ["", "x", "0000000000000000000000000000000000000000000000000000000000000000"] {
                for path in ["input", "context", "variables/k", "variables"] {
                    let url = format!("http://127.0.0.1:{port}/executions/{}/{path}", waiting.id());
                    let (_, status) = curl(Some(NOBODY), token, [&url]);
                    assert_eq!(status, 401, "{way} {port} {path} '{token}'");
                }
            }
            // The door's token opens the door alone.
            let url = format!("http://127.0.0.1:{port}/executions/{}/input", waiting.id());
            let want = if port == door { 200 } else { 401 };
            assert_eq!(curl(Some(NOBODY), waiting.token(), [&url]).1, want, "{way} {port}");
        }
        let_go(&fleet);
        waiting.finish();
    }
}

/// Connections of another user to a port of ours, for as long as this lives.
struct Held(std::process::Child);

impl Held {
    /// bash opens them and holds them; `again`: and makes new ones on and on.
    fn open(port: &str, again: bool) -> Self {
        let again = if again { "while :; do" } else { "for round in 1; do" };
        let hold = format!(
            "{again} for n in {{10..59}}; do eval \"exec $n<>/dev/tcp/127.0.0.1/{port}\" 2>/dev/null; done; \
             echo held; done; exec sleep 60"
        );
        let mut holder = Command::new("bash")
            .args(["-c", &hold])
            .uid(NOBODY)
            .gid(NOBODY)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 5];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self(holder)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nor do they stop the script's own calls through a forwarded port.
#[test]
fn another_user_cannot_block_a_forwarded_port() {
    if !rustix::process::getuid().is_root() {
        eprintln!("NOT CHECKED: only root can be another user; run tests/run as root");
        return;
    }
    for again in [false, true] {
        let environment = Environment::new();
        let fleet = FleetPlan::default().host_with(1, |host| host.streamlocal = false).start();
        environment.write(
            "job.sh",
            "#!/bin/sh\ncronium setVariable k 0 || exit 9\n: >\"$HOME/called\"\n\
             while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done\n\
             for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do\n\
             cronium setVariable k $n || exit 10\n[ \"$(cronium getVariable k)\" = $n ] || exit 11\ndone\n\
             # Many at once need connections of their own.\n\
             for n in 1 2 3 4 5 6 7 8; do cronium incr total >/dev/null & done\nwait\n",
        );
        let job = ["-o", "quiet", "job.sh"];
        let running = environment.exec(&fleet, &fleet.name(1)).args(job).start();
        assert!(until(60, || fleet.home(1).join("called").exists()));
        let ports = loopback_ports(&fleet);
        let [port] = ports[..] else { panic!("the forward alone: {ports:?}") };
        let held = Held::open(&port.to_string(), again);
        let_go(&fleet);
        let start = std::time::Instant::now();
        running.wait().succeeds().ignore();
        assert!(start.elapsed().as_secs() < 20, "again {again}: {:?}", start.elapsed());
        drop(held);
        let ledger = environment.ledger();
        let row = ledger.result(&ledger.last_run(), &fleet.name(1));
        assert_eq!(row.helper_mode.as_deref(), Some("tcp"), "again {again}: {row:#?}");
        assert_eq!(ledger.variable("k"), Some((json!(20), 21)));
        assert_eq!(ledger.variable("total").unwrap().0, json!(8));
    }
}

/// A forward that the whole network can reach is not used: bundled, with a reason that says so.
#[test]
fn a_port_that_is_open_to_the_network_is_refused() {
    let environment = Environment::new();
    let fleet = FleetPlan::default()
        .host_with(1, |host| (host.streamlocal, host.gateway_ports) = (false, true))
        .start();
    environment
        .exec(&fleet, &fleet.name(1))
        .args(["-o", "quiet", "--", "cronium setVariable k 1 && cronium getVariable k"])
        .run()
        .succeeds()
        .ignore();
    let ledger = environment.ledger();
    let row = ledger.result(&ledger.last_run(), &fleet.name(1));
    assert_eq!(row.helper_mode.as_deref(), Some("bundled"), "{row:#?}");
    let reason = row.helper_reason.unwrap();
    assert!(
        reason.contains("it is open to the network: GatewayPorts no in the host's sshd_config"),
        "{reason}"
    );
    assert_eq!(ledger.variable("k"), Some((json!(1), 1)));
    let shown = environment.run(["show", "last"]).succeeds().out();
    assert!(shown.contains(&reason), "{shown}");
}

/// Connections that say nothing keep nobody out, whoever holds them.
#[test]
fn another_user_cannot_block_the_door() {
    if !rustix::process::getuid().is_root() {
        eprintln!("NOT CHECKED: only root can be another user; run tests/run as root");
        return;
    }
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    waiting_payload(&environment);
    let waiting = Waiting::start(&environment, &fleet, "alice");
    let port = waiting.get("CRONIUM_RUNTIME_API").rsplit(':').next().unwrap();
    let held = Held::open(port, false);
    for _ in 0..20 {
        let start = std::time::Instant::now();
        assert_eq!(curl(None, waiting.token(), [waiting.input_url(waiting.id())]), (0, 200));
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
    drop(held);
    let_go(&fleet);
    waiting.finish();
}

#[test]
fn one_run_cannot_read_another() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    waiting_payload(&environment);
    let (a, b) = (Waiting::start(&environment, &fleet, "a"), Waiting::start(&environment, &fleet, "b"));
    assert!(a.token() != b.token() && a.id() != b.id());
    for (what, door, execution, token, want) in [
        ("its own", &a, a.id(), a.token(), 200),
        ("its own", &b, b.id(), b.token(), 200),
        ("a's token at b's door", &b, b.id(), a.token(), 401),
        ("a's token and id at b's door", &b, a.id(), a.token(), 401),
        ("a's id with b's token at b's door", &b, a.id(), b.token(), 403),
        ("b's id with a's token at a's door", &a, b.id(), a.token(), 403),
    ] {
        assert_eq!(curl(None, token, [door.input_url(execution)]), (0, want), "{what}");
    }
    // Nor do the doors' tokens open the tunnels.
    for (tunnel, token) in [(&a, a.token()), (&a, b.token()), (&b, a.token())] {
        let socket = tunnel.run_folder().join("tunnel");
        if socket.exists() {
            let url = format!("http://x/executions/{}/input", tunnel.id());
            let through = ["--unix-socket".as_ref(), socket.as_os_str(), url.as_ref()];
            assert_eq!(curl(None, token, through), (0, 401));
        }
    }
    let_go(&fleet);
    a.finish();
    b.finish();
}

/// Requests for a place that is neither the door nor the operator's API, by whoever holds the token.
const TRICKS: &str = r#"
import json, os, socket, subprocess
host, port = os.environ["LISTENER"].split(":")
there, path = f"{host}:{port}", f"/executions/{os.environ['CRONIUM_EXECUTION_ID']}/input"
door = os.environ["CRONIUM_RUNTIME_API"].removeprefix("http://")
os.chdir(os.path.join(os.environ["CRONIUM_WORK_DIR"], ".."))
subprocess.run(["cronium", "setVariable", "k", "1"], check=True)
good = f"Authorization: Bearer {os.environ['CRONIUM_EXECUTION_TOKEN']}\r\n"
tricks = [
    f"GET http://{there}/ HTTP/1.1\r\nHost: {there}\r\n",
    f"GET http://{there}{path} HTTP/1.1\r\nHost: {there}\r\n",
    f"GET http://{there}/ HTTP/1.1\r\nHost: {door}\r\n",
    f"GET https://{there}/ HTTP/1.1\r\nHost: {door}\r\n",
    f"GET ftp://{there}/ HTTP/1.0\r\n",
    f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n",
    f"CONNECT {there} HTTP/1.0\r\n",
    f"CONNECT /{there} HTTP/1.1\r\nHost: {door}\r\n",
    f"GET //{there}/ HTTP/1.1\r\nHost: {door}\r\n",
    f"GET /{there}/ HTTP/1.1\r\nHost: {door}\r\n",
    f"GET /http://{there}/ HTTP/1.1\r\nHost: {door}\r\n",
    f"GET /../../{there} HTTP/1.1\r\nHost: {door}\r\n",
    f"GET {path}/../../../{there} HTTP/1.1\r\nHost: {door}\r\n",
    f"GET /@{there} HTTP/1.1\r\nHost: {door}\r\n",
    f"GET @{there}/ HTTP/1.1\r\nHost: {door}\r\n",
    f"GET / HTTP/1.1\r\nHost: {there}\r\n",
    f"GET / HTTP/1.1\r\nHost: {door}\r\nHost: {there}\r\n",
    f"GET / HTTP/1.1\r\nHost: {door}\r\nX-Forwarded-Host: {there}\r\nForwarded: host={there}\r\n",
    f"TRACE {path} HTTP/1.1\r\nHost: {door}\r\n",
    f"GET / HTTP/1.1\r\nHost: {door}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n",
    f"OPTIONS * HTTP/1.1\r\nHost: {door}\r\n",
]
def at_door():
    name, number = door.split(":")
    return socket.create_connection((name, int(number)), 20)
def at_tunnel():
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(20)
    stream.connect("tunnel")
    return stream
def at_helpers():
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(20)
    stream.connect("helper.sock")
    return stream
def first_line(connect, text):
    with connect() as stream:
        stream.sendall(text.encode())
        return stream.makefile("rb").readline().decode(errors="replace").strip()
said = {"door": [], "tunnel": [], "helpers": []}
for trick in tricks:
    for more in ["", good]:
        text = trick + more + "Connection: close\r\n\r\n"
        said["door"].append([trick.splitlines()[0], first_line(at_door, text)])
        if os.path.exists("tunnel"):
            said["tunnel"].append([trick.splitlines()[0], first_line(at_tunnel, text)])
for trick in [f"CONNECT {there}", json.dumps({"connect": there}), json.dumps({"getVariable": {"key": f"http://{there}/"}})]:
    said["helpers"].append([trick, first_line(at_helpers, trick + "\n")])
subprocess.run(["cronium", "output"], input=json.dumps(said), text=True, check=True)
"#;

#[test]
fn a_script_reaches_nothing_of_the_operators_network() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    environment.write(
        "job/manifest.yaml",
        "version: v1\nname: job\ninterpreter: python\nentrypoint: job.py\nhelpers: {http: true}\n",
    );
    environment.write("job/job.py", TRICKS);
    let there = format!("LISTENER={}", listener.local_addr().unwrap());
    environment
        .exec(&fleet, &fleet.name(1))
        .args(["-o", "quiet", "--input", "\"secret\"", "--env", &there, "job"])
        .run()
        .succeeds()
        .ignore();
    let ledger = environment.ledger();
    let said = ledger.result(&ledger.last_run(), &fleet.name(1)).output_json();
    for (way, allowed) in [("door", &[400, 404, 405][..]), ("tunnel", &[400, 401])] {
        let lines = said[way].as_array().unwrap();
        assert!(lines.len() > 40, "{way}: {lines:?}");
        for line in lines {
            let answer = line[1].as_str().unwrap();
            let status = answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
            assert!(status.is_some_and(|status| allowed.contains(&status)), "{way}: {line}");
        }
    }
    for line in said["helpers"].as_array().unwrap() {
        let reply: Value = serde_json::from_str(line[1].as_str().unwrap()).unwrap();
        assert!([json!(400), json!(404)].contains(&reply["status"]), "{line}");
    }
    match listener.accept() {
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        Ok((_, from)) => panic!("a connection from {from}"),
    }
}

/// The door's token is in the environment of the script, where it belongs, and nowhere else.
#[test]
fn the_doors_token_is_the_scripts_alone() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    waiting_payload(&environment);
    let waiting = Waiting::start(&environment, &fleet, "alice");
    let token = waiting.token();
    // A JWT has three parts, of which the first two begin like this.
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let mut holders = 0;
    for process in processes(&fleet) {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        assert!(!contains(&line, token), "{}", String::from_utf8_lossy(&line));
        let has_it = environment_of(&process).values().any(|value| value.contains(token));
        let is_script = environment_of(&process).contains_key("CRONIUM_WORK_DIR");
        assert_eq!(has_it, is_script, "{}", String::from_utf8_lossy(&line));
        holders += u32::from(has_it);
    }
    assert!(holders > 0);
    let home = fleet.home(1);
    let files = all_files(home.parent().unwrap());
    assert!(files.iter().any(|file| file.ends_with("work/job.sh")), "the work folder was seen: {files:?}");
    for file in files.into_iter().chain(all_files(&environment.path(".."))) {
        assert!(!contains(&fs::read(&file).unwrap_or_default(), token), "{}", file.display());
    }
    let token = token.to_owned();
    let_go(&fleet);
    waiting.finish();
    for file in all_files(&environment.path("..")) {
        assert!(!contains(&fs::read(&file).unwrap_or_default(), &token), "{}", file.display());
    }
}

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type() {
            // What `build.rs` made is large and holds nothing of a run.
            Ok(kind) if kind.is_dir() && entry.file_name() != "stub" => {
                files.extend(all_files(&entry.path()))
            }
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}
