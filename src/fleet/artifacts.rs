//! The files a script left, on their way from a host to the store.
//!
//! The host may be hostile: what its own runner would never send cuts it off. A store that fails
//! is our own trouble: the talk ends, and the host keeps what it has until it is collected.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use cronium_wire::archive::clean_name;
use cronium_wire::manifest::Artifacts;
use cronium_wire::manifest::artifacts::{MOST_BYTES, MOST_FILES};
use cronium_wire::message::{Artifact, FromStub};

use super::Fleet;
use crate::error::{Error, Result as Done};
use crate::event::EventKind;
use crate::helper_api::{ArtifactSink, ArtifactStore};
use crate::plan::Task;
use crate::transport::{Fault, Phase};

/// Takes the artifacts of one host.
pub struct Receiver {
    host: String,
    run: String,
    store: Arc<dyn ArtifactStore>,
    max_files: usize,
    max_bytes: u64,
    /// Of all files that were announced.
    paths: BTreeSet<String>,
    incoming: Option<Incoming>,
}

struct Incoming {
    artifact: Artifact,
    received: u64,
    /// Away while it works.
    sink: Option<Box<dyn ArtifactSink>>,
}

impl Receiver {
    pub fn new(fleet: &Fleet, host: &str) -> Self {
        let limits = match (&fleet.plan.task, fleet.plan.run()) {
            (_, Some(run)) => run.payload.packed.manifest.artifacts.clone(),
            // Leaves nothing to fetch.
            (Task::Deploy { .. }, None) => Artifacts { max_files: 0, ..Artifacts::default() },
            // Its manifest is not known here, but that it is one.
            (Task::Run(_) | Task::Resume(_), None) => {
                Artifacts { max_files: MOST_FILES, max_bytes: MOST_BYTES, ..Artifacts::default() }
            }
        };
        Self::limited(&limits, host, &fleet.plan.run, Arc::clone(&fleet.artifacts))
    }

    fn limited(limits: &Artifacts, host: &str, run: &str, store: Arc<dyn ArtifactStore>) -> Self {
        Self {
            host: host.to_owned(),
            run: run.to_owned(),
            store,
            max_files: limits.max_files,
            max_bytes: limits.max_bytes,
            paths: BTreeSet::new(),
            incoming: None,
        }
    }

    /// Takes a message that is about an artifact, and gives what there is to tell: a file that is
    /// kept, or one that is lost. An error of kind `store` where it cannot be kept here.
    pub async fn take(&mut self, message: FromStub) -> Result<Option<EventKind>, Fault> {
        match message {
            FromStub::Artifact(artifact) => self.begin(artifact).await.map(|()| None),
            FromStub::ArtifactPiece(piece) => self.piece(piece).await.map(|()| None),
            FromStub::ArtifactEnd { digest } => self.end(digest).await,
            _ => Ok(None),
        }
    }

    /// Whether a file has begun and not ended.
    pub fn is_partial(&self) -> bool {
        self.incoming.is_some()
    }

    /// What is left to tell when the host has said its last word.
    pub fn close(&mut self) -> Option<EventKind> {
        let path = self.incoming.take()?.artifact.path;
        Some(self.warning(format!("the artifact {path} is lost: the host ended in the middle of it")))
    }

    async fn begin(&mut self, artifact: Artifact) -> Result<(), Fault> {
        if self.incoming.is_some() {
            return Err(broken("an artifact before the end of the one before"));
        }
        if self.paths.len() >= self.max_files {
            return Err(broken("more artifacts than its manifest allows"));
        }
        if artifact.size > self.max_bytes {
            return Err(broken("a larger artifact than its manifest allows"));
        }
        if clean_name(artifact.path.as_bytes()) != Ok(Some(artifact.path.clone())) {
            return Err(broken("an artifact whose name is no clean path"));
        }
        if self.is_taken(&artifact.path) {
            return Err(broken("two artifacts in one place"));
        }
        self.paths.insert(artifact.path.clone());
        let store = Arc::clone(&self.store);
        let begun = blocking(move || store.begin()).await;
        let sink = Some(begun.map_err(|error| self.failed(&artifact.path, error))?);
        self.incoming = Some(Incoming { artifact, received: 0, sink });
        Ok(())
    }

    /// Whether a file is there, lies beneath it, or it beneath a file.
    fn is_taken(&self, path: &str) -> bool {
        let beneath = format!("{path}/");
        let next = self.paths.range::<str, _>((Bound::Included(beneath.as_str()), Bound::Unbounded)).next();
        self.paths.contains(path)
            || path.match_indices('/').any(|(at, _)| self.paths.contains(&path[..at]))
            || next.is_some_and(|next| next.starts_with(&beneath))
    }

    async fn piece(&mut self, piece: Vec<u8>) -> Result<(), Fault> {
        let incoming = self.incoming.as_mut().ok_or_else(|| broken("a piece of no artifact"))?;
        if piece.is_empty() {
            return Err(broken("an empty piece of an artifact"));
        }
        incoming.received += piece.len() as u64;
        if incoming.received > incoming.artifact.size {
            return Err(broken("more of an artifact than it announced"));
        }
        let Some(mut sink) = incoming.sink.take() else { return Ok(()) };
        match blocking(move || sink.write(&piece).map(|()| sink)).await {
            Ok(sink) => incoming.sink = Some(sink),
            Err(error) => {
                let path = incoming.artifact.path.clone();
                return Err(self.failed(&path, error));
            }
        }
        Ok(())
    }

    async fn end(&mut self, digest: String) -> Result<Option<EventKind>, Fault> {
        let incoming = self.incoming.take().ok_or_else(|| broken("the end of no artifact"))?;
        let Incoming { artifact: Artifact { path, mode, .. }, received, sink } = incoming;
        // The store has failed before, and that was the end.
        let Some(sink) = sink else { return Ok(None) };
        // Dropped, it leaves nothing behind. The host says why in a warning of its own.
        if digest.is_empty() {
            return Ok(None);
        }
        let kept = blocking(move || sink.finish()).await.map_err(|error| self.failed(&path, error))?;
        if kept != digest {
            let message = format!("the host says its SHA-256 is {digest:.64}, what came has {kept}");
            return Ok(Some(self.warning(format!("the artifact {path} is lost: {message}"))));
        }
        let (host, mode) = (self.host.clone(), mode & 0o777);
        Ok(Some(EventKind::HostArtifact { host, path, digest, bytes: received, mode }))
    }

    /// Our own store takes it not now; the host still has it.
    fn failed(&self, path: &str, error: Error) -> Fault {
        let message = format!("the artifact {path} cannot be kept here");
        let fault = Fault::new(Phase::Lost, "store", message).cause(error.message);
        error.causes.into_iter().fold(fault, Fault::cause).hint(format!("cronium-run collect {}", self.run))
    }

    fn warning(&self, message: String) -> EventKind {
        EventKind::HostWarning { host: self.host.clone(), message }
    }
}

/// What a runner of ours does not do.
fn broken(what: &str) -> Fault {
    Fault::foreign(format!("the runner sent {what}"))
}

/// The store may take as long as a disk does.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Done<T> + Send + 'static) -> Done<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Error::failure("the store of artifacts broke down")))
}

#[cfg(test)]
mod tests;
