use std::collections::HashSet;
use std::io;

use serde_json::{Value, json};

use clap::ValueEnum;

use super::Context;
use super::connect::HostArgs;
use super::listing::{self, Format, Table, plain};
use crate::error::{Error, ExitCode, Result};
use crate::inventory::{ALL, Address, HostKeyPolicy, Inventory, Origins, Proxy, Resolved, Ssh, Target};
use crate::report::fold;
use crate::term::{Term, visible_line};

/// Show which hosts a selection names, and how they are reached
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run hosts web[01-20,30],!web07
  cronium-run hosts -i hosts.yaml '@web,!web07'
  cronium-run hosts -i hosts.ini --groups
  cronium-run hosts ann@web1:2222 -o json | jq -r '.[0].port'")]
pub struct Args {
    /// Hosts: web1, ann@web1:2222, web[01-20,30], @group, all, ^FILE, - (stdin), local, a,b,!c [default: the whole inventory]
    #[arg(value_name = "TARGETS")]
    targets: Option<String>,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Show the groups of the inventory, how many hosts each has, and which
    #[arg(long)]
    groups: bool,
    #[command(flatten)]
    hosts: HostArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let resolved = args.hosts.targets(args.targets.as_deref(), io::stdin().lock())?;
    warn(&resolved, &context.term);
    if args.groups {
        return print_groups(&resolved, args.targets.is_some(), args.output, &context.term);
    }
    match args.output {
        Format::Text => print(&resolved.targets, args.output, &context.term),
        Format::Json => {
            let hosts: Vec<Value> =
                (0..resolved.targets.len()).map(|index| described(&resolved, index)).collect();
            listing::printed(context.term.data(listing::json(&hosts)?.as_bytes()))
        }
    }
}

/// Names in a warning come from files of others: they must not steer the terminal.
pub fn warn(resolved: &Resolved, term: &Term) {
    for warning in &resolved.warnings {
        term.note(&format!("warning: {}", visible_line(warning)));
    }
}

/// Prints targets on stdout; `--list-hosts` of other commands is this, as text.
pub fn print(targets: &[Target], format: Format, term: &Term) -> Result<ExitCode> {
    let text = match format {
        Format::Text => lines(targets, term),
        Format::Json => {
            let hosts: Vec<Value> = targets.iter().map(document).collect();
            listing::json(&Value::from(hosts))?
        }
    };
    listing::printed(term.data(text.as_bytes()))
}

fn lines(targets: &[Target], term: &Term) -> String {
    let mut table = Table::new([]);
    for target in targets {
        table.row([&target.name, &address(&target.address), &target.groups.join(",")].map(plain));
    }
    table.text(term)
}

/// Groups in the order of the inventory, with the hosts of the selection that are in them. Where
/// hosts were `chosen`, groups without any of them are left out.
fn print_groups(resolved: &Resolved, chosen: bool, format: Format, term: &Term) -> Result<ExitCode> {
    let Some(inventory) = &resolved.inventory else {
        return Err(Error::usage("there is no inventory that could have groups")
            .hint("cronium-run hosts -i hosts.yaml --groups"));
    };
    let mut table = Table::new([]);
    let mut documents = Vec::new();
    for (index, group) in inventory.groups().iter().enumerate() {
        let hosts = members(inventory, resolved, index);
        if chosen && hosts.is_empty() {
            continue;
        }
        match format {
            Format::Text => {
                let folded = fold::fold(hosts.iter().copied());
                table.row([group.name.clone(), hosts.len().to_string(), folded].map(plain));
            }
            Format::Json => documents.push(json!({
                "name": group.name,
                "hosts": hosts,
                "children": group.children.iter().map(|(child, _)| &inventory.groups()[*child].name).collect::<Vec<_>>(),
                "vars": group.vars,
                "source": group.place.as_ref().map(ToString::to_string),
            })),
        }
    }
    let text = match format {
        Format::Text => table.text(term),
        Format::Json => listing::json(&documents)?,
    };
    listing::printed(term.data(text.as_bytes()))
}

/// The names of the targets that are in a group.
fn members<'a>(inventory: &Inventory, resolved: &'a Resolved, group: usize) -> Vec<&'a str> {
    let everybody = inventory.groups()[group].name == ALL;
    let hosts: HashSet<usize> = inventory.hosts_of(group).into_iter().collect();
    let is_in = |entry: &Option<usize>| entry.is_some_and(|entry| everybody || hosts.contains(&entry));
    let targets = resolved.targets.iter().zip(&resolved.entries);
    targets.filter(|(_, entry)| is_in(entry)).map(|(target, _)| target.name.as_str()).collect()
}

/// [`document`] with what only the inventory knows.
fn described(resolved: &Resolved, index: usize) -> Value {
    let mut document = document(&resolved.targets[index]);
    let known = resolved.inventory.as_ref().zip(resolved.entries[index]);
    let source = known.map(|(inventory, entry)| inventory.entries()[entry].place.to_string());
    document["vars"] = json!(known.map(|(inventory, entry)| inventory.vars(entry)).unwrap_or_default());
    document["source"] = json!(source);
    let Origins { host, port, user, proxy } = &resolved.origins[index];
    document["from"] = json!({ "host": host, "port": port, "user": user, "proxy": proxy });
    document
}

/// `ann@web1.example.com:22`, `ann@[fe80::1]:22` or `this machine`.
fn address(address: &Address) -> String {
    match address {
        Address::Local => "this machine".to_owned(),
        Address::Ssh(ssh) => ssh.to_string(),
    }
}

fn document(target: &Target) -> Value {
    let becoming = target.privilege.as_ref();
    let becoming =
        becoming.map(|privilege| json!({ "user": privilege.user, "method": privilege.method.as_str() }));
    match &target.address {
        Address::Local => {
            json!({ "name": target.name, "transport": "local", "groups": target.groups, "become": becoming })
        }
        Address::Ssh(ssh) => json!({
            "name": target.name,
            "transport": "ssh",
            "groups": target.groups,
            "host": ssh.host,
            "port": ssh.port,
            "user": ssh.user,
            "become": becoming,
            "host_key_alias": ssh.host_key_alias,
            "identities": ssh.identities,
            "certificates": ssh.certificates,
            "identities_only": ssh.identities_only,
            "agent": ssh.agent,
            "known_hosts": ssh.known_hosts,
            "host_key": policy(ssh.host_key),
            "jump": jumps(ssh),
            "proxy_command": match &ssh.proxy {
                Some(Proxy::Command(command)) => Some(command),
                _ => None,
            },
            "connect_timeout_ms": u64::try_from(ssh.connect_timeout.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

/// The jump hosts on the way to a host, the nearest to us first.
fn jumps(ssh: &Ssh) -> Vec<String> {
    let mut hops = Vec::new();
    let mut next = ssh;
    while let Some(Proxy::Jump(jump)) = &next.proxy {
        hops.push(jump.to_string());
        next = jump;
    }
    hops.reverse();
    hops
}

fn policy(policy: HostKeyPolicy) -> Option<String> {
    policy.to_possible_value().map(|value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn targets() -> Vec<Target> {
        let ssh = |name: &str, host: &str, port| Target {
            name: name.into(),
            groups: vec!["web".into(), "prod".into()],
            privilege: None,
            address: Address::Ssh(Box::new(Ssh {
                host: host.into(),
                port,
                user: "ann".into(),
                host_key_alias: None,
                identities: vec!["/home/ann/.ssh/id_ed25519".into()],
                named: 0,
                agent: None,
                identities_only: false,
                known_hosts: vec!["/home/ann/.ssh/known_hosts".into()],
                host_key: HostKeyPolicy::AcceptNew,
                hash_known_hosts: false,
                batch_mode: false,
                connect_timeout: Duration::from_secs(10),
                proxy: None,
                protocol: crate::inventory::Protocol::default(),
                certificates: Vec::new(),
                passphrases: crate::inventory::Passphrases::default(),
                password: None,
            })),
        };
        let local =
            Target { name: "local".into(), address: Address::Local, groups: Vec::new(), privilege: None };
        vec![ssh("web1", "web1.example.com", 22), ssh("[fe80::1]:2222", "fe80::1", 2222), local]
    }

    #[test]
    fn one_host_a_line() {
        let (term, _) = Term::captured();
        insta::assert_snapshot!(lines(&targets(), &term), @r"
        web1            ann@web1.example.com:22  web,prod
        [fe80::1]:2222  ann@[fe80::1]:2222       web,prod
        local           this machine
        ");
    }

    #[test]
    fn json_has_everything() {
        let shown: Vec<Value> = targets().iter().map(document).collect();
        insta::assert_snapshot!(Value::from(shown)[0], @r#"{"agent":null,"become":null,"certificates":[],"connect_timeout_ms":10000,"groups":["web","prod"],"host":"web1.example.com","host_key":"accept-new","host_key_alias":null,"identities":["/home/ann/.ssh/id_ed25519"],"identities_only":false,"jump":[],"known_hosts":["/home/ann/.ssh/known_hosts"],"name":"web1","port":22,"proxy_command":null,"transport":"ssh","user":"ann"}"#);
        assert_eq!(
            document(&targets()[2]),
            json!({ "name": "local", "transport": "local", "groups": [], "become": null })
        );
    }
}
