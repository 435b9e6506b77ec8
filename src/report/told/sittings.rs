//! Runs that were left and attached to: they read as if nobody had ever left them.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::event::{HostResult, Summary};

/// `told`, the events of a run, as two sittings: behind its event `at` the operator leaves the hosts
/// `open`, which end as `how` for now, and comes back to them when the others have ended.
fn in_two(told: &[Event], at: usize, open: &[&str], how: Outcome) -> [Vec<Event>; 2] {
    let is_open = |event: &Event| event.kind.host().is_some_and(|host| open.contains(&host));
    let (first, second): (Vec<Event>, Vec<Event>) =
        told[at..told.len() - 1].iter().cloned().partition(|event| !is_open(event));
    let (end, EventKind::RunStarted { run, command, version, payload, .. }) =
        (told.last().unwrap(), &told[0].kind)
    else {
        panic!("a run begins with its start")
    };
    let resumed = EventKind::RunResumed {
        run: run.clone(),
        command: command.clone(),
        version: version.clone(),
        payload: payload.clone(),
        hosts: open.iter().map(|host| (*host).to_owned()).collect(),
    };
    let left = |event: Event| match event.kind {
        EventKind::HostFinished { host, .. } if open.contains(&&*host) => {
            let result = Box::new(HostResult::bare(how, event.at));
            Some(Event { kind: EventKind::HostFinished { host, result }, ..event })
        }
        _ if is_open(&event) => None,
        _ => Some(event),
    };
    // In the order of the plan, as the others are in these tables.
    let ends = told.iter().position(|event| matches!(event.kind, EventKind::HostFinished { .. })).unwrap();
    let (before, _) = first.split_at(first.iter().filter(|event| event.seq < told[ends].seq).count());
    let finished = told[ends..told.len() - 1].iter().cloned().filter_map(left);
    let summary = EventKind::RunFinished { summary: Summary::default() };
    let first = told[..at].iter().cloned().chain(before.iter().cloned()).chain(finished);
    let first = first.chain([Event { kind: summary, ..end.clone() }]);
    let second = [Event { kind: resumed, ..end.clone() }].into_iter().chain(second).chain([end.clone()]);
    [first.collect(), second.collect()]
}

/// Tells the second sitting to reporters that have heard the first.
fn tell_on(mut reporters: Reporters, [first, second]: &[Vec<Event>; 2]) {
    reporters.recall(first.iter().cloned().map(Ok::<_, Infallible>)).unwrap();
    tell(reporters, second);
}

fn told_again(output: Output, sittings: &[Vec<Event>; 2], (term, captured): (Term, Captured)) -> Captured {
    tell_on(Reporters::replay(output, &term), sittings);
    captured
}

/// What the file has in it once `tell` has told a run.
fn junit(tell: impl FnOnce(Reporters)) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut reporters = Reporters::default();
    reporters.junit(file.path()).unwrap();
    tell(reporters);
    std::fs::read_to_string(file.path()).unwrap()
}

/// Of these hosts any may be left, behind any event.
const MAY_BE_LEFT: [&str; 6] = ["web04", "web07", "tell1", "tell2", "cut1", "long"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_run_that_was_left_reads_as_if_it_had_not_been(
        at in 1..110_usize,
        open in prop::sample::subsequence(MAY_BE_LEFT.to_vec(), 1..=6),
        how in prop::sample::select(vec![Outcome::Detached, Outcome::Unknown]),
    ) {
        let told = events(&table());
        let ends = told.iter().position(|event| matches!(event.kind, EventKind::HostFinished { .. })).unwrap();
        let sittings = in_two(&told, at.min(ends), &open, how);
        for output in [Output::Grouped, Output::Json] {
            for pretend in [Term::captured, || Term::pretend(true, false)] {
                let never = told_on(output, &told, pretend(), pretend());
                let left = told_again(output, &sittings, pretend());
                prop_assert_eq!(left.out(), never.out(), "{:?}", output);
                prop_assert_eq!(left.err(), never.err(), "{:?}", output);
            }
        }
        prop_assert_eq!(
            junit(|reporters| tell_on(reporters, &sittings)),
            junit(|reporters| tell(reporters, &told))
        );

        // Whether or not the first sitting has written it, too.
        let folder = tempfile::tempdir().unwrap();
        let reporters = || {
            let mut reporters = Reporters::default();
            reporters.output_dir(folder.path()).unwrap();
            reporters
        };
        if at.is_multiple_of(2) {
            tell(reporters(), &sittings[0]);
        }
        tell_on(reporters(), &sittings);
        for host in table() {
            let name = host.name.replace(':', "%3A");
            for (stream, bytes) in [("stdout", &host.stdout), ("stderr", &host.stderr)] {
                let file = folder.path().join(format!("{name}.{stream}"));
                prop_assert_eq!(&std::fs::read(file).unwrap(), bytes);
            }
        }
    }
}

/// A host that was to be asked again and was not, as the second sitting was interrupted.
#[test]
fn an_end_that_says_less_is_none() {
    let hosts = [answers("web1", "6.1.0\n"), left("web2", "begun\n")];
    let told = events(&hosts);
    for (first, second, want) in [
        (Outcome::Detached, Outcome::Skipped, Outcome::Detached),
        (Outcome::Unknown, Outcome::Skipped, Outcome::Unknown),
        (Outcome::Detached, Outcome::Unknown, Outcome::Unknown),
        (Outcome::Unknown, Outcome::Cancelled, Outcome::Cancelled),
        (Outcome::Failed, Outcome::Unknown, Outcome::Failed),
    ] {
        let mut sittings = in_two(&told, 3, &["web2"], first);
        let is_end = |event: &&mut Event| matches!(event.kind, EventKind::HostFinished { .. });
        let end = sittings[1].iter_mut().find(is_end).unwrap();
        let result = Box::new(HostResult::bare(second, end.at));
        end.kind = EventKind::HostFinished { host: "web2".to_owned(), result };
        let captured = told_again(Output::Json, &sittings, Term::captured());
        let document: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
        assert_eq!(document["hosts"][1]["outcome"], want.as_str(), "{first:?} {second:?}");
    }
}

/// It began when it began, took as long as that, and one who follows it hears what is new.
#[test]
fn a_run_is_as_long_as_its_sittings() {
    let told = events(&[answers("web1", "6.1.0\n"), left("web2", "begun\n")]);
    let [first, mut second] = in_two(&told, 3, &["web2"], Outcome::Detached);
    let end = second.last_mut().unwrap();
    end.at += jiff::SignedDuration::from_secs(90);
    let sittings = [first, second];
    let document: serde_json::Value =
        serde_json::from_str(&told_again(Output::Json, &sittings, Term::captured()).out()).unwrap();
    assert_eq!(document["started_at"], "2026-11-05T10:00:00Z");
    assert_eq!(document["summary"]["duration_ms"], 90_000 + told.len() as u64 - 1);
    assert!(told_again(Output::Grouped, &sittings, Term::captured()).err().contains(" in 1 min 30 s\n"));
    let streamed = told_again(Output::Stream, &sittings, Term::captured());
    assert!(!streamed.out().contains("6.1.0"), "{}", streamed.out());
    assert!(streamed.err().contains(" in 30 s\n"), "{}", streamed.err());
}

/// What the operator sees who comes back: the hosts he asked, and how all of the run stand.
#[test]
fn the_second_sitting() {
    let hosts = [answers("web1", "6.1.0\n"), answers("web2", "one\ntwo\n"), left("web3", "begun\n")];
    let told = events(&hosts);
    let [_, second] = in_two(&told, 8, &["web2", "web3"], Outcome::Detached);
    insta::assert_snapshot!(shown(&told_on(Output::Auto, &second, Term::captured(), Term::captured())), @r"
    --- stdout
    web2 (1 host): ok

    two

    web3 (1 host): started and left
    begun
    --- stderr
    3 hosts: 2 ok, 1 started and left in 30 s
    web3: started and left
    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run attach 01JRUN  follows those that were left
    hint: cronium-run collect 01JRUN  fetches what is over
    ");
    insta::assert_snapshot!(shown(&told_on(Output::Stream, &second, Term::captured(), Term::captured())), @r"
    --- stdout
    web2: 
    web2: two
    web3: begun
    --- stderr
    3 hosts: 2 ok, 1 started and left in 30 s
    web3: started and left
    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run attach 01JRUN  follows those that were left
    hint: cronium-run collect 01JRUN  fetches what is over
    ");
    let captured = told_on(Output::Json, &second, Term::captured(), Term::captured());
    let document: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
    let ends: Vec<_> = document["hosts"].as_array().unwrap().iter().map(|host| &host["outcome"]).collect();
    assert_eq!(ends, ["succeeded", "detached"]);
}

#[test]
fn one_host_alone_without_all_of_its_bytes() {
    let hosts = [Host { cut: Some(7_000), ..answers("db1", "abcdef") }];
    let (told, terminal) = (events(&hosts), || Term::pretend(true, false));
    // Piped on, it is the host's bytes, but for those that are missing: half lines are not joined.
    let piped = told_on(Output::Grouped, &told, Term::captured(), Term::captured());
    assert_eq!(piped.out(), "abc\n⟨7.0 kB of stdout not kept⟩\ndef");
    assert!(piped.err().contains("warning: db1: 7.0 kB of its output were not kept"), "{}", piped.err());
    assert_eq!(
        told_on(Output::Grouped, &told, terminal(), terminal()).out(),
        "abc\n⟨7.0 kB of stdout not kept⟩\ndef\n"
    );
}
