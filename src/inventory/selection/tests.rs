use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::inventory::format;

/// Lists by name; stdin is the one called `-`.
struct Lists(HashMap<&'static str, &'static str>);

impl Sources for Lists {
    fn list(&mut self, path: &Path) -> Result<String> {
        let name = path.to_str().expect("tests name lists in UTF-8");
        Ok(self.0.get(name).unwrap_or_else(|| panic!("no list {name}")).to_string())
    }

    fn stdin(&mut self) -> Result<String> {
        self.list(Path::new("-"))
    }
}

fn lists() -> Lists {
    Lists(HashMap::from([
        ("web.txt", "# the web\nweb1\n\n  web[2-3]  # two more\nroot@web4:2222, web5\r\n"),
        ("less.txt", "web[1-9]\n!web3\n"),
        ("empty.txt", "# nothing\n"),
        ("nested.txt", "^web.txt\n"),
        ("broken.txt", "web1\nweb[1-\n"),
        ("-", "db1\ndb2\n"),
    ]))
}

fn hosts(expr: &str) -> Result<String> {
    select(expr, None)
}

fn select(expr: &str, inventory: Option<&Inventory>) -> Result<String> {
    let hosts = resolve(&parse(expr)?, &mut lists(), inventory)?;
    Ok(hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

#[test]
fn what_a_selection_names() {
    for (expr, expected) in [
        ("web1", "web1"),
        ("web1.example.com,db_2", "web1.example.com db_2"),
        (" web1 , web2 ", "web1 web2"),
        ("b,a,b,c,a", "b a c"),
        ("local", "local"),
        ("local,web1,local", "local web1"),
        // User and port.
        ("ann@web1:2222", "ann@web1:2222"),
        ("ann@realm@web1", "ann@realm@web1"),
        ("DOMAIN\\ann@web1", "DOMAIN\\ann@web1"),
        ("web1,ann@web1,web1:22", "web1 ann@web1 web1:22"),
        ("root@web[1-2]:2222", "root@web1:2222 root@web2:2222"),
        // IPv6.
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::1]:22", "[::1]:22"),
        ("ann@[fe80::1%eth0]:22", "ann@[fe80::1%eth0]:22"),
        ("ann@fe80::1", "ann@fe80::1"),
        ("127.0.0.[1-3]", "127.0.0.1 127.0.0.2 127.0.0.3"),
        // Sets and ranges.
        ("web[1-3]", "web1 web2 web3"),
        ("web[01-03,30]", "web01 web02 web03 web30"),
        ("web[08-11]", "web08 web09 web10 web11"),
        ("web[8-11]", "web8 web9 web10 web11"),
        ("web[098-101]", "web098 web099 web100 web101"),
        ("web[0-10/5]", "web0 web5 web10"),
        ("web[00-10/4]", "web00 web04 web08"),
        ("web[007]", "web007"),
        ("web[ 1 , 2 ]", "web1 web2"),
        ("r[1-2]n[1-2]", "r1n1 r1n2 r2n1 r2n2"),
        ("rack[a-c]", "racka rackb rackc"),
        ("rack[A-E/2]", "rackA rackC rackE"),
        ("[east,west]-db", "east-db west-db"),
        ("[1-2].example.com", "1.example.com 2.example.com"),
        // `!` takes out and `&` keeps, wherever they stand.
        ("web[1-4],!web2", "web1 web3 web4"),
        ("web[1-4]!web2", "web1 web3 web4"),
        ("!web2,web[1-4]", "web1 web3 web4"),
        ("web[1-4],!web*,db1", "db1"),
        ("web[1-4],&web[3-9]", "web3 web4"),
        ("web[1-4]&web[3-9]", "web3 web4"),
        ("web[1-9],&web[3-9],&web[1-4]", "web3 web4"),
        ("web[1-9]&web[3-9]!web[5-8]", "web3 web4 web9"),
        ("local,web1,!local", "web1"),
        ("loc[al,k],local", "local lock"),
        ("local,web1,!loc[al,k]", "web1"),
        ("ann@local,local:22", "ann@local local:22"),
        ("root@web[1-3],!web2", "root@web1 root@web3"),
        ("root@web1,ann@web1,!ann@web1", "root@web1"),
        ("web1:22,web1:23,!web1:23", "web1:22"),
        ("web1,!web2", "web1"),
        ("web1,!web1", ""),
        ("web[1-12],!web?", "web10 web11 web12"),
        // Lists.
        ("^web.txt", "web1 web2 web3 root@web4:2222 web5"),
        ("^less.txt", "web1 web2 web4 web5 web6 web7 web8 web9"),
        ("-", "db1 db2"),
        ("-,-,web1", "db1 db2 web1"),
        ("web9,^web.txt,!^less.txt", "web3"),
        ("web[1-9],&^less.txt,&^web.txt", "web1 web2 web5"),
        ("web[1-9],!^empty.txt", "web1 web2 web3 web4 web5 web6 web7 web8 web9"),
        ("^empty.txt", ""),
        ("web1,&^empty.txt", ""),
    ] {
        match hosts(expr) {
            Ok(found) => assert_eq!(found, expected, "{expr}"),
            Err(error) => panic!("{expr}: {error}"),
        }
    }
}

#[test]
fn an_inventory_is_where_patterns_look() {
    let inventory = format::read_text(Path::new("hosts.txt"), "web[1-3],root@db1:2222,local").unwrap();
    for (expr, expected) in [
        ("*", "web1 web2 web3 root@db1:2222"),
        ("web?", "web1 web2 web3"),
        ("[web,db]*,!web2", "web1 web3 root@db1:2222"),
        ("ann@web*:22", "ann@web1:22 ann@web2:22 ann@web3:22"),
        ("!web*", "root@db1:2222 local"),
        ("&web*", "web1 web2 web3"),
        ("other", "other"),
    ] {
        assert_eq!(select(expr, Some(&inventory)).unwrap(), expected, "{expr}");
    }
    let error = select("mail*", Some(&inventory)).unwrap_err();
    assert_eq!(error.message, "no host of the inventory matches mail*");
    let error = hosts("web*").unwrap_err();
    assert_eq!(error.message, "web* is a pattern, and there is no inventory to look in");
    let error = hosts("!web1").unwrap_err();
    assert!(error.message.contains("there is no inventory"), "{error}");
}

#[test]
fn groups_are_chosen_like_hosts() {
    let text = "
groups:
  web: {hosts: \"web[1-4]\", children: [canary]}
  canary: {hosts: [web2, c1]}
  webdb: {hosts: [ann@db1:2222]}
  rack1: {hosts: web1}
  rack2: {hosts: web2}
hosts: {lone: , web9: {groups: late}, local: }
";
    let inventory = format::read_text(Path::new("hosts.yaml"), text).unwrap();
    for (expr, expected) in [
        ("@web", "web1 web2 web3 web4 c1"),
        ("@canary", "web2 c1"),
        ("@web,!web2", "web1 web3 web4 c1"),
        ("@web!@canary", "web1 web3 web4"),
        ("@web&@canary", "web2 c1"),
        ("@web&web[2-3]", "web2 web3"),
        ("web[1-9]&@canary", "web2"),
        ("@web*", "web1 web2 web3 web4 c1 ann@db1:2222"),
        ("@rack[1-2]", "web1 web2"),
        ("@rack?,lone", "web1 web2 lone"),
        ("@all", "web1 web2 web3 web4 c1 ann@db1:2222 lone web9 local"),
        ("all,!@web*", "lone web9 local"),
        ("a[ll,x]!web*", "c1 ann@db1:2222 lone local ax"),
        ("@ungrouped", "lone local"),
        ("!@web", "ann@db1:2222 lone web9 local"),
        ("@late,other", "web9 other"),
        // Somebody else's login, and still the host of the group.
        ("bob@web2,bob@db1&@web*", "bob@web2 bob@db1"),
        ("db1", "ann@db1:2222"),
        ("db1:2222,ann@db1", "ann@db1:2222"),
        ("db1:22", "db1:22"),
        ("web1,&all", "web1"),
        ("@web,!all", ""),
    ] {
        match select(expr, Some(&inventory)) {
            Ok(found) => assert_eq!(found, expected, "{expr}"),
            Err(error) => panic!("{expr}: {error}"),
        }
    }
    for (expr, message, hint) in [
        ("@wbe", "the inventory has no group wbe", "did you mean @web?"),
        ("web1,!@nothing", "the inventory has no group nothing", "--groups"),
        ("@x*", "no group of the inventory matches @x*", "--groups"),
        ("late", "late is a group: write @late", "hosts -i FILE @late"),
        ("web1,late", "late is a group: write @late", "@late"),
        ("rack[1-2]", "rack1 is a group: write @rack1", "@rack1"),
        ("all,!canary", "canary is a group: write @canary", "@canary"),
        ("web1&canary", "canary is a group: write @canary", "@canary"),
        ("ungrouped", "ungrouped is a group: write @ungrouped", "@ungrouped"),
    ] {
        let error = select(expr, Some(&inventory)).unwrap_err();
        assert_eq!(error.message, message);
        assert!(error.hints[0].contains(hint), "{error}");
    }
}

#[test]
fn what_is_wrong_is_shown_in_its_place() {
    for (expr, at, message) in [
        ("", 1, "expected a host"),
        ("a,", 3, "expected a host"),
        ("a,,b", 3, "expected a host"),
        ("!", 2, "expected a host"),
        ("a b", 3, "expected a comma"),
        ("a;b", 2, "this character cannot be part of a host's name"),
        ("a,wéb", 4, "this character cannot be part of a host's name"),
        ("a,-b", 3, "a host's name does not begin with a dash"),
        ("-oProxyCommand=x", 1, "a host's name does not begin with a dash"),
        ("root@-x", 6, "a host's name does not begin with a dash"),
        ("-x@web", 1, "expected the name of a user before @"),
        ("a,r/t@web", 4, "this character cannot be part of a user's name"),
        ("root@", 6, "expected the name of a host"),
        ("a,@", 4, "expected the name of a group after @"),
        ("a,@we/b", 6, "this character cannot be part of a group's name"),
        ("@web[", 5, "this bracket has no partner"),
        ("^", 2, "expected a file after ^"),
        ("web:0", 5, "a port is a number from 1 to 65535"),
        ("web:65536", 5, "a port is a number from 1 to 65535"),
        ("web:+22", 5, "a port is a number from 1 to 65535"),
        ("web:", 5, "a port is a number from 1 to 65535"),
        ("web[1-2]:ssh", 10, "hosts stand between commas, and a port is a number"),
        ("fe80::1:22:x", 6, "a port is a number from 1 to 65535"),
        ("[fe80::1]22", 10, "expected : and a port"),
        ("[fe80::g]:22", 2, "this is no IPv6 address"),
        ("web[1-3", 4, "this bracket has no partner"),
        ("web1-3]", 7, "this bracket has no partner"),
        ("web[1[2]]", 6, "this bracket has no partner"),
        ("web[]", 5, "expected a number or a word"),
        ("web[1,]", 7, "expected a number or a word"),
        ("web[1-]", 7, "a range needs a number after the dash"),
        ("web[-3]", 5, "a range needs a number before the dash"),
        ("web[3-1]", 5, "this range runs backwards"),
        ("web[c-a]", 5, "this range runs backwards"),
        ("web[a-C]", 5, "a range needs a number before the dash"),
        ("web[1-010]", 7, "both ends of a padded range have the same number of digits"),
        ("web[1-9/0]", 9, "a step is a number above 0"),
        ("web[1/2]", 6, "only a range has a step"),
        ("web[1:3]", 6, "this character cannot be part of a set"),
        ("web[9999999999999999999]", 5, "this number is too large"),
        ("[web]", 2, "a set of one word, \"web\""),
    ] {
        let error = hosts(expr).expect_err(expr);
        let first = error.message.lines().next().unwrap();
        assert_eq!(first, format!("invalid targets, column {at}: {message}"), "{expr}");
        assert!(!error.hints.is_empty(), "{expr}");
    }
}

#[test]
fn an_error_has_a_caret_below_the_place_and_shows_no_escape_sequence() {
    let error = hosts("web1,\u{1b}[31mred").unwrap_err();
    insta::assert_snapshot!(error, @r"
    error: invalid targets, column 7: this bracket has no partner
      web1,\u{1b}[31mred
                 ^

    hint: write a range as web[01-20,30]
    ");
    let long = format!("{},web[1-],{}", vec!["host"; 30].join(","), vec!["host"; 30].join(","));
    insta::assert_snapshot!(hosts(&long).unwrap_err(), @r"
    error: invalid targets, column 157: a range needs a number after the dash
      …host,host,host,host,host,host,web[1-],host,host,host,host,host,host,host…
                                           ^

    hint: write a range as [01-20], [0-10/2] or [a-f], and a set as [1,2,7] or [east,west]
    ");
}

#[test]
fn patterns_of_ansible_are_translated() {
    for (expr, ours) in [
        ("web1:web2", "web1,web2"),
        ("web1:22,web2:web3", "web1:22,web2,web3"),
        ("web*:&prod", "web*,&@prod"),
        ("web*:&@prod", "web*,&@prod"),
        ("all:!db", "all,!db"),
    ] {
        let error = hosts(expr).expect_err(expr);
        assert_eq!(error.hints, [format!("write {ours}, with an @ before each group")], "{expr}");
        parse(ours).unwrap();
    }
}

#[test]
fn an_error_in_a_list_names_its_line() {
    let error = hosts("^broken.txt").unwrap_err();
    assert_eq!(error.message, "broken.txt:2, column 4: this bracket has no partner\n  web[1-\n     ^");
    let error = hosts("^nested.txt").unwrap_err();
    assert_eq!(error.message, "nested.txt:1: a list cannot name another list");
}

#[test]
fn a_selection_is_counted_before_it_is_expanded() {
    for (expr, count) in [
        ("a[1-9999999999]", "9999999999"),
        ("a[1-100001]", "100001"),
        ("a[1-1000]b[1-1000]", "1000000"),
        ("a[1-60000],!a[1-60000]", "120000"),
        ("a[0-999999999999999999]b[0-999999999999999999]", "too many"),
    ] {
        let error = hosts(expr).unwrap_err();
        assert_eq!(error.message, format!("the selection names {count} hosts, more than 100000"), "{expr}");
    }
    assert_eq!(hosts("a[1-100000]").unwrap().split(' ').count(), 100_000);
    let error = hosts("a[1-100000]&*[1-5000]").unwrap_err();
    assert_eq!(error.message, "*[1-5000] stands for more than 1000 patterns");
}

#[test]
fn whether_stdin_is_wanted_is_known_before_it_is_read() {
    assert!(parse("web1,-").unwrap().reads_stdin());
    assert!(!parse("web1,^x").unwrap().reads_stdin());
}

fn set() -> impl Strategy<Value = (String, Vec<String>)> {
    let range = (0u64..200, 0u64..40, 1u64..5, 0usize..6).prop_map(|(from, more, step, width)| {
        let to = from + more;
        // Padding needs a leading zero, so it is wider than the larger end.
        let width = if width > to.to_string().len() { width } else { 0 };
        let values = (from..=to).step_by(step as usize).map(|number| format!("{number:0width$}")).collect();
        (format!("{from:0width$}-{to:0width$}/{step}"), values)
    });
    let word = "[a-z]{1,4}".prop_map(|word: String| (word.clone(), vec![word]));
    prop::collection::vec(prop_oneof![range, word], 2..5).prop_map(|elements: Vec<(String, Vec<String>)>| {
        let text = elements.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(",");
        (format!("[{text}]"), elements.into_iter().flat_map(|(_, values)| values).collect())
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = parse(&text);
        let _ = parse_list("list", &text);
    }

    #[test]
    fn no_text_of_the_language_makes_it_panic(text in "(local|::1|[a-c0-9@:,!&^*?/\\[\\]. \\n#%-]){0,40}") {
        if let Ok(expr) = parse(&text) && expr.count() <= 1_000 && let Ok(expr) = expr.read(&mut Nothing) {
            let hosts = expr.select(None).unwrap_or_default();
            prop_assert!(hosts.len() as u64 <= expr.count());
            for host in hosts.into_iter().take(20) {
                let again = resolve(&parse(&host.to_string()).unwrap(), &mut Nothing, None).unwrap();
                prop_assert_eq!(again, vec![host]);
            }
        }
    }

    #[test]
    fn sets_multiply_in_order(first in set(), second in set()) {
        let text = format!("a{}b{}", first.0, second.0);
        let expr = parse(&text).unwrap();
        let wanted: Vec<String> =
            first.1.iter().flat_map(|one| second.1.iter().map(move |two| format!("a{one}b{two}"))).collect();
        prop_assert_eq!(expr.count(), wanted.len() as u64);
        let Item::Hosts(set) = &expr.terms[0].item else { panic!("one set") };
        prop_assert_eq!(set.expand().into_iter().map(|host| host.name).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_name_that_was_printed_means_the_same_host(
        user in prop::option::of("[a-z][a-z0-9._@-]{0,8}"),
        name in prop_oneof!["[a-z0-9][a-z0-9._-]{0,20}", "fe80::[0-9a-f]{1,4}(%eth0)?"],
        port in prop::option::of(1u16..),
    ) {
        prop_assume!(user.is_some() || port.is_some() || !["local", "all"].contains(&name.as_str()));
        let host = Selected::Ssh(Host { user, name, port });
        let again = resolve(&parse(&host.to_string()).unwrap(), &mut Nothing, None).unwrap();
        prop_assert_eq!(again, vec![host]);
    }
}

struct Nothing;

impl Sources for Nothing {
    fn list(&mut self, _: &Path) -> Result<String> {
        Ok(String::new())
    }

    fn stdin(&mut self) -> Result<String> {
        Ok(String::new())
    }
}
