//! Takes leave of hosts whose results are all recorded, in a run that is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::parting::acknowledge_anew;
use super::runtime;
use crate::error::Result;
use crate::inventory::Target;
use crate::transport::Transport;

/// For one host, which is connected to for that alone.
const LEFT_WITHIN: Duration = Duration::from_secs(60);

/// Tells hosts that all they told of a run is kept: `hosts` with the frames that are recorded of each,
/// `forks` of them at once. Those that have forgotten the run; nothing is said of the others, which go on
/// keeping it.
pub fn take_leave(
    run: &str,
    hosts: Vec<(Target, u64)>,
    transport: Transport,
    forks: usize,
) -> Result<Vec<String>> {
    let runtime = runtime()?;
    let (transport, turns, run) =
        (Arc::new(transport), Arc::new(Semaphore::new(forks)), Arc::<str>::from(run));
    let gone = runtime.block_on(async {
        let mut leaving = JoinSet::new();
        for (target, mark) in hosts {
            let (transport, turns, run) = (Arc::clone(&transport), Arc::clone(&turns), Arc::clone(&run));
            leaving.spawn(async move {
                let _turn = turns.acquire().await;
                let left = timeout(LEFT_WITHIN, acknowledge_anew(&transport, &run, &target, mark));
                matches!(left.await, Ok(Ok(true))).then_some(target.name)
            });
        }
        let mut gone = Vec::new();
        while let Some(left) = leaving.join_next().await {
            gone.extend(left.ok().flatten());
        }
        gone
    });
    transport.save();
    runtime.shutdown_background();
    Ok(gone)
}
