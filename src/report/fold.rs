//! Node sets for display, as ClusterShell writes them: `web[01-03,07],db1`.
//!
//! Only one number of a name is folded, the one that leaves the fewest words; its padding is
//! kept (`web1` and `web01` are two hosts). The order is natural, so the text of a set is always
//! the same.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use super::units;
use crate::term::visible_line;

/// The whole set in one text.
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    fold_within(names, usize::MAX)
}

/// The set in about `limit` characters: what does not fit becomes `…`.
pub fn fold_within<'a>(names: impl IntoIterator<Item = &'a str>, limit: usize) -> String {
    let mut out = String::new();
    for word in words(names) {
        if !out.is_empty() {
            out.push(',');
        }
        // A single name longer than the limit is still shown whole.
        if out.len() + word.before.len() + word.after.len() >= limit && !out.is_empty() {
            out.push('…');
            break;
        }
        word.write(&mut out, limit);
    }
    out
}

/// Longest text of a set of hosts in a line about them.
const SET: usize = 60;

/// Who a line is about: `web07`, `db[1-3] (3 hosts)`. What could steer a terminal is made visible.
pub fn who(hosts: &[&str]) -> String {
    let set = fold_within(hosts.iter().copied(), SET);
    if hosts.len() == 1 {
        visible_line(&set)
    } else {
        visible_line(&format!("{set} ({})", units::hosts(hosts.len())))
    }
}

/// Natural order: numbers in names count as numbers.
pub fn natural(one: &str, other: &str) -> Ordering {
    Name::parse(one).compare(&Name::parse(other))
}

/// One word of a set: a name, or a name with one number folded.
struct Word<'a> {
    before: String,
    after: String,
    ranges: Vec<(&'a str, &'a str)>,
    first: Name<'a>,
}

impl Word<'_> {
    fn write(&self, out: &mut String, limit: usize) {
        out.push_str(&self.before);
        let single = matches!(self.ranges.as_slice(), [(from, to)] if from == to);
        let bracket = !single && !self.ranges.is_empty();
        if bracket {
            out.push('[');
        }
        for (index, (from, to)) in self.ranges.iter().enumerate() {
            if index > 0 {
                out.push(',');
                if out.len() + from.len() + to.len() + self.after.len() >= limit {
                    out.push('…');
                    break;
                }
            }
            out.push_str(from);
            if from != to {
                write!(out, "-{to}").expect("a String takes all");
            }
        }
        if bracket {
            out.push(']');
        }
        out.push_str(&self.after);
    }
}

fn words<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Word<'a>> {
    let mut names: Vec<Name<'a>> = names.into_iter().map(Name::parse).collect();
    names.sort_unstable_by(Name::compare);
    names.dedup_by(|one, other| one.text == other.text);

    let mut families: HashMap<Vec<&str>, Vec<Name<'a>>> = HashMap::new();
    for name in names {
        families.entry(name.texts.clone()).or_default().push(name);
    }
    let mut words: Vec<Word<'a>> = families.into_values().flat_map(fold_family).collect();
    words.sort_unstable_by(|one, other| one.first.compare(&other.first));
    words
}

/// Folds names that differ in their numbers only.
fn fold_family(names: Vec<Name<'_>>) -> Vec<Word<'_>> {
    let fields = names[0].numbers.len();
    let varies = |field: &usize| names.iter().any(|name| name.numbers[*field] != names[0].numbers[*field]);
    let best = (0..fields)
        .filter(varies)
        .map(|field| (split(&names, field), field))
        // Of equals the last field: hosts are numbered at the end.
        .min_by_key(|(groups, field)| (groups.len(), fields - field));
    match best {
        Some((groups, field)) => groups.into_values().map(|group| group.word(field)).collect(),
        None => names.into_iter().map(Name::word).collect(),
    }
}

/// What must be equal for two names to share a bracket: all but the field folded, and the width
/// of a padded field (0 where it is not padded).
type Frame<'a> = (Vec<&'a str>, usize);

fn split<'n, 'a>(names: &'n [Name<'a>], field: usize) -> BTreeMap<Frame<'a>, Group<'n, 'a>> {
    let rest = |name: &Name<'a>| {
        let mut numbers = name.numbers.clone();
        numbers.remove(field);
        numbers
    };
    // `10` belongs to `08` and `09` where they are there, else to `9`.
    let mut padded: HashSet<Frame<'a>> = HashSet::new();
    for name in names {
        let number = name.numbers[field];
        if number.len() > 1 && number.starts_with('0') {
            padded.insert((rest(name), number.len()));
        }
    }
    let mut groups: BTreeMap<Frame<'a>, Group<'n, 'a>> = BTreeMap::new();
    for name in names {
        let mut frame = (rest(name), name.numbers[field].len());
        if !padded.contains(&frame) {
            frame.1 = 0;
        }
        groups.entry(frame).or_default().0.push(name);
    }
    groups
}

/// Names of one bracket.
#[derive(Default)]
struct Group<'n, 'a>(Vec<&'n Name<'a>>);

impl<'a> Group<'_, 'a> {
    fn word(mut self, field: usize) -> Word<'a> {
        self.0.sort_unstable_by_key(|name| value(name.numbers[field]));
        let mut ranges: Vec<(&str, &str)> = Vec::new();
        for name in &self.0 {
            let number = name.numbers[field];
            match ranges.last_mut() {
                Some((_, to)) if value(to) + 1 == value(number) => *to = number,
                _ => ranges.push((number, number)),
            }
        }
        let first = self.0[0];
        let (mut before, mut after) = (String::new(), String::new());
        for (index, text) in first.texts.iter().enumerate() {
            let side = if index <= field { &mut before } else { &mut after };
            side.push_str(text);
            if let Some(number) = first.numbers.get(index)
                && index != field
            {
                side.push_str(number);
            }
        }
        Word { before, after, ranges, first: first.clone() }
    }
}

fn value(digits: &str) -> u64 {
    digits.parse().expect("Name::parse takes no longer run of digits for a number")
}

/// A name taken apart: text, number, text, … , text.
#[derive(Debug, Clone)]
struct Name<'a> {
    text: &'a str,
    /// One more than numbers; may be empty strings.
    texts: Vec<&'a str>,
    numbers: Vec<&'a str>,
}

/// Digits of a number that surely fits a `u64`, with room for one more.
const MAX_DIGITS: usize = 18;

impl<'a> Name<'a> {
    fn parse(text: &'a str) -> Self {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        // Names with our own signs in them are never taken apart.
        let foldable = !text.contains(['[', ']', ',', '…']);
        let (mut start, mut at) = (0, 0);
        let bytes = text.as_bytes();
        while foldable && at < bytes.len() {
            let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if (1..=MAX_DIGITS).contains(&digits) {
                texts.push(&text[start..at]);
                numbers.push(&text[at..at + digits]);
                start = at + digits;
            }
            at += digits.max(1);
        }
        texts.push(&text[start..]);
        Self { text, texts, numbers }
    }

    fn compare(&self, other: &Self) -> Ordering {
        for index in 0..self.texts.len().min(other.texts.len()) {
            let by_text = self.texts[index].cmp(other.texts[index]);
            let by_number = || match (self.numbers.get(index), other.numbers.get(index)) {
                (Some(one), Some(two)) => value(one).cmp(&value(two)).then(one.len().cmp(&two.len())),
                (one, two) => one.is_some().cmp(&two.is_some()),
            };
            let order = by_text.then_with(by_number);
            if order.is_ne() {
                return order;
            }
        }
        self.text.cmp(other.text)
    }

    fn word(self) -> Word<'a> {
        Word { before: self.text.to_owned(), after: String::new(), ranges: Vec::new(), first: self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sets() {
        // names, folded
        const TABLE: &[(&[&str], &str)] = &[
            (&[], ""),
            (&["db1"], "db1"),
            (&["web03", "web01", "web02", "web07", "db1"], "db1,web[01-03,07]"),
            (&["web1", "web01"], "web1,web01"),
            (&["web8", "web9", "web10", "web11"], "web[8-11]"),
            (&["web08", "web09", "web10"], "web[08-10]"),
            (&["web9", "web08", "web09", "web10"], "web[08-10],web9"),
            (&["web99", "web100", "web101"], "web[99-101]"),
            (&["n1-eth0", "n2-eth0", "n3-eth0"], "n[1-3]-eth0"),
            (&["r1n1", "r1n2", "r2n1", "r2n2", "r2n3"], "r1n[1-2],r2n[1-3]"),
            (&["r1n1", "r2n1", "r3n1", "r3n2"], "r[1-3]n1,r3n2"),
            (&["127.0.0.1", "127.0.0.2", "127.0.0.3"], "127.0.0.[1-3]"),
            (&["root@h:2201", "root@h:2202", "root@h:2203"], "root@h:[2201-2203]"),
            (&["root@h1:22", "root@h2:22"], "root@h[1-2]:22"),
            (&["web1", "web1", "web2"], "web[1-2]"),
            (&["b", "a", "a10", "a9"], "a,a[9-10],b"),
            (&["[::1]", "[::2]"], "[::1],[::2]"),
            (
                &["id99999999999999999999", "id99999999999999999998"],
                "id99999999999999999998,id99999999999999999999",
            ),
            (&["7", "8", "10"], "[7-8,10]"),
        ];
        for (names, folded) in TABLE {
            assert_eq!(fold(names.iter().copied()), *folded, "{names:?}");
        }
    }

    #[test]
    fn a_long_set_is_cut() {
        let names: Vec<String> = (0..200).map(|n| format!("web{:03}", n * 3)).collect();
        let text = fold_within(names.iter().map(String::as_str), 30);
        assert_eq!(text, "web[000,003,006,009,012,…]");
        let names: Vec<String> = ["ape", "bee", "cat", "dog"].map(String::from).to_vec();
        assert_eq!(fold_within(names.iter().map(String::as_str), 10), "ape,bee,…");
    }

    /// The set that a text names.
    fn expand(text: &str) -> BTreeSet<String> {
        let (mut names, mut depth, mut start) = (BTreeSet::new(), 0, 0);
        for (at, character) in text.char_indices().chain([(text.len(), ',')]) {
            match character {
                '[' => depth += 1,
                ']' => depth -= 1,
                ',' if depth == 0 => {
                    names.extend(expand_word(&text[start..at]));
                    start = at + 1;
                }
                _ => {}
            }
        }
        names
    }

    fn expand_word(word: &str) -> Vec<String> {
        let Some((before, rest)) = word.split_once('[') else { return vec![word.to_owned()] };
        let (inside, after) = rest.split_once(']').unwrap();
        let ranges = inside.split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
        ranges
            .flat_map(|(from, to)| {
                let width = if from.starts_with('0') { from.len() } else { 0 };
                (value(from)..=value(to)).map(move |number| format!("{before}{number:0width$}{after}"))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_folded_set_is_the_same_set(
            names in prop::collection::btree_set("[a-c]{0,2}(0{0,2}[0-9]{1,2})?[-.@:x]?(0?[0-9]{1,3})?[a-z]", 1..60),
        ) {
            let folded = fold(names.iter().map(String::as_str));
            prop_assert_eq!(expand(&folded), names.clone(), "{}", folded);
            prop_assert_eq!(&fold(names.iter().rev().map(String::as_str)), &folded);
        }
    }
}
