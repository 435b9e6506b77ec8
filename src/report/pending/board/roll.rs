use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::{Board, Place, clock};
use crate::event::HostState;
use crate::report::{fold, units};
use crate::term::visible_line;

/// Hosts that have a line each; of more there is one for each state.
const EACH: usize = 8;

/// Longest text of a set of hosts.
const SET: usize = 40;

/// What may need somebody comes first.
const ORDER: [HostState; 7] = [
    HostState::Reconnecting,
    HostState::Running,
    HostState::Collecting,
    HostState::Bootstrapping,
    HostState::Authenticating,
    HostState::Connecting,
    HostState::Queued,
];

impl Board {
    /// `3 of 64 hosts pending after 2 min 10 s:`, then at most nine lines: who, in which state, since
    /// when.
    pub fn roll(&self, now: Instant) -> Vec<String> {
        let all = self.hosts.len();
        let pending = all - usize::try_from(self.done()).unwrap_or(all).min(all);
        if pending == 0 {
            return vec![format!("no host pending, {} ended", units::hosts(all))];
        }
        let after = clock(self.age(now));
        let stopping = if self.stopping { ", stopping" } else { "" };
        let mut rows = Vec::new();
        for state in ORDER {
            let mut places: Vec<&Place> = self.hosts.iter().filter(|place| place.state == state).collect();
            // The longest first.
            places.sort_by_key(|place| Reverse(place.age(now)));
            if state != HostState::Queued && self.at_work.len() <= EACH {
                rows.extend(places.iter().map(|place| {
                    (visible_line(&place.name), state, [clock(place.age(now)), place.told(now)].join(""))
                }));
            } else if let Some(first) = places.first() {
                let set = fold::fold_within(places.iter().map(|place| place.name.as_str()), SET);
                rows.push((visible_line(&set), state, together(&places, first, now)));
            }
        }
        let width =
            |text: fn(&(String, HostState, String)) -> usize| rows.iter().map(text).max().unwrap_or(0);
        let (name, state) = (width(|row| row.0.chars().count()), width(|row| row.1.as_str().len()));
        let mut lines = vec![format!("{pending} of {} pending after {after}{stopping}:", units::hosts(all))];
        lines.extend(rows.into_iter().map(|(set, at, text)| {
            format!("  {set:<name$}  {:<state$}  {text}", at.as_str()).trim_end().to_owned()
        }));
        lines
    }
}

impl Place {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// What is known of a script: `, 40% copying, last output 40 s ago`.
    fn told(&self, now: Instant) -> String {
        if !matches!(self.state, HostState::Running | HostState::Reconnecting) {
            return String::new();
        }
        let progress = self.progress_text().map(|text| format!(", {text}")).unwrap_or_default();
        let heard = match self.heard {
            Some(heard) => format!(", last output {} ago", clock(now.saturating_duration_since(heard))),
            None => ", no output".to_owned(),
        };
        progress + &heard
    }
}

/// `400 hosts, up to 2 min 10 s; web003 is silent for 1 min 2 s`
fn together(places: &[&Place], longest: &Place, now: Instant) -> String {
    let hosts = units::hosts(places.len());
    match longest.state {
        HostState::Queued => return hosts,
        HostState::Running => {}
        _ => return format!("{hosts}, up to {}", clock(longest.age(now))),
    }
    let heard = |place: &&&Place| place.heard.unwrap_or(place.since);
    let silent = places.iter().min_by_key(heard).map(|place| {
        let silence = clock(now.saturating_duration_since(heard(&place)));
        format!("; {} silent for {silence}", visible_line(&place.name))
    });
    format!("{hosts}, up to {}{}", clock(longest.age(now)), silent.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Outcome;

    fn board(hosts: usize) -> (Board, impl Fn(u64) -> Instant) {
        let names: Vec<String> = (1..=hosts).map(|n| format!("web{n}")).collect();
        let begun = Instant::now();
        (Board::new(&names, begun), move |seconds| begun + Duration::from_secs(seconds))
    }

    #[test]
    fn a_few_hosts_have_a_line_each() {
        let (mut board, at) = board(40);
        for n in 1..=9 {
            board.entered(&format!("web{n}"), HostState::Connecting, at(0));
        }
        for n in 1..=6 {
            board.entered(&format!("web{n}"), HostState::Running, at(1));
        }
        board.heard("web3", at(91));
        board.progressed("web3", 40.0, Some("copying"));
        board.entered("web5", HostState::Reconnecting, at(100));
        board.entered("web6", HostState::Collecting, at(130));
        for host in ["web1", "web2", "web9"] {
            board.finished(host, Outcome::Succeeded);
        }
        insta::assert_snapshot!(board.roll(at(131)).join("\n"), @r"
        37 of 40 hosts pending after 2 min 11 s:
          web5        reconnecting  31 s, no output
          web3        running       2 min 10 s, 40% copying, last output 40 s ago
          web4        running       2 min 10 s, no output
          web6        collecting    1 s
          web7        connecting    2 min 11 s
          web8        connecting    2 min 11 s
          web[10-40]  queued        31 hosts
        ");
        board.stopping();
        (1..=40).for_each(|n| board.finished(&format!("web{n}"), Outcome::Succeeded));
        assert_eq!(board.roll(at(140)), ["no host pending, 40 hosts ended"]);
    }

    #[test]
    fn a_thousand_hosts_fit_a_screen() {
        let (mut board, at) = board(1000);
        let states = [HostState::Connecting, HostState::Running, HostState::Reconnecting];
        for n in 1..=900_usize {
            let host = format!("web{n}");
            for state in &states[..=(n % 100).min(2)] {
                board.entered(&host, *state, at(n as u64 / 50));
            }
            board.heard(&host, at(20 + n as u64 % 7));
        }
        board.stopping();
        let roll = board.roll(at(60));
        assert!(roll.len() <= 10, "{roll:#?}");
        insta::assert_snapshot!(roll.join("\n"), @r"
        1000 of 1000 hosts pending after 1 min 0 s, stopping:
          web[2-99,102-199,202-299,302-399,402-499,…]  reconnecting  882 hosts, up to 1 min 0 s
          web[1,101,201,301,401,501,601,701,…]         running       9 hosts, up to 1 min 0 s; web301 silent for 40 s
          web[100,200,300,400,500,600,700,800,…]       connecting    9 hosts, up to 58 s
          web[901-1000]                                queued        100 hosts
        ");
    }
}
