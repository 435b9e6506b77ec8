use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::event::{HostState, Outcome, Summary};
use crate::report::remark::percent_text;
use crate::report::{fate, fold, units};
use crate::term::{Term, Tone, visible_line};

mod roll;

/// Hosts named in a frame, with the line that counts the others.
const NAMED: usize = 12;

/// Longest text of a set of hosts in a line.
const SET: usize = 60;

/// Hosts whose progress a line names.
const SLOWEST: usize = 3;

/// Longest step in a line, in characters.
const STEP: usize = 40;

/// Columns of the bar.
const BAR: usize = 24;

/// Where every host stands. An event costs the logarithm of the hosts at work, a frame no more
/// than the lines it has.
pub struct Board {
    begun: Instant,
    hosts: Vec<Place>,
    index: HashMap<String, usize>,
    /// Started and not ended, the longest at work first.
    at_work: BTreeSet<(Instant, usize)>,
    ended: Summary,
    stopping: bool,
    over: bool,
}

struct Place {
    name: String,
    state: HostState,
    /// When it came into this state; a script that is reconnected to has run on meanwhile.
    since: Instant,
    /// When its script started.
    ran: Option<Instant>,
    started: Option<Instant>,
    /// When its script printed last.
    heard: Option<Instant>,
    /// What its script told last: percent and step.
    progress: Option<(f64, Option<String>)>,
}

impl Place {
    /// `40%`, `40% copying`.
    fn progress_text(&self) -> Option<String> {
        let (percent, step) = self.progress.as_ref()?;
        let percent = percent_text(*percent);
        Some(match step {
            Some(step) => format!("{percent} {}", cut(&visible_line(step), STEP)),
            None => percent,
        })
    }
}

impl Board {
    pub fn new(hosts: &[String], now: Instant) -> Self {
        let place = |name: &String| Place {
            name: name.clone(),
            state: HostState::Queued,
            since: now,
            ran: None,
            started: None,
            heard: None,
            progress: None,
        };
        Self {
            begun: now,
            index: hosts.iter().enumerate().map(|(index, host)| (host.clone(), index)).collect(),
            hosts: hosts.iter().map(place).collect(),
            at_work: BTreeSet::new(),
            ended: Summary { hosts: hosts.len() as u64, ..Summary::default() },
            stopping: false,
            over: false,
        }
    }

    pub fn entered(&mut self, host: &str, state: HostState, now: Instant) {
        let Some(index) = self.index.get(host).copied() else { return };
        let place = &mut self.hosts[index];
        if place.state == HostState::Ended {
            return;
        }
        match state {
            // It waits for another try, or for a word on its key.
            HostState::Queued => {
                (place.state, place.since) = (state, now);
                if let Some(started) = place.started.take() {
                    self.at_work.remove(&(started, index));
                }
            }
            // For `finished` to say: a host is counted once.
            HostState::Ended => {}
            _ => {
                (place.state, place.since) = (state, now);
                if state == HostState::Running {
                    place.since = *place.ran.get_or_insert(now);
                }
                if place.started.is_none() {
                    place.started = Some(now);
                    self.at_work.insert((now, index));
                }
            }
        }
    }

    /// A script printed something.
    pub fn heard(&mut self, host: &str, now: Instant) {
        if let Some(index) = self.index.get(host) {
            self.hosts[*index].heard = Some(now);
        }
    }

    /// What the script of a host said of how far it is.
    pub fn progressed(&mut self, host: &str, percent: f64, step: Option<&str>) {
        let Some(index) = self.index.get(host).copied() else { return };
        let place = &mut self.hosts[index];
        if place.state != HostState::Ended {
            // Far more of a step than is ever shown, far less than a host could send.
            let step = step.map(|step| step.chars().take(4 * STEP).collect());
            place.progress = Some((percent, step));
        }
    }

    pub fn finished(&mut self, host: &str, outcome: Outcome) {
        let Some(index) = self.index.get(host).copied() else { return };
        let place = &mut self.hosts[index];
        if let Some(started) = place.started.take() {
            self.at_work.remove(&(started, index));
        }
        if place.state != HostState::Ended {
            place.state = HostState::Ended;
            self.ended.add(outcome);
        }
    }

    pub fn stopping(&mut self) {
        self.stopping = true;
    }

    pub fn end(&mut self) {
        self.over = true;
    }

    pub fn is_any_at_work(&self) -> bool {
        !self.at_work.is_empty()
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }

    fn done(&self) -> u64 {
        self.ended.outcomes.values().sum()
    }

    fn queued(&self) -> usize {
        self.hosts.len() - usize::try_from(self.done()).unwrap_or(0) - self.at_work.len()
    }

    /// `2 failed, 1 unreachable`: what is no success, and whether the run is being stopped.
    fn troubles(&self) -> Vec<(Tone, String)> {
        let mut troubles: Vec<(Tone, String)> = Outcome::ALL
            .into_iter()
            .filter(|outcome| *outcome != Outcome::Succeeded && self.ended.count(*outcome) > 0)
            .map(|outcome| {
                (fate::tone(outcome), format!("{} {}", self.ended.count(outcome), fate::word(outcome)))
            })
            .collect();
        if self.stopping {
            troubles.push((Tone::Doubtful, "stopping".to_owned()));
        }
        troubles
    }

    /// The lines of the live display: totals, then the hosts longest at work.
    pub fn frame(&self, term: &Term, now: Instant) -> Vec<String> {
        let width = term.width().saturating_sub(1);
        let mut lines = vec![self.totals(term, width, now)];
        let named = if self.at_work.len() > NAMED { NAMED - 1 } else { NAMED };
        let shown: Vec<&(Instant, usize)> = self.at_work.iter().take(named).collect();
        let name = |index: usize| cut(&visible_line(&self.hosts[index].name), width / 2);
        let column = shown.iter().map(|(_, index)| name(*index).chars().count()).max().unwrap_or(0);
        for (started, index) in shown {
            let place = &self.hosts[*index];
            // How long it has been away is what matters of it.
            let since = if place.state == HostState::Reconnecting { place.since } else { *started };
            let mut text = format!(
                "  {:<column$}  {:<14} {}",
                name(*index),
                place.state.as_str(),
                clock(now.saturating_duration_since(since)),
            );
            if let Some(progress) = place.progress_text() {
                text += &format!("  {progress}");
            }
            lines.push(cut(&text, width));
        }
        if self.at_work.len() > named {
            lines.push(cut(&format!("  and {} more", units::hosts(self.at_work.len() - named)), width));
        }
        lines
    }

    /// `━━━─── 61/64 hosts, 2 failed, 1 queued, 12 s`; the bar is as long as there is room.
    fn totals(&self, term: &Term, width: usize, now: Instant) -> String {
        let done = self.done();
        let mut counts = vec![(None, format!("{done}/{}", units::hosts(self.hosts.len())))];
        counts.extend(self.troubles().into_iter().map(|(tone, text)| (Some(tone), text)));
        if self.queued() > 0 {
            counts.push((None, format!("{} queued", self.queued())));
        }
        counts.push((None, clock(self.age(now))));
        let taken: usize = counts.iter().map(|(_, text)| text.len() + 2).sum();
        let bar = BAR.min(width.saturating_sub(taken));
        let filled = match self.hosts.len() {
            0 => bar,
            total => bar * usize::try_from(done).unwrap_or(0) / total,
        };
        let counts: Vec<String> = counts
            .into_iter()
            .map(|(tone, text)| match tone {
                Some(tone) => term.paint_err(tone, &text),
                None => text,
            })
            .collect();
        format!(
            "{}{} {}",
            term.paint_err(Tone::Good, &"━".repeat(filled)),
            term.paint_err(Tone::Faint, &"─".repeat(bar - filled)),
            counts.join(", "),
        )
    }

    /// `20 s: 61 of 64 hosts done, 2 failed; running: web[07-09] (3); slowest: web08 12% copying;
    /// queued: db1`: of the hosts that tell their progress, the three that are least far. Where a link
    /// was lost, since when: `reconnecting: web3 for 40 s`.
    pub fn line(&self, now: Instant) -> String {
        let mut line =
            format!("{}: {} of {} done", clock(self.age(now)), self.done(), units::hosts(self.hosts.len()));
        for (_, trouble) in self.troubles() {
            line += &format!(", {trouble}");
        }
        let mut pending: BTreeMap<HostState, Vec<&Place>> = BTreeMap::new();
        for place in &self.hosts {
            if place.state != HostState::Ended {
                pending.entry(place.state).or_default().push(place);
            }
        }
        // What is nearest to its end first; the queue is last.
        for (state, places) in pending.into_iter().rev() {
            let set = fold::fold_within(places.iter().map(|place| place.name.as_str()), SET);
            let since = places.iter().map(|place| place.since).min().unwrap_or(now);
            let away = clock(now.saturating_duration_since(since));
            let count = match (state, places.len()) {
                (HostState::Reconnecting, 1) => format!(" for {away}"),
                (HostState::Reconnecting, count) => format!(" ({count}) for up to {away}"),
                (_, 1) => String::new(),
                (_, count) => format!(" ({count})"),
            };
            line += &format!("; {}: {}{count}", state.as_str(), visible_line(&set));
            if state == HostState::Running {
                line += &self.slowest();
            }
        }
        line
    }

    fn slowest(&self) -> String {
        let mut told: Vec<(f64, &Place)> = self
            .hosts
            .iter()
            .filter(|place| place.state == HostState::Running)
            .filter_map(|place| Some((place.progress.as_ref()?.0, place)))
            .collect();
        told.sort_by(|(one, ones), (other, others)| {
            one.total_cmp(other).then_with(|| fold::natural(&ones.name, &others.name))
        });
        let named: Vec<String> = told
            .iter()
            .take(SLOWEST)
            .filter_map(|(_, place)| {
                Some(format!("{} {}", visible_line(&place.name), place.progress_text()?))
            })
            .collect();
        if named.is_empty() { String::new() } else { format!("; slowest: {}", named.join(", ")) }
    }
}

/// A running clock has no tenths.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 10 { format!("{seconds} s") } else { units::duration(seconds * 1000) }
}

fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some((end, _)) if width > 0 => {
            let end = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}…", &text[..end])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(hosts: usize, at_work: usize) -> (Board, Instant) {
        let names: Vec<String> = (1..=hosts).map(|n| format!("web{n:02}")).collect();
        let begun = Instant::now();
        let mut board = Board::new(&names, begun);
        for (n, host) in names.iter().enumerate().take(at_work) {
            let now = begun + Duration::from_secs(n as u64);
            board.entered(host, HostState::Connecting, now);
            board.entered(host, HostState::Running, now);
        }
        (board, begun)
    }

    #[test]
    fn a_frame_names_the_longest_at_work() {
        let (mut board, begun) = board(40, 20);
        board.finished("web01", Outcome::Succeeded);
        board.finished("web02", Outcome::Failed);
        board.entered("web02", HostState::Ended, begun);
        let (term, _) = Term::captured();
        insta::assert_snapshot!(board.frame(&term, begun + Duration::from_secs(75)).join("\n"), @r"
        ━─────────────────────── 2/40 hosts, 1 failed, 20 queued, 1 min 15 s
          web03  running        1 min 13 s
          web04  running        1 min 12 s
          web05  running        1 min 11 s
          web06  running        1 min 10 s
          web07  running        1 min 9 s
          web08  running        1 min 8 s
          web09  running        1 min 7 s
          web10  running        1 min 6 s
          web11  running        1 min 5 s
          web12  running        1 min 4 s
          web13  running        1 min 3 s
          and 7 hosts more
        ");
    }

    #[test]
    fn a_line_names_all_who_are_pending() {
        let (mut board, begun) = board(40, 20);
        (1..=18).for_each(|n| board.finished(&format!("web{n:02}"), Outcome::Succeeded));
        board.entered("web21", HostState::Connecting, begun);
        board.stopping();
        insta::assert_snapshot!(board.line(begun + Duration::from_secs(20)), @r"20 s: 18 of 40 hosts done, stopping; running: web[19-20] (2); connecting: web21; queued: web[22-40] (19)");
    }

    #[test]
    fn who_is_reconnected_to_and_since_when() {
        let (mut board, begun) = board(4, 4);
        let at = |seconds| begun + Duration::from_secs(seconds);
        board.entered("web02", HostState::Reconnecting, at(20));
        let (term, _) = Term::captured();
        insta::assert_snapshot!(board.frame(&term, at(51)).join("\n"), @r"
        ──────────────────────── 0/4 hosts, 51 s
          web01  running        51 s
          web02  reconnecting   31 s
          web03  running        49 s
          web04  running        48 s
        ");
        insta::assert_snapshot!(board.line(at(51)), @r"51 s: 0 of 4 hosts done; reconnecting: web02 for 31 s; running: web[01,03-04] (3)");
        board.entered("web04", HostState::Reconnecting, at(40));
        board.entered("web02", HostState::Running, at(52));
        board.entered("web01", HostState::Reconnecting, at(53));
        let web02 = board.frame(&term, at(60)).into_iter().find(|line| line.contains("web02"));
        assert_eq!(web02.as_deref(), Some("  web02  running        59 s"));
        insta::assert_snapshot!(board.line(at(60)), @r"1 min 0 s: 0 of 4 hosts done; reconnecting: web[01,04] (2) for up to 20 s; running: web[02-03] (2)");
    }

    #[test]
    fn what_scripts_say_of_their_progress() {
        let (mut board, begun) = board(6, 5);
        board.progressed("web02", 55.5, Some("copying\x1b[2J files"));
        board.progressed("web03", 7.0, None);
        board.progressed("web04", 20.0, Some(&"x".repeat(1000)));
        board.progressed("web04", 99.9, Some("ending"));
        board.progressed("web05", 98.0, Some(&"x".repeat(1000)));
        board.progressed("web99", 1.0, None);
        board.finished("web01", Outcome::Succeeded);
        board.progressed("web01", 1.0, None);
        let (term, _) = Term::captured();
        insta::assert_snapshot!(board.frame(&term, begun + Duration::from_secs(8)).join("\n"), @r"
        ━━━━──────────────────── 1/6 hosts, 1 queued, 8 s
          web02  running        7 s  55% copying\x1b[2J files
          web03  running        6 s  7%
          web04  running        5 s  99% ending
          web05  running        4 s  98% xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        ");
        insta::assert_snapshot!(board.line(begun + Duration::from_secs(20)), @r"20 s: 1 of 6 hosts done; running: web[02-05] (4); slowest: web03 7%, web02 55% copying\x1b[2J files, web05 98% xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…; queued: web06");
    }

    #[test]
    fn a_frame_is_never_wider_than_asked() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("馬馬馬", 2), "馬…");
    }
}
