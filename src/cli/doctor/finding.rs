//! What a survey of a host means for whoever wants to run something there.

use std::time::Duration;

use crate::report::units;
use crate::transport::bootstrap;
use crate::transport::probe::{Home, Place, PlaceState, Survey};

/// Tokens and certificates expire, and both clocks count.
const SKEW: f64 = 5.0;
/// A disk with less is full soon.
const FREE_KB: u64 = 200 << 10;
/// A runner and a shell need little; scripts do not.
const MEMORY_KB: u64 = 64 << 10;
/// Most payloads are written for these.
const WANTED: [&str; 2] = ["bash", "python3"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Problem,
    Warning,
    Fine,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Fine => "ok",
        }
    }
}

/// The checks, in the order in which a run would stumble over them.
pub const CHECKS: [&str; 14] = [
    "login",
    "key",
    "account",
    "home",
    "noise",
    "machine",
    "tools",
    "cache",
    "disk",
    "memory",
    "clock",
    "become",
    "interpreters",
    "helpers",
];

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub check: &'static str,
    pub level: Level,
    /// Alike for hosts that are alike: what is measured stands beside it.
    pub message: String,
    pub measured: Option<Measured>,
    /// A command to type.
    pub fix: Option<String>,
}

/// A number that differs from host to host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measured {
    Took(Duration),
    FreeKb(u64),
}

impl Finding {
    fn fine(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Fine, message: message.into(), measured: None, fix: None }
    }

    fn warning(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warning, fix: Some(fix.into()), ..Self::fine(check, message) }
    }

    fn problem(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::warning(check, message, fix) }
    }

    fn measured(self, measured: Measured) -> Self {
        Self { measured: Some(measured), ..self }
    }
}

/// All that is to be said.
pub fn judge(survey: &Survey) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(login) = &survey.login {
        findings.push(Finding::fine("login", "let in").measured(Measured::Took(login.took)));
        findings.push(Finding::fine("key", format!("by {}", login.credential)));
    }
    findings.push(account(survey));
    findings.extend(home(survey));
    findings.extend(noise(survey));
    findings.push(machine(survey));
    findings.extend(tools(survey));
    findings.push(cache(survey));
    findings.extend(disks(survey));
    findings.extend(memory(survey));
    findings.push(clock(survey));
    findings.push(become_root(survey));
    findings.push(interpreters(survey));
    findings.push(helpers(survey));
    findings
}

fn account(survey: &Survey) -> Finding {
    let Survey { user, uid, shell, .. } = survey;
    let shell = if shell.is_empty() { "an unknown shell" } else { shell };
    Finding::fine("account", format!("{user} (uid {uid}) with {shell}"))
}

fn home(survey: &Survey) -> Option<Finding> {
    let user = &survey.user;
    match &survey.home {
        Home::There(_) => None,
        Home::Missing(path) => {
            let fix = format!("mkdir -p {path}; chown {user} {path}  on the host");
            Some(Finding::warning("home", format!("{path} is not there"), fix))
        }
        Home::Unset => {
            let fix = format!("getent passwd {user}  on the host");
            Some(Finding::warning("home", "the login sets no HOME", fix))
        }
    }
}

fn noise(survey: &Survey) -> Option<Finding> {
    let line = survey.noise.lines().next()?;
    let message = format!("the login prints on stdout: '{line}'. It is read over, and costs time");
    Some(Finding::warning(
        "noise",
        message,
        "case $- in *i*) ;; *) return;; esac  above it in ~/.bashrc or ~/.profile",
    ))
}

fn machine(survey: &Survey) -> Finding {
    let Survey { system, machine, .. } = survey;
    match bootstrap::stub(machine).filter(|_| system == "Linux") {
        Some(stub) => Finding::fine("machine", format!("Linux on {machine} ({})", stub.arch)),
        None => Finding::problem(
            "machine",
            format!("there is no runner for {system} on {machine}"),
            "cronium-run hosts --exclude  leaves it out; Linux on x86_64 and aarch64 is served",
        ),
    }
}

fn tools(survey: &Survey) -> Option<Finding> {
    let lacks = |tool: &&String| tool.as_str() != "sha256sum";
    let missing: Vec<&str> = survey.lacks.iter().filter(lacks).map(String::as_str).collect();
    match (missing.as_slice(), survey.lacks.is_empty()) {
        ([], true) => None,
        ([], false) => Some(Finding::warning(
            "tools",
            "there is no sha256sum: each start of the runner takes longer",
            "apt-get install coreutils  on the host",
        )),
        (missing, _) => Some(Finding::problem(
            "tools",
            format!("there is no {}: the runner cannot be put there", missing.join(", no ")),
            "apt-get install coreutils gzip, or busybox  on the host",
        )),
    }
}

fn cache(survey: &Survey) -> Finding {
    let refused: Vec<&Place> =
        survey.places.iter().take_while(|place| place.state != PlaceState::Fine).collect();
    let why = refused.iter().map(|place| refusal(place)).collect::<Vec<_>>().join("; ");
    let Some(chosen) = survey.chosen() else {
        return Finding::problem("cache", format!("no folder can hold the runner: {why}"), fix(&refused));
    };
    match refused.is_empty() {
        true => {
            let is_cached = if survey.cached.is_some() { "is there" } else { "comes with the first run" };
            Finding::fine("cache", format!("{}/cronium-run, the runner {is_cached}", chosen.path))
        }
        false => {
            let message = format!("{why}; the runner is sent to {} each time", chosen.path);
            Finding::warning("cache", message, fix(&refused))
        }
    }
}

fn refusal(place: &Place) -> String {
    let Place { path, why, .. } = place;
    if is_homeless(place) {
        return "there is no home for a cache".to_owned();
    }
    match place.state {
        PlaceState::Fine => String::new(),
        PlaceState::Noexec => format!("{path} is mounted noexec"),
        PlaceState::Full => format!("{path} is full"),
        PlaceState::Denied if why.is_empty() => format!("{path} cannot be written to"),
        PlaceState::Denied => format!("{path} cannot be written to ({why})"),
    }
}

/// Where there is no HOME, nothing can be made in what stands for it.
fn is_homeless(place: &Place) -> bool {
    place.path.starts_with("/dev/null/")
}

/// For the first place: the others only stand in for it.
fn fix(refused: &[&Place]) -> String {
    let Some(place @ Place { path, state, .. }) = refused.first() else { return String::new() };
    if is_homeless(place) {
        return "grep -rn HOME /etc/ssh ~/.ssh  on the host shows who takes it away".to_owned();
    }
    match state {
        PlaceState::Noexec => format!(
            "mount -o remount,exec \"$(df -P {path} | tail -n 1 | tr -s ' ' | cut -d ' ' -f 6)\"  on the host"
        ),
        PlaceState::Full => format!("df -h {path}; df -i {path}; quota  on the host"),
        PlaceState::Denied | PlaceState::Fine => format!("ls -ld {path}; mount | grep -w ro  on the host"),
    }
}

/// A place that is full already is told with the cache.
fn disks(survey: &Survey) -> Option<Finding> {
    let place = survey.chosen().filter(|place| place.size_kb > 0)?;
    let path = &place.path;
    let finding = match place.free_kb < FREE_KB {
        true => {
            Finding::warning("disk", format!("little room at {path}"), format!("df -h {path}  on the host"))
        }
        false => Finding::fine("disk", format!("room at {path}")),
    };
    Some(finding.measured(Measured::FreeKb(place.free_kb)))
}

fn memory(survey: &Survey) -> Option<Finding> {
    let memory = survey.memory.as_ref().filter(|memory| memory.available_kb > 0)?;
    let finding = match memory.available_kb < MEMORY_KB {
        true => {
            Finding::warning("memory", "little memory is available", "ps aux --sort -rss | head  on the host")
        }
        false => Finding::fine("memory", "available"),
    };
    Some(finding.measured(Measured::FreeKb(memory.available_kb)))
}

fn clock(survey: &Survey) -> Finding {
    let ahead = survey.clock_ahead;
    if ahead.abs() <= SKEW {
        return Finding::fine("clock", format!("within {SKEW} s of ours"));
    }
    let (by, way) =
        (units::duration((ahead.abs() * 1000.0) as u64), if ahead > 0.0 { "ahead" } else { "behind" });
    let message = format!("its clock is {by} {way}: tokens and certificates expire at the wrong time");
    Finding::warning("clock", message, "timedatectl set-ntp true  on the host")
}

fn become_root(survey: &Survey) -> Finding {
    if let Some(method) = survey.became {
        return Finding::fine("become", format!("{} by {}", survey.user, method.as_str()));
    }
    if survey.uid == "0" {
        return Finding::fine("become", "root already");
    }
    let ways = &survey.ways_up;
    if let Some(way) = ways.iter().find(|way| way.refusal.is_none()) {
        return Finding::fine("become", format!("{} without a password: -b", way.program));
    }
    if let Some(way) = ways.iter().find(|way| way.asks()) {
        return Finding::fine(
            "become",
            format!("{} asks for a password, if it lets {} at all: -b -K", way.program, survey.user),
        );
    }
    let user = &survey.user;
    match ways.first() {
        Some(way) => {
            let said = way.refusal.as_deref().unwrap_or_default();
            let fix = format!("echo '{user} ALL=(ALL) ALL' >/etc/sudoers.d/{user}  on the host");
            Finding::warning("become", format!("{} refuses: '{said}'", way.program), fix)
        }
        None => {
            let fix = format!("apt-get install sudo; usermod -aG sudo {user}  on the host");
            Finding::warning(
                "become",
                format!("there is no way from {user} to root, no sudo and no doas"),
                fix,
            )
        }
    }
}

fn interpreters(survey: &Survey) -> Finding {
    let found: Vec<String> = survey
        .interpreters
        .iter()
        .map(|found| format!("{} {}", found.name, version(&found.version)).trim().to_owned())
        .collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    let is_there = |name: &str| survey.interpreters.iter().any(|found| found.name == name);
    let missing: Vec<&str> = WANTED.into_iter().filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return Finding::fine("interpreters", found);
    }
    let message = format!("no {}: payloads that need it fail there; {found}", missing.join(", no "));
    Finding::warning("interpreters", message, format!("apt-get install {}  on the host", missing.join(" ")))
}

/// The number in what a program says of itself, or the program behind the name.
fn version(said: &str) -> &str {
    let is_number = |word: &&str| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let number = said.split([' ', '(']).find(is_number).unwrap_or(said);
    number.rsplit('/').next().unwrap_or(number)
}

fn helpers(survey: &Survey) -> Finding {
    let forwarding = &survey.forwarding;
    match (&forwarding.socket, &forwarding.port) {
        (None, _) => Finding::fine("helpers", "answered through the connection (api)"),
        (Some(_), None) => {
            Finding::fine("helpers", "answered through a forwarded port (tcp): no Unix sockets")
        }
        (Some(_), Some(_)) => Finding::warning(
            "helpers",
            "sshd forwards nothing: helpers are answered on the host (bundled), and variables merged afterwards",
            "AllowStreamLocalForwarding yes  and no DisableForwarding in its sshd_config",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (said, want) in [
            ("GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)", "5.2.15"),
            ("Python 3.11.2", "3.11.2"),
            ("v20.20.2", "v20.20.2"),
            ("/usr/bin/dash", "dash"),
            ("", ""),
        ] {
            assert_eq!(version(said), want, "{said}");
        }
    }

    #[test]
    fn clocks() {
        for (ahead, level, part) in [
            (0.4, Level::Fine, "within 5 s"),
            (-4.9, Level::Fine, "within 5 s"),
            (61.0, Level::Warning, "1 min 1 s ahead"),
            (-7200.0, Level::Warning, "2 h 0 min behind"),
        ] {
            let finding = clock(&Survey { clock_ahead: ahead, ..Survey::default() });
            assert_eq!(finding.level, level, "{ahead}");
            assert!(finding.message.contains(part), "{}", finding.message);
        }
    }
}
