//! The operator's files for the script, on their way to a host that has them not yet.

use std::collections::BTreeSet;

use cronium_wire::message::{InputFile, ToStub};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Fleet;
use super::listening::PIECE_WITHIN;
use crate::error::Error;
use crate::payload::Input;
use crate::plan::Task;
use crate::transport::{Fault, Link, Phase};

/// Pieces that are read ahead of the link.
const AHEAD: usize = 4;

/// What the job says of them.
pub fn listed(inputs: &[Input]) -> Vec<InputFile> {
    let listed = |input: &Input| InputFile {
        path: input.path.clone(),
        digest: input.digest.clone(),
        size: input.size,
        executable: input.executable,
    };
    inputs.iter().map(listed).collect()
}

/// Answers the requests of one host, each file once.
#[derive(Default)]
pub struct Inputs {
    sent: BTreeSet<String>,
}

impl Inputs {
    /// Sends the file of this content.
    pub async fn send(&mut self, fleet: &Fleet, link: &mut Link, digest: String) -> Result<(), Fault> {
        let inputs = match &fleet.plan.task {
            Task::Run(run) => run.inputs.as_slice(),
            Task::Deploy { .. } | Task::Resume(_) => &[],
        };
        let input = inputs.iter().find(|input| input.digest == digest);
        let input =
            input.ok_or_else(|| Fault::foreign("the runner asked for a file that is not part of its job"))?;
        if !self.sent.insert(digest) {
            return Err(Fault::foreign("the runner asked for a file twice"));
        }
        let (pieces, mut read) = mpsc::channel(AHEAD);
        let source = input.clone();
        let reading =
            tokio::task::spawn_blocking(move || source.pieces(|piece| pieces.blocking_send(piece).is_ok()));
        while let Some(piece) = read.recv().await {
            let sent = timeout(PIECE_WITHIN, link.send(&ToStub::Payload(piece))).await;
            sent.map_err(|_| {
                Fault::new(Phase::Upload, "timeout", "the host stopped taking its input files")
            })?;
        }
        match reading.await {
            Ok(read) => read.map_err(fault),
            Err(_) => {
                Err(Fault::new(Phase::Upload, "input", format!("cannot read the input {}", input.from)))
            }
        }
    }
}

fn fault(error: Error) -> Fault {
    let Error { message, causes, hints, .. } = error;
    let fault = Fault::new(Phase::Upload, "input", message);
    let fault = causes.into_iter().fold(fault, Fault::cause);
    hints.into_iter().next().into_iter().fold(fault, Fault::hint)
}
