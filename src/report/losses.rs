use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::units;
use crate::event::HostState;

/// How the warning of a connection begins that was lost and made again.
const LOST: &str = "connection lost after ";

/// Connections that were lost while scripts ran, and made again: one host's as one.
#[derive(Default)]
pub struct Losses {
    since: HashMap<String, Timestamp>,
    lost: BTreeMap<String, Lost>,
}

#[derive(Default)]
struct Lost {
    /// So long there was none.
    milliseconds: u64,
    /// What was said of the last one.
    said: String,
    times: usize,
}

/// What a state means for its host's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Lost,
    /// It is there again, after so many milliseconds.
    Back(u64),
}

impl Losses {
    pub fn enter(&mut self, host: &str, state: HostState, at: Timestamp) -> Option<Turn> {
        match state {
            HostState::Reconnecting => {
                self.since.insert(host.to_owned(), at);
                return Some(Turn::Lost);
            }
            HostState::Running | HostState::Collecting | HostState::Ended => {}
            // On its way back.
            _ => return None,
        }
        let since = self.since.remove(host)?;
        let milliseconds = u64::try_from(at.duration_since(since).as_millis()).unwrap_or(0);
        self.lost.entry(host.to_owned()).or_default().milliseconds += milliseconds;
        (state == HostState::Running).then_some(Turn::Back(milliseconds))
    }

    /// Whether the warning is one of a lost connection.
    pub fn hear(&mut self, host: &str, warning: &str) -> bool {
        let is_loss = is_loss(warning);
        if is_loss {
            let lost = self.lost.entry(host.to_owned()).or_default();
            lost.times += 1;
            warning.clone_into(&mut lost.said);
        }
        is_loss
    }

    /// `connection lost 4 times, 4.4 s in all` of each host.
    pub fn take(&mut self) -> Vec<(String, String)> {
        let lost = std::mem::take(&mut self.lost).into_iter();
        lost.filter_map(|(host, Lost { milliseconds, said, times })| match times {
            0 => None,
            1 => Some((host, said)),
            times if milliseconds == 0 => Some((host, format!("connection lost {times} times"))),
            times => {
                let all = units::duration(milliseconds);
                Some((host, format!("connection lost {times} times, {all} in all")))
            }
        })
        .collect()
    }
}

/// Whether a warning is one of a connection that was lost and made again.
pub fn is_loss(warning: &str) -> bool {
    warning.starts_with(LOST)
}
