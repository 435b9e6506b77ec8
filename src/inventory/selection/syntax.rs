//! Text → terms. Reads nothing but the text.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::host_set::{Element, HostSet, Piece};
use super::{Item, Op, Term};
use crate::error::Error;

/// DNS allows no longer name.
const MAX_NAME: usize = 253;
/// So that no arithmetic on numbers of a range overflows.
const MAX_DIGITS: usize = 18;

/// What is wrong, where (a byte offset), and what would be right.
#[derive(Debug)]
pub struct SyntaxError {
    pub at: usize,
    pub message: String,
    pub hint: String,
}

const NO_PORT: &str = "a port is a number from 1 to 65535";

impl SyntaxError {
    /// Where what `text` has in place of a port is Ansible's way to name several hosts: ours.
    pub(super) fn or_ansibles(self, text: &str) -> Self {
        let is_next = |character: char| character.is_ascii_alphabetic() || "*@&!".contains(character);
        if self.message != NO_PORT || !text[self.at..].starts_with(is_next) {
            return self;
        }
        let (mut ours, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once(':') {
            let sign = match after.as_bytes() {
                [b'&', b'@', ..] => ",",
                // What a list is narrowed by is a group, as a rule.
                [b'&', ..] => ",&@",
                _ if after.starts_with(is_next) => ",",
                _ => ":",
            };
            ours = ours + before + sign;
            rest = if sign == ",&@" { &after[1..] } else { after };
        }
        let hint = format!("write {ours}{rest}, with an @ before each group");
        Self::new(self.at, "hosts stand between commas, and a port is a number", hint)
    }

    fn new(at: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: hint.into() }
    }

    /// The line that holds the error, with a caret below the place. Of a long line only the
    /// surroundings are shown; what a terminal would obey is escaped.
    pub(super) fn shown_in(self, what: &str, text: &str) -> Error {
        const AROUND: usize = 36;
        let before: Vec<char> = text[..self.at].chars().collect();
        let column = before.len() + 1;
        let start = before.len().saturating_sub(AROUND);
        let escaped = |text: String| text.chars().flat_map(char::escape_debug).collect::<String>();
        let cut = if start > 0 { "…" } else { "" };
        let before = format!("{cut}{}", escaped(before[start..].iter().collect()));
        let after: String = text[self.at..].chars().take(AROUND).collect();
        let more = if after.len() < text.len() - self.at { "…" } else { "" };
        let caret = " ".repeat(before.chars().count());
        Error::usage(format!(
            "{what}, column {column}: {}\n  {before}{}{more}\n  {caret}^",
            self.message,
            escaped(after)
        ))
        .hint(self.hint)
    }
}

type Parsed<T> = Result<T, SyntaxError>;

pub(super) fn parse(text: &str) -> Parsed<Vec<Term>> {
    let mut parser = Parser { text, at: 0 };
    let mut terms = Vec::new();
    loop {
        parser.skip_space();
        let op = match parser.peek() {
            Some('&') => Op::Keep,
            Some('!') => Op::Drop,
            _ => Op::Add,
        };
        if op != Op::Add {
            parser.at += 1;
            parser.skip_space();
        }
        terms.push(Term { op, item: parser.item()? });
        parser.skip_space();
        match parser.peek() {
            None => return Ok(terms),
            Some(',') => parser.at += 1,
            Some('!' | '&') => {}
            Some(_) => {
                return Err(SyntaxError::new(
                    parser.at,
                    "expected a comma",
                    "separate hosts by commas: web1,web2 (in a file, one host on each line)",
                ));
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Everything up to the first character that `ends` it.
    fn take_until(&mut self, mut ends: impl FnMut(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let taken = &rest[..rest.find(&mut ends).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn item(&mut self) -> Parsed<Item> {
        let start = self.at;
        match self.peek() {
            None | Some(',' | '!' | '&') => Err(SyntaxError::new(
                start,
                "expected a host",
                "name a host, a range such as web[01-20], a group @NAME, a list ^FILE, - for stdin, or local",
            )),
            Some('^') => {
                self.at += 1;
                let path = self.take_until(|character| character == ',').trim();
                if path.is_empty() {
                    return Err(SyntaxError::new(
                        self.at,
                        "expected a file after ^",
                        "name a list: ^hosts.txt",
                    ));
                }
                Ok(Item::List(PathBuf::from(path)))
            }
            Some('@') => {
                self.at += 1;
                let name = self.word()?;
                group(name, start + 1)
            }
            Some(_) => match self.word()? {
                "-" => Ok(Item::Stdin),
                "local" => Ok(Item::Local),
                "all" => Ok(Item::All),
                word => host_set(word, start).map(Item::Hosts),
            },
        }
    }

    /// Up to the end of the host: commas inside brackets belong to it.
    fn word(&mut self) -> Parsed<&'a str> {
        let start = self.at;
        let mut open = None;
        let mut at = start;
        let mut stray = None;
        let word = self.take_until(|character| {
            let here = at;
            at += character.len_utf8();
            match character {
                '[' if open.is_some() => stray = stray.or(Some(here)),
                '[' => open = Some(here),
                ']' if open.is_none() => stray = stray.or(Some(here)),
                ']' => open = None,
                ',' | '!' | '&' => return open.is_none(),
                _ => return open.is_none() && character.is_whitespace(),
            }
            false
        });
        if let Some(at) = stray.or(open) {
            return Err(SyntaxError::new(
                at,
                "this bracket has no partner",
                "write a range as web[01-20,30]",
            ));
        }
        Ok(word)
    }
}

/// Text without blanks around it that names one host or a range of hosts.
pub fn host_set_of(text: &str) -> Parsed<HostSet> {
    let mut parser = Parser { text, at: 0 };
    let word = parser.word()?;
    if parser.at < text.len() {
        return Err(SyntaxError::new(
            parser.at,
            "expected one host",
            "write one host or one range such as web[01-20]",
        ));
    }
    host_set(word, 0)
}

/// What stands between the commas of `text` that are in no brackets.
pub fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |character| {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
}

/// The name behind an `@`: one group, a pattern or a range.
fn group(name: &str, start: usize) -> Parsed<Item> {
    const HINT: &str = "name a group of the inventory: @web, @web*, @rack[1-3]";
    if name.is_empty() {
        return Err(SyntaxError::new(start, "expected the name of a group after @", HINT));
    }
    let name_of_group = |error: SyntaxError| SyntaxError {
        message: error.message.replace("host", "group"),
        hint: HINT.to_owned(),
        ..error
    };
    let pieces = pieces(name, start).map_err(name_of_group)?;
    Ok(Item::Group(HostSet { text: format!("@{name}"), user: None, name: pieces, port: None }))
}

/// One host, or a name with sets; `start` is its place in the text.
fn host_set(word: &str, start: usize) -> Parsed<HostSet> {
    let (user, rest) = match word.split_once('[').map_or(word, |(before, _)| before).rfind('@') {
        Some(at) => (Some(user(&word[..at], start)?), &word[at + 1..]),
        None => (None, word),
    };
    let start = start + (word.len() - rest.len());
    let (name, port) = if let Some((address, after)) = bracketed_ipv6(rest, start)? {
        (vec![Piece::Text(address.to_owned())], port(after, start + rest.len() - after.len())?)
    } else if is_ipv6(rest) {
        (vec![Piece::Text(rest.to_owned())], None)
    } else {
        let end = colon_outside_brackets(rest).unwrap_or(rest.len());
        (pieces(&rest[..end], start)?, port(&rest[end..], start + end)?)
    };
    let set = HostSet { text: word.to_owned(), user, name, port };
    if set.longest() > MAX_NAME {
        return Err(SyntaxError::new(
            start,
            format!("a name of {} characters is too long", set.longest()),
            format!("a host's name has at most {MAX_NAME} characters"),
        ));
    }
    Ok(set)
}

fn user(text: &str, start: usize) -> Parsed<String> {
    let fine = |character: char| character.is_ascii_alphanumeric() || "._-+$~\\@=".contains(character);
    let wrong = |at, message: &str| Err(SyntaxError::new(at, message, "write it as user@host"));
    if text.is_empty() || text.starts_with('-') {
        return wrong(start, "expected the name of a user before @");
    }
    match text.find(|character| !fine(character)) {
        Some(at) => wrong(start + at, "this character cannot be part of a user's name"),
        None => Ok(text.to_owned()),
    }
}

/// `[::1]` and what follows it, where a name begins with a bracket that holds an IPv6 address.
fn bracketed_ipv6(rest: &str, start: usize) -> Parsed<Option<(&str, &str)>> {
    let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return Ok(None);
    };
    if is_ipv6(inside) {
        return Ok(Some((inside, after)));
    }
    if inside.matches(':').count() > 1 {
        return Err(SyntaxError::new(start + 1, "this is no IPv6 address", "write it as [fe80::1]:22"));
    }
    Ok(None)
}

/// With a scope (`fe80::1%eth0`) or without.
fn is_ipv6(text: &str) -> bool {
    let (address, scope) = text.split_once('%').unwrap_or((text, "0"));
    let fine = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    address.parse::<Ipv6Addr>().is_ok() && !scope.is_empty() && scope.chars().all(fine)
}

fn colon_outside_brackets(text: &str) -> Option<usize> {
    let mut inside = false;
    text.find(|character| {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        character == ':' && !inside
    })
}

/// `:22`, or nothing.
fn port(text: &str, at: usize) -> Parsed<Option<u16>> {
    let Some(digits) = text.strip_prefix(':') else {
        return match text {
            "" => Ok(None),
            _ => Err(SyntaxError::new(at, "expected : and a port", "write it as [fe80::1]:22")),
        };
    };
    match digits.parse::<u16>() {
        Ok(port) if port > 0 && digits.starts_with(|first: char| first.is_ascii_digit()) => Ok(Some(port)),
        _ => Err(SyntaxError::new(
            at + 1,
            NO_PORT,
            "write it as host:22, and an IPv6 address with a port as [fe80::1]:22",
        )),
    }
}

fn pieces(name: &str, start: usize) -> Parsed<Vec<Piece>> {
    if name.is_empty() {
        return Err(SyntaxError::new(start, "expected the name of a host", "write it as user@host:port"));
    }
    if name.starts_with('-') {
        return Err(SyntaxError::new(
            start,
            "a host's name does not begin with a dash",
            "- alone is a list on stdin; flags stand apart from the targets",
        ));
    }
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < name.len() {
        let rest = &name[at..];
        if let Some((inside, _)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            pieces.push(Piece::Set(elements(inside, start + at + 1)?));
            at += inside.len() + 2;
            continue;
        }
        let text = &rest[..rest.find('[').unwrap_or(rest.len())];
        let fine = |character: char| character.is_ascii_alphanumeric() || ".-_*?".contains(character);
        if let Some(wrong) = text.find(|character| !fine(character)) {
            return Err(SyntaxError::new(
                start + at + wrong,
                "this character cannot be part of a host's name",
                "a name has letters, digits, dots, dashes and underscores (others in punycode, xn--…)",
            ));
        }
        pieces.push(Piece::Text(text.to_owned()));
        at += text.len();
    }
    Ok(pieces)
}

fn elements(inside: &str, start: usize) -> Parsed<Vec<Element>> {
    let mut elements = Vec::new();
    let mut at = start;
    for text in inside.split(',') {
        let trimmed = text.trim();
        elements.push(element(trimmed, at + (text.len() - text.trim_start().len()))?);
        at += text.len() + 1;
    }
    if let [Element::Word(word)] = &elements[..] {
        return Err(SyntaxError::new(
            start,
            format!("a set of one word, \"{}\"", word.escape_debug()),
            "write the name without brackets; an INI inventory is read with -i FILE",
        ));
    }
    Ok(elements)
}

fn element(text: &str, at: usize) -> Parsed<Element> {
    const HINT: &str = "write a range as [01-20], [0-10/2] or [a-f], and a set as [1,2,7] or [east,west]";
    let wrong = |offset: usize, message: &str| Err(SyntaxError::new(at + offset, message, HINT));
    let (range, step) = match text.split_once('/') {
        None => (text, None),
        Some((range, step)) => match number(step) {
            Some(step) if step > 0 => (range, Some(step)),
            _ => return wrong(range.len() + 1, "a step is a number above 0"),
        },
    };
    let Some((from, to)) = range.split_once('-') else {
        return if range.is_empty() {
            wrong(0, "expected a number or a word")
        } else if step.is_some() {
            wrong(range.len(), "only a range has a step")
        } else if let Some(number) = number(range) {
            let width = if range.starts_with('0') { range.len() } else { 0 };
            Ok(Element::Numbers { from: number, to: number, step: 1, width })
        } else if range.bytes().all(|byte| byte.is_ascii_digit()) {
            wrong(0, "this number is too large")
        } else if let Some(at) =
            range.find(|character: char| !(character.is_ascii_alphanumeric() || "._".contains(character)))
        {
            wrong(at, "this character cannot be part of a set")
        } else {
            Ok(Element::Word(range.to_owned()))
        };
    };
    let step = step.unwrap_or(1);
    let (first, last) = (from.as_bytes(), to.as_bytes());
    if let (&[first], &[last]) = (first, last)
        && (first.is_ascii_lowercase() && last.is_ascii_lowercase()
            || first.is_ascii_uppercase() && last.is_ascii_uppercase())
    {
        return if first > last {
            wrong(0, "this range runs backwards")
        } else {
            Ok(Element::Letters { from: first, to: last, step })
        };
    }
    let Some(low) = number(from) else {
        return wrong(0, "a range needs a number before the dash");
    };
    let Some(high) = number(to) else {
        return wrong(from.len() + 1, "a range needs a number after the dash");
    };
    if low > high {
        return wrong(0, "this range runs backwards");
    }
    let padded = |text: &str| text.len() > 1 && text.starts_with('0');
    if padded(to) && to.len() != from.len() {
        return wrong(from.len() + 1, "both ends of a padded range have the same number of digits");
    }
    Ok(Element::Numbers { from: low, to: high, step, width: if padded(from) { from.len() } else { 0 } })
}

/// Digits and nothing else, not too many of them.
fn number(text: &str) -> Option<u64> {
    let fine = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fine.then(|| text.parse().ok()).flatten()
}
