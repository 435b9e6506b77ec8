use proptest::prelude::*;

use super::*;
use crate::event::{Conflict, HelperMode, StopReason, Trust};

/// What may happen to one of three hosts; applied in order where the grammar allows it.
#[derive(Debug, Clone)]
enum Step {
    State(HostState),
    Output(Stream, Vec<u8>),
    Warning(String),
    Told(u8, String),
    Finished(Outcome, bool),
    Cut(Stream, u64),
    Stopping,
    Later,
    /// The sitting ends, or its process dies, and another asks all hosts that are open.
    Resumed(bool),
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let states = [HostState::Connecting, HostState::Running, HostState::Ended];
    let step = prop_oneof![
        1 => prop::sample::select(states.to_vec()).prop_map(Step::State),
        6 => (prop::sample::select(Stream::ALL.to_vec()), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(stream, data)| Step::Output(stream, data)),
        1 => ".*".prop_map(Step::Warning),
        2 => (0..5u8, ".*").prop_map(|(kind, text)| Step::Told(kind, text)),
        1 => (prop::sample::select(Outcome::ALL.to_vec()), any::<bool>())
            .prop_map(|(outcome, rich)| Step::Finished(outcome, rich)),
        1 => (prop::sample::select(Stream::ALL.to_vec()), 0..1000u64)
            .prop_map(|(stream, bytes)| Step::Cut(stream, bytes)),
        1 => any::<bool>().prop_map(Step::Resumed),
        1 => Just(Step::Stopping),
        1 => Just(Step::Later),
    ];
    (0usize..3, step)
}

const HOSTS: [&str; 3] = ["web1", "ann@web2:2222", "žluťoučký 'host'"];

fn result(outcome: Outcome, rich: bool) -> HostResult {
    if !rich {
        return HostResult::bare(outcome, at(3));
    }
    HostResult {
        outcome,
        attempt: 2,
        exit_code: Some(-1),
        signal: Some(9),
        cpu_ms: Some(u64::from(u32::MAX) + 1),
        max_rss_kb: Some(1),
        helper_mode: Some(HelperMode::Tcp),
        helper_reason: Some("no streamlocal".into()),
        conflicts: vec![Conflict { key: "k".into(), reason: "gone".into() }],
        condition: Some(true),
        trust: Some(Trust::Session),
        stub_digest: Some("s".repeat(64)),
        arch: Some("linux/arm64".into()),
        output: Some(json!({"a": [1, null, "b"], "c": 1.5})),
        finished_at: Timestamp::from_nanosecond(1_795_000_000_123_456_789).unwrap(),
        ..refused()
    }
}

/// One of what a script tells beside its output.
fn script_told(host: &str, kind: u8, text: String) -> EventKind {
    let host = host.to_owned();
    match kind {
        0 => EventKind::HostLog { host, level: "info".into(), message: text, context: json!({"a": 1}) },
        1 => EventKind::HostProgress { host, percent: 12.5, step: Some(text) },
        2 => EventKind::HostNotify { host, audience: "ops".into(), message: text },
        3 => EventKind::HostCondition { host, condition: true },
        _ => EventKind::HostArtifact { host, path: text, digest: "d".repeat(64), bytes: 7, mode: 0o755 },
    }
}

/// How a host stands that ended so in this sitting, and stood so before it: one that was not asked stays
/// as it was.
fn stands(end: Option<Outcome>, stood: Option<Outcome>) -> Option<Outcome> {
    match (end, stood) {
        (Some(Outcome::Skipped), Some(before)) => Some(before),
        (Some(end), _) => Some(end),
        (None, stood) => stood,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever was told comes back exactly, while the run goes on, when it is cut off anywhere
    /// (hosts that never ended), and when it is over.
    #[test]
    fn a_stored_run_replays_as_it_was_told(
        steps in prop::collection::vec(step(), 0..60),
        look in 0usize..60,
        over in any::<bool>(),
    ) {
        let place = Place::new();
        let ledger = place.ledger();
        let mut teller = Teller::new(&ledger, new_run("R1", &HOSTS));
        let mut ends: [Option<Outcome>; HOSTS.len()] = [None; HOSTS.len()];
        // As they stood before this sitting.
        let mut stood = ends;
        let mut marks = [0; HOSTS.len()];
        for (index, (host, step)) in steps.into_iter().enumerate() {
            if index == look {
                teller.recorder.finish().unwrap();
                let stored: Vec<Event> = ledger.reader().unwrap().events("R1").unwrap().map(Result::unwrap).collect();
                prop_assert_eq!(&stored, &teller.told);
            }
            let name = HOSTS[host];
            match step {
                Step::Stopping => teller.tell(EventKind::RunStopping { reason: StopReason::Limit }),
                Step::Later => {
                    let later = json!({"kind": "host_moved", "host": name, "to": {"rack": 3}});
                    teller.tell(EventKind::Other(later.as_object().unwrap().clone()));
                }
                Step::Resumed(is_told) => {
                    if is_told {
                        teller.tell(EventKind::RunFinished { summary: Summary::default() });
                    }
                    for (stood, end) in stood.iter_mut().zip(&mut ends) {
                        *stood = stands(*end, *stood);
                        if stood.is_some_and(Outcome::is_open) {
                            *end = None;
                        }
                    }
                    let open: Vec<usize> = (0..HOSTS.len()).filter(|host| ends[*host].is_none()).collect();
                    let names: Vec<&str> = open.iter().map(|host| HOSTS[*host]).collect();
                    let bytes = |host: &str, stream| teller.told.iter().map(|event| match &event.kind {
                        EventKind::HostOutput { host: name, stream: which, data }
                            if name == host && *which == stream => data.0.len() as u64,
                        _ => 0,
                    }).sum::<u64>();
                    let known: Vec<_> = open.iter().map(|host| {
                        (marks[*host], Stream::ALL.map(|stream| bytes(HOSTS[*host], stream)))
                    }).collect();
                    let next = teller.told.len() as u64;
                    teller.recorder.finish().unwrap();
                    teller.recorder = ledger.recorder("nobody");
                    let (recorder, place) = resumed(&ledger, "R1", &names);
                    let found: Vec<_> = place.known.iter().map(|known| (known.mark, known.bytes)).collect();
                    prop_assert_eq!((place.next_seq, found), (next, known));
                    drop(recorder);
                    teller = teller.resume(&ledger, &names);
                }
                _ if ends[host].is_some() => {}
                Step::Cut(stream, bytes) => {
                    teller.tell(EventKind::HostOutputCut { host: name.into(), stream, bytes });
                }
                Step::State(state) => teller.state(name, state),
                Step::Output(stream, data) => {
                    marks[host] += 1;
                    let data = Bytes(data);
                    teller.tell_marked(Some(marks[host]), EventKind::HostOutput { host: name.into(), stream, data });
                }
                Step::Warning(message) => teller.tell(EventKind::HostWarning { host: name.into(), message }),
                Step::Told(kind, text) => teller.tell(script_told(name, kind, text)),
                Step::Finished(outcome, rich) => {
                    ends[host] = Some(outcome);
                    teller.end(name, result(outcome, rich));
                }
            }
        }
        let told = if over { teller.end_run(&[]) } else { teller.finish() };
        drop(ledger);
        let reader = place.reader();
        let stored: Vec<Event> = reader.events("R1").unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(&stored, &told);
        for (row, (end, stood)) in reader.results("R1").unwrap().iter().zip(ends.iter().zip(&stood)) {
            // One that is being asked again has no end for now.
            let want = end.and(stands(*end, *stood)).or(row.result.as_ref().and(*stood));
            prop_assert_eq!(row.result.as_ref().map(|result| result.outcome), want);
            let is_an_outcome = Outcome::ALL.iter().any(|outcome| outcome.as_str() == row.status);
            prop_assert_eq!(is_an_outcome, want.is_some());
        }
        for host in HOSTS {
            let about: Vec<Event> = reader.host_events("R1", host).unwrap().map(Result::unwrap).collect();
            let wanted: Vec<Event> = told.iter().filter(|event| match &event.kind {
                EventKind::Other(map) => map["host"] == host,
                kind => kind.host() == Some(host),
            }).cloned().collect();
            prop_assert_eq!(about, wanted);
            for stream in Stream::ALL {
                let printed: Vec<u8> = told.iter().filter_map(|event| match &event.kind {
                    EventKind::HostOutput { host: name, stream: which, data }
                        if name == host && *which == stream => Some(data.0.clone()),
                    _ => None,
                }).flatten().collect();
                prop_assert_eq!(reader.output_bytes("R1", host, stream).unwrap(), printed);
                let cut: u64 = told.iter().map(|event| match &event.kind {
                    EventKind::HostOutputCut { host: name, stream: which, bytes }
                        if name == host && *which == stream => *bytes,
                    _ => 0,
                }).sum();
                prop_assert_eq!(reader.output("R1", host, stream).unwrap().cut(), cut);
            }
        }
    }
}
