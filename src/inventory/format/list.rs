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
    if let Some(sets) = selection::parse_plain_list(name, text)? {
        for (line, set) in sets {
            let spot = Spot::new(name, line, 1);
            pattern::check_size(&set, &spot)?;
            pattern::add(draft, &set, &spot, Rules::Ours)?;
        }
        return Ok(());
    }
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
        let named = selection::parse_list("", line)
            .and_then(|list| selection::resolve(&list, &mut NoLists, None))
            .unwrap_or_default();
        for host in named {
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
