//! Whose turn it is: batches, canary, budget of failures, retries. It knows no clock, no task and
//! no host but by its number, and is told what happens.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::event::Outcome;
use crate::plan::Strategy;

pub mod retry;

#[cfg(test)]
mod tests;

/// What is to be done now. To be asked again after each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `attempt` is 1 for the first try.
    Start { host: usize, attempt: u32 },
    /// Nothing, until a host has ended or has waited for its retry.
    Wait,
    /// Whoever is [`parked`](Rollout::parked) is to be asked about: [`Rollout::ask`].
    Ask,
    /// A batch is over and another waits: [`Rollout::proceed`] or [`Rollout::stop`] are next.
    Between,
    /// Whoever has not ended never will.
    Done,
}

/// What becomes of a host that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// This was its end.
    Over,
    /// It has another try, once it has waited.
    Again,
}

/// The rule that ended the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Canary,
    MaxFail,
}

/// Where a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Queued,
    Running {
        attempt: u32,
        /// Its key is known to be right.
        met: bool,
    },
    /// It showed a key that nobody knows, in this try.
    Parked {
        attempt: u32,
    },
    /// Its key is right, and it stands in line for the same try.
    Accepted {
        attempt: u32,
    },
    /// Before its next try, after this many, of which the last ended so.
    Resting {
        attempts: u32,
        outcome: Outcome,
        /// It has waited long enough, and stands in line.
        waited: bool,
    },
    Ended(Outcome),
}

/// The state of a run's hosts. See docs/rollout.md for its truth table.
///
/// Each host starts at most once an attempt, never more than `forks` are at work, after a stop
/// none starts, and [`Step::Done`] comes once nobody is at work.
#[derive(Debug)]
pub struct Rollout {
    forks: usize,
    retries: u32,
    may_fail: Option<usize>,
    has_canary: bool,
    batches: Vec<Range<usize>>,
    /// The one at work; behind the last one when there is none.
    batch: usize,
    places: Vec<Place>,
    /// The first host that never started.
    fresh: usize,
    running: usize,
    /// Those at work whose keys may still turn out to be unknown.
    unmet: usize,
    resting: usize,
    /// Hosts whose keys nobody knows, and that were not asked about.
    parked: Vec<usize>,
    /// Those that are being asked about.
    asked: Vec<usize>,
    /// Hosts that have waited long enough for another try, or for the operator's word.
    rested: VecDeque<usize>,
    given_up: Vec<usize>,
    failures: usize,
    outcomes: BTreeMap<Outcome, u64>,
    limit: Option<Limit>,
    stopped: bool,
}

impl Rollout {
    pub fn new(strategy: &Strategy, forks: usize, hosts: usize) -> Self {
        let mut end = 0;
        let batches = strategy.batches(hosts).into_iter().map(|size| {
            end += size;
            end - size..end
        });
        Self {
            forks: forks.max(1),
            retries: strategy.retries,
            may_fail: strategy.may_fail(hosts),
            has_canary: strategy.canary > 0,
            batches: batches.collect(),
            batch: 0,
            places: vec![Place::Queued; hosts],
            fresh: 0,
            running: 0,
            unmet: 0,
            resting: 0,
            parked: Vec::new(),
            asked: Vec::new(),
            rested: VecDeque::new(),
            given_up: Vec::new(),
            failures: 0,
            outcomes: BTreeMap::new(),
            limit: None,
            stopped: false,
        }
    }

    pub fn step(&mut self) -> Step {
        if !self.stopped && self.running < self.forks {
            // Who has failed once comes last: a host in trouble holds up nobody.
            if self.fresh < self.batch_hosts().end {
                self.fresh += 1;
                return self.start(self.fresh - 1, 1);
            }
            if let Some(host) = self.rested.pop_front() {
                self.resting -= 1;
                return match self.places[host] {
                    Place::Resting { attempts, .. } => self.start(host, attempts + 1),
                    Place::Accepted { attempt } => self.start(host, attempt),
                    _ => unreachable!("who has rested was resting"),
                };
            }
        }
        // Once for all: who is at work may still show a key that nobody knows.
        if !self.parked.is_empty()
            && self.asked.is_empty()
            && self.unmet == 0
            && self.fresh == self.batch_hosts().end
        {
            return Step::Ask;
        }
        match self.running + self.resting + self.parked.len() + self.asked.len() {
            0 if self.stopped || self.batch + 1 >= self.batches.len() => Step::Done,
            0 => Step::Between,
            _ => Step::Wait,
        }
    }

    fn start(&mut self, host: usize, attempt: u32) -> Step {
        self.running += 1;
        self.unmet += 1;
        self.places[host] = Place::Running { attempt, met: false };
        Step::Start { host, attempt }
    }

    /// The key of a host at work is known to be right.
    pub fn met(&mut self, host: usize) {
        if let Place::Running { met: met @ false, .. } = &mut self.places[host] {
            *met = true;
            self.unmet -= 1;
        }
    }

    /// The number of the try of a host that was at work.
    fn ended_try(&mut self, host: usize) -> u32 {
        let Place::Running { attempt, met } = self.places[host] else {
            unreachable!("only a host that runs can end")
        };
        self.running -= 1;
        self.unmet -= usize::from(!met);
        attempt
    }

    /// A host at work shows a key that nobody knows: it waits for the operator's word, and holds up
    /// nobody.
    pub fn parked(&mut self, host: usize) {
        let attempt = self.ended_try(host);
        // After a stop nobody is asked, and the host counts as one that never started.
        if self.stopped {
            self.places[host] = Place::Queued;
        } else {
            self.places[host] = Place::Parked { attempt };
            self.parked.push(host);
        }
    }

    /// After [`Step::Ask`]: the hosts to ask about, each of which [`Rollout::refused`] or, for those
    /// that are left, [`Rollout::accepted`] is then about.
    pub fn ask(&mut self) -> &[usize] {
        self.asked = std::mem::take(&mut self.parked);
        self.asked.sort_unstable();
        &self.asked
    }

    /// The hosts that were asked about go on with the try that they were in.
    pub fn accepted(&mut self) {
        for host in std::mem::take(&mut self.asked) {
            if let Place::Parked { attempt } = self.places[host] {
                self.places[host] = Place::Accepted { attempt };
                self.resting += 1;
                self.rested.push_back(host);
            }
        }
    }

    /// These of the hosts that were asked about end so.
    pub fn refused(&mut self, hosts: &[usize], outcome: Outcome) {
        self.asked.retain(|host| !hosts.contains(host));
        for host in hosts {
            self.conclude(*host, outcome);
        }
    }

    /// A host that was started has ended. `transient`: another try may go better, and does no harm.
    pub fn ended(&mut self, host: usize, outcome: Outcome, transient: bool) -> Turn {
        let attempt = self.ended_try(host);
        if transient && attempt <= self.retries && !self.stopped {
            self.places[host] = Place::Resting { attempts: attempt, outcome, waited: false };
            self.resting += 1;
            return Turn::Again;
        }
        self.conclude(host, outcome);
        Turn::Over
    }

    /// The end of a host, which may be that of the run.
    fn conclude(&mut self, host: usize, outcome: Outcome) {
        self.settle(host, outcome);
        if spends(outcome) {
            self.failures += 1;
        }
        if !self.stopped {
            self.limit = if self.in_canary() && outcome != Outcome::Succeeded {
                Some(Limit::Canary)
            } else if self.may_fail.is_some_and(|most| self.failures > most) {
                Some(Limit::MaxFail)
            } else {
                None
            };
            if self.limit.is_some() {
                self.stop();
            }
        }
    }

    /// A host has waited for its retry.
    pub fn rested(&mut self, host: usize) {
        if let Place::Resting { waited: waited @ false, .. } = &mut self.places[host] {
            *waited = true;
            self.rested.push_back(host);
        }
    }

    /// After [`Step::Between`]: the next batch may begin.
    pub fn proceed(&mut self) {
        self.batch += 1;
    }

    /// No further host starts. Those that wait for a retry have ended with their last try; those
    /// whose keys nobody knows never started.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.rested.clear();
        self.resting = 0;
        self.parked.clear();
        self.asked.clear();
        for host in 0..self.fresh {
            match self.places[host] {
                Place::Resting { outcome, .. } => {
                    self.settle(host, outcome);
                    self.given_up.push(host);
                }
                Place::Parked { .. } | Place::Accepted { .. } => self.places[host] = Place::Queued,
                _ => {}
            }
        }
    }

    fn settle(&mut self, host: usize, outcome: Outcome) {
        self.places[host] = Place::Ended(outcome);
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    /// Hosts that waited for a retry when the run was stopped: each is given once.
    pub fn take_given_up(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.given_up)
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The rule that stopped the run, if one did.
    pub fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// The number of the batch at work, from 0, and of how many.
    pub fn batch(&self) -> (usize, usize) {
        (self.batch, self.batches.len())
    }

    /// Whether each host of the batch at work must succeed.
    pub fn in_canary(&self) -> bool {
        self.has_canary && self.batch == 0
    }

    /// The hosts of the batch at work.
    pub fn batch_hosts(&self) -> Range<usize> {
        self.batches.get(self.batch).cloned().unwrap_or_default()
    }

    /// How a host ended, if it has.
    pub fn outcome(&self, host: usize) -> Option<Outcome> {
        match self.places[host] {
            Place::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// How many hosts have ended in each way.
    pub fn outcomes(&self) -> &BTreeMap<Outcome, u64> {
        &self.outcomes
    }
}

/// Whether `--max-fail` counts it: the host did not do its work, and that is certain. A host that
/// is unknown may have done it (a script that restarts the network ends so everywhere).
fn spends(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable | Outcome::Rejected => true,
        Outcome::Succeeded | Outcome::Cancelled | Outcome::Skipped | Outcome::Unknown | Outcome::Detached => {
            false
        }
    }
}
