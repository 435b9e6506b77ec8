use crate::error::Result;

/// Where the content of artifacts goes, by its SHA-256. Shared by all hosts of a run; calls block
/// for as long as a disk takes.
pub trait ArtifactStore: Send + Sync {
    fn begin(&self) -> Result<Box<dyn ArtifactSink>>;
}

/// Takes one file's content, piece by piece. Dropped before [`ArtifactSink::finish`], it leaves
/// nothing behind.
pub trait ArtifactSink: Send {
    fn write(&mut self, piece: &[u8]) -> Result<()>;
    /// Keeps what was written and returns its SHA-256, as 64 lower case hex digits.
    fn finish(self: Box<Self>) -> Result<String>;
}
