use serde::Serialize;

use super::ManifestError;
use super::field;
use super::node::Node;

/// Keys, in which `*` stands for any characters, `/` among them. Nothing else is special.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeyPatterns(pub Vec<String>);

impl KeyPatterns {
    pub(super) fn from_node(what: &str, node: Node) -> Result<Self, ManifestError> {
        // Elsewhere nothing counts as absent. Here that would allow all where none was named.
        if node.is_null() {
            return Err(
                node.fault(format!("{what} has no value: leave it out, or write [] for no key at all"))
            );
        }
        let item_of = format!("an item of {what}");
        let pattern = |item| field::short_text(&item_of, item).map(|(text, _)| text);
        field::short_list(what, node)?.into_iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them is the whole of `key`.
    pub fn match_key(&self, key: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, key))
    }
}

/// Without recursion, and in time that grows with the product of both lengths at worst.
fn matches(pattern: &str, key: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = key.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, key, want) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("", "", true),
            ("*", "anything / at ? all", true),
            ("app/*", "app/db/host", true),
            ("app/*", "app/", true),
            ("app/*", "app", false),
            ("*/host", "app/db/host", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("?", "x", false),
            ("?", "?", true),
        ] {
            assert_eq!(KeyPatterns(vec![pattern.into()]).match_key(key), want, "{pattern} {key}");
        }
        assert!(!KeyPatterns::default().match_key("a"), "an empty list lets nothing through");
    }
}
