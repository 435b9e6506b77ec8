//! Held against the real `ssh -G`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::inventory::{Becoming, Family, HostKeyPolicy, Reach, Resolved, selection};

mod corpus;

/// A folder with files, the first of which is the configuration.
fn folder(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, text.replace("DIR", folder.path().to_str().unwrap())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let first = folder.path().join(files[0].0);
    (folder, first)
}

fn account() -> Account {
    Account::current().unwrap()
}

/// What both ends mean, with OpenSSH's defaults where nothing was said.
fn meaning(config: &HostConfig, typed: &str) -> Vec<String> {
    let account = account();
    let host =
        config.host_name.as_ref().map_or(typed.to_owned(), |name| host_name(&name.value, typed).unwrap());
    let host = host.to_lowercase();
    let user = config.user.as_ref().map_or(account.user.clone(), |user| user.value.clone());
    let port = config.port.as_ref().map_or(22, |port| port.value);
    let names = Names {
        account: &account,
        typed,
        host: &host,
        port,
        user: &user,
        host_key_alias: config.host_key_alias.as_deref(),
    };
    let path = |text: &String| names.path(text).unwrap().display().to_string();
    let files = |files: &Option<Placed<Vec<String>>>, default: [&str; 2]| {
        let files = files.as_ref().map_or(default.map(str::to_owned).to_vec(), |files| files.value.clone());
        files.iter().map(path).collect::<Vec<_>>().join(" ")
    };
    let jump = config.proxy_jump.as_ref().map(|jump| jump.value.clone()).unwrap_or_default();
    let command = config.proxy_command.as_ref().map(|command| command.value.clone()).unwrap_or_default();
    vec![
        host.clone(),
        port.to_string(),
        user.clone(),
        config.identity_files.iter().map(|file| file.value.as_str()).collect::<Vec<_>>().join(" "),
        config.certificate_files.iter().map(|file| file.value.as_str()).collect::<Vec<_>>().join(" "),
        config.identities_only.unwrap_or(false).to_string(),
        config.identity_agent.as_ref().map(|agent| path(&agent.value)).unwrap_or_default(),
        files(&config.user_known_hosts, ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]),
        files(&config.global_known_hosts, ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]),
        format!("{:?}", config.host_key.unwrap_or_default()),
        format!("{:?}", [config.hash_known_hosts, config.batch_mode].map(Option::unwrap_or_default)),
        config.host_key_alias.clone().unwrap_or_default().to_lowercase(),
        format!("{:?}", config.connect_timeout),
        format!("{jump:?}"),
        command,
        format!("{:?}", spoken(config)),
    ]
}

/// How the protocol is spoken, with defaults.
fn spoken(config: &HostConfig) -> impl std::fmt::Debug {
    let protocol = &config.protocol;
    let lists = [&protocol.ciphers, &protocol.macs, &protocol.kex, &protocol.host_keys, &protocol.methods];
    let revoked = config.revoked_host_keys.as_ref().map(|file| file.value.clone()).unwrap_or_default();
    (
        (protocol.keepalive, protocol.keepalive_max.unwrap_or(3), protocol.compression.unwrap_or(false)),
        lists.map(Clone::clone),
        (protocol.family.unwrap_or(Family::Any), protocol.bind_address.clone(), revoked),
        [protocol.public_key, protocol.keyboard, protocol.password].map(|wanted| wanted.unwrap_or(true)),
        // The first of each name counts, which ssh does as it prints.
        config.environment(
            &[("LANG", "a"), ("LC_ALL", "b"), ("FOO", "c"), ("BAR", "d")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        ),
    )
}

/// Asks both about each host. Both must refuse what one refuses.
fn compare(path: &Path, hosts: &[&str]) -> Result<(), String> {
    compare_for(path, hosts, &[None])
}

fn compare_for(path: &Path, hosts: &[&str], users: &[Option<&str>]) -> Result<(), String> {
    let source = Source::File(path.to_owned());
    let mut openssh = OpenSsh::because_of(Place { file: "the test".into(), line: 0 });
    openssh.ask_with(&source, &[]);
    let ours = Config::load(&source, &[], &account());
    for (&host, &user) in hosts.iter().flat_map(|host| users.iter().map(move |user| (host, user))) {
        let question = Question { host, user, port: None };
        let text = std::fs::read_to_string(path).unwrap();
        match (&ours, openssh.ask(question)) {
            (Ok(ours), Ok(theirs)) => {
                let said = |mut config: HostConfig| {
                    // Ours leaves out what was asked with, OpenSSH prints it.
                    let place = Place { file: "the test".into(), line: 0 };
                    let asked = user.map(|user| Placed { value: user.to_owned(), place });
                    config.user = asked.or(config.user);
                    meaning(&config, host)
                };
                let (ours, theirs) = (said(ours.for_host(question).unwrap()), said(theirs));
                if ours != theirs {
                    return Err(format!("{text}\n{user:?} {host}\n  ours: {ours:?}\ntheirs: {theirs:?}"));
                }
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(theirs)) => return Err(format!("{text}\n{host}: only OpenSSH refuses: {theirs}")),
            (Err(ours), Ok(_)) => return Err(format!("{text}\n{host}: only we refuse: {ours}")),
        }
    }
    Ok(())
}

#[test]
fn awkward_files_mean_what_openssh_says() {
    const HOSTS: &[&str] = &["web01", "WEB01", "web02.example.com", "db1", "10.0.0.7", "::1", "a-b_c"];
    let cases: &[&[(&str, &str)]] = &[
        &[("empty", "")],
        &[("first wins", "User a\nUser b\nHost web*\nUser c\nPort 1\nHost *\nPort 2\nUser d\n")],
        &[("order", "Host *.example.com\n  Port 1\nHost web*\n  Port 2\n  User w\nHost *\n  User all\n")],
        &[(
            "negation",
            "Host * !web*\nPort 1\nHost web?? !web02\nPort 2\nHost !db1\nPort 3\nHost !x *\nUser y\n",
        )],
        &[("case", "HOST WEB01\nPORT 1\nhost web01\npOrT 2\nHost Web*\nHostName UPPER.Example.com\n")],
        &[("equals", "Host=web*\nPort=1\nUser = a\nIdentityFile =x\nHostKeyAlias= b\n")],
        &[(
            "quotes",
            "Host \"web01\" 'db1'\nUser \"a b\"\nIdentityFile \"~/my key\"\nIdentityFile '~/x'\nIdentityFile a\\ b\n",
        )],
        &[(
            "comments",
            "# User x\nUser a # trailing\n  # Port 7\nPort 8 #\nHost web01 # db1\nIdentityFile k#1\n",
        )],
        &[("blanks", "\t Host\t web01  \t\r\n\t\tUser\ta\t\r\n\r\n   Port     9   \x0c\nHost *\nUser z\n")],
        &[(
            "hostname",
            "Host web*\nHostName %h.internal\nHost db1\nHostName 10.0.0.1\nHost a*\nHostName a%%b\n",
        )],
        &[("once expanded", "Host web*\nHostName %h.x\nHost *.x\nUser wrong\n")],
        &[(
            "identities",
            "IdentityFile a\nIdentityFile b\nHost web*\nIdentityFile c\nIdentityFile a\nIdentityFile %d/%h\n",
        )],
        &[("certificates", "CertificateFile ~/a\nHost web*\nCertificateFile %d/b\nCertificateFile ~/a\n")],
        &[(
            "none",
            "IdentityFile none\nIdentityAgent none\nUserKnownHostsFile none\nGlobalKnownHostsFile NONE\n",
        )],
        &[("default identity", "IdentityFile ~/.ssh/id_rsa\nIdentityFile ~/.ssh/other\n")],
        &[(
            "agent",
            "Host web*\nIdentityAgent SSH_AUTH_SOCK\nHost db*\nIdentityAgent /run/%u.sock\nIdentitiesOnly yes\n",
        )],
        &[(
            "booleans",
            "Host web01\nIdentitiesOnly TRUE\nHost db1\nIdentitiesOnly No\nHost *\nIdentitiesOnly yes\n",
        )],
        &[("known hosts", "UserKnownHostsFile /a ~/b\nUserKnownHostsFile /c\nGlobalKnownHostsFile /d /e\n")],
        &[(
            "strict",
            "Host web01\nStrictHostKeyChecking no\nHost WEB01\nStrictHostKeyChecking accept-new\nHost db1\nStrictHostKeyChecking OFF\nHost *\nStrictHostKeyChecking ask\n",
        )],
        &[(
            "timeouts",
            "Host web01\nConnectTimeout 1m30\nHost db1\nConnectTimeout none\nHost *\nConnectTimeout 5s\n",
        )],
        &[(
            "proxy",
            "Host web01\nProxyJump none\nHost web*\nProxyCommand nc %h %p\nHost db1\nProxyCommand none\nHost *\nProxyJump bastion:22\n",
        )],
        &[(
            "jump forms",
            "Host web01\nProxyJump ann@[::1]:2222,b\nHost web02*\nProxyJump ssh://u@h:7\nHost db1\nProxyJump 10.0.0.1\nHost 10*\nProxyJump=a@b@c\nHost ::1\nProxyJump a,b:1,c\n",
        )],
        &[(
            "commands",
            "Host web01\nProxyCommand=ssh -W '[%h]:%p' \"a b\" # x\nHost web02*\nProxyCommand   exec  nc   %h %%  \nHost db1\nProxyCommand = nc\n",
        )],
        &[("jump port", "ProxyJump a:x\n")],
        &[("jump name", "ProxyJump a,,b\n")],
        &[("alias", "Host web*\nHostKeyAlias Fleet\n")],
        &[(
            "jump",
            "Host web01\nProxyJump none\nProxyJump x\nHost db1\nProxyJump none\nProxyCommand none\nProxyJump x\nHost a*\nProxyJump y\nProxyCommand none\n",
        )],
        &[(
            "expanded",
            "UserKnownHostsFile ~/%n-%h %d/%p-%r-%u-%k-%i-%L ${HOME}/x\nIdentityAgent ~/%h\nHostKeyAlias k\n",
        )],
        &[("numbers", "Host 10.0.0.*\nUser ten\nHost ::1\nUser six\nHost *:*\nPort 6\n")],
        &[("ignored", "IgnoreUnknown fancy*,other\nFancyThing a \"b\" c\nOther x\nUser a\n")],
        &[(
            "cosmetic",
            "Compression yes\nControlMaster auto\nControlPath ~/.ssh/%C\nServerAliveInterval 5\nSendEnv A B\nForwardAgent yes\nUser a\n",
        )],
        &[("match all", "Host db1\nPort 1\nMatch all\nUser everyone\n")],
        &[("after a block", "Host web01\nPort 1\nHost db1\n"), ("unused", "")],
        // Include.
        &[
            ("include", "Include DIR/one DIR/missing\nUser late\n"),
            ("one", "Host web*\nUser early\nHost db1\nPort 7\n"),
        ],
        &[
            ("include in a block", "Host web*\nInclude DIR/one\nPort 5\nHost *\nUser z\n"),
            ("one", "User inside\nHost web01 db1\nPort 6\n"),
        ],
        &[
            ("include in a block that does not hold", "Host nothing\nInclude DIR/one\nPort 5\n"),
            ("one", "Host *\nPort 6\n"),
        ],
        &[
            ("include goes on in its block", "Host web01\nInclude DIR/one\nUser after\n"),
            ("one", "Host db1\nPort 1\n"),
        ],
        &[
            ("globs", "Include DIR/part-*.conf\n"),
            ("part-2.conf", "User two\nPort 2\n"),
            ("part-1.conf", "User one\n"),
            ("part-3.txt", "User three\n"),
            (".part-0.conf", "User zero\n"),
        ],
        &[
            ("glob classes", "Include DIR/part-[a-b] \"DIR/part-?1\"\n"),
            ("part-b", "User b\n"),
            ("part-c", "User c\n"),
            ("part-x1", "Port 11\n"),
        ],
        &[
            ("nested", "Include DIR/one\nPort 3\n"),
            ("one", "Host web*\nInclude DIR/two\n"),
            ("two", "Host *01\nPort 2\n"),
        ],
        &[("a loop", "User a\nInclude DIR/a?loop\n"), ("a-loop", "Include DIR/a-loop\n")],
        // What OpenSSH refuses.
        &[("no value", "User\n")],
        &[("no value but a comment", "User # x\n")],
        &[("two values", "User a b\n")],
        &[("empty value", "User \"\"\n")],
        &[("open quote", "User \"a\n")],
        &[("open quote elsewhere", "Host nothing\nProxyCommand echo 'a\n")],
        &[("port", "Port 99999\n")],
        &[("port in a block that does not hold", "Host nothing\nPort x\n")],
        &[("boolean", "IdentitiesOnly perhaps\n")],
        &[("strict value", "StrictHostKeyChecking sometimes\n")],
        &[("timeout", "ConnectTimeout soon\n")],
        &[("empty pattern", "Host \"\"\n")],
        &[("none among others", "UserKnownHostsFile none /a\n")],
        &[("host without patterns", "Host\n")],
    ];
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|files| {
            let (_folder, path) = folder(files);
            compare(&path, HOSTS).err()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn made_up_files_mean_what_openssh_says(lines in prop::collection::vec(prop_oneof![
        3 => "(Host|host) (!?(a|b|a\\*|\\?|\\*|ab)) ?(!?(b|\\*b|a\\?))?",
        2 => "[ \t]{0,2}User( |=| = ?)\"?[a-c]{1,2}\"?",
        2 => "Port[ =]\"?[1-9]{1,2}\"? ?(#.{0,3})?",
        2 => "IdentityFile ['\"]?[a-c\\\\ %]{1,4}['\"]?",
        1 => "HostName (%h|a|%%)[.b]{0,3}",
        1 => "StrictHostKeyChecking (yes|no|ask|accept-new)",
        1 => "(UserKnownHostsFile|GlobalKnownHostsFile) (/a|none|\"/b c\") ?(/d)?",
        1 => "Proxy(Jump|Command) (none|c)",
        1 => "[ \t#]{0,3}",
    ], 0..12)) {
        let text = lines.join("\n");
        // `ssh -G` prints these so that nobody can tell one from two.
        prop_assume!(!text.contains("b c"));
        let (_folder, path) = folder(&[("config", &text)]);
        compare(&path, &["a", "ab", "b"]).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn no_file_makes_it_panic(text in "((Host|Match|User|IgnoreUnknown|Port|x)[ =\"'*!#\\\\\\PC]{0,12}\n){0,6}") {
        let (_folder, path) = folder(&[("config", &text)]);
        if let Ok(config) = Config::load(&Source::File(path), &[], &account()) && config.openssh.is_none() {
            let _ = config.for_host(Question { host: "web", user: None, port: None });
        }
    }
}

fn resolve(
    reach: &Reach,
    targets: &str,
    config: &Config,
    account: &Account,
) -> crate::error::Result<Resolved> {
    let selected = selection::resolve(
        &selection::parse(targets).unwrap(),
        &mut selection::Files::new(std::io::empty()),
        None,
    );
    reach.resolve(&selected.unwrap(), None, config, account)
}

fn load(text: &str, options: &[&str]) -> (TempDir, crate::error::Result<Config>) {
    let (folder, path) = folder(&[("config", text)]);
    let options: Vec<String> = options.iter().map(ToString::to_string).collect();
    let config = Config::load(&Source::File(path), &options, &Account::pretend(folder.path()));
    (folder, config)
}

#[test]
fn a_configuration_with_match_is_answered_by_openssh() {
    let text = "Host web*\nPort 1\nMatch host web01 user ann\nPort 2\nUser bob\nIdentityFile /k\n\
        Match exec \"test %n = web03\"\nPort 3\nHost *\nPort 9\nIdentitiesOnly yes\n";
    let text = text.replace("Host web*\nPort 1\n", "");
    let (_folder, config) = load(&text, &["ConnectTimeout=3"]);
    let config = config.unwrap();
    let reach = Reach { user: Some("ann".into()), ..Reach::default() };
    let found = resolve(&reach, "web01,bob@web01,web02,web03,web04:77", &config, &account()).unwrap();
    let found: Vec<String> = found
        .targets
        .iter()
        .map(|target| match &target.address {
            crate::inventory::Address::Ssh(ssh) => {
                assert!(ssh.identities_only);
                assert_eq!(ssh.connect_timeout.as_secs(), 3);
                format!("{} {}@{}:{}", target.name, ssh.user, ssh.host, ssh.port)
            }
            crate::inventory::Address::Local => panic!("local"),
        })
        .collect();
    assert_eq!(
        found,
        [
            "web01 ann@web01:2",
            "bob@web01 bob@web01:9",
            "web02 ann@web02:9",
            "web03 ann@web03:3",
            "web04:77 ann@web04:77"
        ]
    );
}

#[test]
fn how_the_protocol_is_spoken_is_taken_over() {
    let spoken = "Ciphers aes256-ctr\nMACs hmac-sha2-256\nKexAlgorithms curve25519-sha256\n\
        HostKeyAlgorithms ssh-ed25519\nServerAliveInterval 5\nServerAliveCountMax 7\nCompression yes\n";
    for (text, is_said) in [
        (spoken.to_owned(), true),
        (format!("Match host web1\n{spoken}"), true),
        (format!("Match exec true host web1\n{spoken}"), true),
        ("Match exec true host web1\nUser ann\n".to_owned(), false),
    ] {
        let (_folder, config) = load(&text, &[]);
        let found = resolve(&Reach::default(), "web1", &config.unwrap(), &account()).unwrap();
        assert_eq!(found.warnings, [""; 0], "{text}");
        let crate::inventory::Address::Ssh(ssh) = &found.targets[0].address else { panic!("local") };
        let protocol = &ssh.protocol;
        let list = |text: &str| is_said.then(|| text.to_owned());
        assert_eq!(protocol.ciphers, list("aes256-ctr"), "{text}");
        assert_eq!(protocol.macs, list("hmac-sha2-256"));
        assert_eq!(protocol.kex, list("curve25519-sha256"));
        assert_eq!(protocol.host_keys, list("ssh-ed25519"));
        assert_eq!(protocol.keepalive, is_said.then_some(std::time::Duration::from_secs(5)));
        assert_eq!(protocol.keepalive_max.unwrap_or(3), if is_said { 7 } else { 3 });
        assert_eq!(protocol.compression.unwrap_or(false), is_said);
    }
    let (_folder, config) = load("BindInterface eth1\nServerAliveInterval 0\n", &[]);
    let found = resolve(&Reach::default(), "web1", &config.unwrap(), &account()).unwrap();
    assert!(found.warnings[0].contains("BindInterface is not supported yet"), "{:?}", found.warnings);
}

#[test]
fn what_openssh_says_of_a_match_is_refused_too() {
    let (_folder, config) = load("Match exec true host web1\nProxyUseFdpass yes\n", &[]);
    let error = resolve(&Reach::default(), "web[1-2]", &config.unwrap(), &account()).unwrap_err();
    assert_eq!(error.message, "cannot reach web1 as configured: ProxyUseFdpass is not supported yet");
    let (_folder, config) = load("Match exec true host web1\nNoSuchKeyword x\n", &[]);
    let error = resolve(&Reach::default(), "web1", &config.unwrap(), &account()).unwrap_err();
    assert_eq!(error.message, "ssh -G cannot answer for web1");
    assert!(error.causes.join("\n").to_lowercase().contains("nosuchkeyword"), "{error}");
}

#[test]
fn a_host_that_needs_what_we_lack_is_refused_with_the_line_that_says_so() {
    let text = "Host web[1-9]\nPort 1\n\nHost db*\n  ProxyUseFdpass yes\nHost *\n  VerifyHostKeyDNS yes\n";
    let (folder, config) = load(text, &[]);
    let config = config.unwrap();
    let error = resolve(&Reach::default(), "db[1-5],web1", &config, &account()).unwrap_err();
    let shown = error.to_string().replace(folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(shown, @r"
    error: cannot reach db1, db2, db3 and 2 more as configured: ProxyUseFdpass is not supported yet
    caused by: DIR/config:5: ProxyUseFdpass applies to db1, db2, db3 and 2 more

    hint: --ssh-option ProxyUseFdpass=no  goes without it
    hint: --exclude db1,db2,db3,db4,db5  leaves them out
    ");
    let found = resolve(&Reach::default(), "web1,web2", &config, &account()).unwrap();
    let warnings = found.warnings.join("\n").replace(folder.path().to_str().unwrap(), "DIR");
    assert_eq!(warnings, "DIR/config:7: VerifyHostKeyDNS is not supported yet, left out for web1, web2");

    let (_folder, config) = load(text, &["ProxyUseFdpass=no"]);
    assert_eq!(resolve(&Reach::default(), "db1", &config.unwrap(), &account()).unwrap().targets.len(), 1);
}

#[test]
fn an_unknown_keyword_is_warned_of_and_a_wrong_value_refused() {
    let (folder, config) = load("Usr ann\nUser bob\n", &[]);
    let warnings = config.unwrap().warnings.join("\n").replace(folder.path().to_str().unwrap(), "DIR");
    assert_eq!(warnings, "DIR/config:1: unknown keyword usr, left out");
    let (folder, config) = load("\nPort many\n", &[]);
    let message = config.unwrap_err().message.replace(folder.path().to_str().unwrap(), "DIR");
    assert_eq!(message, "DIR/config:2: a port is a number from 1 to 65535, not many");
    for (option, message) in [
        ("Usr=ann", "--ssh-option Usr=ann: no such keyword in ssh_config"),
        ("Host=web", "--ssh-option Host=web: an option is one setting for all hosts"),
        ("Port", "--ssh-option Port: port needs an argument"),
        ("", "--ssh-option : expected a keyword and a value"),
    ] {
        assert_eq!(load("", &[option]).1.unwrap_err().message, message);
    }
}

#[test]
fn the_standard_file_is_in_the_home_folder_and_only_ours_to_write() {
    let home = TempDir::new().unwrap();
    let account = Account::pretend(home.path());
    std::fs::create_dir(account.ssh_dir()).unwrap();
    let own = account.ssh_dir().join("config");
    std::fs::write(&own, "Include more\nInclude ~/.ssh/mo?e2\nUser last\n").unwrap();
    std::fs::write(account.ssh_dir().join("more"), "Host web1\nPort 7\n").unwrap();
    std::fs::write(account.ssh_dir().join("more2"), "Host web2\nPort 8\n").unwrap();
    let config = Config::load(&Source::Standard, &[], &account).unwrap();
    for (host, port) in [("web1", 7), ("web2", 8)] {
        let found = config.for_host(Question { host, user: None, port: None }).unwrap();
        assert_eq!((found.port.unwrap().value, found.user.unwrap().value.as_str()), (port, "last"));
    }
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o666)).unwrap();
    let error = Config::load(&Source::Standard, &[], &account).unwrap_err();
    assert!(error.message.ends_with(".ssh/config can be changed by other users"), "{error}");
}

#[test]
fn a_target_wins_over_a_flag_and_a_flag_over_the_file() {
    let text = "Host web1\nUser file\nPort 1\nIdentityFile ~/file\nStrictHostKeyChecking no\nConnectTimeout 7\n\
        UserKnownHostsFile ~/%n ~/b\nIdentityAgent $AGENT\nHostKeyAlias fleet\n\
        Host batch\nBatchMode yes\nHashKnownHosts yes\n";
    let (folder, config) = load(text, &[]);
    let config = config.unwrap();
    let mut account = Account::pretend(folder.path());
    account.environment.insert("AGENT".into(), "/run/agent".into());
    let ssh = |reach: &Reach, target: &str| match resolve(reach, target, &config, &account)
        .unwrap()
        .targets
        .remove(0)
        .address
    {
        crate::inventory::Address::Ssh(ssh) => *ssh,
        crate::inventory::Address::Local => panic!("local"),
    };
    let home = |name: &str| folder.path().join(name);

    let from_file = ssh(&Reach::default(), "web1");
    assert_eq!((from_file.user.as_str(), from_file.port), ("file", 1));
    assert_eq!(from_file.identities, [home("file")]);
    assert_eq!(from_file.host_key, HostKeyPolicy::Off);
    assert_eq!(from_file.connect_timeout.as_secs(), 7);
    assert_eq!(from_file.known_hosts[..2], [home("web1"), home("b")]);
    assert_eq!(from_file.agent, Some("/run/agent".into()));
    assert_eq!(from_file.host_key_alias.as_deref(), Some("fleet"));

    let reach = Reach {
        user: Some("flag".into()),
        port: Some(2),
        private_keys: vec!["key".into()],
        known_hosts: Some("known".into()),
        host_key: Some(HostKeyPolicy::AcceptNew),
        connect_timeout: Some(std::time::Duration::from_secs(3)),
        jump: None,
        becoming: Becoming::default(),
    };
    let flagged = ssh(&reach, "web1");
    assert_eq!((flagged.user.as_str(), flagged.port), ("flag", 2));
    assert_eq!(flagged.identities, [PathBuf::from("key"), home("file")]);
    assert_eq!(flagged.known_hosts, [PathBuf::from("known")]);
    assert_eq!(flagged.host_key, HostKeyPolicy::AcceptNew);
    assert_eq!(flagged.connect_timeout.as_secs(), 3);
    let typed = ssh(&reach, "typed@web1:3");
    assert_eq!((typed.user.as_str(), typed.port), ("typed", 3));

    // Nobody is there to be asked, and a flag is somebody.
    let batch = ssh(&Reach::default(), "batch");
    assert_eq!(
        (batch.host_key, batch.batch_mode, batch.hash_known_hosts),
        (HostKeyPolicy::Strict, true, true)
    );
    let asked = Reach { host_key: Some(HostKeyPolicy::Ask), ..Reach::default() };
    assert_eq!(ssh(&asked, "batch").host_key, HostKeyPolicy::Ask);

    let other = ssh(&Reach::default(), "web2");
    assert_eq!((other.user.as_str(), other.port, other.agent.clone()), ("me", 22, None));
    assert_eq!((other.host_key, other.connect_timeout.as_secs()), (HostKeyPolicy::Ask, 10));
    assert!(other.identities.is_empty());
    assert_eq!(
        other.known_hosts,
        [
            home(".ssh/known_hosts"),
            home(".ssh/known_hosts2"),
            "/etc/ssh/ssh_known_hosts".into(),
            "/etc/ssh/ssh_known_hosts2".into()
        ]
    );
}
