//! The language of TARGETS, `--limit`, `--exclude` and lists of hosts.
//!
//! ```text
//! targets  = term *( [","] term )            the comma may be left out before "!" and "&"
//! term     = item                            adds hosts
//!          | "&" item                        keeps only these
//!          | "!" item                        takes these out
//! item     = "local"                         this machine, without SSH
//!          | "all"                           the whole inventory
//!          | "@" name                        a group of the inventory, with those in it
//!          | "-"                             a list on stdin
//!          | "^" path                        a list in a file, relative to the working folder
//!          | [ user "@" ] name [ ":" port ]
//!          | [ user "@" ] ipv6
//!          | [ user "@" ] "[" ipv6 "]" [ ":" port ]
//! name     = 1*( letter | digit | "." | "-" | "_" | "*" | "?" | set )
//! set      = "[" element *( "," element ) "]"
//! element  = number | number "-" number [ "/" step ]     01-20 is padded, 1-20 is not
//!          | letter "-" letter [ "/" step ]              a-f
//!          | word                                        [east,west]
//! list     = *( [ targets ] [ "#" comment ] newline )    as if the lines stood between commas
//! ```
//!
//! Several sets in one name multiply. The order in which terms are written does not matter: first
//! all that adds, then all `&`, then all `!`, so that a host that was taken out stays out. Added
//! hosts keep the order in which they are written; duplicates are dropped. Where nothing is
//! added, the inventory is.
//!
//! `*` and `?` make a name a pattern. To add hosts it needs an inventory to look in; after `&` and
//! `!` it needs none. After these two a host without user and port means that host with any user
//! and any port. `@web*` means every group of such a name, `@all` and `all` every host, and
//! `@ungrouped` those in no group.
//!
//! A name needs no inventory. Where the inventory has it, it means that host: `special` is
//! `ann@special:2222` if that is how the inventory knows it. The bare name of a group is an error.

mod host;
mod host_set;
mod matcher;
mod sources;
mod syntax;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Inventory;
use crate::error::{Error, Result};

pub use host::{Host, Selected};
pub use host_set::HostSet;
pub use matcher::Matcher;
pub use sources::{Files, Sources};
pub use syntax::{SyntaxError, parts};

/// One selection names at most this many hosts, counted before any name is made.
pub const MAX_HOSTS: u64 = 100_000;

/// Each pattern is held against each host.
const MAX_PATTERNS: u64 = 1_000;

/// What was typed. Nothing has been read yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expr {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    op: Op,
    item: Item,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Keep,
    Drop,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Local,
    All,
    Group(HostSet),
    Hosts(HostSet),
    List(PathBuf),
    Stdin,
    /// A list that has been read.
    Read(Expr),
}

/// Reads an expression without touching anything else. The error shows the place.
pub fn parse(expr: &str) -> Result<Expr> {
    parse_as("targets", expr)
}

/// Like [`parse`], for something that is called `what`, such as `--limit`.
pub fn parse_as(what: &str, expr: &str) -> Result<Expr> {
    match syntax::parse(expr) {
        Ok(terms) => Ok(Expr { terms }),
        Err(error) => Err(error.or_ansibles(expr).shown_in(&format!("invalid {what}"), expr)),
    }
}

/// Reads one host or one range, with no blank around it. The error has the place in bytes.
pub fn host_set(text: &str) -> Result<HostSet, SyntaxError> {
    syntax::host_set_of(text)
}

/// Reads the text of a list; `name` is what errors call it. Lists do not name other lists.
pub fn parse_list(name: &str, text: &str) -> Result<Expr> {
    Ok(Expr { terms: parse_lines(name, text)?.into_iter().map(|(_, term)| term).collect() })
}

/// Reads the text of a list that only names hosts: each host or range with its line, counted from 1.
/// `None` where it also takes hosts out.
pub(super) fn parse_plain_list(name: &str, text: &str) -> Result<Option<Vec<(usize, HostSet)>>> {
    let terms = parse_lines(name, text)?.into_iter();
    Ok(terms
        .map(|(line, term)| match term {
            Term { op: Op::Add, item: Item::Hosts(set) } if !set.is_pattern() => Some((line, set)),
            Term { op: Op::Add, item: Item::Local } => Some((line, HostSet::local())),
            _ => None,
        })
        .collect())
}

fn parse_lines(name: &str, text: &str) -> Result<Vec<(usize, Term)>> {
    let mut terms = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = without_comment(line);
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |error: syntax::SyntaxError| error.shown_in(&format!("{name}:{}", number + 1), line);
        for term in syntax::parse(line).map_err(wrong)? {
            if matches!(term.item, Item::List(_) | Item::Stdin) {
                return Err(Error::usage(format!("{name}:{}: a list cannot name another list", number + 1))
                    .hint("name each list in the targets: ^one,^two"));
            }
            terms.push((number + 1, term));
        }
    }
    Ok(terms)
}

/// A `#` at the start of a word begins a comment.
pub(super) fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, character) in line.char_indices() {
        if character == '#' && before.is_whitespace() {
            return &line[..at];
        }
        before = character;
    }
    line
}

/// Reads the lists that `expr` names and returns its hosts, in order.
///
/// `inventory` is what groups and patterns are looked for in; `None` says that there is none.
pub fn resolve(
    expr: &Expr,
    sources: &mut impl Sources,
    inventory: Option<&Inventory>,
) -> Result<Vec<Selected>> {
    expr.read(sources)?.select(inventory)
}

impl Expr {
    /// Whether resolving it consumes stdin.
    pub fn reads_stdin(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.item, Item::Stdin))
    }

    /// The names of all its terms before duplicates are dropped; `u64::MAX` for more than that.
    /// Lists count once they have been read, groups not at all.
    pub fn count(&self) -> u64 {
        self.terms.iter().fold(0, |sum, term| {
            sum.saturating_add(match &term.item {
                Item::Local => 1,
                Item::Hosts(set) => set.count(),
                Item::Read(list) => list.count(),
                Item::All | Item::Group(_) | Item::List(_) | Item::Stdin => 0,
            })
        })
    }

    /// The same expression with its lists in it. Small enough to be expanded.
    pub fn read(&self, sources: &mut impl Sources) -> Result<Self> {
        let mut terms = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            let item = match &term.item {
                Item::List(path) => Item::Read(read_list(path, sources)?),
                Item::Stdin => Item::Read(parse_list("stdin", &sources.stdin()?)?),
                other => other.clone(),
            };
            terms.push(Term { op: term.op, item });
        }
        let read = Self { terms };
        read.bounded()?;
        Ok(read)
    }

    fn bounded(&self) -> Result<()> {
        for term in &self.terms {
            let patterns = match &term.item {
                Item::Hosts(set) if set.is_pattern() => set,
                Item::Group(set) => set,
                _ => continue,
            };
            if patterns.count() > MAX_PATTERNS {
                return Err(Error::usage(format!("{patterns} stands for more than {MAX_PATTERNS} patterns"))
                    .hint("write * or ? in place of the set"));
            }
        }
        let count = self.count();
        if count <= MAX_HOSTS {
            return Ok(());
        }
        let count = if count == u64::MAX { "too many".to_owned() } else { count.to_string() };
        Err(Error::usage(format!("the selection names {count} hosts, more than {MAX_HOSTS}"))
            .hint("check the ranges for a digit too many, or select fewer hosts and run more than once"))
    }

    /// The hosts of an expression that has been [`read`](Self::read).
    fn select(&self, inventory: Option<&Inventory>) -> Result<Vec<Selected>> {
        let mut hosts = Unique::default();
        let mut adds = false;
        for term in self.terms.iter().filter(|term| term.op == Op::Add) {
            adds = true;
            match &term.item {
                Item::Local => hosts.add(Selected::Local),
                Item::All => hosts.extend(everything(inventory)?),
                Item::Group(set) => {
                    let (inventory, members) = members(set, inventory)?;
                    hosts.extend(members.into_iter().map(|index| inventory.entries()[index].host.clone()));
                }
                Item::Hosts(set) if set.is_pattern() => hosts.extend(find(set, inventory)?),
                Item::Hosts(set) => {
                    for host in set.expand() {
                        match (Selected::of(host), inventory) {
                            (Selected::Ssh(host), _) if is_all(&host) => hosts.extend(everything(inventory)?),
                            (Selected::Ssh(host), Some(inventory)) => {
                                not_a_group(&host, inventory)?;
                                hosts.extend(inventory.meant(host));
                            }
                            (host, _) => hosts.add(host),
                        }
                    }
                }
                // A list with nothing in it adds nothing: it is not the whole inventory.
                Item::Read(list) if list.terms.is_empty() => {}
                Item::Read(list) => hosts.extend(list.select(inventory)?),
                Item::List(_) | Item::Stdin => unreachable!("read() has replaced them"),
            }
        }
        // Without any term and without an inventory this is an inventory, an empty one.
        if !adds && (inventory.is_some() || !self.terms.is_empty()) {
            let inventory = inventory.ok_or_else(|| {
                Error::usage(
                    "the selection only takes hosts out, and there is no inventory to take them from",
                )
                .hint("name hosts first, as in web[1-9],!web3, or give an inventory with -i FILE")
            })?;
            hosts.extend(everything(Some(inventory))?);
        }
        let mut hosts = hosts.hosts;
        for keep in self.terms.iter().filter(|term| term.op == Op::Keep) {
            let matcher = Matcher::of_items([&keep.item], inventory)?;
            hosts.retain(|host| matcher.matches(host));
        }
        let drops = self.terms.iter().filter(|term| term.op == Op::Drop).map(|term| &term.item);
        let dropped = Matcher::of_items(drops, inventory)?;
        hosts.retain(|host| !dropped.matches(host));
        Ok(hosts)
    }

    /// Says of any host whether this expression, which has been [`read`](Self::read), names it.
    /// An error where it names a group that is not there.
    pub fn matcher<'i>(&self, inventory: Option<&'i Inventory>) -> Result<Matcher<'i>> {
        Matcher::of(self, inventory)
    }
}

/// `all` that came out of a set.
fn is_all(host: &Host) -> bool {
    host.user.is_none() && host.port.is_none() && host.name == super::ALL
}

/// A group without its sign would be taken for a host that nobody has.
fn not_a_group(host: &Host, inventory: &Inventory) -> Result<()> {
    let Host { user: None, name, port: None } = host else { return Ok(()) };
    let is_group = inventory.by_group.contains_key(name) || name == super::UNGROUPED;
    match is_group && inventory.named(name).next().is_none() {
        true => Err(Error::usage(format!("{name} is a group: write @{name}"))
            .hint(format!("cronium-run hosts -i FILE @{name}  shows its hosts"))),
        false => Ok(()),
    }
}

fn everything(inventory: Option<&Inventory>) -> Result<Vec<Selected>> {
    let inventory = inventory.ok_or_else(|| no_inventory("all is every host of the inventory"))?;
    Ok(inventory.entries().iter().map(|entry| entry.host.clone()).collect())
}

fn no_inventory(what: impl std::fmt::Display) -> Error {
    Error::usage(format!("{what}, and there is no inventory"))
        .hint("give one with -i FILE, or keep it in ~/.config/cronium-run/hosts.yaml")
}

/// The entries of all groups that a term names.
fn members<'i>(set: &HostSet, inventory: Option<&'i Inventory>) -> Result<(&'i Inventory, Vec<usize>)> {
    let inventory = inventory.ok_or_else(|| no_inventory(format_args!("{set} is a group")))?;
    let mut members = Vec::new();
    for name in set.expand() {
        members.extend(inventory.hosts_in(&name.name).ok_or_else(|| unknown(&name.name, inventory))?);
    }
    Ok((inventory, members))
}

fn unknown(name: &str, inventory: &Inventory) -> Error {
    const GROUPS: &str = "cronium-run hosts -i FILE --groups  shows what there is";
    if super::wildcard::is_pattern(name) {
        return Error::usage(format!("no group of the inventory matches @{name}")).hint(GROUPS);
    }
    let error = Error::usage(format!("the inventory has no group {name}"));
    let names = inventory.groups().iter().map(|group| group.name.as_str());
    match super::nearest(name, names) {
        Some(near) => error.hint(format!("did you mean @{near}?")).hint(GROUPS),
        None => error.hint(GROUPS),
    }
}

fn read_list(path: &Path, sources: &mut impl Sources) -> Result<Expr> {
    parse_list(&path.display().to_string(), &sources.list(path)?)
}

/// The hosts of the inventory that a pattern describes, with the pattern's user and port.
fn find(pattern: &HostSet, inventory: Option<&Inventory>) -> Result<Vec<Selected>> {
    let Some(inventory) = inventory else {
        return Err(Error::usage(format!("{pattern} is a pattern, and there is no inventory to look in"))
            .hint("give a list of hosts with -i FILE"));
    };
    let mut found = Unique::default();
    for pattern in &pattern.expand() {
        for host in inventory.entries().iter().filter_map(|entry| entry.host.ssh()) {
            if super::wildcard::matches(&pattern.name, &host.name) {
                found.add(Selected::Ssh(Host {
                    user: pattern.user.clone().or_else(|| host.user.clone()),
                    name: host.name.clone(),
                    port: pattern.port.or(host.port),
                }));
            }
        }
    }
    if found.hosts.is_empty() {
        return Err(Error::usage(format!("no host of the inventory matches {pattern}"))
            .hint("cronium-run hosts -i FILE  shows what is in it"));
    }
    Ok(found.hosts)
}

/// Hosts in the order in which they were first named.
#[derive(Default)]
struct Unique {
    hosts: Vec<Selected>,
    seen: HashSet<Selected>,
}

impl Unique {
    fn add(&mut self, host: Selected) {
        if self.seen.insert(host.clone()) {
            self.hosts.push(host);
        }
    }

    fn extend(&mut self, hosts: impl IntoIterator<Item = Selected>) {
        for host in hosts {
            self.add(host);
        }
    }
}

#[cfg(test)]
mod tests;
