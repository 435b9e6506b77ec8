//! Hosts whose keys nobody knows.

use std::pin::Pin;

use crate::transport::UnknownKey;

/// A host that waits for a word on a key: its own, or that of a jump host on the way to it.
#[derive(Debug, Clone)]
pub struct Stranger {
    pub host: String,
    pub key: UnknownKey,
}

/// Says whether keys are right.
pub trait Vouch: Send + Sync {
    /// One word for all of them. Dropping the future takes the question back: the run is being
    /// stopped.
    fn vouches_for<'a>(
        &'a self,
        strangers: &'a [Stranger],
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}
