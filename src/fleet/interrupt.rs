//! Ctrl-C and SIGTERM: once cancels, twice leaves.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Report, Stop};
use crate::event::StopReason;

/// Runs until it is aborted. Where signals cannot be had, they keep their deadly default.
pub async fn watch(stop: Arc<watch::Sender<Stop>>, reports: mpsc::Sender<Report>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for level in [Stop::Cancel, Stop::Leave] {
        either(&mut interrupt, &mut terminate).await;
        let _ = reports.send(Report::Stopping { reason: StopReason::Interrupted }).await;
        stop.send_replace(level);
    }
    std::future::pending::<()>().await;
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
