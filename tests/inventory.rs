//! Inventories from outside: each format through the real program, and groups in TARGETS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

mod harness;

use harness::{Environment, Fleet};

/// Makes a file a program, and its folder one that only we can write.
fn executable(environment: &Environment, name: &str, text: &str) {
    let path = environment.write(name, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

const OURS: &str = r#"groups:
  web:
    hosts: ["web[01-20]", ann@special:2222]
    children: [canary]
    vars: {level: info}
    connect: {user: deploy, port: 2222}
  canary:
    hosts: [c1, web02]
hosts:
  db1: {address: 10.0.0.5, port: 22, user: root, groups: [db], vars: {level: debug}}
  db[2-4]: {groups: db}
"#;

#[test]
fn our_own_format() {
    let environment = Environment::new();
    environment.write("hosts.yaml", OURS);
    let run = |args: &[&str]| environment.run([&["hosts", "-i", "hosts.yaml", "-u", "me"], args].concat());
    insta::assert_snapshot!(run(&["@web,!web[03-20]"]), @r"
    --- stdout
    web01             me@web01:2222     web
    web02             me@web02:2222     web,canary
    ann@special:2222  ann@special:2222  web
    c1                me@c1:2222        canary,web
    --- exit code 0
    ");
    insta::assert_snapshot!(run(&["@canary&@web", "-x", "c1"]), @r"
    --- stdout
    web02  me@web02:2222  web,canary
    --- exit code 0
    ");
    insta::assert_snapshot!(run(&["db*", "-l", "@db"]), @r"
    --- stdout
    db1  me@10.0.0.5:22  db
    db2  me@db2:22       db
    db3  me@db3:22       db
    db4  me@db4:22       db
    --- exit code 0
    ");
    insta::assert_snapshot!(run(&["--groups"]), @r"
    --- stdout
    web     22  ann@special:2222,c1,web[01-20]
    canary  2   c1,web02
    db      4   db[1-4]
    --- exit code 0
    ");
    insta::assert_snapshot!(run(&["@canary", "--groups"]), @r"
    --- stdout
    web     2  c1,web02
    canary  2  c1,web02
    --- exit code 0
    ");
    insta::assert_snapshot!(run(&["@wbe"]), @r"
    --- stderr
    error: the inventory has no group wbe

    hint: did you mean @web?
    hint: cronium-run hosts -i FILE --groups  shows what there is
    --- exit code 2
    ");
    let document = run(&["db1,web02,elsewhere", "-o", "json"]).succeeds().json();
    let of = |index: usize, key: &str| document[index][key].to_string();
    for (index, key, expected) in [
        (0, "host", r#""10.0.0.5""#),
        (0, "user", r#""me""#),
        (0, "groups", r#"["db"]"#),
        (0, "vars", r#"{"level":"debug"}"#),
        (0, "source", r#""hosts.yaml:10""#),
        (1, "groups", r#"["web","canary"]"#),
        (1, "port", "2222"),
        (1, "vars", r#"{"level":"info"}"#),
        (1, "source", r#""hosts.yaml:3""#),
        (2, "groups", "[]"),
        (2, "vars", "{}"),
        (2, "source", "null"),
    ] {
        assert_eq!(of(index, key), expected, "{key} of host {index}");
    }
    let groups = run(&["--groups", "-o", "json"]).succeeds().json();
    assert_eq!(groups[0]["children"][0], "canary");
    assert_eq!(groups[0]["hosts"].as_array().unwrap().len(), 22);
    assert_eq!(groups[2]["source"], "hosts.yaml:10");
}

#[test]
fn who_says_what_the_address_of_an_ansible_host_is() {
    let environment = Environment::new();
    environment.write(
        "hosts.ini",
        "[web]\nweb1 ansible_host=10.0.0.1\nweb2 ansible_host=web2\nweb3 ansible_host=alias\n",
    );
    environment.write("config", "Host alias\n  HostName 10.0.0.3\n");
    let hosts = ["hosts", "-i", "hosts.ini", "-F", "config", "-o", "json"];
    let document = environment.run(hosts).succeeds().json();
    let said = |index: usize| (document[index]["host"].clone(), document[index]["from"]["host"].clone());
    assert_eq!(said(0), ("10.0.0.1".into(), "hosts.ini:2".into()));
    assert_eq!(said(1), ("web2".into(), serde_json::Value::Null));
    assert_eq!(said(2), ("10.0.0.3".into(), "config:2".into()));
}

#[test]
fn a_group_without_its_sign_is_no_host() {
    let environment = Environment::new();
    environment.write("hosts.ini", "[prod]\nweb1\n[db]\ndb1\n");
    for args in [&["prod"][..], &["all", "-l", "prod"], &["all", "-x", "prod"], &["all,!prod"]] {
        let outcome = environment.command(["hosts", "-i", "hosts.ini"]).args(args).run().exits(2);
        assert!(outcome.err().starts_with("error: prod is a group: write @prod\n"), "{outcome:?}");
    }
    insta::assert_snapshot!(environment.run(["hosts", "-i", "hosts.ini", "all:!db"]), @r"
    --- stderr
    error: invalid targets, column 5: hosts stand between commas, and a port is a number
      all:!db
          ^

    hint: write all,!db, with an @ before each group
    --- exit code 2
    ");
}

#[test]
fn hosts_of_ssh_config() {
    let environment = Environment::new();
    environment.write(
        "../home/.ssh/config",
        "Include more\nHost web1 web2 !web3 web*\n  HostName %h.example.com\n  User ann\nHost db1\n  Port 2222\nMatch host x\nHost *\n",
    );
    environment.write("../home/.ssh/more", "Host cache1\n  HostName 10.0.0.9\n");
    let own = environment.home().join(".ssh/config");
    let own = own.to_str().unwrap();
    insta::assert_snapshot!(environment.run(["hosts", "-i", own, "-u", "me"]), @r"
    --- stdout
    cache1  me@10.0.0.9:22
    web1    me@web1.example.com:22
    web2    me@web2.example.com:22
    db1     me@db1:2222
    --- exit code 0
    ");
    let document = environment.run(["hosts", "-i", own, "web*", "-o", "json"]).succeeds().json();
    assert_eq!(document[1]["source"], format!("{own}:2"));
    assert_eq!(document.as_array().unwrap().len(), 2);
    let from = |index: usize, key: &str| document[index]["from"][key].clone();
    assert_eq!(from(1, "host"), format!("{own}:3"));
    assert_eq!(from(1, "user"), format!("{own}:4"));
    assert_eq!((from(1, "port"), from(1, "proxy")), (serde_json::Value::Null, serde_json::Value::Null));
    let flags = ["hosts", "-i", own, "db1", "-u", "me", "-J", "gate", "-o", "json"];
    let from = environment.run(flags).succeeds().json()[0]["from"].clone();
    assert_eq!(from["port"], format!("{own}:6"));
    assert_eq!((from["user"].as_str(), from["proxy"].as_str()), (Some("--user"), Some("--jump")));
    environment.write("other", "Host gate\n  HostName 10.0.0.1\n");
    insta::assert_snapshot!(environment.run(["hosts", "-i", "other", "-u", "me"]), @r"
    --- stdout
    gate  me@gate:22
    --- stderr
    warning: other names hosts only: -F other reaches them as it says
    --- exit code 0
    ");
    insta::assert_snapshot!(environment.run(["hosts", "-i", "other", "-F", "other", "-u", "me"]), @r"
    --- stdout
    gate  me@10.0.0.1:22
    --- exit code 0
    ");
}

/// A variable or a host may be called as the keyword is.
#[test]
fn what_is_no_ssh_config_is_not_taken_for_one() {
    let environment = Environment::new();
    for (text, names, told) in [
        ("[web]\nweb1\nweb2\n[web:vars]\nhost=db1\n", "web1,web2", ""),
        ("[web]\nhost a=1\n", "host", ""),
        ("host ansible_port=2222\n", "host", ""),
        ("web1\nHost web2\n", "", "error: hosts:2"),
        ("user\nHost web2\n", "", "error: hosts:2"),
        ("# mine\nUser ann\n\nHost web1 web*\n", "web1", "hosts names hosts only"),
        ("Match user ann\n  Port 22\nHost=web1\n", "web1", "hosts names hosts only"),
        ("Host web1\n  Hostnam x\n", "web1", "warning: hosts:2: unknown keyword hostnam, left out"),
    ] {
        environment.write("hosts", text);
        let outcome = environment.run(["hosts", "-i", "hosts", "-u", "me"]);
        let (out, err) = (outcome.out(), outcome.err());
        let found: Vec<&str> = out.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(found.join(","), names, "{text}: {outcome:?}");
        assert!(err.contains(told) && told.is_empty() == err.is_empty(), "{text}: {outcome:?}");
        outcome.ignore();
    }
}

#[test]
fn ansible_ini_and_yaml() {
    let environment = Environment::new();
    environment.write(
        "hosts",
        "[web]\nweb[01:03] ansible_user=deploy\n[web:vars]\nansible_port=2222\n[site:children]\nweb\n\
         [other]\nlocalhost ansible_connection=local\nx ansible_become_pass=secret\n",
    );
    environment.write(
        "more.yml",
        "all:\n  children:\n    db:\n      hosts:\n        db[1:2]: {ansible_host: 10.0.0.7, ansible_user: pg}\n",
    );
    environment.write("group_vars/web.yml", "ansible_user: other\n");
    insta::assert_snapshot!(environment.run(["hosts", "-i", "hosts", "-i", "more.yml", "-u", "me"]), @r"
    --- stdout
    web01      me@web01:2222   web,site
    web02      me@web02:2222   web,site
    web03      me@web03:2222   web,site
    localhost  this machine    other
    x          me@x:22         other
    db1        me@10.0.0.7:22  db
    db2        me@10.0.0.7:22  db
    --- stderr
    warning: group_vars is not read: put what reaching hosts needs into the inventory itself
    warning: hosts:9: ansible_become_pass is not supported yet, left out for x
    --- exit code 0
    ");
    insta::assert_snapshot!(environment.run(["hosts", "-i", "hosts", "@site,localhost", "--groups"]), @r"
    --- stdout
    web    3  web[01-03]
    site   3  web[01-03]
    other  1  localhost
    --- stderr
    warning: group_vars is not read: put what reaching hosts needs into the inventory itself
    --- exit code 0
    ");
}

#[test]
fn a_program_prints_json() {
    let environment = Environment::new();
    executable(
        &environment,
        "inventory",
        "#!/bin/sh\necho '{\"web\": {\"hosts\": [\"web1\"], \"vars\": {\"ansible_user\": \"deploy\"}},\
         \"_meta\": {\"hostvars\": {\"web1\": {\"ansible_host\": \"10.0.0.1\", \"n\": 1}}}}'\n",
    );
    let run = |args: &[&str]| environment.run([&["hosts", "-i", "inventory"], args].concat());
    insta::assert_snapshot!(run(&["@web"]), @r"
    --- stdout
    web1  deploy@10.0.0.1:22  web
    --- exit code 0
    ");
    assert_eq!(run(&["-o", "json"]).succeeds().json()[0]["vars"]["n"], 1);
    environment.write("host_vars/web1.yml", "ansible_port: 7\n");
    let told = run(&["@web"]).succeeds().err();
    assert!(told.starts_with("warning: host_vars is not read: "), "{told}");
    fs::remove_dir_all(environment.path("host_vars")).unwrap();
    executable(&environment, "inventory", "#!/bin/sh\necho the cloud is away >&2; exit 7\n");
    insta::assert_snapshot!(run(&[]), @r"
    --- stderr
    error: the inventory inventory failed: exit status: 7
    caused by: the cloud is away

    hint: ./inventory --list
    --- exit code 1
    ");
    executable(&environment, "inventory", "#!/bin/sh\necho '{\"web\": {\"hosts\": \"web1\"}}'\n");
    insta::assert_snapshot!(run(&[]), @r#"
    --- stderr
    error: inventory --list: web.hosts is not a list of names

    hint: the format is that of Ansible's inventory scripts: {"web": {"hosts": ["web1"]}}
    --- exit code 2
    "#);
    executable(&environment, "inventory", "#!/bin/sh\necho '{,'\n");
    insta::assert_snapshot!(run(&[]), @r#"
    --- stderr
    error: inventory --list:1:2: this is no inventory in JSON: key must be a string

    hint: the format is that of Ansible's inventory scripts: {"web": {"hosts": ["web1"]}}
    --- exit code 2
    "#);
    // Anybody could have written it.
    fs::set_permissions(environment.path("inventory"), fs::Permissions::from_mode(0o757)).unwrap();
    insta::assert_snapshot!(run(&[]), @r"
    --- stderr
    error: the inventory inventory is not run: every user can write it

    hint: look at it, then: chmod o-w /ENV/work/inventory
    --- exit code 1
    ");
    // A known ending is read, never run.
    executable(&environment, "hosts.ini", "#!/bin/sh\n[web]\nweb1\n");
    insta::assert_snapshot!(environment.run(["hosts", "-i", "hosts.ini", "-u", "me", "@web"]), @r"
    --- stdout
    web1  me@web1:22  web
    --- exit code 0
    ");
}

#[test]
fn text_of_a_file_cannot_steer_the_terminal() {
    let environment = Environment::new();
    environment.write("hosts.yml", "all: {hosts: {web1: }, \"a\\e[2Jb\": 1}\n");
    environment.write("hosts.yaml", "groups: {}\n\"a\\e[2Jb\": 1\n");
    for (args, code) in [
        (&["hosts", "-i", "hosts.yml"][..], 0),
        (&["exec", "-i", "hosts.yml", "all", "--check", "--", "true"], 0),
        (&["deploy", "-i", "hosts.yml", "all", "--check"], 0),
        (&["hosts", "-i", "hosts.yaml"], 2),
    ] {
        let told = environment.run(args).exits(code).err();
        assert!(told.contains("a\\x1b[2Jb") && !told.contains('\u{1b}'), "{told:?}");
    }
}

/// The terminal sends the signal to the whole group.
#[test]
fn ctrl_c_ends_the_program_with_us() {
    let environment = Environment::new();
    executable(&environment, "inventory", "#!/bin/sh\necho $$ >begun\nmv begun pid\nexec sleep 60\n");
    let running = environment.command(["hosts", "-i", "inventory"]).start();
    let soon = |what: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(20);
        while !what() && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        what()
    };
    assert!(soon(&|| environment.path("pid").exists()));
    let pid = fs::read_to_string(environment.path("pid")).unwrap();
    let group = Pid::from_raw(running.pid().try_into().unwrap()).unwrap();
    kill_process_group(group, Signal::INT).unwrap();
    let is_over = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    assert!(soon(&is_over), "it was left behind");
}

#[test]
fn jumps_are_resolved_and_an_unclear_one_is_refused_by_name_and_place() {
    let environment = Environment::new();
    environment.write(
        "hosts.yaml",
        "groups:\n  far:\n    hosts: [a, b]\n    connect: {jump: \"ann@outer:2222,gate\"}\n  near: {hosts: c}\n  all: {connect: {user: me}}\nhosts:\n  gate: {address: 10.0.0.1, jump: none}\n",
    );
    environment.write(
        "hosts.ini",
        "a ansible_ssh_common_args='-o ProxyJump=gate -o LogLevel=ERROR'\nb ansible_ssh_extra_args='-oProxyCommand=\"nc -x proxy %h %p\"'\n",
    );
    environment.write("unclear.ini", "a ansible_ssh_common_args='-o \"ProxyJump {{ gate }}\"'\n");
    let proxies = |inventory: &str| {
        let outcome = environment.run(["hosts", "-i", inventory, "-o", "json", "-u", "me"]).succeeds();
        let hosts = outcome.json();
        let shown: Vec<String> = hosts["hosts"]
            .as_array()
            .or(hosts.as_array())
            .unwrap()
            .iter()
            .map(|host| format!("{} {} {}", host["name"], host["jump"], host["proxy_command"]))
            .collect();
        outcome.ignore();
        shown
    };
    assert_eq!(
        proxies("hosts.yaml"),
        [
            r#""a" ["ann@outer:2222","me@10.0.0.1:22"] null"#,
            r#""b" ["ann@outer:2222","me@10.0.0.1:22"] null"#,
            r#""c" [] null"#,
            r#""gate" [] null"#
        ]
    );
    assert_eq!(proxies("hosts.ini")[1], r#""b" [] "nc -x proxy b 22""#);
    insta::assert_snapshot!(environment.run(["hosts", "-i", "unclear.ini"]), @r"
    --- stderr
    error: cannot reach a as configured: a proxy is not supported yet
    caused by: unclear.ini:1: a proxy (ansible_ssh_common_args) applies to a

    hint: --exclude a  leaves them out
    --- exit code 2
    ");
}

#[test]
fn arguments_of_ssh_that_lead_elsewhere_are_refused() {
    let environment = Environment::new();
    environment.write("hosts.ini", "a ansible_ssh_common_args='-C -o Port=2222'\nb ansible_ssh_args=-C\n");
    insta::assert_snapshot!(environment.run(["hosts", "-i", "hosts.ini"]), @r"
    --- stderr
    error: cannot reach a as configured: ansible_ssh_common_args with -o Port is not supported yet
    caused by: hosts.ini:1: ansible_ssh_common_args with -o Port applies to a

    hint: --exclude a  leaves them out
    --- exit code 2
    ");
}

#[test]
fn the_operators_own_inventory_is_read_where_none_is_named() {
    let environment = Environment::new();
    environment.write(
        "../home/.config/cronium-run/hosts.yaml",
        "groups: {web: {hosts: [web1], connect: {user: own}}}\n",
    );
    environment.write("list.txt", "db1\n");
    insta::assert_snapshot!(environment.run(["hosts", "@web"]), @r"
    --- stdout
    web1  own@web1:22  web
    --- exit code 0
    ");
    insta::assert_snapshot!(environment.run(["hosts", "-u", "me", "web1,web2"]), @r"
    --- stdout
    web1  me@web1:22  web
    web2  me@web2:22
    --- exit code 0
    ");
    insta::assert_snapshot!(environment.run(["hosts", "-u", "me", "-i", "list.txt"]), @r"
    --- stdout
    db1  me@db1:22
    --- exit code 0
    ");
    let project = environment.write("cronium.toml", "inventory = [\"list.txt\"]\n");
    insta::assert_snapshot!(environment.run(["hosts", "-u", "me"]), @r"
    --- stdout
    db1  me@db1:22
    --- exit code 0
    ");
    fs::remove_file(project).unwrap();
    environment.write("../home/.config/cronium-run/hosts.yaml", "grops: {}\n");
    insta::assert_snapshot!(environment.run(["exec", "web1", "--", "true"]), @r"
    --- stderr
    error: /ENV/home/.config/cronium-run/hosts.yaml:1:1: an inventory has no key 'grops'

    hint: did you mean groups?
    --- exit code 2
    ");
}

#[test]
fn settings_of_the_inventory_reach_real_hosts() {
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    environment.write(
        "hosts.yaml",
        format!(
            "groups:\n  all: {{connect: {{user: {}, port: {}, private_key: {}}}}}\n  pair: {{hosts: [one, two]}}\n\
             hosts:\n  one: {{address: {}}}\n  two: {{address: {}}}\n",
            harness::user(),
            fleet.port(),
            fleet.private_key().display(),
            fleet.name(1),
            fleet.name(2)
        ),
    );
    let outcome = environment
        .command(["exec", "-i", "hosts.yaml", "@pair", "-o", "json", "--known-hosts"])
        .arg(fleet.known_hosts())
        .args(["--", "echo $CRONIUM_HOST"])
        .run()
        .succeeds();
    let hosts = outcome.json()["hosts"].as_array().unwrap().len();
    assert_eq!(hosts, 2);
    let ledger = environment.ledger();
    for name in ["one", "two"] {
        let said = ledger.output(&ledger.last_run(), name, "stdout").unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), format!("{name}\n"));
    }
}
