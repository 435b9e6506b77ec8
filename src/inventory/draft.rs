//! An inventory while its files are read.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::entry::{Entry, Group, Rules, Settings, Vars};
use super::selection::{MAX_HOSTS, Selected};
use super::spot::Spot;
use super::{ALL, Inventory, UNGROUPED};
use crate::error::{Error, Result};

const NOT_LOCAL: &str = "a host cannot be called local: that is this machine, without SSH";

/// Collects hosts and groups of all files; what is said twice is merged, the later value wins.
#[derive(Debug, Default)]
pub struct Draft {
    inventory: Inventory,
    by_host: HashMap<Selected, usize>,
    member: HashSet<(usize, usize)>,
}

impl Draft {
    /// The host's index, made at its first mention.
    pub fn host(&mut self, host: Selected, spot: &Spot, rules: Rules) -> Result<usize> {
        if let Some(&index) = self.by_host.get(&host) {
            return Ok(index);
        }
        if host == Selected::Local && rules == Rules::Ansible {
            return Err(spot
                .fault(NOT_LOCAL)
                .hint("where it is this machine, call it localhost, with ansible_connection=local")
                .hint("else give it another name, and its own as ansible_host"));
        }
        let index = self.inventory.entries.len();
        if index as u64 >= MAX_HOSTS {
            return Err(Error::usage(format!("the inventory has more than {MAX_HOSTS} hosts"))
                .hint("name fewer files with -i"));
        }
        self.by_host.insert(host.clone(), index);
        self.inventory.entries.push(Entry {
            host,
            settings: Settings::default(),
            vars: Vars::new(),
            groups: Vec::new(),
            place: spot.place(),
            rules,
        });
        Ok(index)
    }

    /// Says more of a host; `spot` is where it is described, which is more than being mentioned.
    pub fn describe(&mut self, host: usize, settings: Settings, vars: &Vars, spot: &Spot) -> Result<()> {
        let entry = &mut self.inventory.entries[host];
        if entry.host == Selected::Local && settings.says_how() {
            return Err(spot.fault(NOT_LOCAL).hint("give the host another name, and its own as address"));
        }
        entry.settings.replace_with(settings);
        entry.vars.extend(vars.iter().map(|(name, value)| (name.clone(), value.clone())));
        entry.place = spot.place();
        Ok(())
    }

    /// The group's index. A mention does not declare it.
    pub fn mention(&mut self, name: &str) -> usize {
        if let Some(&index) = self.inventory.by_group.get(name) {
            return index;
        }
        let index = self.inventory.groups.len();
        self.inventory.by_group.insert(name.to_owned(), index);
        self.inventory.groups.push(Group {
            name: name.to_owned(),
            hosts: Vec::new(),
            children: Vec::new(),
            parents: Vec::new(),
            settings: Settings::default(),
            vars: Vars::new(),
            place: None,
        });
        index
    }

    /// The group's index; from now on it exists, with hosts or without.
    pub fn declare(&mut self, name: &str, spot: &Spot) -> usize {
        let index = self.mention(name);
        self.inventory.groups[index].place.get_or_insert_with(|| spot.place());
        index
    }

    pub fn describe_group(&mut self, group: usize, settings: Settings, vars: Vars) {
        let group = &mut self.inventory.groups[group];
        group.settings.replace_with(settings);
        group.vars.extend(vars);
    }

    pub fn put_host(&mut self, host: usize, group: usize) {
        if self.inventory.groups[group].name != ALL && self.member.insert((host, group)) {
            self.inventory.groups[group].hosts.push(host);
            self.inventory.entries[host].groups.push(group);
        }
    }

    pub fn put_group(&mut self, child: usize, parent: usize, spot: &Spot) {
        // Every group is in `all`, said or not.
        if self.inventory.groups[parent].name == ALL {
            return;
        }
        let known = self.inventory.groups[parent].children.iter().any(|(known, _)| *known == child);
        if !known {
            self.inventory.groups[parent].children.push((child, spot.clone()));
            self.inventory.groups[child].parents.push(parent);
        }
    }

    /// Hosts are named by a file of ssh_config.
    pub fn ssh_config(&mut self, path: &Path) {
        self.inventory.ssh_configs.push(path.to_owned());
    }

    pub fn warn(&mut self, warning: String) {
        if !self.inventory.warnings.contains(&warning) {
            self.inventory.warnings.push(warning);
        }
    }

    /// Everything has been read: checks that groups exist and that none holds itself.
    pub fn finish(mut self) -> Result<Inventory> {
        self.check_children()?;
        self.check_cycles()?;
        self.fill_ungrouped();
        for entry in &mut self.inventory.entries {
            entry.groups.sort_unstable();
        }
        for (index, entry) in self.inventory.entries.iter().enumerate() {
            self.inventory.by_name.entry(entry.name().to_owned()).or_default().push(index);
        }
        self.inventory.measure_depths();
        Ok(self.inventory)
    }

    /// Where `ungrouped` is declared, it has every host that is in no other group, and no more.
    fn fill_ungrouped(&mut self) {
        let Some(&ungrouped) = self.inventory.by_group.get(UNGROUPED) else { return };
        let mut hosts = Vec::new();
        for (index, entry) in self.inventory.entries.iter_mut().enumerate() {
            entry.groups.retain(|group| *group != ungrouped);
            if entry.groups.is_empty() {
                entry.groups.push(ungrouped);
                hosts.push(index);
            }
        }
        self.inventory.groups[ungrouped].hosts = hosts;
    }

    fn check_children(&self) -> Result<()> {
        for group in &self.inventory.groups {
            for (child, spot) in &group.children {
                let child = &self.inventory.groups[*child];
                if child.place.is_some() {
                    continue;
                }
                let error = spot.fault(format_args!(
                    "group {} holds {}, which is declared nowhere",
                    group.name, child.name
                ));
                let declared = self.inventory.groups.iter().filter(|known| known.place.is_some());
                let names = declared.map(|group| group.name.as_str());
                return Err(match super::nearest(&child.name, names) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error.hint(format!("declare {}, with hosts or without", child.name)),
                });
            }
        }
        Ok(())
    }

    /// Walks down from every group; a group met again on the way down holds itself.
    fn check_cycles(&self) -> Result<()> {
        let groups = &self.inventory.groups;
        let mut done = vec![false; groups.len()];
        for start in 0..groups.len() {
            // The way down: a group, and which of its children comes next.
            let mut way: Vec<(usize, usize)> = vec![(start, 0)];
            let mut on_way = HashSet::from([start]);
            while let Some((group, next)) = way.last_mut() {
                let group = *group;
                let Some((child, spot)) = groups[group].children.get(*next).filter(|_| !done[group]) else {
                    done[group] = true;
                    on_way.remove(&group);
                    way.pop();
                    continue;
                };
                *next += 1;
                if on_way.insert(*child) {
                    way.push((*child, 0));
                    continue;
                }
                let names = way.iter().map(|(group, _)| groups[*group].name.as_str());
                let mut names: Vec<&str> = names.skip_while(|name| *name != groups[*child].name).collect();
                names.push(&groups[*child].name);
                return Err(spot
                    .fault(format_args!("groups hold each other: {}", names.join(" > ")))
                    .hint(format!("take {} out of {}", groups[*child].name, groups[group].name)));
            }
        }
        Ok(())
    }
}
