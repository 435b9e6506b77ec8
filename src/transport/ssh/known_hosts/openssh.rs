//! Every rule held against `ssh` and a real `sshd` on 127.0.0.1.
//!
//! `ssh` is given no way to authenticate: `Permission denied` means that it took the host key.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use russh::keys::PublicKeyOrCertificate;
use russh::{Preferred, client};
use tempfile::TempDir;

use super::*;

/// Lives as long as the test: dropping it ends the process.
struct Sshd {
    process: Child,
    folder: TempDir,
    port: u16,
    /// The private host keys' files, the server's favourite first.
    keys: Vec<PathBuf>,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("openssh-client is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn keygen(path: &Path, kind: &str) {
    run(Command::new("ssh-keygen").args(["-q", "-N", "", "-C", "", "-t", kind, "-f"]).arg(path));
}

/// The public key beside `path` as it stands in known_hosts: algorithm and base64.
fn public(path: &Path) -> String {
    fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned()
}

impl Sshd {
    /// Starts a server with a key of each of `kinds`. With `sign`, the arguments of
    /// `ssh-keygen -s`, the authority `ca` makes a certificate for the first.
    fn start(kinds: &[&str], sign: Option<&[&str]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<_> = kinds.iter().map(|kind| folder.path().join(format!("host_{kind}"))).collect();
        for (kind, path) in kinds.iter().zip(&keys) {
            keygen(path, kind);
        }
        let mut config = "UsePAM no\nStrictModes no\nPidFile none\nLogLevel QUIET\n".to_owned();
        for key in &keys {
            config += &format!("HostKey {}\n", key.display());
        }
        for name in ["ca", "other"] {
            keygen(&folder.path().join(name), "ed25519");
        }
        if let Some(arguments) = sign {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-s"]).arg(folder.path().join("ca")).args(["-I", "test"]);
            run(command.args(arguments).arg(keys[0].with_extension("pub")));
            config += &format!("HostCertificate {}-cert.pub\n", keys[0].display());
        }
        let path = folder.path().join("sshd_config");
        fs::write(&path, config).unwrap();
        // Where sshd runs as root it wants this folder; packages make it when they start the service.
        let _ = fs::create_dir("/run/sshd");
        let (process, port) = listen(&path);
        Self { process, folder, port, keys }
    }

    /// What `ssh` makes of a known_hosts file, in the words of [`tests::word`].
    fn ssh(&self, known_hosts: &Path, alias: Option<&str>) -> &'static str {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-p", &self.port.to_string()]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", known_hosts.display()));
        for option in ["GlobalKnownHostsFile=none", "StrictHostKeyChecking=yes", "BatchMode=yes"] {
            command.args(["-o", option]);
        }
        command.args(["-o", "PreferredAuthentications=none", "-o", "UpdateHostKeys=no"]);
        if let Some(alias) = alias {
            command.arg("-o").arg(format!("HostKeyAlias={alias}"));
        }
        let output = command.args(["nobody@127.0.0.1", "true"]).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let signs = [
            ("Permission denied", "known"),
            ("REVOKED HOST KEY", "revoked"),
            ("IDENTIFICATION HAS CHANGED", "changed"),
            ("Certificate ", "bad certificate"),
            ("host key is known for", "unknown"),
        ];
        let found = signs.into_iter().find(|(sign, _)| said.contains(sign));
        found.unwrap_or_else(|| panic!("ssh said {said:?}")).1
    }

    /// What we make of it, when russh offers the server what we want to see.
    fn ours(&self, known_hosts: &Path, alias: Option<&str>) -> &'static str {
        let known = KnownHosts::load(&[known_hosts.to_owned()]);
        let (name, port) = alias.map_or(("127.0.0.1", self.port), |alias| (alias, 22));
        let HostKeyAlgorithms { keys, certificates } = known.algorithms(name, port);
        let preferred =
            Preferred { key: keys.into(), host_key_certificates: certificates.into(), ..Preferred::DEFAULT };
        let config = Arc::new(client::Config { preferred, ..Default::default() });
        let (sender, receiver) = mpsc::channel();
        let check = Check { known, name: name.to_owned(), port, sender };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connected = runtime.block_on(client::connect(config, ("127.0.0.1", self.port), check));
        receiver.recv().unwrap_or_else(|_| panic!("no host key came: {:?}", connected.err()))
    }

    /// Checks rows of a name, a known_hosts file and the expected verdict. In the file, `PORT` is
    /// the server's port, `CA` its authority's key, `OTHER` an unrelated key and `KEY0`, `KEY1` …
    /// are the keys of the server.
    fn agree(&self, rows: &[(&str, &str, &str)]) {
        let path = self.folder.path().join("known_hosts");
        for (name, file, expected) in rows {
            let mut file = file.replace("PORT", &self.port.to_string());
            for (index, key) in self.keys.iter().enumerate() {
                file = file.replace(&format!("KEY{index}"), &public(key));
            }
            for (word, key) in [("CA", "ca"), ("OTHER", "other")] {
                file =
                    file.replace(&format!(" {word}"), &format!(" {}", public(&self.folder.path().join(key))));
            }
            fs::write(&path, file).unwrap();
            let (lookup, hash) = match name.split_once(' ') {
                Some((lookup, "hashed")) => (lookup, true),
                _ => (*name, false),
            };
            if hash {
                run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&path));
            }
            let alias = (lookup != "127.0.0.1").then_some(lookup);
            let (ssh, ours) = (self.ssh(&path, alias), self.ours(&path, alias));
            let file = fs::read_to_string(&path).unwrap();
            assert_eq!((ssh, ours), (*expected, *expected), "ssh and we, for {name}:\n{file}");
        }
    }
}

/// A russh client that tells the verdict and goes no further.
struct Check {
    known: KnownHosts,
    name: String,
    port: u16,
    sender: mpsc::Sender<&'static str>,
}

impl client::Handler for Check {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let verdict = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.check(&self.name, self.port, key),
            PublicKeyOrCertificate::Certificate(cert) => {
                self.known.check_certificate(&self.name, self.port, cert)
            }
        };
        self.sender.send(tests::word(&verdict)).expect("the test waits");
        Ok(false)
    }
}

/// Starts `sshd` on a free port and waits until it answers. Between finding the port and
/// listening on it another program may take it: then sshd ends and the next port is tried.
fn listen(config: &Path) -> (Child, u16) {
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(config).arg("-o").arg(format!("ListenAddress=127.0.0.1:{port}"));
        let mut process =
            command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("openssh-server is installed");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) && process.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (process, port);
            }
            sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
        let _ = process.wait();
    }
    panic!("sshd does not start with {}", config.display());
}

#[test]
fn plain_keys() {
    const HOST: &str = "127.0.0.1";
    Sshd::start(&["ed25519", "ecdsa", "rsa"], None).agree(&[
        (HOST, "", "unknown"),
        (HOST, "[127.0.0.1]:PORT KEY0", "known"),
        ("127.0.0.1 hashed", "[127.0.0.1]:PORT KEY0", "known"),
        ("127.0.0.1 hashed", "127.0.0.1 KEY0", "known"),
        ("127.0.0.1 hashed", "[127.0.0.1]:1 KEY0", "unknown"),
        (HOST, "[127.0.0.1]:PORT KEY0\n@revoked [127.0.0.1]:PORT KEY0", "revoked"),
        (HOST, "@revoked * KEY0\n[127.0.0.1]:PORT KEY0", "revoked"),
        (HOST, "@revoked * OTHER\n[127.0.0.1]:PORT KEY0", "known"),
        (HOST, "@revoked other KEY0\n[127.0.0.1]:PORT KEY0", "known"),
        (HOST, "[*]:PORT KEY0", "known"),
        (HOST, "[127.0.0.?]:PORT KEY0", "known"),
        (HOST, "* KEY0", "known"),
        (HOST, "[*]:1 KEY0", "unknown"),
        (HOST, "[127.0.0.*]:PORT,![127.0.0.1]:PORT KEY0", "unknown"),
        (HOST, "![127.0.0.2]:PORT,[127.0.0.*]:PORT KEY0", "known"),
        (HOST, "other,[127.0.0.1]:PORT KEY0", "known"),
        (HOST, "\t[127.0.0.1]:PORT\tKEY0\tcomment", "known"),
        (HOST, "[127.0.0.1]:PORT OTHER\n[127.0.0.1]:PORT KEY0", "known"),
        (HOST, "[127.0.0.1]:PORT OTHER", "changed"),
        (HOST, "[127.0.0.1]:PORT KEY1", "known"),
        (HOST, "[127.0.0.1]:PORT KEY2", "known"),
        (HOST, "@cert-authority * CA", "unknown"),
        (HOST, "@cert-authority * KEY0", "unknown"),
        (HOST, "[127.0.0.1]:PORT ssh-ed25519 nonsense\n[127.0.0.1]:PORT KEY0", "known"),
        (HOST, "@what [127.0.0.1]:PORT KEY0", "unknown"),
        (HOST, "# [127.0.0.1]:PORT KEY0", "unknown"),
        (HOST, "[127.0.0.1]:PORT KEY0 # comment\r\n", "known"),
        // The bare name counts for every port, but only to say yes.
        (HOST, "127.0.0.1 KEY0", "known"),
        (HOST, "127.0.0.1 OTHER", "unknown"),
        (HOST, "[127.0.0.1]:PORT OTHER\n127.0.0.1 KEY0", "changed"),
        // An alias stands without a port.
        ("cluster", "cluster KEY0", "known"),
        ("cluster", "[cluster]:PORT KEY0", "unknown"),
        ("cluster", "[127.0.0.1]:PORT KEY0", "unknown"),
        ("cluster", "CLUSTER KEY0", "known"),
        ("CLUSTER", "cluster KEY0", "known"),
        ("cluster", "cluster OTHER", "changed"),
    ]);
}

/// The server has no key of the recorded algorithm any more.
#[test]
fn another_algorithm_is_a_change() {
    Sshd::start(&["ed25519"], None).agree(&[
        ("127.0.0.1", "[127.0.0.1]:PORT KEY0", "known"),
        ("127.0.0.1", "[127.0.0.1]:PORT ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=", "changed"),
    ]);
}

#[test]
fn certificates() {
    const HOST: &str = "127.0.0.1";
    Sshd::start(&["ed25519", "ecdsa"], Some(&["-h", "-n", "127.0.0.1,cluster"])).agree(&[
        (HOST, "@cert-authority [127.0.0.1]:PORT CA", "known"),
        (HOST, "@cert-authority * CA", "known"),
        (HOST, "@cert-authority 127.0.0.1 CA", "known"),
        ("127.0.0.1 hashed", "@cert-authority [127.0.0.1]:PORT CA", "known"),
        ("cluster", "@cert-authority cluster CA", "known"),
        ("another", "@cert-authority another CA", "bad certificate"),
        ("another", "@cert-authority another CA\nanother KEY0", "known"),
        (HOST, "@cert-authority other CA", "unknown"),
        (HOST, "[127.0.0.1]:PORT CA", "changed"),
        (HOST, "@cert-authority * OTHER", "unknown"),
        (HOST, "@cert-authority * OTHER\n[127.0.0.1]:PORT KEY0", "known"),
        (HOST, "@cert-authority * CA\n@cert-authority * OTHER", "known"),
        (HOST, "@cert-authority * CA\n[127.0.0.1]:PORT OTHER", "known"),
        (HOST, "@cert-authority * CA\n@revoked * CA", "revoked"),
        (HOST, "@cert-authority * CA\n@revoked * KEY0", "revoked"),
        (HOST, "@cert-authority * CA\n@revoked other KEY0", "known"),
        (HOST, "[127.0.0.1]:PORT KEY0", "known"),
        (HOST, "[127.0.0.1]:PORT KEY1", "known"),
    ]);
}

#[test]
fn certificates_for_every_host() {
    Sshd::start(&["ed25519"], Some(&["-h"])).agree(&[("127.0.0.1", "@cert-authority * CA", "known")]);
}

#[test]
fn certificates_that_do_not_hold() {
    for sign in [
        ["-h", "-n127.0.0.1", "-V20200101:20200201", "-z1"],
        ["-h", "-n127.0.0.1", "-V20990101:20990201", "-z1"],
        ["-h", "-n127.0.0.1", "-Ocritical:unknown@example.com=1", "-z1"],
        ["-h", "-n127.0.0.2", "-V20200101:20990201", "-z1"],
        // Names in certificates are no patterns.
        ["-h", "-n127.0.0.*", "-V20200101:20990201", "-z1"],
    ] {
        Sshd::start(&["ed25519"], Some(&sign)).agree(&[
            ("127.0.0.1", "@cert-authority * CA", "bad certificate"),
            ("127.0.0.1", "@cert-authority * CA\n[127.0.0.1]:PORT KEY0", "known"),
            ("127.0.0.1", "@cert-authority * CA\n[127.0.0.1]:PORT OTHER", "changed"),
        ]);
    }
}

/// `sshd` itself shows neither of these, so they are only ours to refuse.
#[test]
fn certificates_of_the_wrong_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (ca, key) in [("ca", "host"), ("rsa", "host")] {
        keygen(&path(ca), if ca == "rsa" { "rsa" } else { "ed25519" });
        if !path(key).exists() {
            keygen(&path(key), "ed25519");
        }
    }
    for (arguments, expected) in [
        (vec!["-s", "ca"], "it is for a user and not for a host"),
        (vec!["-s", "rsa", "-h", "-t", "ssh-rsa"], "it is signed with ssh-rsa, which uses SHA-1"),
    ] {
        run(Command::new("ssh-keygen")
            .current_dir(folder.path())
            .args(["-q", "-I", "test"])
            .args(&arguments)
            .arg("host.pub"));
        let certificate: Certificate = fs::read_to_string(path("host-cert.pub")).unwrap().parse().unwrap();
        let authorities = format!(
            "@cert-authority * {}\n@cert-authority * {}\n",
            public(&path("ca")),
            public(&path("rsa"))
        );
        fs::write(path("known_hosts"), authorities).unwrap();
        let known = KnownHosts::load(&[path("known_hosts")]);
        let verdict = known.check_certificate("web1", 22, &certificate);
        let Verdict::BadCertificate { reason, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(reason, expected);
    }
}

/// What we record is what `ssh` looks for.
#[test]
fn ssh_reads_what_we_append() {
    let server = Sshd::start(&["ed25519"], None);
    let path = server.folder.path().join("recorded");
    let key = public(&server.keys[0]).parse().unwrap();
    append(&path, &[Entry { name: "127.0.0.1", port: server.port, key: &key, hashed: false }])
        .remove(0)
        .unwrap();
    assert_eq!(server.ssh(&path, None), "known");
}
