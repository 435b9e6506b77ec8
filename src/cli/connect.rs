//! "Choosing hosts" and "reaching them": the flags that exec, deploy, hosts and doctor share.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Global;
use super::privilege::PrivilegeArgs;
use crate::error::{Error, Result};
use crate::inventory::selection::{self, Expr, Files, Matcher, Selected, Sources};
use crate::inventory::ssh_config::{self, Config};
use crate::inventory::{
    Account, Address, Becoming, HostKeyPolicy, Inventory, Jump, Reach, Resolved, Target, format,
};

/// All of these flags, for `#[command(flatten)]`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct HostArgs {
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
    #[command(flatten)]
    pub privilege: PrivilegeArgs,
}

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Choosing hosts")]
pub struct SelectArgs {
    /// An inventory: hosts.yaml, a list of hosts, Ansible's INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]
    #[arg(short, long, value_name = "FILE", env = "CRONIUM_RUN_INVENTORY")]
    pub inventory: Vec<PathBuf>,
    /// Only those of the targets that this names, too
    #[arg(short, long, value_name = "TARGETS", env = "CRONIUM_RUN_LIMIT")]
    pub limit: Option<String>,
    /// None of the targets that this names
    #[arg(short = 'x', long, value_name = "TARGETS", env = "CRONIUM_RUN_EXCLUDE")]
    pub exclude: Option<String>,
}

/// `--list-hosts` of commands that do something to hosts, for `#[command(flatten)]`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ListArgs {
    /// Print the hosts and stop
    #[arg(long, env = "CRONIUM_RUN_LIST_HOSTS", value_parser = clap::builder::BoolishValueParser::new(), help_heading = "Choosing hosts")]
    pub list_hosts: bool,
}

/// `--persist` of commands that run jobs, for `#[command(flatten)]`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Reaching hosts")]
pub struct KeepArgs {
    /// Keep connections this long for commands to come: 10m; 0 keeps none. What a file says does not hold where CI is set
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_PERSIST", value_parser = persist)]
    pub persist: Option<Duration>,
}

/// A target wins over a flag (`ann@web1:2222` over `--user` and `--port`), a flag over the
/// inventory, that over `--ssh-option`, and that over the files of ssh_config.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Reaching hosts")]
pub struct ConnectArgs {
    /// The user to log in as; user@host says it for one target and wins
    #[arg(short, long, value_name = "NAME", env = "CRONIUM_RUN_USER", value_parser = user)]
    pub user: Option<String>,
    /// The port; host:port says it for one target and wins
    #[arg(short, long, value_name = "PORT", env = "CRONIUM_RUN_PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// A private key to try before those of ssh_config and the agent (repeat)
    #[arg(long, value_name = "FILE", env = "CRONIUM_RUN_PRIVATE_KEY")]
    pub private_key: Vec<PathBuf>,
    /// Jump hosts on the way to every target, user@host:port with commas between; none goes straight
    #[arg(short = 'J', long, value_name = "HOSTS", env = "CRONIUM_RUN_JUMP")]
    pub jump: Option<Jump>,
    /// The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]
    #[arg(short = 'F', long, value_name = "FILE", env = "CRONIUM_RUN_SSH_CONFIG")]
    pub ssh_config: Option<PathBuf>,
    /// A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)
    #[arg(long, value_name = "KEY=VALUE", env = "CRONIUM_RUN_SSH_OPTION")]
    pub ssh_option: Vec<String>,
    /// The only file of host keys; new ones are added to it [default: as ssh_config says]
    #[arg(long, value_name = "FILE", env = "CRONIUM_RUN_KNOWN_HOSTS")]
    pub known_hosts: Option<PathBuf>,
    /// How host keys are checked [default: as ssh_config says, else ask]
    #[arg(long, value_name = "POLICY", env = "CRONIUM_RUN_HOST_KEY")]
    pub host_key: Option<HostKeyPolicy>,
    /// Ask for a password once and try it after the keys, at targets but not at jump hosts
    #[arg(short = 'k', long, env = "CRONIUM_RUN_ASK_PASS", value_parser = clap::builder::BoolishValueParser::new())]
    pub ask_pass: bool,
    /// The first line of a file in place of the password that --ask-pass asks for
    #[arg(long, value_name = "FILE", env = "CRONIUM_RUN_PASSWORD_FILE", conflicts_with = "ask_pass")]
    pub password_file: Option<PathBuf>,
    /// How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]
    #[arg(long, value_name = "TIME", env = "CRONIUM_RUN_CONNECT_TIMEOUT", value_parser = connect_timeout)]
    pub connect_timeout: Option<Duration>,
}

impl HostArgs {
    /// The hosts that `targets` names, ready to be connected to; at least one.
    ///
    /// Without `targets`, the whole inventory. `stdin` is read only where a list on it is named.
    pub fn targets(&self, targets: Option<&str>, stdin: impl Read) -> Result<Resolved> {
        self.targets_for(targets, stdin, &Account::current()?)
    }

    /// Those of the hosts of a run that `targets` and the flags choose, in their order.
    pub fn among(&self, hosts: &[String], targets: Option<&str>, stdin: impl Read) -> Result<Vec<String>> {
        let SelectArgs { inventory: _, limit, exclude } = &self.select;
        if targets.is_none() && limit.is_none() && exclude.is_none() {
            return Ok(hosts.to_vec());
        }
        let mut sources = Files::new(stdin);
        let inventory = self.select.inventory(&mut sources, &Account::current()?)?;
        let mut read = |what, text: &String| selection::parse_as(what, text)?.read(&mut sources);
        let targets = targets.map(|text| read("targets", &text.to_owned())).transpose()?;
        let limit = limit.as_ref().map(|text| read("--limit", text)).transpose()?;
        let exclude = exclude.as_ref().map(|text| read("--exclude", text)).transpose()?;
        let matcher =
            |expr: &Option<Expr>| expr.as_ref().map(|expr| expr.matcher(inventory.as_ref())).transpose();
        let (targets, limit, exclude) = (matcher(&targets)?, matcher(&limit)?, matcher(&exclude)?);
        let mut chosen = Vec::new();
        for name in hosts {
            let host = selection::resolve(&selection::parse(name)?, &mut Files::new(io::empty()), None)?;
            let is_in = |matcher: &Matcher<'_>| host.iter().any(|host| matcher.matches(host));
            if targets.as_ref().is_none_or(is_in)
                && limit.as_ref().is_none_or(is_in)
                && !exclude.as_ref().is_some_and(is_in)
            {
                chosen.push(name.clone());
            }
        }
        Ok(chosen)
    }

    /// `targets` of a run with what this call says of how they are reached; all else is as it was then.
    /// With a flag that leads elsewhere (`-J`, `-F`, `--ssh-option`, `--become…`) each is looked up anew.
    pub fn again(&self, targets: Vec<Target>, global: &Global) -> Result<Vec<Target>> {
        const ELSEWHERE: [&str; 6] =
            ["jump", "ssh-config", "ssh-option", "become", "become-user", "become-method"];
        if ELSEWHERE.into_iter().any(|flag| global.is_given(flag)) {
            let names: Vec<String> = targets.into_iter().map(|target| target.name).collect();
            return self.anew(&names);
        }
        let account = Account::current()?;
        let reach = self.connect.reach(Becoming::default(), &account)?;
        let mut targets = targets;
        for target in &mut targets {
            let Address::Ssh(ssh) = &mut target.address else { continue };
            if let Some(user) = self.connect.user.as_ref().filter(|_| global.is_given("user")) {
                ssh.user.clone_from(user);
                if let Some(privilege) = &mut target.privilege {
                    privilege.login.clone_from(user);
                }
            }
            if let Some(port) = self.connect.port.filter(|_| global.is_given("port")) {
                ssh.port = port;
            }
            if global.is_given("private-key") {
                ssh.named += reach.private_keys.len();
                ssh.identities.splice(0..0, reach.private_keys.iter().cloned());
            }
            if let Some(file) = reach.known_hosts.as_ref().filter(|_| global.is_given("known-hosts")) {
                ssh.known_hosts = vec![file.clone()];
            }
            if let Some(policy) = self.connect.host_key.filter(|_| global.is_given("host-key")) {
                ssh.host_key = policy;
            }
            if let Some(time) = self.connect.connect_timeout.filter(|_| global.is_given("connect-timeout")) {
                ssh.connect_timeout = time;
            }
        }
        Ok(targets)
    }

    /// The hosts of a run by their names alone, as `exec` would reach them now.
    pub fn anew(&self, names: &[String]) -> Result<Vec<Target>> {
        let select = SelectArgs { inventory: self.select.inventory.clone(), limit: None, exclude: None };
        let hosts = Self { select, ..self.clone() };
        Ok(hosts.targets(Some(&names.join(",")), io::empty())?.targets)
    }

    fn targets_for(&self, targets: Option<&str>, stdin: impl Read, account: &Account) -> Result<Resolved> {
        let mut sources = Files::new(stdin);
        let mut inventory = self.select.inventory(&mut sources, account)?;
        let selected = self.select.hosts(targets, &mut sources, inventory.as_ref())?;
        let source = self.connect.source(account);
        if let Some(inventory) = &mut inventory {
            // Followed unasked, a file of a project could name commands to run here.
            let own = account.ssh_dir().join("config");
            let is_read = |path: &&PathBuf| match &source {
                ssh_config::Source::Standard => **path == own,
                ssh_config::Source::File(file) => *path == file,
                ssh_config::Source::Nothing => false,
            };
            for path in inventory.ssh_configs.iter().filter(|path| !is_read(path)) {
                let path = path.display();
                inventory
                    .warnings
                    .push(format!("{path} names hosts only: -F {path} reaches them as it says"));
            }
        }
        let config = Config::load(&source, &self.connect.ssh_option, account)?;
        self.connect
            .reach(self.privilege.becoming(), account)?
            .resolve(&selected, inventory, &config, account)
    }
}

impl SelectArgs {
    fn hosts(
        &self,
        targets: Option<&str>,
        sources: &mut impl Sources,
        inventory: Option<&Inventory>,
    ) -> Result<Vec<Selected>> {
        let expr = match targets {
            Some(targets) => selection::parse(targets)?,
            None if inventory.is_some() => Expr::default(),
            None => {
                return Err(Error::usage("no targets, and no inventory to take them from")
                    .hint("cronium-run hosts web[01-20]")
                    .hint("cronium-run hosts -i hosts.yaml"));
            }
        };
        let mut hosts = selection::resolve(&expr, sources, inventory)?;
        let named = hosts.len();
        if let Some(limit) = &self.limit {
            let limit = selection::parse_as("--limit", limit)?.read(sources)?.matcher(inventory)?;
            hosts.retain(|host| limit.matches(host));
        }
        if let Some(exclude) = &self.exclude {
            let exclude = selection::parse_as("--exclude", exclude)?.read(sources)?.matcher(inventory)?;
            hosts.retain(|host| !exclude.matches(host));
        }
        match (hosts.is_empty(), named) {
            (false, _) => Ok(hosts),
            (true, 0) => Err(Error::usage("the targets name no host")
                .hint("cronium-run hosts TARGETS  shows what a selection names")),
            (true, named) => Err(Error::usage(format!("--limit and --exclude leave none of {named} hosts"))
                .hint("cronium-run hosts TARGETS  shows what a selection names")),
        }
    }

    /// What all files of `-i` say, else the operator's own `hosts.yaml` if there is one.
    fn inventory(&self, sources: &mut impl Sources, account: &Account) -> Result<Option<Inventory>> {
        if !self.inventory.is_empty() {
            let paths = self.inventory.iter().map(PathBuf::as_path);
            return format::load(paths, sources, account).map(Some);
        }
        let standard = format::standard(account);
        match standard.exists() {
            true => format::load([standard.as_path()], sources, account).map(Some),
            false => Ok(None),
        }
    }
}

impl KeepArgs {
    /// How long connections are kept, if at all.
    pub fn persist(&self) -> Option<Duration> {
        self.persist.filter(|persist| !persist.is_zero())
    }
}

impl ConnectArgs {
    fn source(&self, account: &Account) -> ssh_config::Source {
        match &self.ssh_config {
            None => ssh_config::Source::Standard,
            Some(path) if path.as_os_str() == "none" => ssh_config::Source::Nothing,
            Some(path) => ssh_config::Source::File(expanded(path, account)),
        }
    }

    fn reach(&self, becoming: Becoming, account: &Account) -> Result<Reach> {
        let mut private_keys = Vec::with_capacity(self.private_key.len());
        for path in &self.private_key {
            let path = expanded(path, account);
            if !path.is_file() {
                return Err(Error::usage(format!("there is no private key {}", path.display()))
                    .hint("ls ~/.ssh")
                    .hint("ssh-keygen -t ed25519  makes one"));
            }
            private_keys.push(path);
        }
        Ok(Reach {
            user: self.user.clone(),
            port: self.port,
            private_keys,
            known_hosts: self.known_hosts.as_deref().map(|path| expanded(path, account)),
            host_key: self.host_key,
            connect_timeout: self.connect_timeout,
            jump: self.jump.clone(),
            becoming,
        })
    }
}

/// The shell expands `~` on the command line; in a configuration file nobody else does.
fn expanded(path: &Path, account: &Account) -> PathBuf {
    path.to_str().and_then(|path| account.expand_home(path)).unwrap_or_else(|| path.to_owned())
}

fn user(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a user has a name".into()),
        text if text.starts_with('-') || text.chars().any(|character| character.is_control()) => {
            Err("this is no name of a user".into())
        }
        text => Ok(text.to_owned()),
    }
}

fn connect_timeout(text: &str) -> Result<Duration, String> {
    match ssh_config::time::parse(text) {
        Some(time) if !time.is_zero() => Ok(time),
        _ => Err("write seconds or a length of time above zero: 10, 10s, 1m30s".into()),
    }
}

/// `--persist`; 0 takes back what a file says.
fn persist(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    match ssh_config::time::parse(text) {
        Some(time) if time <= LONGEST => Ok(time),
        Some(_) => Err("connections are kept for a day at most: 24h".into()),
        None => Err("write a length of time: 10m, 1h30m, or 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        hosts: HostArgs,
        targets: Option<String>,
    }

    /// A home folder with lists of hosts in it, so that no file of this machine plays a part.
    fn home() -> tempfile::TempDir {
        let home = tempfile::TempDir::new().unwrap();
        for (name, text) in [
            ("web.txt", "web[1-3]\n"),
            ("db.txt", "root@db1 # the old one\nweb3\n"),
            (
                "hosts.yaml",
                "groups:\n  web: {hosts: [web1, ann@special:2222], connect: {user: dep, port: 7}}\nhosts:\n  web2: {address: 10.0.0.2, user: own, groups: web}\n  db1: {jump: bastion}\n",
            ),
            ("hosts.ini", "[web]\nweb1 ansible_host=10.0.0.1\n"),
            ("empty.txt", "\n"),
            ("key", ""),
        ] {
            std::fs::write(home.path().join(name), text).unwrap();
        }
        home
    }

    /// `HOME` in a word is the folder of [`home`].
    fn resolve(words: &str, stdin: &str) -> Result<Vec<String>> {
        let home = home();
        let words = words.replace("HOME", home.path().to_str().unwrap());
        let mut cli = Cli::try_parse_from(["x"].into_iter().chain(words.split_whitespace())).unwrap();
        cli.hosts.connect.ssh_config.get_or_insert("none".into());
        let account = Account::pretend(home.path());
        let resolved = cli.hosts.targets_for(cli.targets.as_deref(), stdin.as_bytes(), &account);
        let shown = |address: &Address| match address {
            Address::Local => "local".to_owned(),
            Address::Ssh(ssh) => format!("{}@{}:{}", ssh.user, ssh.host, ssh.port),
        };
        resolved
            .map(|resolved| resolved.targets.iter().map(|target| shown(&target.address)).collect())
            .map_err(|mut error| {
                error.message = error.message.replace(home.path().to_str().unwrap(), "HOME");
                error
            })
    }

    #[test]
    fn targets_are_chosen_and_reached() {
        for (words, expected) in [
            ("web1,ann@web2:2222,local", "me@web1:22 ann@web2:2222 local"),
            ("-u root -p 2200 web1,ann@web2,web3:22", "root@web1:2200 ann@web2:2200 root@web3:22"),
            ("--ssh-option User=opt --ssh-option Port=7 web1", "opt@web1:7"),
            ("--ssh-option User=opt -u flag web1", "flag@web1:22"),
            ("-", "me@a:22 me@b:22"),
            ("^HOME/web.txt", "me@web1:22 me@web2:22 me@web3:22"),
            ("-i HOME/web.txt", "me@web1:22 me@web2:22 me@web3:22"),
            ("-i HOME/web.txt -i HOME/db.txt", "me@web1:22 me@web2:22 me@web3:22 root@db1:22"),
            ("-i HOME/web.txt -i HOME/db.txt d*,web?,!web1", "root@db1:22 me@web2:22 me@web3:22"),
            ("-i HOME/web.txt other", "me@other:22"),
            // A name of the inventory means that host, with its settings.
            ("-i HOME/db.txt db1", "root@db1:22"),
            ("-i HOME/hosts.yaml @web", "dep@web1:7 ann@special:2222 own@10.0.0.2:7"),
            ("-i HOME/hosts.yaml special,web3", "ann@special:2222 me@web3:22"),
            ("-i HOME/hosts.yaml ann@web1:9,bob@special", "ann@web1:9 bob@special:2222"),
            ("-i HOME/hosts.yaml -u flag -p 8 web[1-2]", "flag@web1:8 flag@10.0.0.2:8"),
            (
                "-i HOME/hosts.yaml --ssh-option User=o --ssh-option Port=6 --ssh-option HostName=h web2,x",
                "own@10.0.0.2:7 o@h:6",
            ),
            ("-i HOME/hosts.ini -i HOME/hosts.yaml web1", "dep@10.0.0.1:7"),
            ("-i HOME/hosts.yaml all -l @web -x web1", "ann@special:2222 own@10.0.0.2:7"),
            ("web[1-4] --limit web[2-9] --exclude web3", "me@web2:22 me@web4:22"),
            ("web[1-4] -l !web2 -x ^HOME/db.txt", "me@web1:22 me@web4:22"),
            ("web[1-4] -l web?,!web2", "me@web1:22 me@web3:22 me@web4:22"),
            ("a,b,c -x -", "me@c:22"),
        ] {
            assert_eq!(resolve(words, "a\nb\n").unwrap().join(" "), expected, "{words}");
        }
    }

    #[test]
    fn what_cannot_be_chosen_or_reached_is_a_usage_error() {
        for (words, message) in [
            ("", "no targets, and no inventory to take them from"),
            ("web1,!web1", "the targets name no host"),
            ("-i HOME/empty.txt", "the targets name no host"),
            ("web[1-3] -l db1", "--limit and --exclude leave none of 3 hosts"),
            ("web1 -l web[", "invalid --limit, column 4: this bracket has no partner\n  web[\n     ^"),
            ("@web", "@web is a group, and there is no inventory"),
            ("all", "all is every host of the inventory, and there is no inventory"),
            ("-i HOME/hosts.yaml @wbe", "the inventory has no group wbe"),
            ("-i HOME/hosts.yaml @d*", "no group of the inventory matches @d*"),
            ("-i HOME", "HOME is a folder, an inventory is a file"),
            ("-i HOME/none.txt", "cannot read the list of hosts HOME/none.txt"),
            ("--private-key HOME/none web1", "there is no private key HOME/none"),
            ("-F HOME/none web1", "cannot read the SSH configuration HOME/none"),
            (
                "--ssh-option ProxyJump=x,,y web1",
                "--ssh-option ProxyJump=x,,y: '' is no jump host: write user@host:port",
            ),
        ] {
            let error = resolve(words, "").expect_err(words);
            assert_eq!(error.message, message, "{words}");
            assert_eq!(error.code, crate::error::ExitCode::Usage);
            assert!(!error.hints.is_empty(), "{words}");
        }
    }

    #[test]
    fn a_tilde_that_no_shell_has_seen_is_expanded() {
        let home = home();
        let account = Account::pretend(home.path());
        let cli =
            Cli::parse_from(["x", "--private-key", "~/key", "--known-hosts", "~/known", "-F", "~/none"]);
        let reach = cli.hosts.connect.reach(Becoming::default(), &account).unwrap();
        assert_eq!(reach.private_keys, [home.path().join("key")]);
        assert_eq!(reach.known_hosts, Some(home.path().join("known")));
        assert_eq!(cli.hosts.connect.source(&account), ssh_config::Source::File(home.path().join("none")));
    }

    #[test]
    fn values_are_checked_while_parsing() {
        for words in [
            &["--port", "0"][..],
            &["--port", "65536"],
            &["--connect-timeout", "0"],
            &["--connect-timeout", "soon"],
            &["--user", ""],
            &["--user", "-x"],
            &["--host-key", "maybe"],
        ] {
            assert!(Cli::try_parse_from([&["x"], words].concat()).is_err(), "{words:?}");
        }
        let cli = Cli::parse_from(["x", "--connect-timeout", "1m30s", "--host-key", "accept-new"]);
        assert_eq!(cli.hosts.connect.connect_timeout, Some(Duration::from_secs(90)));
        assert_eq!(cli.hosts.connect.host_key, Some(HostKeyPolicy::AcceptNew));
    }
}
