//! The helper API's store of artifacts, beside the ledger.

use crate::error::Result;
use crate::helper_api::{ArtifactSink, ArtifactStore};
use crate::ledger::{Artifacts, NewArtifact};

pub struct LedgerArtifacts(pub Artifacts);

impl ArtifactStore for LedgerArtifacts {
    fn begin(&self) -> Result<Box<dyn ArtifactSink>> {
        Ok(Box::new(Sink(self.0.begin()?)))
    }
}

struct Sink(NewArtifact);

impl ArtifactSink for Sink {
    fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.0.write(piece)
    }

    fn finish(self: Box<Self>) -> Result<String> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn what_comes_in_pieces_is_kept_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
        let store = LedgerArtifacts(ledger.artifacts());
        let mut sink = store.begin().unwrap();
        sink.write(b"ab").unwrap();
        sink.write(b"c").unwrap();
        let digest = sink.finish().unwrap();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let kept = folder.path().join("ledger.artifacts/ba").join(digest);
        assert_eq!(std::fs::read(kept).unwrap(), b"abc");
    }
}
