//! Says of a host whether an expression names it, without a list of all hosts.

use std::collections::HashMap;

use super::{Expr, Host, HostSet, Item, Op, Selected};
use crate::error::Result;
use crate::inventory::{Inventory, wildcard};

/// What `&`, `!`, `--limit` and `--exclude` ask.
#[derive(Debug, Default)]
pub struct Matcher<'i> {
    all: bool,
    local: bool,
    /// By name: the users and ports that are meant.
    names: HashMap<String, Vec<Login>>,
    patterns: Vec<Host>,
    /// Expressions with an `&` or `!` of their own.
    lists: Vec<Whole<'i>>,
    /// Which entries of the inventory are meant, because of their groups.
    members: Option<(&'i Inventory, Vec<bool>)>,
}

/// `None` stands for any.
#[derive(Debug)]
struct Login {
    user: Option<String>,
    port: Option<u16>,
}

#[derive(Debug)]
struct Whole<'i> {
    /// `None` where the expression adds nothing, so that it takes from everything.
    adds: Option<Matcher<'i>>,
    keeps: Vec<Matcher<'i>>,
    drops: Matcher<'i>,
}

impl<'i> Matcher<'i> {
    pub(super) fn of(expr: &Expr, inventory: Option<&'i Inventory>) -> Result<Self> {
        let mut matcher = Self::default();
        matcher.add_list(expr, inventory)?;
        Ok(matcher)
    }

    pub(super) fn of_items<'a>(
        items: impl IntoIterator<Item = &'a Item>,
        inventory: Option<&'i Inventory>,
    ) -> Result<Self> {
        let mut matcher = Self::default();
        for item in items {
            match item {
                Item::Local => matcher.local = true,
                Item::All => matcher.all = true,
                Item::Group(set) => matcher.add_group(set, inventory)?,
                Item::Hosts(set) if set.is_pattern() => matcher.patterns.extend(set.expand()),
                Item::Hosts(set) => {
                    for host in set.expand() {
                        match Selected::of(host) {
                            Selected::Local => matcher.local = true,
                            Selected::Ssh(host) if super::is_all(&host) => matcher.all = true,
                            Selected::Ssh(host) => {
                                inventory.map_or(Ok(()), |inventory| super::not_a_group(&host, inventory))?;
                                let Host { user, name, port } = host;
                                matcher.names.entry(name).or_default().push(Login { user, port });
                            }
                        }
                    }
                }
                // Matches nothing, where an expression of nothing but `!` matches the rest.
                Item::Read(list) if list.terms.is_empty() => {}
                Item::Read(list) => matcher.add_list(list, inventory)?,
                Item::List(_) | Item::Stdin => unreachable!("read() has replaced them"),
            }
        }
        Ok(matcher)
    }

    fn add_group(&mut self, set: &HostSet, inventory: Option<&'i Inventory>) -> Result<()> {
        let (inventory, members) = super::members(set, inventory)?;
        let (_, meant) =
            self.members.get_or_insert_with(|| (inventory, vec![false; inventory.entries().len()]));
        for member in members {
            meant[member] = true;
        }
        Ok(())
    }

    fn add_list(&mut self, expr: &Expr, inventory: Option<&'i Inventory>) -> Result<()> {
        let of = |op| expr.terms.iter().filter(move |term| term.op == op).map(|term| &term.item);
        let adds = match of(Op::Add).next() {
            Some(_) => Some(Self::of_items(of(Op::Add), inventory)?),
            None => None,
        };
        let keeps = of(Op::Keep).map(|item| Self::of_items([item], inventory)).collect::<Result<_>>()?;
        self.lists.push(Whole { adds, keeps, drops: Self::of_items(of(Op::Drop), inventory)? });
        Ok(())
    }

    pub fn matches(&self, host: &Selected) -> bool {
        let here = match host {
            Selected::Local => self.local,
            Selected::Ssh(host) => {
                let fits = |user: &Option<String>, port: Option<u16>| {
                    (user.is_none() || *user == host.user) && (port.is_none() || port == host.port)
                };
                self.names
                    .get(&host.name)
                    .is_some_and(|logins| logins.iter().any(|login| fits(&login.user, login.port)))
                    || self.patterns.iter().any(|pattern| {
                        fits(&pattern.user, pattern.port) && wildcard::matches(&pattern.name, &host.name)
                    })
            }
        };
        let is_member = || {
            let (inventory, meant) = self.members.as_ref()?;
            inventory.entry_of(host).map(|entry| meant[entry])
        };
        self.all || here || is_member().unwrap_or(false) || self.lists.iter().any(|list| list.matches(host))
    }
}

impl Whole<'_> {
    fn matches(&self, host: &Selected) -> bool {
        self.adds.as_ref().is_none_or(|adds| adds.matches(host))
            && self.keeps.iter().all(|keep| keep.matches(host))
            && !self.drops.matches(host)
    }
}
