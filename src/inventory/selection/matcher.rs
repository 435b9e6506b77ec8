//! Says of a host whether an expression names it, without a list of all hosts.

use std::collections::HashMap;

use super::{Expr, Host, Item, Op, Selected};
use crate::inventory::wildcard;

/// What `&`, `!`, `--limit` and `--exclude` ask.
#[derive(Debug, Default)]
pub struct Matcher {
    local: bool,
    /// By name: the users and ports that are meant.
    names: HashMap<String, Vec<Login>>,
    patterns: Vec<Host>,
    /// Expressions with an `&` or `!` of their own.
    lists: Vec<Whole>,
}

/// `None` stands for any.
#[derive(Debug)]
struct Login {
    user: Option<String>,
    port: Option<u16>,
}

#[derive(Debug)]
struct Whole {
    /// `None` where the expression adds nothing, so that it takes from everything.
    adds: Option<Matcher>,
    keeps: Vec<Matcher>,
    drops: Matcher,
}

impl Matcher {
    pub(super) fn of(expr: &Expr) -> Self {
        let mut matcher = Self::default();
        matcher.add_list(expr);
        matcher
    }

    pub(super) fn of_items<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut matcher = Self::default();
        for item in items {
            match item {
                Item::Local => matcher.local = true,
                Item::Hosts(set) if set.is_pattern() => matcher.patterns.extend(set.expand()),
                Item::Hosts(set) => {
                    for host in set.expand() {
                        match Selected::of(host) {
                            Selected::Local => matcher.local = true,
                            Selected::Ssh(Host { user, name, port }) => {
                                matcher.names.entry(name).or_default().push(Login { user, port });
                            }
                        }
                    }
                }
                // Matches nothing, where an expression of nothing but `!` matches the rest.
                Item::Read(list) if list.terms.is_empty() => {}
                Item::Read(list) => matcher.add_list(list),
                Item::List(_) | Item::Stdin => unreachable!("read() has replaced them"),
            }
        }
        matcher
    }

    fn add_list(&mut self, expr: &Expr) {
        let of = |op| expr.terms.iter().filter(move |term| term.op == op).map(|term| &term.item);
        let adds = of(Op::Add).next().is_some().then(|| Self::of_items(of(Op::Add)));
        let keeps = of(Op::Keep).map(|item| Self::of_items([item])).collect();
        self.lists.push(Whole { adds, keeps, drops: Self::of_items(of(Op::Drop)) });
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
        here || self.lists.iter().any(|list| list.matches(host))
    }
}

impl Whole {
    fn matches(&self, host: &Selected) -> bool {
        self.adds.as_ref().is_none_or(|adds| adds.matches(host))
            && self.keeps.iter().all(|keep| keep.matches(host))
            && !self.drops.matches(host)
    }
}
