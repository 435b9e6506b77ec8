use std::io;

use serde_json::{Value, json};

use clap::ValueEnum;

use super::Context;
use super::connect::HostArgs;
use super::listing::{self, Format};
use crate::error::{ExitCode, Result};
use crate::inventory::{Address, HostKeyPolicy, Target};
use crate::term::Term;

/// Show which hosts a selection names, and how they are reached
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run hosts web[01-20,30],!web07
  cronium-run hosts -i hosts.txt 'db*'
  cronium-run hosts ann@web1:2222 -o json | jq -r '.[0].port'")]
pub struct Args {
    /// Hosts: web1, ann@web1:2222, web[01-20,30], ^FILE, - (stdin), local, a,b,!c [default: the whole inventory]
    #[arg(value_name = "TARGETS")]
    targets: Option<String>,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    hosts: HostArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let resolved = args.hosts.targets(args.targets.as_deref(), io::stdin().lock())?;
    for warning in &resolved.warnings {
        context.term.note(&format!("warning: {warning}"));
    }
    print(&resolved.targets, args.output, &context.term)
}

/// Prints targets on stdout; `--list-hosts` of other commands is this, as text.
pub fn print(targets: &[Target], format: Format, term: &Term) -> Result<ExitCode> {
    let text = match format {
        Format::Text => lines(targets),
        Format::Json => {
            let hosts: Vec<Value> = targets.iter().map(document).collect();
            listing::json(&Value::from(hosts))?
        }
    };
    listing::printed(term.data(text.as_bytes()))
}

fn lines(targets: &[Target]) -> String {
    let width = targets.iter().map(|target| target.name.len()).max().unwrap_or(0);
    targets.iter().map(|target| format!("{:width$}  {}\n", target.name, address(&target.address))).collect()
}

/// `ann@web1.example.com:22`, `ann@[fe80::1]:22` or `this machine`.
fn address(address: &Address) -> String {
    match address {
        Address::Local => "this machine".to_owned(),
        Address::Ssh(ssh) if ssh.host.contains(':') => format!("{}@[{}]:{}", ssh.user, ssh.host, ssh.port),
        Address::Ssh(ssh) => format!("{}@{}:{}", ssh.user, ssh.host, ssh.port),
    }
}

fn document(target: &Target) -> Value {
    match &target.address {
        Address::Local => json!({ "name": target.name, "transport": "local" }),
        Address::Ssh(ssh) => json!({
            "name": target.name,
            "transport": "ssh",
            "host": ssh.host,
            "port": ssh.port,
            "user": ssh.user,
            "host_key_alias": ssh.host_key_alias,
            "identities": ssh.identities,
            "identities_only": ssh.identities_only,
            "agent": ssh.agent,
            "known_hosts": ssh.known_hosts,
            "host_key": policy(ssh.host_key),
            "connect_timeout_ms": u64::try_from(ssh.connect_timeout.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

fn policy(policy: HostKeyPolicy) -> Option<String> {
    policy.to_possible_value().map(|value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::inventory::Ssh;

    fn targets() -> Vec<Target> {
        let ssh = |name: &str, host: &str, port| Target {
            name: name.into(),
            groups: Vec::new(),
            address: Address::Ssh(Box::new(Ssh {
                host: host.into(),
                port,
                user: "ann".into(),
                host_key_alias: None,
                identities: vec!["/home/ann/.ssh/id_ed25519".into()],
                agent: None,
                identities_only: false,
                known_hosts: vec!["/home/ann/.ssh/known_hosts".into()],
                host_key: HostKeyPolicy::AcceptNew,
                connect_timeout: Duration::from_secs(10),
            })),
        };
        let local = Target { name: "local".into(), address: Address::Local, groups: Vec::new() };
        vec![ssh("web1", "web1.example.com", 22), ssh("[fe80::1]:2222", "fe80::1", 2222), local]
    }

    #[test]
    fn one_host_a_line() {
        insta::assert_snapshot!(lines(&targets()), @r"
        web1            ann@web1.example.com:22
        [fe80::1]:2222  ann@[fe80::1]:2222
        local           this machine
        ");
    }

    #[test]
    fn json_has_everything() {
        let shown: Vec<Value> = targets().iter().map(document).collect();
        insta::assert_snapshot!(Value::from(shown)[0], @r#"{"agent":null,"connect_timeout_ms":10000,"host":"web1.example.com","host_key":"accept-new","host_key_alias":null,"identities":["/home/ann/.ssh/id_ed25519"],"identities_only":false,"known_hosts":["/home/ann/.ssh/known_hosts"],"name":"web1","port":22,"transport":"ssh","user":"ann"}"#);
        assert_eq!(document(&targets()[2]), json!({ "name": "local", "transport": "local" }));
    }
}
