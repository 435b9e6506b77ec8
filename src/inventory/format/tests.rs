use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::read_text;
use crate::error::Result;
use crate::inventory::Inventory;

fn read(name: &str, text: &str) -> Result<Inventory> {
    read_text(Path::new(name), text)
}

/// One host a line: `name [groups] user@address:port file:line vars`.
fn shown(inventory: &Inventory) -> String {
    let mut out = String::new();
    for (index, entry) in inventory.entries().iter().enumerate() {
        let groups: Vec<&str> =
            inventory.groups_of(index).iter().map(|&group| inventory.groups()[group].name.as_str()).collect();
        let settings = inventory.settings(index);
        let user = settings.user.map(|user| user.value).unwrap_or_default();
        let address = settings.address.map(|address| address.value).unwrap_or_default();
        let port = settings.port.map(|port| port.value.to_string()).unwrap_or_default();
        let vars = serde_json::to_string(&inventory.vars(index)).unwrap();
        let line = format!("{} {groups:?} {user}@{address}:{port} {} {vars}", entry.host, entry.place);
        writeln!(out, "{}", line.replace('"', "")).unwrap();
    }
    out
}

#[test]
fn our_own_format() {
    let inventory = read(
        "etc/hosts.yaml",
        r#"
groups:
  web:
    hosts: ["web[01-02]", ann@special:2222]
    children: [canary]
    vars: {level: info, shared: 1}
    connect: {user: deploy, port: 2022, private_key: keys/deploy, jump: none}
  site: {children: [web, db], vars: {shared: 2, site: true}, connect: {jump: bastion}}
  canary: {hosts: "web02, c[1,2]", vars: {level: debug}}
  all: {vars: {everywhere: yes please}}
  empty:
hosts:
  db1: {address: 10.0.0.5, port: 22, user: root, groups: [db], vars: {n: 1.5}}
  db[2-3]: {groups: db}
  web02: {port: 7}
  fe80::1:
"#,
    )
    .unwrap();
    insta::assert_snapshot!(shown(&inventory), @r"
    web01 [web, site] deploy@:2022 etc/hosts.yaml:4 {everywhere:yes please,level:info,shared:1,site:true}
    web02 [web, canary, site] deploy@:7 etc/hosts.yaml:15 {everywhere:yes please,level:info,shared:1,site:true}
    ann@special:2222 [web, site] deploy@:2022 etc/hosts.yaml:4 {everywhere:yes please,level:info,shared:1,site:true}
    c1 [canary, web, site] deploy@:2022 etc/hosts.yaml:9 {everywhere:yes please,level:debug,shared:1,site:true}
    c2 [canary, web, site] deploy@:2022 etc/hosts.yaml:9 {everywhere:yes please,level:debug,shared:1,site:true}
    db1 [db, site] root@10.0.0.5:22 etc/hosts.yaml:13 {everywhere:yes please,n:1.5,shared:2,site:true}
    db2 [db, site] @: etc/hosts.yaml:14 {everywhere:yes please,shared:2,site:true}
    db3 [db, site] @: etc/hosts.yaml:14 {everywhere:yes please,shared:2,site:true}
    fe80::1 [] @: etc/hosts.yaml:16 {everywhere:yes please}
    ");
    let key = inventory.settings(0).private_key.unwrap();
    assert_eq!((key.value.as_str(), key.place.to_string().as_str()), ("etc/keys/deploy", "etc/hosts.yaml:7"));
    let groups: Vec<&str> = inventory.groups().iter().map(|group| group.name.as_str()).collect();
    assert_eq!(groups, ["web", "site", "canary", "all", "empty", "db"]);
}

#[test]
fn ansible_ini() {
    let inventory = read(
        "hosts",
        "\
; top
mail ansible_host=10.0.0.9 ansible_port=2222 # the old one
[web]
web[01:02].example.com level=info note='two words' n=5 # all
[db]
db[a:b]:2022
web01.example.com
[web:vars]
ansible_user = deploy
level=warning
ansible_password=hunter2
[site:children]
web
db
[site:vars]
ansible_user=wide
site=True
[all:vars]
ansible_ssh_private_key_file=~/.ssh/site
",
    )
    .unwrap();
    insta::assert_snapshot!(shown(&inventory), @r"
    mail [] @10.0.0.9:2222 hosts:2 {ansible_host:10.0.0.9,ansible_port:2222,ansible_ssh_private_key_file:~/.ssh/site}
    web01.example.com [web, db, site] deploy@: hosts:4 {ansible_ssh_private_key_file:~/.ssh/site,ansible_user:deploy,level:info,n:5,note:two words,site:true}
    web02.example.com [web, site] deploy@: hosts:4 {ansible_ssh_private_key_file:~/.ssh/site,ansible_user:deploy,level:info,n:5,note:two words,site:true}
    dba [db, site] wide@:2022 hosts:6 {ansible_ssh_private_key_file:~/.ssh/site,ansible_user:wide,site:true}
    dbb [db, site] wide@:2022 hosts:6 {ansible_ssh_private_key_file:~/.ssh/site,ansible_user:wide,site:true}
    ");
    let settings = inventory.settings(1);
    assert_eq!(settings.left_out[0].place.to_string(), "hosts:11");
    assert_eq!(settings.private_key.unwrap().value, "~/.ssh/site");
}

#[test]
fn ansible_yaml() {
    let inventory = read(
        "hosts.yml",
        r#"
all:
  vars: {ansible_user: wide}
  hosts:
    mail: {ansible_host: 10.0.0.9}
  children:
    web:
      hosts:
        web[01:02]: &web {level: info}
        other: {<<: *web, ansible_port: "2222"}
      vars: {ansible_user: deploy, secret: !vault "abc"}
    site:
      children: {web: , db: {hosts: {db1: }}}
      flags: {}
"#,
    )
    .unwrap();
    insta::assert_snapshot!(shown(&inventory), @r"
    mail [] wide@10.0.0.9: hosts.yml:5 {ansible_host:10.0.0.9,ansible_user:wide}
    web01 [web, site] deploy@: hosts.yml:9 {ansible_user:deploy,level:info,secret:abc}
    web02 [web, site] deploy@: hosts.yml:9 {ansible_user:deploy,level:info,secret:abc}
    other [web, site] deploy@:2222 hosts.yml:10 {ansible_port:2222,ansible_user:deploy,level:info,secret:abc}
    db1 [db, site] wide@: hosts.yml:13 {ansible_user:wide}
    ");
    assert_eq!(
        inventory.warnings,
        ["hosts.yml:14:7: 'flags' of group site is not read: a group has hosts, children, vars"]
    );
}

#[test]
fn json_of_a_program() {
    let text = r#"{"web": {"hosts": ["web1", "web2"], "children": ["canary"], "vars": {"ansible_user": "deploy"}},
        "db": ["db1"], "_meta": {"hostvars": {"web1": {"ansible_host": "10.0.0.1", "a": [1]}, "lone": {}}},
        "all": {"children": ["ungrouped", "web", "db"]}}"#;
    insta::assert_snapshot!(shown(&read("hosts.json", text).unwrap()), @r"
    web1 [web] deploy@10.0.0.1: hosts.json {a:[1],ansible_host:10.0.0.1,ansible_user:deploy}
    web2 [web] deploy@: hosts.json {ansible_user:deploy}
    db1 [db] @: hosts.json {}
    ");
    let warned = |text| read("hosts.json", text).unwrap().warnings;
    assert_eq!(warned(text), ["hosts.json: no group names 1 host of _meta.hostvars, left out"]);
    let none = r#"{"a": ["b"], "_meta": {"hostvars": {"b": {}, "no name": {}, "c": 5}}}"#;
    assert_eq!(warned(none), ["hosts.json: no group names 2 hosts of _meta.hostvars, left out"]);
    // As JSON, and yet Ansible's YAML.
    let text = r#"{"all": {"hosts": {"web1": {"ansible_port": 7}}}}"#;
    insta::assert_snapshot!(shown(&read("hosts.json", text).unwrap()), @"web1 [] @:7 hosts.json:1 {ansible_port:7}");
}

#[test]
fn a_list_with_places() {
    let text = "# web\nweb[1-2], db1\n\nann@web1:22\nweb3!db1\n";
    insta::assert_snapshot!(shown(&read("hosts.txt", text).unwrap()), @r"
    web1 [] @: hosts.txt:2 {}
    web2 [] @: hosts.txt:2 {}
    ann@web1:22 [] @: hosts.txt:4 {}
    web3 [] @: hosts.txt:5 {}
    ");
}

#[test]
fn those_in_no_group_are_in_ungrouped() {
    for (name, text) in [
        ("h.ini", "a\n[web]\nb\nc\n[ungrouped]\nc\nd\n[ungrouped:vars]\nx=1\n"),
        (
            "h.yml",
            "all: {hosts: {a: }, children: {web: {hosts: {b: , c: }}, ungrouped: {hosts: {c: , d: }, vars: {x: 1}}}}",
        ),
        (
            "h.json",
            r#"{"all": {"hosts": ["a"], "children": ["ungrouped", "web"]}, "web": ["b", "c"],
                "ungrouped": {"hosts": ["c", "d"], "vars": {"x": 1}}, "_meta": {"hostvars": {}}}"#,
        ),
    ] {
        let inventory = read(name, text).unwrap();
        let named = |group: &str| -> Vec<String> {
            let hosts = inventory.hosts_in(group).unwrap().into_iter();
            hosts.map(|index| inventory.entries()[index].name().to_owned()).collect()
        };
        assert_eq!(named("ungrouped"), ["a", "d"], "{name}");
        assert_eq!(named("web"), ["b", "c"], "{name}");
        assert_eq!(inventory.vars(0)["x"], 1, "{name}");
    }
}

#[test]
fn an_ending_says_whether_it_is_a_section_or_a_range() {
    let hosts = |name: &str| -> Vec<String> {
        let inventory = read(name, "[a-c]\nweb1\n").unwrap();
        inventory.entries().iter().map(|entry| entry.name().to_owned()).collect()
    };
    assert_eq!(hosts("h.ini"), ["web1"]);
    assert_eq!(hosts("h.txt"), ["a", "b", "c", "web1"]);
}

/// It means this machine where nobody says how to reach it.
#[test]
fn local_can_be_in_a_list_and_in_groups() {
    for (name, text) in [
        ("h.txt", "web1\nlocal\n"),
        ("h.yaml", "groups: {here: {hosts: local, connect: {user: ann}}}\nhosts: {local: {vars: {a: 1}}}\n"),
    ] {
        let inventory = read(name, text).unwrap();
        assert!(inventory.entries().iter().any(|entry| entry.name() == "local"), "{text}");
    }
}

/// Ansible's own answers: `ansible-inventory --host web1` of ansible-core 2.19.
#[test]
fn which_group_wins() {
    for (name, text, expected) in [
        // The child over its parent.
        ("h.ini", "[a]\nweb1\n[b:children]\na\n[a:vars]\nx=a\n[b:vars]\nx=b\n", "a"),
        // Of two at one depth the later name, wherever it is written.
        ("h.ini", "[b]\nweb1\n[a]\nweb1\n[a:vars]\nx=a\n[b:vars]\nx=b\n", "b"),
        // The deeper group, though both hold the host themselves.
        ("h.ini", "[z]\nweb1\n[a]\nweb1\n[top:children]\na\n[a:vars]\nx=a\n[z:vars]\nx=z\n", "a"),
        ("h.ini", "[b]\nweb1\n[a]\nweb1\n[a:vars]\nx=a\nansible_group_priority=9\n[b:vars]\nx=b\n", "a"),
        ("h.ini", "[all:vars]\nx=all\n[a]\nweb1\n[a:vars]\nx=a\n", "a"),
        ("h.ini", "[a]\nweb1 x=own\n[a:vars]\nx=a\n", "own"),
        ("h.ini", "[a]\nweb1\n[a:vars]\nx = a # b\n", "a # b"),
        ("h.ini", "[a]\nweb1\n[a:vars]\nx = \"a\" # b\n", "a"),
        // Ours: the nearest, then the first in the file.
        ("h.yaml", "groups: {b: {hosts: web1, vars: {x: b}}, a: {hosts: web1, vars: {x: a}}}", "b"),
        ("h.yaml", "groups: {b: {children: a, vars: {x: b}}, a: {hosts: web1, vars: {x: a}}}", "a"),
    ] {
        let inventory = read(name, text).unwrap();
        assert_eq!(inventory.vars(0)["x"], expected, "{text}");
    }
}

#[test]
fn every_fault_has_its_place_and_a_hint() {
    let mut wrong = Vec::new();
    for (name, text, message, hint) in [
        ("h.yaml", "gruops: {web: {hosts: a}}\n", "1:1: an inventory has no key 'gruops'", "groups"),
        ("h.yaml", "groups:\n  web:\n    host: [a]\n", "3:5: group web has no key 'host'", "hosts"),
        ("h.yaml", "groups:\n  web: {connect: {usr: a}}\n", "2:19: connect has no key 'usr'", "user"),
        ("h.yaml", "hosts:\n  a: {adress: b}\n", "2:7: host a has no key 'adress'", "address"),
        ("h.yaml", "hosts:\n  a: {zzz: b}\n", "2:7: host a has no key 'zzz'", "it has address"),
        ("h.yaml", "hosts:\n  a: {port: 70000}\n", "2:13: '70000' is no port", "65535"),
        ("h.yaml", "hosts:\n  a: {address: a@b}\n", "2:16: 'a@b' is no address", "keys of their own"),
        ("h.yaml", "hosts:\n  a: {user: [b]}\n", "2:13: user is text, not a list", "one word"),
        (
            "h.yaml",
            "hosts:\n  a[1-2]: {address: b}\n",
            "2:21: one address for the 2 hosts of a[1-2]",
            "by itself",
        ),
        ("h.yaml", "hosts: [a]\n", "1:8: hosts is a mapping, not a list", "key: value"),
        ("h.yaml", "hosts:\n  a[3-1]:\n", "2:5: this range runs backwards", "[01-20]"),
        ("h.yaml", "hosts:\n  web*:\n", "2:3: web* is a pattern, an inventory names hosts", "range"),
        ("h.yaml", "hosts:\n  all:\n", "2:3: a host cannot be called all: that is every host", "address"),
        ("h.yaml", "hosts:\n  local: {address: b}\n", "2:3: a host cannot be called local", "another name"),
        ("h.yaml", "hosts:\n  '[web,local]': {user: b}\n", "2:3: a host cannot be called local", "another"),
        ("h.yaml", "hosts:\n  local: {jump: b}\n", "2:3: a host cannot be called local", "another name"),
        ("h.ini", "[web]\nlocal ansible_host=b\n", "2:1: a host cannot be called local", "localhost"),
        ("h.ini", "local:2222\n", "1:1: a host cannot be called local", "localhost"),
        ("h.yml", "all: {hosts: {local: }}\n", "1:15: a host cannot be called local", "localhost"),
        ("h.json", "{\"_meta\": {}, \"a\": [\"local\"]}", " a host cannot be called local", "localhost"),
        ("h.yaml", "groups:\n  web: {hosts: [a, \"b[1-\"]}\n", "2:22: this bracket has no partner", "range"),
        ("h.yaml", "groups:\n  web: {hosts: 'a, b c'}\n", "2:21: expected one host", "one host"),
        ("h.yaml", "groups:\n  web: {hosts: [web[1-2], b]}\n", "2:", "quote a range"),
        (
            "h.yaml",
            "groups:\n  we b: {}\n",
            "2:5: this character cannot be part of a group's name",
            "letters",
        ),
        (
            "h.yaml",
            "groups:\n  web: {children: [wbe, web]}\n",
            "2:20: group web holds wbe, which",
            "mean web",
        ),
        (
            "h.yaml",
            "groups:\n  a: {children: b}\n  b: {children: c}\n  c: {children: [b]}\n",
            "4:18: groups hold each other: b > c > b",
            "take b out of c",
        ),
        ("h.yaml", "groups:\n  a: {children: a}\n", "2:17: groups hold each other: a > a", "take a out of a"),
        ("h.yaml", "groups:\n  a: {children: all}\n", "2:17: all holds every group", "take all out"),
        ("h.yaml", "a: [\n", "", "indent"),
        ("h.ini", "[web\n", "1:1: this bracket has no partner", "[web]"),
        ("h.ini", "[web:var]\n", "1:6: a section is hosts, vars, children, not var", "[web:vars]"),
        ("h.ini", "[]\n", "1:2: expected the name of a group", "[web]"),
        ("h.ini", "[web]\nweb1 b c=1\n", "2:6: expected key=value, not 'b'", "one host"),
        ("h.ini", "[web]\nweb1 a='b\n", "2:8: this ' has no partner", "close"),
        ("h.ini", "[web:vars]\nlevel\n", "2:1: expected key=value", "[name]"),
        ("h.ini", "[a:children]\nb\n", "2:1: group a holds b, which is declared nowhere", "declare b"),
        ("h.ini", "[a:children]\nb x=1\n", "2:2: expected one group on the line", "[name:vars]"),
        ("h.ini", "web[1:\n", "1:4: this bracket has no partner", "[01:20]"),
        ("h.ini", "a ansible_port=ssh\n", "1:3: 'ssh' is no port", "65535"),
        ("h.ini", "a ansible_host={{x}}\n", "1:3: ansible_host is a template", "ansible-inventory"),
        ("h.yml", "all:\n  hosts: [a]\n", "2:10: hosts is a mapping, not a list", "colon"),
        ("h.json", "{\"_meta\": {}, \"a\": 5}", " a is not an object", "hosts"),
        ("h.json", "{\"_meta\": {}, \"a\": [\"b c\"]}", " 'b c' is no name of a host", "ansible_host"),
        ("h.toml", "", " inventories are not written in TOML", "hosts.yaml"),
        (
            "h",
            "web1\n[a-c]\nweb2\n",
            "2:1: [a-c] is a section of Ansible's INI or a range",
            ".ini at its end",
        ),
        ("h.txt", "web1\nweb[1-\n", "2, column 4: this bracket has no partner", "range"),
    ] {
        let error = read(name, text).expect_err(text);
        let told = error.message.strip_prefix(name).expect("the file comes first").trim_start_matches(':');
        if !told.starts_with(message) || !error.hints.iter().any(|known| known.contains(hint)) {
            wrong.push(format!("{text}\n  wanted {message} ({hint})\n  is {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Text of pieces that mean something to one of the formats.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "groups:",
        "hosts:",
        "children:",
        "vars:",
        "connect:",
        "all:",
        "web:",
        "a1",
        "a[1-3]",
        "a[1:3]",
        "[web]",
        "[web:vars]",
        "[x:children]",
        "x",
        "=",
        "'",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "&a ",
        "*a",
        "<<: ",
        "!t ",
        "#",
        "@",
        "ansible_host=b",
        "_meta",
        "null",
        "port: 7",
        "é",
        "\t",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn group_names() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    prop::collection::btree_map("[a-z][a-z0-9_]{0,6}", prop::collection::vec(1u8..30, 0..6), 1..6).prop_map(
        |groups| groups.into_iter().filter(|(name, _)| name != "all" && name != "ungrouped").collect(),
    )
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop_oneof!["\\PC*", pieces()]) {
        for name in ["h.yaml", "h.ini", "h.json", "h"] {
            match read(name, &text) {
                Err(error) => prop_assert!(!error.hints.is_empty() && error.message.starts_with(name), "{error}"),
                Ok(inventory) => {
                    for (index, entry) in inventory.entries().iter().enumerate().take(20) {
                        prop_assert_eq!(inventory.entry_of(&entry.host), Some(index));
                        for group in inventory.groups_of(index) {
                            prop_assert!(inventory.hosts_of(group).contains(&index));
                        }
                    }
                }
            }
        }
    }

    /// The same groups and hosts, written in every format, are the same inventory.
    #[test]
    fn all_formats_say_the_same(groups in group_names()) {
        let (mut yaml, mut ini, mut theirs) = ("groups:\n".to_owned(), String::new(), "all:\n  children:\n".to_owned());
        let mut json = serde_json::Map::new();
        for (name, hosts) in &groups {
            let mut names: Vec<String> = hosts.iter().map(|host| format!("h{host}")).collect();
            names.sort();
            names.dedup();
            writeln!(yaml, "  {name}: {{hosts: [{}]}}", names.join(", ")).unwrap();
            writeln!(ini, "[{name}]\n{}", names.join("\n")).unwrap();
            writeln!(theirs, "    {name}: {{hosts: {{{}}}}}", names.iter().map(|name| format!("{name}: ")).collect::<Vec<_>>().join(", ")).unwrap();
            json.insert(name.clone(), serde_json::json!({ "hosts": names }));
        }
        json.insert("_meta".into(), serde_json::json!({"hostvars": {}}));
        prop_assume!(!groups.is_empty());
        let said = |name: &str, text: &str| -> Vec<(String, Vec<String>)> {
            let inventory = read(name, text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            let names = |index| {
                let groups = inventory.groups_of(index);
                groups.into_iter().map(|group| inventory.groups()[group].name.clone()).collect()
            };
            inventory.entries().iter().enumerate().map(|(index, entry)| (entry.host.to_string(), names(index))).collect()
        };
        let ours = said("h.yaml", &yaml);
        prop_assert_eq!(&said("h.ini", &ini), &ours);
        prop_assert_eq!(&said("h.yml", &theirs), &ours);
        prop_assert_eq!(&said("h.json", &serde_json::Value::from(json).to_string()), &ours);
    }
}
