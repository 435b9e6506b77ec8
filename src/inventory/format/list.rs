//! Plain lists: one host or range a line, in the language of TARGETS.

use std::collections::HashMap;
use std::sync::Arc;

use super::pattern;
use crate::error::Result;
use crate::inventory::draft::Draft;
use crate::inventory::entry::Rules;
use crate::inventory::selection::{self, Selected};
use crate::inventory::spot::Spot;

pub fn read(draft: &mut Draft, name: &Arc<str>, text: &str) -> Result<()> {
    let list = selection::parse_list(name, text)?;
    let hosts = selection::resolve(&list, &mut NoLists, None).map_err(|mut error| {
        error.message = format!("{name}: {}", error.message);
        error
    })?;
    let mut lines = first_lines(text);
    for host in hosts {
        let spot = Spot::new(name, lines.remove(&host).unwrap_or(0), 1);
        draft.host(host, &spot, Rules::Ours)?;
    }
    Ok(())
}

/// Where each host is named first.
fn first_lines(text: &str) -> HashMap<Selected, usize> {
    let mut lines = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = selection::without_comment(line).trim();
        let single = pattern::single(line).map(|host| vec![Selected::of(host)]);
        let named = single.or_else(|| {
            let list = selection::parse_list("", line).ok()?;
            selection::resolve(&list, &mut NoLists, None).ok()
        });
        for host in named.into_iter().flatten() {
            lines.entry(host).or_insert(index + 1);
        }
    }
    lines
}

/// A list names no other list, so nobody asks.
struct NoLists;

impl selection::Sources for NoLists {
    fn list(&mut self, _: &std::path::Path) -> Result<String> {
        Ok(String::new())
    }

    fn stdin(&mut self) -> Result<String> {
        Ok(String::new())
    }
}
