//! The acknowledge protocol as a model: a run on a host, its spool, links that break at either end, and
//! operators that die. Every order of events within small bounds is gone through, longer ones at random.
//! What the model takes for granted, that a link cut at any byte loses no more than frames, is shown with
//! the code that reads them.

mod cuts;
mod rules;
mod search;
mod world;

use proptest::prelude::*;

use rules::{Rule, steps};
use search::search;
use world::{Bounds, World};

const NO_FAULTS: Bounds = Bounds {
    outputs: 1,
    in_flight: 1,
    links: 2,
    link_losses: 0,
    operator_kills: 0,
    supervisor_kills: 0,
    power_cuts: 0,
    rivals: 0,
};

/// Worlds in which everything that can happen is gone through.
const SMALL: &[(&str, Bounds)] = &[
    ("nothing goes wrong", Bounds { outputs: 3, in_flight: 3, ..NO_FAULTS }),
    ("links are lost", Bounds { link_losses: 3, links: 3, ..NO_FAULTS }),
    ("operators are killed, too", Bounds { link_losses: 1, operator_kills: 2, links: 3, ..NO_FAULTS }),
    (
        "the supervisor is killed",
        Bounds { supervisor_kills: 1, link_losses: 1, operator_kills: 1, outputs: 2, ..NO_FAULTS },
    ),
    ("the host goes down", Bounds { power_cuts: 1, operator_kills: 1, outputs: 2, ..NO_FAULTS }),
    ("somebody else attaches", Bounds { rivals: 2, outputs: 0, ..NO_FAULTS }),
    ("and a link is lost", Bounds { rivals: 1, link_losses: 1, outputs: 0, ..NO_FAULTS }),
];

/// Each rule, and the law that is seen broken once it is.
const BROKEN: &[(Rule, &str)] = &[
    (Rule::AckAfterCommit, "the result was removed before it was recorded"),
    (Rule::ResumeFromLedger, "the ledger is no prefix of the spool"),
    (Rule::Tombstone, "it was said that nothing ran"),
    (Rule::JobOnce, "the script was started twice"),
    (Rule::CommitFromMark, "the ledger is no prefix of the spool"),
    (Rule::CutTorn, "the spool cannot be read"),
    (Rule::NumberOnFromLedger, "it is never settled"),
    (Rule::AskUntilConfirmed, "it is never settled"),
    (Rule::NewestOfOperator, "it was said that another has attached"),
    (Rule::BarredIsForStrangers, "it was said that nothing ran"),
];

#[test]
fn every_order_of_events_keeps_the_laws() {
    for (name, bounds) in SMALL {
        let begun = std::time::Instant::now();
        let found = search(*bounds, None);
        println!("{name}: {found} in {:.1?}", begun.elapsed());
        assert!(found.broken.is_none(), "{name}: {found}");
    }
}

/// A model that cannot fail proves nothing.
#[test]
fn every_rule_is_needed() {
    for (rule, law) in BROKEN {
        let mut seen = SMALL.iter().filter_map(|(_, bounds)| Some(search(*bounds, Some(*rule)).broken?.0));
        assert!(seen.any(|seen| seen == *law), "without {rule:?}, that {law} is not seen");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Longer runs with more of everything, one order of events each.
    #[test]
    fn long_runs_keep_the_laws(choices in prop::collection::vec(any::<u16>(), 0..400)) {
        let bounds = Bounds {
            outputs: 12,
            in_flight: 4,
            links: 5,
            link_losses: 12,
            operator_kills: 6,
            supervisor_kills: 2,
            power_cuts: 2,
            rivals: 4,
        };
        let mut world = World::new(bounds);
        let mut told = Vec::new();
        for choice in choices {
            let mut all = steps(&world, None, true);
            if all.is_empty() {
                break;
            }
            let (name, next) = all.swap_remove(usize::from(choice) % all.len());
            told.push(name);
            world = next;
            prop_assert_eq!(world.broken_law(), None, "{:?}", told);
        }
        // From here on nothing goes wrong any more, and somebody collects.
        let mut random = 1_u64;
        for _ in 0..3000 {
            if world.is_settled() {
                break;
            }
            let mut all = steps(&world, None, false);
            prop_assert!(!all.is_empty(), "nothing can happen any more: {:?}\n{:?}", world, told);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (name, next) = all.swap_remove((random >> 33) as usize % all.len());
            told.push(name);
            world = next;
            prop_assert_eq!(world.broken_law(), None, "{:?}", told);
        }
        prop_assert!(world.is_settled(), "{:?}\n{:?}", world, told);
    }
}
