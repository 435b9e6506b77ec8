//! A manifest as YAML, for payloads made in memory. Values are written as JSON, which is YAML.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::{KEYS, Manifest};

impl Manifest {
    /// The YAML that [`Manifest::parse`] reads back as the same manifest. The same manifest gives
    /// the same bytes. Empty lists and mappings are left out.
    pub fn to_yaml(&self) -> String {
        let all = serde_json::to_value(self).expect("a manifest is plain data with string keys");
        let mut yaml = String::new();
        for key in KEYS {
            let value = &all[key];
            let is_empty = match value {
                Value::Null => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(pairs) => pairs.is_empty(),
                _ => false,
            };
            if !is_empty {
                writeln!(yaml, "{key}: {}", Flow(value)).expect("a String takes all");
            }
        }
        yaml
    }
}

/// JSON with everything outside ASCII's printable characters escaped: YAML forbids some of what
/// JSON allows unescaped (DEL, the C1 controls, a byte order mark).
struct Flow<'a, T>(&'a T);

impl<T: Serialize> std::fmt::Display for Flow<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::to_string(self.0).expect("plain data");
        for character in json.chars() {
            match character {
                ' '..='~' => f.write_char(character)?,
                // Behind a backslash or not: JSON never escapes these, so none precedes them.
                _ if u32::from(character) > 0xffff => write!(f, "\\U{:08x}", u32::from(character))?,
                _ => write!(f, "\\u{:04x}", u32::from(character))?,
            }
        }
        Ok(())
    }
}
