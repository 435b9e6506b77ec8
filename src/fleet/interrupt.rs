//! Ctrl-C and SIGTERM: once cancels, twice leaves, and a third time ends the process there and
//! then, whatever holds it.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Report, Stop};
use crate::error::ExitCode;
use crate::event::StopReason;

/// Runs until it is aborted. Where signals cannot be had, they keep their deadly default.
pub async fn watch(stop: Arc<watch::Sender<Stop>>, reports: mpsc::WeakSender<Report>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for level in [Stop::Cancel, Stop::Leave] {
        either(&mut interrupt, &mut terminate).await;
        // First: a queue that is full must not keep hosts from stopping.
        stop.send_replace(level);
        if let Some(reports) = reports.upgrade() {
            let _ = reports.try_send(Report::Stopping { reason: StopReason::Interrupted });
        }
    }
    either(&mut interrupt, &mut terminate).await;
    std::process::exit(ExitCode::Interrupted as i32);
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
