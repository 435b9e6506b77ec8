use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{getgid, getuid};

use super::Accounts;

/// Starts one sshd for each configuration file named, and takes them down with everything they
/// started once stdin closes: when the test ends, whichever way it ends. Sessions of sshd are in
/// process groups of their own, so the tree is walked; what left the tree still runs a file of the
/// folder or stands in it.
const WATCHDOG: &str = r#"
sshd=$1 folder=$2; shift 2
roots=
for conf in "$@"; do
    if [ -e "${conf%.conf}.private" ]; then
        # Mounts that this one alone sees: nobody else has the file that stands in for /etc/shadow.
        unshare -m sh -ec '. "$1"; exec "$2" -D -e -f "$3"' \
            sh "${conf%.conf}.private" "$sshd" "$conf" 2>"${conf%.conf}.log" </dev/null &
    else
        "$sshd" -D -e -f "$conf" 2>"${conf%.conf}.log" </dev/null &
    fi
    roots="$roots $!"
done
cat >/dev/null
beneath() (
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        echo "$child"
        beneath "$child"
    done
)
for round in 1 2; do
    doomed=$(for root in $roots; do echo "$root"; beneath "$root"; done
        ls -l /proc/[0-9]*/exe /proc/[0-9]*/cwd 2>/dev/null |
            grep -F " -> $folder/" | sed 's,.*/proc/\([0-9]*\)/.*,\1,' | sort -u)
    [ -n "$doomed" ] && kill -9 $doomed 2>/dev/null
    roots=
done
rm -rf "$folder"
"#;

/// What known_hosts says of a host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    Right,
    Wrong,
    Nothing,
}

/// How an sshd of the fleet differs from one that simply answers.
#[derive(Clone)]
pub struct HostTraits {
    pub recorded: Recorded,
    /// Whether the operator's key may log in.
    pub authorized: bool,
    /// Shell lines before the operator's command, such as a message of the day.
    pub login: String,
    /// `AllowStreamLocalForwarding` and `AllowTcpForwarding`.
    pub forwarding: bool,
    /// `AllowStreamLocalForwarding` where `forwarding` is on.
    pub streamlocal: bool,
    /// `GatewayPorts`: forwarded ports are open to the network.
    pub gateway_ports: bool,
    /// The user's password is [`PASSWORD`] there; needs root.
    pub password: bool,
    /// Users of its own, of whom [`LOGIN`] logs in; needs root.
    pub accounts: Option<Accounts>,
    /// The login shell, in place of the wrapper that runs `login` and counts commands; needs root.
    /// `FLEET` is the fleet's folder.
    pub shell: Option<&'static str>,
    /// Shell lines that mount what this host alone shall see, such as a full disk at `$home`; needs
    /// root. They know `$number`, `$address` and `$port`, and may `exec` another server than sshd.
    pub mounts: String,
    /// Lines of sshd_config that win over those of the harness.
    pub config: String,
}

impl Default for HostTraits {
    fn default() -> Self {
        Self {
            recorded: Recorded::Right,
            authorized: true,
            login: String::new(),
            forwarding: true,
            streamlocal: true,
            gateway_ports: false,
            password: false,
            accounts: None,
            shell: None,
            mounts: String::new(),
            config: String::new(),
        }
    }
}

/// What logs in where [`HostTraits::password`] is on.
pub const PASSWORD: &str = "Horse-battery-9";
pub(super) const SEALED: &str =
    "$6$abcdefgh$/g8NNGDDk7XMVFksHHzBC9qqBPb7jrtxjeOeNgFyyZjVW1mj4b2Uff9i3xHJa5nn31suDuqHr7i2IZW7lFVdF/";

/// Hosts to be: host n listens on `127.A.B.n`, all on one port.
#[derive(Default)]
pub struct FleetPlan {
    hosts: Vec<(u8, HostTraits)>,
}

impl FleetPlan {
    pub fn host(mut self, number: u8) -> Self {
        self.hosts.push((number, HostTraits::default()));
        self
    }

    pub fn host_with(mut self, number: u8, change: impl FnOnce(&mut HostTraits)) -> Self {
        let mut traits = HostTraits::default();
        change(&mut traits);
        self.hosts.push((number, traits));
        self
    }

    pub fn start(self) -> Fleet {
        Fleet::new(self)
    }
}

/// Real `sshd` processes on loopback, each with an address, a host key and homes of its own.
/// They log in the user that runs the tests. Dropped or killed, nothing is left.
pub struct Fleet {
    folder: PathBuf,
    /// The second and third octet of every address.
    block: (u8, u8),
    port: u16,
    watchdog: Child,
}

impl Fleet {
    /// Hosts 1 to `count`, all in good health.
    pub fn start(count: u8) -> Self {
        (1..=count).fold(FleetPlan::default(), FleetPlan::host).start()
    }

    fn new(plan: FleetPlan) -> Self {
        let folder = tempfile::Builder::new().prefix("cr").tempdir_in("/tmp").unwrap().keep();
        // The hosts' users must be able to walk through it.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).unwrap();
        if getuid().is_root() {
            // sshd's own folder, made at boot by its service, which need not run here.
            let _ = fs::create_dir_all("/run/sshd");
        }
        let (block, port) = free_block();
        let keys: Vec<String> = ["operator".to_owned(), "decoy".to_owned()]
            .into_iter()
            .chain(plan.hosts.iter().map(|(number, _)| format!("host{number}")))
            .collect();
        let keys = make_keys(&folder, &keys);
        fs::write(folder.join("authorized"), format!("{}\n", keys[0])).unwrap();
        fs::write(folder.join("nobody"), "").unwrap();
        let mut known = String::new();
        let mut watchdog = Command::new("/bin/sh");
        watchdog.args(["-c", WATCHDOG, "sshd-watchdog", sshd()]).arg(&folder);
        for ((number, traits), key) in plan.hosts.iter().zip(&keys[2..]) {
            let address = address(block, *number);
            watchdog.arg(write_host(&folder, *number, &address, port, traits));
            match traits.recorded {
                Recorded::Right => known += &format!("[{address}]:{port} {key}\n"),
                Recorded::Wrong => known += &format!("[{address}]:{port} {}\n", keys[1]),
                Recorded::Nothing => {}
            }
        }
        fs::write(folder.join("known_hosts"), known).unwrap();
        let watchdog = watchdog
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .expect("/bin/sh starts");
        let fleet = Self { folder, block, port, watchdog };
        fleet.wait_until_listening(&plan);
        fleet
    }

    /// sshd says so in its log: asking by connecting would cost a fork each.
    fn wait_until_listening(&self, plan: &FleetPlan) {
        let until = Instant::now() + Duration::from_secs(20);
        for (number, _) in &plan.hosts {
            // dropbear has no such line, and says this once it listens.
            let listens =
                |log: &str| log.contains("Server listening on") || log.contains("Not backgrounding");
            while !listens(&self.log(*number)) {
                assert!(
                    Instant::now() < until,
                    "sshd of host {number} does not start (is openssh-server installed? see tests/run)\n{}",
                    self.log(*number)
                );
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name of host `number` on the command line.
    pub fn name(&self, number: u8) -> String {
        address(self.block, number)
    }

    /// A comma list of hosts.
    pub fn names(&self, numbers: impl IntoIterator<Item = u8>) -> String {
        numbers.into_iter().map(|number| self.name(number)).collect::<Vec<_>>().join(",")
    }

    /// `127.A.B.`: what every name begins with.
    pub fn prefix(&self) -> String {
        format!("127.{}.{}.", self.block.0, self.block.1)
    }

    /// The hosts a text speaks of, by name or in a folded set such as `127.A.B.[1-3,7]`.
    pub fn numbers_in(&self, text: &str) -> BTreeSet<u8> {
        let mut numbers = BTreeSet::new();
        for behind in text.split(&self.prefix()).skip(1) {
            let set = match behind.strip_prefix('[') {
                Some(set) => set.split(']').next().unwrap(),
                None => behind.split(|c: char| !c.is_ascii_digit()).next().unwrap(),
            };
            for part in set.split(',') {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                if let (Ok(first), Ok(last)) = (first.parse::<u8>(), last.parse()) {
                    numbers.extend(first..=last);
                }
            }
        }
        numbers
    }

    pub fn private_key(&self) -> PathBuf {
        self.folder.join("operator")
    }

    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// Where keys and configurations are; `FLEET` in lines of a configuration.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The home of the user on host `number`.
    pub fn home(&self, number: u8) -> PathBuf {
        home(&self.folder, number)
    }

    /// `/etc` of a host with accounts of its own; `root` and `app` beside it are the homes of these.
    pub fn etc(&self, number: u8) -> PathBuf {
        self.folder.join(format!("host{number}.etc"))
    }

    /// What sshd of host `number` logged.
    pub fn log(&self, number: u8) -> String {
        fs::read_to_string(self.folder.join(format!("host{number}.log"))).unwrap_or_default()
    }

    /// The first line of every command that host `number` was asked to run.
    pub fn executed(&self, number: u8) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join(format!("host{number}.execs"))).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How many connections of host `number` were authenticated.
    pub fn logins(&self, number: u8) -> usize {
        self.log(number).matches("Accepted publickey").count()
    }

    /// How many connections host `number` has taken, let in or not.
    pub fn connections(&self, number: u8) -> usize {
        self.log(number).lines().filter(|line| line.starts_with("Connection from ")).count()
    }

    /// The run folders on host `number`: empty once every run is over.
    pub fn runs(&self, number: u8) -> Vec<PathBuf> {
        entries(&self.home(number).join(".local/state/cronium-run/runs"))
    }

    /// The cached stubs on host `number`.
    pub fn stubs(&self, number: u8) -> Vec<PathBuf> {
        let is_stamp = |path: &PathBuf| path.file_name().unwrap().as_encoded_bytes().starts_with(b".");
        let mut all = entries(&self.home(number).join(".cache/cronium-run/stub"));
        all.retain(|path| !is_stamp(path));
        all
    }

    /// Records the key of host `of` for the address of host `number`.
    pub fn record(&self, number: u8, of: u8) {
        let key = fs::read_to_string(self.folder.join(format!("host{of}.pub"))).unwrap();
        let mut known = fs::read_to_string(self.known_hosts()).unwrap();
        known += &format!("[{}]:{} {key}", self.name(number), self.port);
        fs::write(self.known_hosts(), known).unwrap();
    }

    /// What differs from run to run, for snapshots.
    pub fn replacements(&self) -> Vec<(String, &'static str)> {
        vec![
            (self.folder.display().to_string(), "/FLEET"),
            (self.prefix(), "127.0.0."),
            (self.port.to_string(), "PORT"),
        ]
    }

    /// The plain `ssh` client with the same key and known_hosts.
    pub fn ssh(&self, number: u8, command: &str) -> std::process::Output {
        Command::new("ssh")
            .args(["-F", "/dev/null", "-p", &self.port.to_string(), "-i"])
            .arg(self.private_key())
            .args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2"])
            .args(["-o", "IdentityAgent=none", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "GlobalKnownHostsFile=/dev/null", "-o", "KexAlgorithms=curve25519-sha256"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.known_hosts().display()))
            .args([&self.name(number), command])
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .output()
            .expect("ssh starts (tests/run installs it)")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// The user that runs the tests and logs in.
pub fn user() -> &'static str {
    static USER: OnceLock<String> = OnceLock::new();
    USER.get_or_init(|| {
        let output = Command::new("id").arg("-un").output().expect("id starts");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

fn address(block: (u8, u8), number: u8) -> String {
    Ipv4Addr::new(127, block.0, block.1, number).to_string()
}

fn home(folder: &Path, number: u8) -> PathBuf {
    // Short: the path of a Unix socket beneath it must fit in 107 bytes.
    folder.join(format!("h{number}"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(read) = fs::read_dir(folder) else { return Vec::new() };
    read.map(|entry| entry.unwrap().path()).collect()
}

/// 127.A.B.0/24 and a port nobody has there. Tests run side by side, as threads and as processes.
fn free_block() -> ((u8, u8), u16) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    let mut seed = std::process::id().wrapping_mul(0x9e37_79b9) ^ nanos.rotate_left(13);
    loop {
        seed =
            seed.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)).wrapping_mul(0x85eb_ca6b) ^ (seed >> 15);
        let block = (16 + (seed >> 8) as u8 % 200, (seed >> 20) as u8);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::new(127, block.0, block.1, 1), 0)) {
            return (block, listener.local_addr().unwrap().port());
        }
    }
}

fn sshd() -> &'static str {
    ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("sshd is installed (tests/run does it)")
}

/// Makes key pairs side by side; the public halves, without comment.
fn make_keys(folder: &Path, names: &[String]) -> Vec<String> {
    let makers: Vec<Child> = names
        .iter()
        .map(|name| {
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(folder.join(name))
                .stdin(Stdio::null())
                .spawn()
                .expect("ssh-keygen starts (tests/run installs it)")
        })
        .collect();
    for mut maker in makers {
        assert!(maker.wait().unwrap().success(), "ssh-keygen failed");
    }
    let public = |name: &String| {
        let text = fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    };
    names.iter().map(public).collect()
}

/// The configuration, the login wrapper and the home of one host; the configuration's path.
fn write_host(folder: &Path, number: u8, address: &str, port: u16, traits: &HostTraits) -> PathBuf {
    let folder_text = folder.display();
    let home = home(folder, number);
    fs::create_dir(&home).unwrap();
    let shell = folder.join(format!("host{number}.sh"));
    let script = format!(
        "#!/bin/sh\n\
         printf '%.100s\\n' \"$(printf '%s' \"$SSH_ORIGINAL_COMMAND\" | head -n 1)\" >>{folder_text}/host{number}.execs\n\
         HOME={home}; export HOME; cd \"$HOME\" || exit 1\n\
         {login}\n\
         command=$SSH_ORIGINAL_COMMAND; unset SSH_ORIGINAL_COMMAND\n\
         exec /bin/sh -c \"$command\"\n",
        home = home.display(),
        login = traits.login,
    );
    fs::write(&shell, script).unwrap();
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    let force = match traits.shell {
        Some(_) => String::new(),
        // The login shell comes first, and would read what this machine's user has in his `.bashrc`.
        None => format!("ForceCommand {}\nSetEnv HOME={}\n", shell.display(), home.display()),
    };
    let authorized = if traits.authorized { "authorized" } else { "nobody" };
    let yes_no = |allowed| if allowed { "yes" } else { "no" };
    let (tcp, streamlocal) = (yes_no(traits.forwarding), yes_no(traits.forwarding && traits.streamlocal));
    let gateway = yes_no(traits.gateway_ports);
    let penalties = if has_penalties() { "PerSourcePenalties no\n" } else { "" };
    let text = format!(
        "{config}\n\
         ListenAddress {address}:{port}\n\
         HostKey {folder_text}/host{number}\n\
         AuthorizedKeysFile {folder_text}/{authorized}\n\
         {force}\
         AllowTcpForwarding {tcp}\n\
         AllowStreamLocalForwarding {streamlocal}\n\
         GatewayPorts {gateway}\n\
         {penalties}\
         PidFile none\n\
         PermitRootLogin yes\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         UsePAM no\n\
         StrictModes no\n\
         UseDNS no\n\
         PrintMotd no\n\
         PrintLastLog no\n\
         {startups}\
         MaxSessions 100\n\
         LogLevel VERBOSE\n",
        config = traits.config.replace("FLEET", &folder_text.to_string()),
        // Of this one the last counts.
        startups = if traits.config.contains("MaxStartups") { "" } else { "MaxStartups 1000\n" },
    );
    if let Some(private) = private(folder, number, (address, port), traits) {
        fs::write(folder.join(format!("host{number}.private")), private).unwrap();
    }
    if let Some(accounts) = &traits.accounts {
        accounts.write(folder, number, &home);
    }
    let conf = folder.join(format!("host{number}.conf"));
    fs::write(&conf, text).unwrap();
    conf
}

/// What a host does in a mount namespace of its own before its sshd starts, if it needs one.
fn private(folder: &Path, number: u8, (address, port): (&str, u16), traits: &HostTraits) -> Option<String> {
    let mut lines = String::new();
    let mut stand_in = |file: &str, text: String| {
        let path = folder.join(format!("host{number}.{file}"));
        fs::write(&path, text).unwrap();
        let mode = if file == "shadow" { 0o600 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        lines += &format!("mount --bind {} /etc/{file}\n", path.display());
    };
    if traits.password {
        stand_in("shadow", format!("{}:{SEALED}:20000:0:99999:7:::\n", user()));
    }
    let home = home(folder, number).display().to_string();
    if let Some(shell) = traits.shell {
        let others = fs::read_to_string("/etc/passwd").unwrap();
        let others = others.lines().filter(|line| !line.starts_with(&format!("{}:", user())));
        let shell = shell.replace("FLEET", &folder.display().to_string());
        let ours = format!("{}:x:{}:{}::{home}:{shell}", user(), getuid().as_raw(), getgid().as_raw());
        stand_in("passwd", others.chain([ours.as_str()]).map(|line| format!("{line}\n")).collect());
    }
    if traits.accounts.is_some() {
        lines += &format!("mount --bind {}/host{number}.etc /etc\n", folder.display());
    }
    lines += &traits.mounts.replace("FLEET", &folder.display().to_string());
    (!lines.is_empty())
        .then(|| format!("home={home} number={number} address={address} port={port}\n{lines}\n"))
}

/// OpenSSH 9.8 and later punish an address for failed logins, and all of ours come from one.
fn has_penalties() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let output = Command::new("ssh").arg("-V").output().expect("ssh starts (tests/run installs it)");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let version = text.split("OpenSSH_").nth(1).unwrap_or_default();
        let mut numbers =
            version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        version >= (9, 8)
    })
}
