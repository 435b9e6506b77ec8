//! What known_hosts files say about a key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The end of a check. Only [`Verdict::Known`] may be trusted; only [`Verdict::Unknown`] may be
/// recorded by `--host-key accept-new`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Known,
    /// No line names the host.
    Unknown,
    /// Lines name the host, and none has this key.
    Changed {
        known: Vec<KnownKey>,
    },
    /// A `@revoked` line has this key, the key inside the certificate or its authority's.
    Revoked {
        place: Place,
    },
    /// The authority at `place` may vouch for this host, but its certificate does not hold, and
    /// the key inside is unknown too. `reason` is a clause: `it expired at …`.
    BadCertificate {
        reason: String,
        place: Place,
    },
}

/// A key recorded for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// As ssh names it: `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:` and base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    pub place: Place,
}

/// A line of a file. Shown as `FILE:LINE`, which editors and `ssh-keygen` understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<Path>,
    /// From 1; 0 for a key that this run has put at the end of the file.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{} (recorded by this run)", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}
