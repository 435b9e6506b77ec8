//! What a program of a dynamic inventory prints for `--list`.
//!
//! ```json
//! {"web": {"hosts": ["web1"], "children": ["canary"], "vars": {"ansible_user": "deploy"}},
//!  "db": ["db1", "db2"],
//!  "_meta": {"hostvars": {"web1": {"ansible_host": "10.0.0.1"}}}}
//! ```
//!
//! A name of a host is one host: nothing in it is a range. A host is one that a group names:
//! variables of others are left out, as Ansible does, with a warning. Groups keep the order in which they
//! are printed. Source: the `script` inventory plugin of ansible-core 2.19.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::ansible_vars::Sorted;
use super::pattern;
use crate::error::{Error, Result};
use crate::inventory::draft::Draft;
use crate::inventory::entry::Rules;
use crate::inventory::selection::Selected;
use crate::inventory::spot::Spot;

const META: &str = "_meta";

/// Pairs in the order of the text, which a map of `serde_json` forgets.
struct Document(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of groups")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Document(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Whether the text of a file is what a program would print, and not Ansible's YAML as JSON.
pub fn is_dynamic(text: &str) -> bool {
    // A group or a variable of this name is nothing that anybody has.
    if text.contains("\"_meta\"") {
        return true;
    }
    let Ok(Document(pairs)) = serde_json::from_str(text) else { return false };
    pairs.iter().any(|(_, value)| value.is_array() || value["hosts"].is_array())
}

/// Adds the hosts and groups of `text`; `name` is what faults call it, `origin` where its hosts
/// come from.
pub fn read(draft: &mut Draft, name: &Arc<str>, origin: &Arc<str>, text: &str) -> Result<()> {
    let Document(pairs) = serde_json::from_str(text).map_err(|error| {
        // The library's own text ends with the place.
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        Spot::new(name, error.line(), error.column())
            .fault(format_args!("this is no inventory in JSON: {message}"))
            .hint("the format is that of Ansible's inventory scripts: {\"web\": {\"hosts\": [\"web1\"]}}")
    })?;
    let reader = Reader { name, spot: Spot::whole(origin) };
    for (group, _) in pairs.iter().filter(|(name, _)| name != META) {
        draft.declare(group, &reader.spot);
    }
    let mut hosts = HashMap::new();
    let mut meta = None;
    for (group, value) in &pairs {
        match group.as_str() {
            META => meta = value.get("hostvars"),
            _ => reader.group(draft, group, value, &mut hosts)?,
        }
    }
    let Some(meta) = meta else {
        if !hosts.is_empty() {
            draft.warn(format!("{name}: without _meta.hostvars nothing is known of single hosts"));
        }
        return Ok(());
    };
    let vars = reader.object(meta, "_meta.hostvars")?;
    let mut unknown = 0;
    for (host, value) in vars {
        let Some(&index) = hosts.get(host) else {
            unknown += 1;
            continue;
        };
        let Sorted { settings, vars } = reader.sorted(value, &format!("_meta.hostvars.{host}"))?;
        draft.describe(index, settings, &vars, &reader.spot)?;
    }
    if unknown > 0 {
        let hosts = if unknown == 1 { "1 host".to_owned() } else { format!("{unknown} hosts") };
        draft.warn(format!("{name}: no group names {hosts} of _meta.hostvars, left out"));
    }
    Ok(())
}

struct Reader<'a> {
    name: &'a Arc<str>,
    spot: Spot,
}

impl Reader<'_> {
    fn group(
        &self,
        draft: &mut Draft,
        name: &str,
        value: &Value,
        hosts: &mut HashMap<String, usize>,
    ) -> Result<()> {
        let group = draft.declare(name, &self.spot);
        if let Value::Array(list) = value {
            return self.put_hosts(draft, group, name, list, hosts);
        }
        let object = self.object(value, name)?;
        for (key, value) in object {
            let what = format!("{name}.{key}");
            match key.as_str() {
                _ if value.is_null() => {}
                "hosts" => self.put_hosts(draft, group, &what, self.array(value, &what)?, hosts)?,
                "children" => {
                    for child in self.array(value, &what)? {
                        let child = child.as_str().ok_or_else(|| self.wrong(&what, "a list of names"))?;
                        // Programs name groups here that they print nowhere else, and Ansible lets them.
                        let child = draft.declare(child, &self.spot);
                        draft.put_group(child, group, &self.spot);
                    }
                }
                "vars" => {
                    let Sorted { settings, vars } = self.sorted(value, &what)?;
                    draft.describe_group(group, settings, vars);
                }
                _ => draft
                    .warn(format!("{}: {what} is not read: a group has hosts, children, vars", self.name)),
            }
        }
        Ok(())
    }

    fn put_hosts(
        &self,
        draft: &mut Draft,
        group: usize,
        what: &str,
        list: &[Value],
        hosts: &mut HashMap<String, usize>,
    ) -> Result<()> {
        for name in list {
            let name = name.as_str().ok_or_else(|| self.wrong(what, "a list of names"))?;
            let host = self.host(draft, name, hosts)?;
            draft.put_host(host, group);
        }
        Ok(())
    }

    fn host(&self, draft: &mut Draft, name: &str, hosts: &mut HashMap<String, usize>) -> Result<usize> {
        if let Some(&index) = hosts.get(name) {
            return Ok(index);
        }
        let host = pattern::single(name).filter(|host| host.name != crate::inventory::ALL).ok_or_else(|| {
            Spot::whole(self.name)
                .fault(format_args!("'{}' is no name of a host", name.escape_debug()))
                .hint("give it a name of letters, digits, dots, dashes and underscores, and its own as ansible_host")
        })?;
        let index = draft.host(Selected::of(host), &self.spot, Rules::Ansible)?;
        hosts.insert(name.to_owned(), index);
        Ok(index)
    }

    fn sorted(&self, value: &Value, what: &str) -> Result<Sorted> {
        let mut sorted = Sorted::default();
        for (name, value) in self.object(value, what)? {
            sorted.add(name, value.clone(), &self.spot)?;
        }
        Ok(sorted)
    }

    fn object<'v>(&self, value: &'v Value, what: &str) -> Result<&'v Map<String, Value>> {
        value.as_object().ok_or_else(|| self.wrong(what, "an object"))
    }

    fn array<'v>(&self, value: &'v Value, what: &str) -> Result<&'v [Value]> {
        value.as_array().map(Vec::as_slice).ok_or_else(|| self.wrong(what, "a list of names"))
    }

    fn wrong(&self, what: &str, wanted: &str) -> Error {
        Spot::whole(self.name)
            .fault(format_args!("{what} is not {wanted}"))
            .hint("the format is that of Ansible's inventory scripts: {\"web\": {\"hosts\": [\"web1\"]}}")
    }
}
