//! Links that are cut at any byte, read by the code that reads them.

use cronium_run::transport::Link;
use cronium_run::transport::link::{Carrier, Tail};
use cronium_run::transport::local::Local;
use cronium_wire::frame::{Decoder, UNNUMBERED};
use cronium_wire::message::{Attach, End, Finished, FromStub, Message, RunState, Started, Told};
use proptest::prelude::*;

/// What a run says, in short.
fn said() -> Vec<FromStub> {
    let finished = Finished {
        end: End::Exited { code: 3 },
        cpu_ms: Some(1),
        max_rss_kb: None,
        helpers: None,
        condition: Some(true),
        wall_ms: Some(2),
        pinned: Some(true),
    };
    vec![
        FromStub::Started(Started { pid: 7, pinned: true }),
        FromStub::Stdout(b"one\n".to_vec()),
        FromStub::Told(Told::Condition { condition: true }),
        FromStub::Stderr(Vec::new()),
        FromStub::Cut { stderr: false, bytes: 9 },
        FromStub::Finished(finished),
    ]
}

/// What a host sends to who asks for frame `from` and what follows: the answer, then frames.
fn answer(spool: &[FromStub], from: usize) -> Vec<u8> {
    let mut bytes = FromStub::Attached(RunState::Ended).to_frame(UNNUMBERED);
    for (number, message) in spool.iter().enumerate().skip(from) {
        bytes.extend(message.to_frame(number as u64));
    }
    bytes
}

/// Whole messages of a link that ends where `bytes` do.
fn read(bytes: &[u8]) -> Vec<FromStub> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let frames = std::iter::from_fn(|| decoder.next().unwrap());
    frames.map(|frame| FromStub::decode(frame).unwrap()).collect()
}

/// Reads on from `mark` over links of these lengths, then over one that holds; how a session counts
/// frames is written down here once more.
fn follow(spool: &[FromStub], cuts: &[usize]) -> Vec<FromStub> {
    let mut seen: Vec<FromStub> = Vec::new();
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let bytes = answer(spool, seen.len());
        let messages = read(&bytes[..cut.min(bytes.len())]);
        seen.extend(messages.into_iter().filter(FromStub::is_numbered));
    }
    seen
}

#[test]
fn two_links_cut_at_every_byte_lose_nothing() {
    let spool = said();
    let length = answer(&spool, 0).len();
    for first in 0..length {
        for second in 0..=answer(&spool, read(&answer(&spool, 0)[..first]).len()).len() {
            assert_eq!(follow(&spool, &[first, second]), spool, "cut at {first} and {second}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_output_survives_any_cuts(
        outputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..20),
        cuts in prop::collection::vec(0_usize..8000, 0..12),
    ) {
        let mut spool: Vec<FromStub> = outputs.into_iter().map(FromStub::Stdout).collect();
        spool.extend(said().pop());
        prop_assert_eq!(follow(&spool, &cuts), spool);
    }
}

/// The operator's own end of a link: what it has counted is where the next one goes on.
#[test]
fn a_link_counts_what_it_has_given() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spool = said();
    let length = answer(&spool, 0).len();
    runtime.block_on(async {
        for cut in (0..length).step_by(7).chain([length]) {
            let (mut seen, mut mark) = (Vec::new(), 0);
            for end in [cut, usize::MAX] {
                let bytes = answer(&spool, mark as usize);
                let file = folder.path().join("link");
                std::fs::write(&file, &bytes[..end.min(bytes.len())]).unwrap();
                let process = Local.exec(&format!("cat {}", file.display())).unwrap();
                let mut link = Link::new(Carrier::Local(Box::new(process)), &[], 0, Tail::default());
                link.resume_at(mark);
                while let Ok(message) = link.receive().await {
                    seen.extend(Some(message).filter(FromStub::is_numbered));
                }
                mark = link.mark();
            }
            assert_eq!((seen, mark), (spool.clone(), spool.len() as u64), "cut at {cut}");
        }
    });
}

/// A host that sends what was not asked for is not believed.
#[test]
fn a_link_takes_no_frame_twice_and_leaves_none_out() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spool = said();
    for (sent, wanted) in [(0, 1), (2, 1), (4, 0)] {
        let file = folder.path().join("link");
        std::fs::write(&file, answer(&spool, sent)).unwrap();
        runtime.block_on(async {
            let process = Local.exec(&format!("cat {}", file.display())).unwrap();
            let mut link = Link::new(Carrier::Local(Box::new(process)), &[], 0, Tail::default());
            link.resume_at(wanted);
            assert_eq!(link.receive().await.unwrap(), FromStub::Attached(RunState::Ended));
            let fault = link.receive().await.unwrap_err();
            assert!(format!("{fault:?}").contains("out of order"), "{fault:?}");
        });
    }
    // A host that went down has lost what another operator saw of it: the end alone may stand behind a gap,
    // which whoever reads the account sees by its number.
    let file = folder.path().join("link");
    std::fs::write(&file, answer(&spool, 5)).unwrap();
    runtime.block_on(async {
        let process = Local.exec(&format!("cat {}", file.display())).unwrap();
        let mut link = Link::new(Carrier::Local(Box::new(process)), &[], 0, Tail::default());
        link.resume_at(2);
        assert_eq!(link.receive().await.unwrap(), FromStub::Attached(RunState::Ended));
        assert!(matches!(link.receive().await.unwrap(), FromStub::Finished(_)));
        assert_eq!(link.mark(), 6);
    });
    // What is asked for survives the way there.
    let attach = Attach { run: "r".into(), host: "h".into(), from: 4, follow: true };
    let frame = cronium_wire::message::ToStub::Attach(attach.clone()).to_frame(0);
    let mut decoder = Decoder::default();
    decoder.push(&frame);
    let back = cronium_wire::message::ToStub::decode(decoder.next().unwrap().unwrap()).unwrap();
    assert_eq!(back, cronium_wire::message::ToStub::Attach(attach));
}
