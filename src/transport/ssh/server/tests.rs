//! The servers against OpenSSH's client.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::{Fleet, leftovers};
use crate::inventory::{Address, Ssh};

const MB: usize = 1 << 20;

fn address(fleet: &Fleet, index: usize) -> &Ssh {
    match &fleet.targets()[index].address {
        Address::Ssh(ssh) => ssh,
        Address::Local => panic!("they are all reached by SSH"),
    }
}

/// `ssh` to a host of the fleet, with nothing of this machine's configuration.
fn ssh(fleet: &Fleet, index: usize) -> Command {
    let Ssh { host, port, user, identities, known_hosts, .. } = address(fleet, index);
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none"])
        .arg(format!("-oUserKnownHostsFile={}", known_hosts[0].display()))
        .args(["-i", identities[0].to_str().unwrap(), "-p", &port.to_string(), "-l", user, host])
        .stdin(Stdio::null());
    ssh
}

fn run(fleet: &Fleet, line: &str) -> Output {
    ssh(fleet, 0).arg(line).output().unwrap()
}

/// Feeds `input` while it reads the output.
fn feed(mut command: Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Bytes that do not repeat within any buffer's length.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn exit_codes_and_streams() {
    let fleet = Fleet::start(1).unwrap();
    // line, code, stdout, stderr; ssh itself says 255 where a signal ended the command
    for (line, expected, stdout, stderr) in [
        ("true", 0, "", ""),
        ("echo out; echo err >&2; exit 7", 7, "out", "err"),
        ("exit 254", 254, "", ""),
        ("no-such-program 2>/dev/null", 127, "", ""),
        ("kill -9 $$", 255, "", ""),
        ("kill -TERM $$", 255, "", ""),
        ("kill -USR2 $$", 255, "", ""),
        ("(sleep 0.2; echo late) & exit 3", 3, "late", ""),
        ("cat; echo end", 0, "end", ""),
    ] {
        let output = run(&fleet, line);
        assert_eq!(code(&output), Some(expected), "{line}: {output:?}");
        assert_eq!((text(&output.stdout), text(&output.stderr)), (stdout.into(), stderr.into()), "{line}");
    }
}

#[test]
fn a_signal_is_no_exit_code() {
    let fleet = Fleet::start(1).unwrap();
    let log = text(&ssh(&fleet, 0).args(["-vv", "kill -9 $$"]).output().unwrap().stderr);
    assert!(log.contains("exit-signal") && !log.contains("exit-status"), "{log}");
}

#[test]
fn the_environment_is_the_hosts_own() {
    let fleet = Fleet::start(2).unwrap();
    let home =
        |index| text(&ssh(&fleet, index).arg("pwd; [ \"$HOME\" = \"$(pwd)\" ]").output().unwrap().stdout);
    assert_ne!(home(0), home(1));
    assert!(home(0).starts_with(fleet.folder().to_str().unwrap()), "{}", home(0));
    let output = run(&fleet, "env | sed 's/=.*//' | sort | tr '\\n' ' '");
    let shell_adds = ["OLDPWD", "PWD", "SHLVL", "_"];
    let names: Vec<String> = text(&output.stdout)
        .split(' ')
        .filter(|name| !shell_adds.contains(name))
        .map(str::to_owned)
        .collect();
    assert_eq!(names, ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER"]);
}

#[test]
fn large_outputs_arrive_whole() {
    let fleet = Fleet::start(1).unwrap();
    let sent = noise(20 * MB);
    std::fs::write(fleet.folder().join("demo01/noise"), &sent).unwrap();
    let output = run(&fleet, "cat noise & cat noise >&2; wait; exit 5");
    assert_eq!(code(&output), Some(5));
    assert!(output.stdout == sent, "{} bytes on stdout", output.stdout.len());
    assert!(output.stderr == sent, "{} bytes on stderr", output.stderr.len());
}

#[test]
fn input_goes_round() {
    let fleet = Fleet::start(1).unwrap();
    let sent = noise(30 * MB);
    for (line, expected) in [
        ("cat", sent.clone()),
        // Takes nothing for a while: what comes meanwhile waits in a file, and nothing is lost.
        ("sleep 1; cat", sent.clone()),
        ("head -c 10", sent[..10].to_vec()),
    ] {
        let mut command = ssh(&fleet, 0);
        command.arg(line);
        let output = feed(command, &sent);
        assert_eq!(code(&output), Some(0), "{line}: {}", text(&output.stderr));
        assert!(output.stdout == expected, "{line}: {} bytes", output.stdout.len());
    }
}

#[test]
fn a_client_that_does_not_read_holds_its_command_up() {
    let fleet = Fleet::start(1).unwrap();
    let line = "head -c 200000000 /dev/zero | dd bs=64k 2>counted; echo done > finished";
    let mut client = ssh(&fleet, 0).arg(line).stdout(Stdio::piped()).spawn().unwrap();
    let home = fleet.folder().join("demo01");
    std::thread::sleep(Duration::from_secs(2));
    assert!(!home.join("finished").exists(), "200 MB went somewhere");
    let mut output = Vec::new();
    client.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert_eq!(output.len(), 200_000_000);
    assert!(client.wait().unwrap().success());
    assert!(home.join("finished").exists());
}

#[test]
fn only_the_fleets_key_is_let_in() {
    let fleet = Fleet::start(1).unwrap();
    let other = Fleet::start(1).unwrap();
    let their_key = &address(&other, 0).identities[0];
    let Ssh { host, port, user, known_hosts, .. } = address(&fleet, 0);
    let known = format!("-oUserKnownHostsFile={}", known_hosts[0].display());
    let try_in = |extra: &[&str], user: &str| {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-oIdentityAgent=none",
            "-oIdentitiesOnly=yes",
            "-oNumberOfPasswordPrompts=1",
            &known,
        ])
        .args(["-oStrictHostKeyChecking=yes", "-oGlobalKnownHostsFile=none"])
        .args(extra)
        .args(["-p", &port.to_string(), "-l", user, host, "true"])
        .env("SSH_ASKPASS", "/bin/echo")
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null());
        ssh.output().unwrap()
    };
    let key = address(&fleet, 0).identities[0].display().to_string();
    assert_eq!(code(&try_in(&["-i", &key], user)), Some(0));
    for (what, extra, user) in [
        ("another key", vec!["-i", their_key.to_str().unwrap()], user.as_str()),
        ("a password", vec!["-oPreferredAuthentications=password,keyboard-interactive"], user),
        ("nothing", vec!["-oPreferredAuthentications=none"], user),
        ("another user", vec!["-i", key.as_str()], "somebody-else"),
    ] {
        let output = try_in(&extra, user);
        assert_eq!(code(&output), Some(255), "{what}");
        let said = text(&output.stderr);
        assert!(said.contains("Permission denied (publickey)"), "{what}: {said}");
    }
    for file in ["key", "known_hosts"] {
        let mode = std::fs::metadata(fleet.folder().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn everything_else_is_refused() {
    let fleet = Fleet::start(1).unwrap();
    let refused = |args: &[&str]| {
        let output = ssh(&fleet, 0).args(args).output().unwrap();
        (code(&output), text(&output.stderr))
    };
    for (what, args, said) in [
        ("a shell", vec!["-T"], "shell request failed"),
        ("a terminal", vec!["-tt", "true"], "PTY allocation request failed"),
        ("a subsystem", vec!["-s", "sftp"], "subsystem request failed"),
        (
            "a TCP forward",
            vec!["-oExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9", "true"],
            "forwarding failed",
        ),
        ("a way through", vec!["-W", "127.0.0.1:9"], "administratively prohibited"),
    ] {
        let (code, stderr) = refused(&args);
        assert!(stderr.contains(said), "{what}: {code:?} {stderr}");
        assert_ne!(code, None, "{what}");
    }
}

/// A TCP server that answers one connection with what it got, in capitals.
fn shouting(listener: TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        std::thread::spawn(move || {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            stream.write_all(&got.to_ascii_uppercase()).unwrap();
        });
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn through(path: &PathBuf, sent: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).unwrap();
    let mut reading = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        let got = scope.spawn(move || {
            let mut got = Vec::new();
            reading.read_to_end(&mut got).unwrap();
            got
        });
        stream.write_all(sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        got.join().unwrap()
    })
}

#[test]
fn a_socket_is_forwarded_until_the_client_leaves() {
    let fleet = Fleet::start(1).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(|| shouting(listener));
    let socket = fleet.folder().join("demo01/socket");
    let client = ssh(&fleet, 0)
        .args(["-N", "-oExitOnForwardFailure=yes", "-R"])
        .arg(format!("{}:127.0.0.1:{port}", socket.display()))
        .spawn()
        .unwrap();
    let client = Killed(client);
    until("the socket is there", || socket.exists());
    until("it has its mode", || socket.metadata().unwrap().permissions().mode() & 0o777 == 0o600);
    let large = noise(5 * MB);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(through(&socket, b"hello"), b"HELLO"));
        }
        scope.spawn(|| assert!(through(&socket, &large) == large.to_ascii_uppercase()));
    });

    let second = ssh(&fleet, 0)
        .args(["-N", "-oExitOnForwardFailure=yes", "-R"])
        .arg(format!("{}:127.0.0.1:{port}", socket.display()))
        .output()
        .unwrap();
    assert!(text(&second.stderr).contains("forwarding failed"), "{second:?}");
    assert_eq!(through(&socket, b"still"), b"STILL");

    drop(client);
    until("the socket is gone", || !socket.exists());
}

#[test]
fn a_forward_is_cancelled() {
    let fleet = Fleet::start(1).unwrap();
    let socket = fleet.folder().join("demo01/socket");
    let control = fleet.folder().join("control");
    let master = ssh(&fleet, 0).args(["-N", "-M", "-S", control.to_str().unwrap()]).spawn().unwrap();
    let _master = Killed(master);
    until("the master is there", || control.exists());
    let ask = |what: &str| {
        let forward = format!("{}:127.0.0.1:9", socket.display());
        ssh(&fleet, 0).args(["-S", control.to_str().unwrap(), "-O", what, "-R", &forward]).status().unwrap()
    };
    assert!(ask("forward").success());
    until("the socket is there", || socket.exists());
    assert!(ask("cancel").success());
    until("the socket is gone", || !socket.exists());
}

#[test]
fn twenty_at_once() {
    let fleet = Fleet::start(2).unwrap();
    std::thread::scope(|scope| {
        for number in 0..20 {
            let fleet = &fleet;
            scope.spawn(move || {
                let sent = noise(100_000 + number);
                let mut command = ssh(fleet, number % 2);
                command.arg(format!("cat; exit {number}"));
                let output = feed(command, &sent);
                assert_eq!(code(&output), Some(number as i32), "{}", text(&output.stderr));
                assert!(output.stdout == sent);
            });
        }
    });
}

#[test]
fn a_command_notices_that_its_client_is_gone() {
    let fleet = Fleet::start(1).unwrap();
    let home = fleet.folder().join("demo01");
    let line = "touch started; cat; touch noticed";
    let client = Killed(ssh(&fleet, 0).arg(line).stdin(Stdio::piped()).spawn().unwrap());
    until("it runs", || home.join("started").exists());
    drop(client);
    until("its input ends", || home.join("noticed").exists());
}

#[test]
fn nothing_is_left_behind() {
    let fleet = Fleet::start(1).unwrap();
    let folder = fleet.folder().to_owned();
    // One that hears nothing, in a session of its own, as the stub's scripts are.
    let line = "trap '' HUP TERM PIPE; setsid sleep 1000 >/dev/null 2>&1 & sleep 1000 & sleep 1000";
    let client = Killed(ssh(&fleet, 0).arg(line).spawn().unwrap());
    until("they run", || leftovers::find(&folder).len() >= 4);
    drop(fleet);
    assert_eq!(leftovers::find(&folder), []);
    assert!(!folder.exists());
    drop(client);
}

#[test]
fn a_panic_clears_up_too() {
    let (told, folder) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let fleet = Fleet::start(1).unwrap();
        told.send(fleet.folder().to_owned()).unwrap();
        assert_eq!(code(&run(&fleet, "sleep 1000 >/dev/null 2>&1 </dev/null & exit 0")), Some(0));
        panic!("as intended");
    });
    assert!(panicked.join().is_err());
    let folder = folder.recv().unwrap();
    assert_eq!(leftovers::find(&folder), []);
    assert!(!folder.exists());
}
