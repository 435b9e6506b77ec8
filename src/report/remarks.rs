use std::collections::{BTreeSet, HashMap};

use super::fate::Pattern;
use super::fold;
use super::remark::{Rank, Remark};
use crate::event::EventKind;
use crate::term::Term;

/// Different remarks that are told. All of it fits a screen.
const TOLD: usize = 10;

/// Different remarks of one rank that are kept; those beyond are counted. With [`LONGEST`] and
/// hosts as numbers, this bounds what hosts that never stop telling can take up.
const KEPT: usize = 1000;

/// Characters of a remark that are kept.
const LONGEST: usize = 400;

/// What the scripts of all hosts told, for reporters that speak at the end of the run.
///
/// Alike remarks are one line under the set of their hosts, the host's own name aside:
/// `web[01-40] (40 hosts): warn: disk is full`. Errors come first, then notifications, then
/// warnings, the most hosts first. At most ten lines are told. Lines of `info` are told only where
/// all that was told fits these ten: on one host they are its story, on a thousand they would
/// bury what matters. `debug` and `trace` are never told. What is not told is counted in a last
/// line that names the command to read all of it.
#[derive(Default)]
pub struct Remarks {
    /// A host is its place here.
    hosts: Vec<String>,
    index: HashMap<String, usize>,
    heard: HashMap<(Rank, Pattern), Heard>,
    /// How many different ones each rank has in `heard`.
    different: HashMap<Rank, usize>,
    /// Remarks that found no room.
    beyond: u64,
}

struct Heard {
    hosts: BTreeSet<usize>,
    times: u64,
    /// Which one it was of all that were heard, so that a host's story keeps its order.
    place: usize,
}

impl Remarks {
    /// Takes down what `kind` tells, if it is a remark for people.
    pub fn hear(&mut self, kind: &EventKind) {
        let Some((host, remark)) = Remark::of(kind) else { return };
        if remark.rank == Rank::Quiet {
            return;
        }
        let line: String = {
            let line = remark.line();
            match line.char_indices().nth(LONGEST) {
                Some((end, _)) => format!("{}…", &line[..end]),
                None => line,
            }
        };
        let key = (remark.rank, Pattern::new(&line, host));
        let host = self.place_of(host);
        if let Some(heard) = self.heard.get_mut(&key) {
            heard.hosts.insert(host);
            heard.times += 1;
            return;
        }
        let different = self.different.entry(remark.rank).or_default();
        if *different == KEPT {
            self.beyond += 1;
            return;
        }
        *different += 1;
        let place = self.heard.len();
        self.heard.insert(key, Heard { hosts: BTreeSet::from([host]), times: 1, place });
    }

    fn place_of(&mut self, host: &str) -> usize {
        if let Some(place) = self.index.get(host) {
            return *place;
        }
        let place = self.hosts.len();
        self.hosts.push(host.to_owned());
        self.index.insert(host.to_owned(), place);
        place
    }

    /// The lines on stderr; nothing where nothing was told.
    pub fn tell(&mut self, run: &str, term: &Term) {
        let Self { hosts, heard, beyond, .. } = std::mem::take(self);
        let mut all: Vec<((Rank, Pattern), Heard)> = heard.into_iter().collect();
        all.sort_by_key(|((rank, _), heard)| (*rank, usize::MAX - heard.hosts.len(), heard.place));
        let whole = all.len() <= TOLD && beyond == 0;
        let is_told = |rank: Rank| whole || rank != Rank::Info;
        let (mut told, mut untold) = (0, beyond);
        for ((rank, pattern), heard) in all {
            if told == TOLD || !is_told(rank) {
                untold += heard.times;
                continue;
            }
            told += 1;
            let names: Vec<&str> = heard.hosts.iter().map(|place| hosts[*place].as_str()).collect();
            let line = pattern.fill(&names);
            let line = match (rank.tone(), line.split_once(": ")) {
                (Some(tone), Some((label, rest))) => {
                    format!("{} {rest}", term.paint_err(tone, &format!("{label}:")))
                }
                _ => line,
            };
            let times = match heard.times {
                times if times > names.len() as u64 => format!(" ({times} times)"),
                _ => String::new(),
            };
            term.note(&format!("{}: {line}{times}", fold::who(&names)));
        }
        if untold > 0 {
            let messages = if untold == 1 { "message" } else { "messages" };
            let command = format!("cronium-run logs {run} --told");
            term.note(&match told {
                0 => format!("scripts told {untold} {messages}: {command}"),
                _ => format!("and {untold} more {messages}: {command}"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn log(host: usize, level: &str, message: &str) -> EventKind {
        EventKind::HostLog {
            host: format!("web{host:04}"),
            level: level.to_owned(),
            message: message.to_owned(),
            context: Value::Null,
        }
    }

    fn told(kinds: impl IntoIterator<Item = EventKind>) -> String {
        let (term, captured) = Term::captured();
        let mut remarks = Remarks::default();
        kinds.into_iter().for_each(|kind| remarks.hear(&kind));
        remarks.tell("01J", &term);
        captured.err()
    }

    #[test]
    fn one_host_tells_its_story() {
        let story = ["one", "two", "two", "three"].map(|step| log(1, "info", step));
        insta::assert_snapshot!(told(story), @r"
        web0001: info: one
        web0001: info: two (2 times)
        web0001: info: three
        ");
        assert_eq!(told([log(1, "debug", "nothing for people")]), "");
    }

    #[test]
    fn a_thousand_hosts_fit_a_screen() {
        let kinds = (0..1000).flat_map(|n| {
            let used = format!("{n} bytes used");
            let mut kinds =
                vec![log(n, "info", "begin"), log(n, "info", &used), log(n, "warn", "old kernel")];
            if n % 50 == 7 {
                kinds.push(log(n, "error", &format!("web{n:04} has no disk")));
            }
            kinds
        });
        insta::assert_snapshot!(told(kinds), @r"
        web[0007,0057,0107,0157,0207,0257,0307,0357,0407,0457,…] (20 hosts): error: web[0007,0057,0107,0157,0207,0257,…] has no disk
        web[0000-0999] (1000 hosts): warn: old kernel
        and 2000 more messages: cronium-run logs 01J --told
        ");
        insta::assert_snapshot!(told((0..50).map(|n| log(n, "info", &n.to_string()))), @r"scripts told 50 messages: cronium-run logs 01J --told");
    }

    #[test]
    fn a_host_that_never_stops_is_counted() {
        let mut remarks = Remarks::default();
        for n in 0..5000 {
            remarks.hear(&log(1, "warn", &format!("{n}{}", "x".repeat(10_000))));
        }
        remarks.hear(&log(2, "error", "heard all the same"));
        assert_eq!((remarks.heard.len(), remarks.beyond), (KEPT + 1, 4000));
        let (term, captured) = Term::captured();
        remarks.tell("01J", &term);
        let err = captured.err();
        assert!(err.starts_with("web0002: error: heard all the same\n"), "{err}");
        assert!(err.ends_with("and 4991 more messages: cronium-run logs 01J --told\n"), "{err}");
        assert!(err.len() < 10 * 500, "{}", err.len());
    }
}
