use std::sync::Mutex;

use cronium_wire::digest::sha256_hex;

use super::*;

/// Keeps contents in memory, until it is full.
#[derive(Default)]
struct MemoryStore {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Fails from this many bytes of one file on.
    full_at: Option<usize>,
    /// Says another digest than that of what it was given.
    lies: bool,
}

struct MemorySink {
    bytes: Vec<u8>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    full_at: Option<usize>,
    lies: bool,
}

impl ArtifactStore for MemoryStore {
    fn begin(&self) -> Done<Box<dyn ArtifactSink>> {
        let (kept, full_at, lies) = (Arc::clone(&self.kept), self.full_at, self.lies);
        Ok(Box::new(MemorySink { bytes: Vec::new(), kept, full_at, lies }))
    }
}

impl ArtifactSink for MemorySink {
    fn write(&mut self, piece: &[u8]) -> Done<()> {
        self.bytes.extend_from_slice(piece);
        match self.full_at {
            Some(full) if self.bytes.len() >= full => {
                Err(Error::failure("cannot write /ledger/artifacts/x").cause("No space left on device"))
            }
            _ => Ok(()),
        }
    }

    fn finish(self: Box<Self>) -> Done<String> {
        let digest = sha256_hex(if self.lies { b"other" } else { &self.bytes });
        self.kept.lock().unwrap().push(self.bytes);
        Ok(digest)
    }
}

fn receiver(store: MemoryStore) -> Receiver {
    let limits = Artifacts { max_files: 3, max_bytes: 10, ..Artifacts::default() };
    Receiver::limited(&limits, "web1", "01R", Arc::new(store))
}

fn begin(path: &str, size: u64) -> FromStub {
    FromStub::Artifact(Artifact { path: path.into(), size, mode: 0o4755 })
}

fn piece(bytes: &str) -> FromStub {
    FromStub::ArtifactPiece(bytes.into())
}

fn end(content: &str) -> FromStub {
    FromStub::ArtifactEnd { digest: sha256_hex(content.as_bytes()) }
}

/// What the receiver tells of each message that it tells anything of, and how it is cut off.
async fn told(receiver: &mut Receiver, messages: Vec<FromStub>) -> (Vec<String>, Option<String>) {
    let mut told = Vec::new();
    let tell = |kind| match kind {
        EventKind::HostArtifact { host, path, digest, bytes, mode } => {
            format!("{host} {path} {bytes} {mode:o} {digest:.4}")
        }
        EventKind::HostWarning { message, .. } => message,
        other => panic!("{other:?}"),
    };
    for message in messages {
        match receiver.take(message).await {
            Ok(kind) => told.extend(kind.map(tell)),
            Err(fault) => return (told, Some(fault.message)),
        }
    }
    told.extend(receiver.close().map(tell));
    (told, None)
}

#[tokio::test]
async fn files_are_kept() {
    let store = MemoryStore::default();
    let kept = Arc::clone(&store.kept);
    let messages = vec![
        begin("a/b", 10),
        piece("12345"),
        piece("67890"),
        end("1234567890"),
        begin("a/empty", 0),
        end(""),
        // It shrank while it was read.
        begin("shorter", 9),
        piece("123"),
        end("123"),
    ];
    let want = ["web1 a/b 10 755 c775", "web1 a/empty 0 755 e3b0", "web1 shorter 3 755 a665"];
    assert_eq!(told(&mut receiver(store), messages).await, (want.map(str::to_owned).into(), None));
    assert_eq!(*kept.lock().unwrap(), [b"1234567890".to_vec(), b"".to_vec(), b"123".to_vec()]);
}

#[tokio::test]
async fn a_hostile_host_is_cut_off() {
    let whole = |path: &str| vec![begin(path, 1), piece("x"), end("x")];
    let bad = |path: &str| vec![begin(path, 1)];
    let long = "x/".repeat(2100) + "x";
    let mut table = vec![
        (vec![begin("a", 11)], "a larger artifact than its manifest allows"),
        (vec![begin("a", 1), begin("b", 1)], "an artifact before the end of the one before"),
        (vec![begin("a", 2), piece("12"), piece("3")], "more of an artifact than it announced"),
        (vec![begin("a", 2), piece("")], "an empty piece of an artifact"),
        (vec![piece("1")], "a piece of no artifact"),
        (vec![end("")], "the end of no artifact"),
        (["a", "b", "c", "d"].map(whole).concat(), "more artifacts than its manifest allows"),
        ([whole("a"), whole("a")].concat(), "two artifacts in one place"),
        ([whole("a"), whole("a/b")].concat(), "two artifacts in one place"),
        ([whole("a/b"), whole("a")].concat(), "two artifacts in one place"),
    ];
    for path in ["", "/etc/passwd", "../x", "a/../../x", "./a", "a//b", "a/", "a\nb", "\u{1b}[2J", &long] {
        table.push((bad(path), "an artifact whose name is no clean path"));
    }
    for (messages, want) in table {
        let cut = told(&mut receiver(MemoryStore::default()), messages.clone()).await.1;
        assert_eq!(cut, Some(format!("the runner sent {want}")), "{messages:?}");
    }
}

/// A full disk is no reason to let the host forget its files.
#[tokio::test]
async fn a_store_that_fails() {
    let store = MemoryStore { full_at: Some(4), ..MemoryStore::default() };
    let kept = Arc::clone(&store.kept);
    let mut receiver = receiver(store);
    let small = vec![begin("small", 2), piece("12"), end("12")];
    let (small, cut) = told(&mut receiver, small).await;
    assert_eq!((small, cut), (vec!["web1 small 2 755 6b51".to_owned()], None));
    receiver.take(begin("a", 9)).await.unwrap();
    let fault = receiver.take(piece("1234")).await.unwrap_err();
    assert_eq!(
        (fault.phase, fault.kind.as_ref(), fault.message.as_str(), fault.is_broken_link()),
        (Phase::Lost, "store", "the artifact a cannot be kept here", false)
    );
    assert_eq!(fault.causes, ["cannot write /ledger/artifacts/x", "No space left on device"]);
    assert_eq!(fault.hint.as_deref(), Some("cronium-run collect 01R"));
    assert_eq!(*kept.lock().unwrap(), [b"12".to_vec()]);
}

#[tokio::test]
async fn what_is_damaged_is_no_artifact() {
    let lies = MemoryStore { lies: true, ..MemoryStore::default() };
    let (told_of_it, cut) = told(&mut receiver(lies), vec![begin("a", 2), piece("12"), end("12")]).await;
    assert_eq!(cut, None);
    assert!(
        told_of_it[0].starts_with("the artifact a is lost: the host says its SHA-256 is 6b51"),
        "{told_of_it:?}"
    );
    // The host says itself why it could not read a file to its end.
    let store = MemoryStore::default();
    let kept = Arc::clone(&store.kept);
    let cut_short = FromStub::ArtifactEnd { digest: String::new() };
    assert_eq!(told(&mut receiver(store), vec![begin("a", 2), piece("1"), cut_short]).await, (vec![], None));
    assert!(kept.lock().unwrap().is_empty());
    let want = "the artifact a is lost: the host ended in the middle of it".to_owned();
    let messages = vec![begin("a", 2), piece("1")];
    assert_eq!(told(&mut receiver(MemoryStore::default()), messages).await, (vec![want], None));
}
