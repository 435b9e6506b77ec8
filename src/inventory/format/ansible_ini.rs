//! Ansible's INI.
//!
//! ```text
//! mail ansible_host=10.0.0.9 ansible_port=2222      hosts of no group
//! [web]
//! web[01:20].example.com  level=info                a range, with variables of each host
//! db[a:f]:2222
//! [web:vars]
//! ansible_user=deploy                               variables of the group
//! [site:children]
//! web                                               groups in the group
//! ```
//!
//! `#` and `;` begin a comment line, ` #` a comment behind a host. Behind a variable of a group `#`
//! begins one only where a number, quoted text or another value of Python stands before it. Values follow Python where it is
//! plain: numbers, `True`, `False`, `None` and quoted text; everything else is text. Source: the
//! `ini` inventory plugin of ansible-core 2.19.

use std::sync::Arc;

use serde_json::Value;

use super::ansible_vars::Sorted;
use super::pattern::{self, Dialect};
use crate::error::Result;
use crate::inventory::draft::Draft;
use crate::inventory::entry::Rules;
use crate::inventory::nearest;
use crate::inventory::selection;
use crate::inventory::spot::Spot;

/// Whether a text is INI and no plain list: it has a `[section]` line that is no range, or a host
/// with `key=value` behind it.
pub fn is_ini(text: &str) -> bool {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])).any(|line| {
        if line.starts_with('[') && without_comment(line).trim_end().ends_with(']') {
            return selection::parse_list("", line).is_err();
        }
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let second = words.next().and_then(|word| word.split_once('=')).map(|(key, _)| key);
        !first.ends_with(',') && second.is_some_and(|key| !key.is_empty() && is_word(key))
    })
}

/// The line, counted from 1, of what is a section of INI as much as a range of hosts in a list:
/// `[a-c]` with hosts below it. To ask where [`is_ini`] says no.
pub fn ambiguous_line(text: &str) -> Option<(usize, &str)> {
    let is_section = |line: &str| {
        let inside = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
        inside.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)))
    };
    let lines = text.lines().map(|line| without_comment(line).trim()).enumerate();
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(';'));
    let (index, section) = lines.find(|(_, line)| is_section(line))?;
    lines.any(|(_, line)| !is_section(line)).then_some((index + 1, section))
}

fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[derive(Debug, Clone, Copy)]
enum Section {
    /// `None` before the first section.
    Hosts(Option<usize>),
    Vars(usize),
    Children(usize),
}

const KINDS: &[&str] = &["hosts", "vars", "children"];

/// Adds the hosts and groups of a text.
pub fn read(draft: &mut Draft, name: &Arc<str>, text: &str) -> Result<()> {
    let mut section = Section::Hosts(None);
    for (index, whole) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = whole.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let indent = whole.chars().take_while(|c| c.is_whitespace()).count();
        let spot = Spot::new(name, index + 1, indent + 1);
        section = match section {
            _ if line.starts_with('[') && is_header(line) => header(draft, without_comment(line), &spot)?,
            Section::Hosts(group) => {
                host(draft, line, group, &spot)?;
                section
            }
            Section::Vars(group) => {
                variable(draft, line, group, &spot)?;
                section
            }
            Section::Children(group) => {
                let child = without_comment(line).trim_end();
                if let Some(at) = child.find(char::is_whitespace) {
                    return Err(spot
                        .right(child[..at].chars().count())
                        .fault("expected one group on the line")
                        .hint("variables of a group stand in its [name:vars]"));
                }
                let child = draft.mention(child);
                draft.put_group(child, group, &spot);
                section
            }
        };
    }
    Ok(())
}

/// `[web]` or `[web:vars]`, and no host such as `[a:c].example.com`.
fn is_header(line: &str) -> bool {
    let line = without_comment(line).trim_end();
    !line.contains(']') || line.find(']') == Some(line.len() - 1)
}

fn header(draft: &mut Draft, line: &str, spot: &Spot) -> Result<Section> {
    let Some(inside) = line.trim_end().strip_prefix('[').and_then(|line| line.strip_suffix(']')) else {
        return Err(spot.fault("this bracket has no partner").hint("write a section as [web] or [web:vars]"));
    };
    let (name, kind) = inside.split_once(':').unwrap_or((inside, "hosts"));
    if name.trim().is_empty() {
        return Err(spot.right(1).fault("expected the name of a group").hint("write a section as [web]"));
    }
    let group = name.trim();
    Ok(match kind.trim() {
        "hosts" => Section::Hosts(Some(draft.declare(group, spot))),
        "vars" => Section::Vars(draft.declare(group, spot)),
        "children" => Section::Children(draft.declare(group, spot)),
        other => {
            let error = spot
                .right(2 + name.chars().count())
                .fault(format_args!("a section is {}, not {other}", KINDS.join(", ")));
            return Err(match nearest(other, KINDS.iter().copied()) {
                Some(near) => error.hint(format!("did you mean [{name}:{near}]?")),
                None => error.hint(format!("write [{name}], [{name}:vars] or [{name}:children]")),
            });
        }
    })
}

fn host(draft: &mut Draft, line: &str, group: Option<usize>, spot: &Spot) -> Result<()> {
    let words = words(line, spot)?;
    let Some(((first, _), variables)) = words.split_first() else { return Ok(()) };
    let (set, port) = pattern::parse(first, spot, Dialect::Ansible)?.split_port();
    let mut sorted = Sorted::default();
    sorted.settings.port = port.map(|port| spot.placed(port));
    for (word, spot) in variables {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(spot
                .fault(format_args!("expected key=value, not '{word}'"))
                .hint("name one host on a line; text with blanks needs quotes: key='two words'"));
        };
        sorted.add(key, literal(value), spot)?;
    }
    for host in pattern::add(draft, &set, spot, Rules::Ansible)? {
        if port.is_some() || !variables.is_empty() {
            draft.describe(host, sorted.settings.clone(), &sorted.vars, spot)?;
        }
        if let Some(group) = group {
            draft.put_host(host, group);
        }
    }
    Ok(())
}

fn variable(draft: &mut Draft, line: &str, group: usize, spot: &Spot) -> Result<()> {
    let Some((key, value)) = line.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
        return Err(spot
            .fault("expected key=value")
            .hint("hosts stand in [name], variables of all of them in [name:vars]"));
    };
    let blanks = value.chars().take_while(|c| c.is_whitespace()).count();
    let spot = spot.right(key.chars().count() + 1 + blanks);
    let mut sorted = Sorted::default();
    sorted.add(key.trim(), literal(value.trim()), &spot)?;
    let Sorted { settings, vars } = sorted;
    draft.describe_group(group, settings, vars);
    Ok(())
}

/// Words as a shell splits them, with their places; a `#` at the start of a word ends the line.
fn words(line: &str, spot: &Spot) -> Result<Vec<(String, Spot)>> {
    let mut words = Vec::new();
    let mut word: Option<(String, usize)> = None;
    let mut quote: Option<(char, usize)> = None;
    let mut characters = line.chars().enumerate();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some((open, _)), close) if open == close => quote = None,
            (Some(('"', _)) | None, '\\') => {
                if let Some((_, next)) = characters.next() {
                    word.get_or_insert((String::new(), at)).0.push(next);
                }
            }
            (Some(_), inside) => word.get_or_insert((String::new(), at)).0.push(inside),
            (None, '#') if word.is_none() => break,
            (None, '\'' | '"') => {
                word.get_or_insert((String::new(), at));
                quote = Some((character, at));
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None, plain) => word.get_or_insert((String::new(), at)).0.push(plain),
        }
    }
    if let Some((quote, at)) = quote {
        return Err(spot
            .right(at)
            .fault(format_args!("this {quote} has no partner"))
            .hint("close the quotes"));
    }
    words.extend(word);
    Ok(words.into_iter().map(|(word, at)| (word, spot.right(at))).collect())
}

fn without_comment(line: &str) -> &str {
    selection::without_comment(line)
}

/// What Python's `literal_eval` makes of a plain value with or without a comment behind it;
/// everything else is text.
fn literal(text: &str) -> Value {
    let before_comments = text.match_indices('#').map(|(at, _)| text[..at].trim_end());
    std::iter::once(text).chain(before_comments).find_map(python).unwrap_or_else(|| text.into())
}

/// A value that Python would read.
fn python(text: &str) -> Option<Value> {
    match text {
        "True" => return Some(Value::Bool(true)),
        "False" => return Some(Value::Bool(false)),
        "None" => return Some(Value::Null),
        _ => {}
    }
    for quote in ['\'', '"'] {
        let inside = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inside) = inside.filter(|inside| !inside.contains(quote)) {
            return Some(Value::from(inside));
        }
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0') || digits.starts_with("0."));
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) => Some(value),
        Ok(value @ Value::Number(_)) if is_number => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ini_are_told_apart() {
        for (text, expected) in [
            ("web1\nweb2\n", false),
            ("[1-3].example.com\n[east,west]\n", false),
            ("[a-c]\n", false),
            ("web1, web2\nann@web3:22 # x=1\n", false),
            ("# x\n[web]\nweb1", true),
            ("[web-servers]\n", true),
            ("[web:vars]\n", true),
            ("web1 ansible_host=10.0.0.1", true),
            ("web1 , web2", false),
        ] {
            assert_eq!(is_ini(text), expected, "{text}");
        }
    }

    #[test]
    fn a_section_that_could_be_a_range() {
        for (text, expected) in [
            ("[a-c]\nweb1\n", Some((1, "[a-c]"))),
            ("# x\nweb1\n[1-3] # y\n\nweb2\n", Some((3, "[1-3]"))),
            ("[a-c]\n[d-f]\nweb1\n", Some((1, "[a-c]"))),
            ("web1\n[a-c]\n", None),
            ("[a-c]\n[d-f]\n", None),
            ("[1-3].example.com\nweb1\n", None),
            ("[a-c,x]\nweb1\n", None),
        ] {
            assert_eq!(ambiguous_line(text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_pythons() {
        for (text, expected) in [
            ("5", "5"),
            ("0755", r#""0755""#),
            ("True", "true"),
            ("true", r#""true""#),
            ("'a b'", r#""a b""#),
            ("[1, 2]", "[1,2]"),
            ("1.5", "1.5"),
            ("", r#""""#),
            (r#""deploy" # the robot"#, r#""deploy""#),
            ("'a#b'", r#""a#b""#),
            ("'a # b' # 'c'", r#""a # b""#),
            ("2222 # ssh", "2222"),
            ("2222#ssh", "2222"),
            ("True # so", "true"),
            ("[1, 2] # list", "[1,2]"),
            ("deploy # the robot", r#""deploy # the robot""#),
            ("0755 # x", r#""0755 # x""#),
            ("# x", r##""# x""##),
        ] {
            assert_eq!(literal(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        let spot = Spot::new(&"f".into(), 1, 1);
        let words = words("web1 a='x y' b=\"it's\" c=\\# # rest", &spot).unwrap();
        let words: Vec<(&str, usize)> =
            words.iter().map(|(word, spot)| (word.as_str(), spot.column)).collect();
        assert_eq!(words, [("web1", 1), ("a=x y", 6), ("b=it's", 14), ("c=#", 23)]);
    }
}
