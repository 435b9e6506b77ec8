use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy as _, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::event::{StopReason, Summary};
use crate::plan::{Gate, Share};

/// A row of the truth table in docs/rollout.md.
#[derive(Debug)]
struct Row {
    flags: String,
    hosts: String,
    started: String,
    ended: String,
    code: u8,
}

fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rollout.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.split("| --- | --- | --- | --- | --- |\n").nth(1).unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|')).map(|line| {
        let line = line.replace("\\|", "/");
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, flags, hosts, started, ended, code, _] = cells[..] else { panic!("{line}") };
        let started = started.replace('/', "|");
        let [flags, hosts, ended] = [flags, hosts, ended].map(str::to_owned);
        Row { flags, hosts, started, ended, code: code.parse().unwrap() }
    });
    rows.collect()
}

/// The flags of a row, and how many hosts at once.
fn read(flags: &str) -> (Strategy, usize) {
    let (mut strategy, mut forks) = (Strategy::default(), 100);
    let mut words = flags.split_whitespace();
    while let (Some(flag), Some(value)) = (words.next(), words.next()) {
        match flag {
            "--forks" => forks = value.parse().unwrap(),
            "--canary" => strategy.canary = value.parse().unwrap(),
            "--serial" => strategy.serial = value.split(',').map(|share| share.parse().unwrap()).collect(),
            "--max-fail" => strategy.max_fail = Some(value.parse().unwrap()),
            "--retries" => strategy.retries = value.parse().unwrap(),
            "--gate" => {
                strategy.gate = Some(Gate { command: value.into(), timeout: std::time::Duration::MAX });
            }
            flag => panic!("{flag}"),
        }
    }
    (strategy, forks)
}

/// How a try ends, and whether another may go better.
fn end(letter: &str) -> (Outcome, bool) {
    match letter {
        "." => (Outcome::Succeeded, false),
        "F" => (Outcome::Failed, false),
        "T" => (Outcome::TimedOut, false),
        "U" => (Outcome::Unreachable, false),
        "R" => (Outcome::Rejected, false),
        "?" => (Outcome::Unknown, false),
        "t" => (Outcome::Unreachable, true),
        letter => panic!("{letter}"),
    }
}

fn letter(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "-",
        Some(outcome) => [".", "F", "T", "U", "R", "?"]
            .into_iter()
            .find(|letter| end(letter).0 == outcome)
            .expect("a letter for each outcome"),
    }
}

/// Plays a row: what started, how hosts ended, the exit code.
fn play(flags: &str, hosts: &str) -> (String, String, u8) {
    let (strategy, forks) = read(flags);
    let tries: Vec<Vec<&str>> = hosts.split(' ').map(|host| host.split('>').collect()).collect();
    let mut rollout = Rollout::new(&strategy, forks, tries.len());
    let (mut at_work, mut resting) = (VecDeque::new(), VecDeque::new());
    let (mut started, mut stopped) = (Vec::new(), None);
    loop {
        match rollout.step() {
            Step::Start { host, attempt } => {
                started.push(format!("{}{}", host + 1, "'".repeat(attempt as usize - 1)));
                at_work.push_back((host, attempt));
            }
            Step::Wait => match at_work.pop_front() {
                Some((host, attempt)) => {
                    let (outcome, transient) = end(tries[host][attempt as usize - 1]);
                    if rollout.ended(host, outcome, transient) == Turn::Again {
                        resting.push_back(host);
                    }
                }
                None => rollout.rested(resting.pop_front().expect("somebody is waited for")),
            },
            Step::Between => match strategy.gate.as_ref().map(|gate| gate.command.as_str()) {
                Some("false") => {
                    stopped = Some(StopReason::Gate);
                    rollout.stop();
                }
                _ => {
                    started.push("|".into());
                    rollout.proceed();
                }
            },
            Step::Ask => unreachable!("all keys are known"),
            Step::Done => break,
        }
    }
    let outcomes: Vec<Option<Outcome>> = (0..tries.len()).map(|host| rollout.outcome(host)).collect();
    let limit = rollout.limit().map(|_| StopReason::Limit);
    let mut summary = Summary { stopped: limit.or(stopped), ..Summary::default() };
    outcomes.iter().for_each(|outcome| summary.add(outcome.unwrap_or(Outcome::Skipped)));
    let ended: Vec<&str> = outcomes.into_iter().map(letter).collect();
    (started.join(" "), ended.join(" "), summary.exit_code() as u8)
}

#[test]
fn the_truth_table_of_the_manual() {
    let rows = rows();
    assert!(rows.len() > 50, "{} rows", rows.len());
    for row in rows {
        let got = play(&row.flags, &row.hosts);
        assert_eq!(got, (row.started.clone(), row.ended.clone(), row.code), "{row:?}");
    }
}

/// What the world does next, where it has a choice.
#[derive(Debug, Clone, Copy)]
enum World {
    /// One of the hosts at work ends so.
    End(usize, Outcome, bool),
    /// One of those that wait has waited long enough.
    Rest(usize),
    /// The key of a host at work is right.
    Meet(usize),
    /// The key of a host at work is unknown.
    Park(usize),
    /// The operator's word on unknown keys: so many hosts do not go on.
    Answer(usize),
    /// Ctrl-C.
    Stop,
}

fn world() -> impl proptest::strategy::Strategy<Value = World> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Succeeded),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Unreachable),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Unknown),
    ];
    prop_oneof![
        20 => (any::<usize>(), outcome, any::<bool>()).prop_map(|(which, outcome, transient)| {
            World::End(which, outcome, transient && outcome == Outcome::Unreachable)
        }),
        10 => any::<usize>().prop_map(World::Rest),
        5 => any::<usize>().prop_map(World::Meet),
        5 => any::<usize>().prop_map(World::Park),
        3 => prop_oneof![Just(0), Just(usize::MAX), 0usize..4].prop_map(World::Answer),
        1 => Just(World::Stop),
    ]
}

fn share() -> impl proptest::strategy::Strategy<Value = Share> {
    prop_oneof![(1usize..6).prop_map(Share::Hosts), (1u8..=100).prop_map(Share::Percent)]
}

proptest! {
    #[test]
    fn the_laws_of_a_rollout(
        hosts in 0usize..25,
        forks in 1usize..6,
        canary in 0usize..4,
        serial in vec(share(), 0..3),
        max_fail in proptest::option::of(share()),
        retries in 0u32..3,
        worlds in vec(world(), 0..200),
        gates in vec(any::<bool>(), 0..10),
    ) {
        let strategy = Strategy { canary, serial, max_fail, retries, ..Strategy::default() };
        let sizes = strategy.batches(hosts);
        let batch_of = |host: usize| {
            let mut end = 0;
            sizes.iter().position(|size| { end += size; host < end }).unwrap()
        };
        let mut rollout = Rollout::new(&strategy, forks, hosts);
        let (mut at_work, mut resting) = (Vec::<(usize, u32)>::new(), Vec::<usize>::new());
        let (mut parked, mut asked) = (Vec::<usize>::new(), Vec::<usize>::new());
        // Whose keys are right now, and who did not start again yet.
        let mut accepted = Vec::<usize>::new();
        let (mut met, mut began) = (vec![false; hosts], vec![false; hosts]);
        let mut attempts = vec![0u32; hosts];
        let mut ends: Vec<Option<Outcome>> = vec![None; hosts];
        let mut last = vec![None; hosts];
        let (mut worlds, mut gates) = (worlds.into_iter(), gates.into_iter());
        let (mut stopped, mut steps, mut excused) = (false, 0, 0);
        loop {
            steps += 1;
            prop_assert!(steps < 2000, "it ends");
            match rollout.step() {
                Step::Start { host, attempt } => {
                    prop_assert!(!stopped, "after a stop none starts");
                    prop_assert_eq!(attempt, attempts[host] + 1, "once an attempt");
                    prop_assert!(attempt <= retries + 1);
                    prop_assert!(ends[host].is_none() && !at_work.iter().any(|(other, _)| *other == host));
                    prop_assert!(!parked.contains(&host) && !asked.contains(&host));
                    attempts[host] = attempt;
                    accepted.retain(|other| *other != host);
                    (began[host], met[host]) = (true, false);
                    at_work.push((host, attempt));
                    prop_assert!(at_work.len() <= forks, "never more than forks at once");
                    let earlier = (0..hosts).filter(|other| batch_of(*other) < batch_of(host));
                    prop_assert!(earlier.into_iter().all(|other| ends[other].is_some()), "batch by batch");
                    if attempt == 1 {
                        prop_assert!(began[..host].iter().all(|began| *began), "in order");
                    }
                }
                Step::Wait => {
                    let waits = [&resting, &asked].iter().any(|hosts| !hosts.is_empty());
                    prop_assert!(!at_work.is_empty() || waits, "somebody is waited for");
                    let world = worlds.next().unwrap_or(match (at_work.is_empty(), asked.is_empty()) {
                        (false, _) => World::End(0, Outcome::Succeeded, false),
                        (true, false) => World::Answer(0),
                        (true, true) => World::Rest(0),
                    });
                    match world {
                        World::End(which, outcome, transient) if !at_work.is_empty() => {
                            let (host, _) = at_work.remove(which % at_work.len());
                            last[host] = Some(outcome);
                            match rollout.ended(host, outcome, transient) {
                                Turn::Over => {
                                    prop_assert!(ends[host].replace(outcome).is_none(), "one end a host");
                                }
                                Turn::Again => {
                                    prop_assert!(transient && !stopped);
                                    resting.push(host);
                                }
                            }
                        }
                        World::Rest(which) if !resting.is_empty() => {
                            rollout.rested(resting.remove(which % resting.len()));
                        }
                        World::Meet(which) if !at_work.is_empty() => {
                            let (host, _) = at_work[which % at_work.len()];
                            met[host] = true;
                            rollout.met(host);
                        }
                        World::Park(which) if !at_work.is_empty() => {
                            let (host, _) = at_work.remove(which % at_work.len());
                            rollout.parked(host);
                            parked.push(host);
                            // The same try is made again.
                            attempts[host] -= 1;
                        }
                        // So many of those that were asked about are refused, the others go on.
                        World::Answer(refused) => {
                            let refused: Vec<usize> = asked.drain(..refused.min(asked.len())).collect();
                            rollout.refused(&refused, Outcome::Unreachable);
                            for host in refused {
                                excused += 1;
                                attempts[host] += 1;
                                prop_assert!(ends[host].replace(Outcome::Unreachable).is_none(), "one end a host");
                            }
                            if !rollout.is_stopped() {
                                rollout.accepted();
                                accepted.append(&mut asked);
                            }
                        }
                        World::Stop => rollout.stop(),
                        World::End(..) | World::Rest(_) | World::Meet(_) | World::Park(_) => {}
                    }
                }
                Step::Between => {
                    prop_assert!(at_work.is_empty() && resting.is_empty() && !stopped);
                    match gates.next().unwrap_or(true) {
                        true => rollout.proceed(),
                        false => rollout.stop(),
                    }
                }
                Step::Ask => {
                    prop_assert!(asked.is_empty() && !parked.is_empty() && !stopped);
                    prop_assert!(at_work.iter().all(|(host, _)| met[*host]), "once for all");
                    parked.sort_unstable();
                    prop_assert_eq!(rollout.ask(), &parked[..]);
                    asked = std::mem::take(&mut parked);
                }
                Step::Done => break,
            }
            for host in rollout.take_given_up() {
                prop_assert!(rollout.is_stopped());
                prop_assert!(ends[host].is_none(), "one end a host");
                ends[host] = last[host];
                excused += 1;
                resting.retain(|other| *other != host);
            }
            stopped = rollout.is_stopped();
            if stopped {
                // Nobody is asked any more: they count as never started.
                for host in parked.drain(..).chain(asked.drain(..)).chain(accepted.drain(..)) {
                    attempts[host] = 0;
                }
            }
        }
        prop_assert!(at_work.is_empty() && resting.is_empty(), "nobody is left behind");
        prop_assert!(parked.is_empty() && asked.is_empty(), "nobody is left behind");
        for host in 0..hosts {
            prop_assert_eq!(rollout.outcome(host), ends[host]);
            prop_assert_eq!(ends[host].is_some(), attempts[host] > 0, "who started has ended");
            prop_assert!(ends[host].is_some() || stopped, "who never started was stopped");
        }
        let ended = ends.iter().flatten().count() as u64;
        prop_assert_eq!(rollout.outcomes().values().sum::<u64>(), ended);
        let failed = ends.iter().flatten().filter(|outcome| spends(**outcome)).count();
        if let Some(most) = strategy.may_fail(hosts) {
            prop_assert!(stopped || failed <= most);
            prop_assert!(failed - excused <= most + forks, "only who is at work overspends");
        }
        let canary_is_well = (0..hosts.min(canary)).all(|host| ends[host] == Some(Outcome::Succeeded));
        prop_assert!(canary_is_well || attempts[hosts.min(canary)..].iter().all(|tries| *tries == 0));
    }
}
