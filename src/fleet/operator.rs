//! Whoever sits before a run.

use std::pin::Pin;

/// What is to become of a run that was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Kill the scripts.
    Cancel,
    /// Leave the scripts to their hosts.
    Detach,
    /// Go on as if nothing had been.
    Wait,
}

pub trait Operator: Send + Sync {
    /// Says who is pending. May block for as long as the operator's terminal does.
    fn tell_pending(&self);

    /// Comes back when the operator wants to know who is pending, and never where he has no way to say
    /// so. May be dropped at any time.
    fn wonders(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// What he wants of the run that he has interrupted. Dropping the future takes the question back:
    /// he has interrupted once more, or the run is over. `may_detach`: the hosts could be left.
    fn chooses(&self, may_detach: bool) -> Pin<Box<dyn Future<Output = Choice> + Send + '_>>;
}
