//! Hosts behind others: one connection for all of them, and who is to blame where there is none.

mod harness;

use harness::{Environment, Fleet, FleetPlan, Outcome};

/// Hosts 1 to `count`, with lines of configuration for the first.
fn behind(count: u8, config: &str) -> Fleet {
    let plan = FleetPlan::default().host_with(1, |bastion| bastion.config = config.to_owned());
    (2..=count).fold(plan, FleetPlan::host).start()
}

fn jump(fleet: &Fleet, number: u8) -> String {
    format!("{}:{}", fleet.name(number), fleet.port())
}

/// Each of the hosts has done it once.
#[track_caller]
fn all_ran(fleet: &Fleet, outcome: Outcome, hosts: std::ops::RangeInclusive<u8>) {
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for host in hosts {
        assert_eq!(fleet.logins(host), 1, "host {host}: {}", fleet.log(host));
    }
    outcome.ignore();
}

#[test]
fn twenty_targets_share_one_connection() {
    let (environment, fleet) = (Environment::new(), behind(21, ""));
    let outcome = environment
        .exec(&fleet, &fleet.names(2..=21))
        .args(["--forks", "20", "-J", &jump(&fleet, 1), "--", "head -c 100000 /dev/zero | base64"])
        .run();
    all_ran(&fleet, outcome, 2..=21);
    assert_eq!(fleet.connections(1), 1, "{}", fleet.log(1));
    assert_eq!(fleet.executed(1), Vec::<String>::new(), "the bastion runs nothing");
}

#[test]
fn a_chain_is_passed_in_its_order() {
    let (environment, fleet) = (Environment::new(), behind(5, ""));
    let way = format!("{},{}", jump(&fleet, 1), jump(&fleet, 2));
    let outcome = environment.exec(&fleet, &fleet.names(3..=5)).args(["-J", &way, "--", "true"]).run();
    all_ran(&fleet, outcome, 1..=5);
    assert_eq!((fleet.connections(1), fleet.connections(2)), (1, 1));
}

#[test]
fn ssh_config_and_inventory_name_jump_hosts_as_well() {
    let (environment, fleet) = (Environment::new(), behind(5, ""));
    let (bastion, port) = (fleet.name(1), fleet.port());
    environment.write(
        "config",
        format!("Host gate\nHostName {bastion}\nPort {port}\nHost {}\nProxyJump gate\n", fleet.name(2)),
    );
    environment.write(
        "hosts.yaml",
        format!(
            "groups:\n  far: {{hosts: [{}], connect: {{jump: gate}}}}\n  all: {{connect: {{jump: none}}}}\nhosts:\n  {}:\n",
            fleet.name(3),
            fleet.name(4)
        ),
    );
    let run = |targets: &str| {
        let exec = environment.exec(&fleet, targets).args(["-F", "config", "-i", "hosts.yaml"]);
        exec.args(["--", "true"]).run()
    };
    // Host 2 is in no group of the inventory.
    all_ran(&fleet, run(&fleet.names([2, 3])), 2..=3);
    assert_eq!(fleet.connections(1), 1);
    all_ran(&fleet, run(&fleet.name(4)), 4..=4);
    assert_eq!(fleet.connections(1), 1, "jump: none goes straight");
    let straight =
        environment.exec(&fleet, &fleet.name(2)).args(["-F", "config", "-J", "none", "--", "true"]);
    straight.run().succeeds().ignore();
    assert_eq!(fleet.connections(1), 1, "a flag wins");
}

#[test]
fn a_bastion_that_fails_is_tried_once_and_blamed_by_each() {
    let (environment, fleet) = (Environment::new(), {
        let plan = FleetPlan::default().host_with(1, |bastion| bastion.authorized = false);
        (2..=9).fold(plan, FleetPlan::host).start()
    });
    let outcome =
        environment.exec(&fleet, &fleet.names(2..=9)).args(["-J", &jump(&fleet, 1), "--", "true"]).run();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert_eq!(fleet.connections(1), 1, "{}", fleet.log(1));
    let named = format!("the jump host {}@{} failed in auth", harness::user(), jump(&fleet, 1));
    assert!(outcome.err().contains(&named), "{outcome:?}");
    for host in 2..=9 {
        assert_eq!(fleet.connections(host), 0);
    }
    outcome.ignore();
}

#[test]
fn what_a_bastion_cannot_or_may_not_reach_is_told() {
    let (environment, fleet) = (Environment::new(), behind(3, ""));
    let exec = |fleet: &Fleet, target: &str| {
        let exec = environment.exec(fleet, target).args(["-J", &jump(fleet, 1), "--", "true"]);
        let outcome = exec.run();
        assert_eq!(outcome.code, 4, "{outcome:?}");
        let text = outcome.err().to_owned();
        outcome.ignore();
        text
    };
    // Nobody listens there.
    let text = exec(&fleet, &format!("{}:1", fleet.name(2)));
    assert!(text.contains("cannot connect to") && text.contains("the jump host"), "{text}");
    let closed = behind(2, "AllowTcpForwarding no");
    let text = exec(&closed, &closed.name(2));
    assert!(text.contains("forwards nothing to"), "{text}");
    assert_eq!(closed.connections(2), 0);
}

/// `MaxSessions` is about shells and commands: what is passed on does not count.
#[test]
fn a_bastion_with_few_sessions_passes_twenty_five_on() {
    let (environment, fleet) = (Environment::new(), behind(26, "MaxSessions 1"));
    let outcome = environment
        .exec(&fleet, &fleet.names(2..=26))
        .args(["--forks", "25", "-J", &jump(&fleet, 1), "--", "true"])
        .run();
    all_ran(&fleet, outcome, 2..=26);
    assert_eq!(fleet.connections(1), 1, "{}", fleet.log(1));
}

#[test]
fn a_server_with_few_startups_lets_all_in_at_last() {
    for startups in ["2:30:4", "3:100:3"] {
        let (environment, fleet) = (Environment::new(), behind(1, &format!("MaxStartups {startups}")));
        environment.write("config", format!("Host a*\nHostName {}\n", fleet.name(1)));
        let exec = environment.exec(&fleet, "a[1-24]").args(["-F", "config", "--forks", "24"]);
        let outcome = exec.args(["--", "true"]).run();
        assert_eq!(outcome.code, 0, "{startups}: {outcome:?}");
        assert_eq!(fleet.logins(1), 24);
        assert!(fleet.log(1).contains("MaxStartups"), "nobody was dropped: {}", fleet.log(1));
        outcome.ignore();
    }
}

/// OpenSSH 9.8 and later, which need not be here, say so in place of their version.
#[test]
fn a_penalty_is_named_and_not_tried_against() {
    let (environment, fleet) = (Environment::new(), behind(1, ""));
    harness::garbage(&fleet, 2, b"Not allowed at this time\r\n", false);
    let outcome = environment.exec(&fleet, &fleet.name(2)).args(["--retries", "3", "--", "true"]).run();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    for part in ["PerSourcePenalties of OpenSSH 9.8", "answers no connection of this machine for a while"] {
        assert!(outcome.err().contains(part), "{part}: {outcome:?}");
    }
    assert!(!outcome.err().contains("try 1 of"), "it only makes it longer: {outcome:?}");
}

#[test]
fn a_proxy_command_is_the_stream() {
    let (environment, fleet) = (Environment::new(), behind(3, ""));
    let ssh = format!(
        "ssh -F /dev/null -i {key} -o UserKnownHostsFile={known} -o IdentitiesOnly=yes -p {port} -W %h:%p {user}@{bastion}",
        key = fleet.private_key().display(),
        known = fleet.known_hosts().display(),
        port = fleet.port(),
        user = harness::user(),
        bastion = fleet.name(1),
    );
    environment.write(
        "config",
        format!(
            "Host {}\nProxyCommand {ssh}\nHost {}\nProxyCommand sh -c 'echo \"no way to %h\" >&2; exit 7'\n",
            fleet.name(2),
            fleet.name(3)
        ),
    );
    let run =
        |host: u8| environment.exec(&fleet, &fleet.name(host)).args(["-F", "config", "--", "true"]).run();
    all_ran(&fleet, run(2), 1..=2);
    let failed = run(3);
    assert_eq!(failed.code, 4, "{failed:?}");
    assert!(failed.err().contains(&format!("it says 'no way to {}'", fleet.name(3))), "{failed:?}");
    failed.ignore();
}
