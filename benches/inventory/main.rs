//! How long 100,000 hosts take to load, select and resolve, in each format of an inventory.
//!
//! `cargo bench --bench inventory [-- HOSTS]`

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cronium_run::cli::connect::{ConnectArgs, HostArgs, SelectArgs};

/// Hosts of a group.
const GROUP: usize = 100;

fn main() {
    let hosts = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    println!("{:<12} {:>9} {:>9} {:>9}", format!("{hosts} hosts"), "all", "one group", "one name");
    for (name, text, mode) in [
        ("hosts.yaml", ours(hosts), 0o644),
        ("hosts.txt", (0..hosts).map(|host| format!("{}\n", named(host))).collect(), 0o644),
        ("hosts.ini", ini(hosts), 0o644),
        ("hosts.json", json(hosts), 0o644),
        ("program", "#!/bin/sh\nexec cat \"${0%/*}/hosts.json\"\n".to_owned(), 0o755),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("room for it");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        // A list has no groups.
        let group = if name == "hosts.txt" { "web0000*" } else { "@single" };
        let times = ["all", group, "web000007"].map(|targets| time(&path, targets, hosts));
        println!("{name:<12} {:>6.0} ms {:>6.0} ms {:>6.0} ms", times[0], times[1], times[2]);
    }
}

/// Milliseconds, the best of three.
fn time(inventory: &Path, targets: &str, hosts: usize) -> f64 {
    let select = SelectArgs { inventory: vec![inventory.to_owned()], ..SelectArgs::default() };
    let connect = ConnectArgs { ssh_config: Some(PathBuf::from("none")), ..ConnectArgs::default() };
    let args = HostArgs { select, connect, ..HostArgs::default() };
    let once = || {
        let begun = Instant::now();
        let resolved = args.targets(Some(targets), std::io::empty()).expect("it is an inventory");
        assert!(
            resolved.targets.len() == if targets == "all" { hosts } else { resolved.targets.len().min(100) }
        );
        begun.elapsed().as_secs_f64() * 1000.0
    };
    (0..3).map(|_| once()).fold(f64::INFINITY, f64::min)
}

fn named(host: usize) -> String {
    format!("web{host:06}")
}

fn groups(hosts: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    (0..hosts.div_ceil(GROUP)).map(move |group| (group, group * GROUP..hosts.min((group + 1) * GROUP)))
}

fn ours(hosts: usize) -> String {
    let mut text = "groups:\n  single: {hosts: web000003, connect: {user: ann}}\n".to_owned();
    for (group, members) in groups(hosts) {
        let members: Vec<String> = members.map(named).collect();
        text += &format!("  rack{group}: {{hosts: [{}], vars: {{rack: {group}}}}}\n", members.join(", "));
    }
    text += "hosts:\n";
    (0..hosts).for_each(|host| {
        text += &format!("  {}: {{address: 10.{}.{}.1}}\n", named(host), host / 256 % 256, host % 256)
    });
    text
}

fn ini(hosts: usize) -> String {
    let mut text = "[single]\nweb000003\n".to_owned();
    for (group, members) in groups(hosts) {
        text += &format!("[rack{group}]\n");
        members.for_each(|host| {
            text += &format!("{} ansible_host=10.{}.{}.1\n", named(host), host / 256 % 256, host % 256)
        });
        text += &format!("[rack{group}:vars]\nrack={group}\n");
    }
    text
}

fn json(hosts: usize) -> String {
    let mut text = "{\"single\": {\"hosts\": [\"web000003\"]}".to_owned();
    for (group, members) in groups(hosts) {
        let members: Vec<String> = members.map(|host| format!("{:?}", named(host))).collect();
        text += &format!(
            ", \"rack{group}\": {{\"hosts\": [{}], \"vars\": {{\"rack\": {group}}}}}",
            members.join(", ")
        );
    }
    text += ", \"_meta\": {\"hostvars\": {";
    let vars =
        (0..hosts).map(|host| format!("{:?}: {{\"ansible_host\": \"10.0.{}.1\"}}", named(host), host % 256));
    text + &vars.collect::<Vec<_>>().join(", ") + "}}}"
}
