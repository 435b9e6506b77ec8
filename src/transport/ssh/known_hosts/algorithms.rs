//! What to offer a server, so that it shows a key that is recorded.

use russh::keys::ssh_key::known_hosts::Marker;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};

use super::table::{Line, SSH_PORT, Table, with_port};

/// Host key algorithms, the preferred first. Without SHA-1 and DSA, like OpenSSH since 8.8.
const DEFAULT: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// For `russh::Preferred`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyAlgorithms {
    /// For `Preferred::key`: those recorded for the host, then all others, so that a server which
    /// has no recorded key any more is told as changed and not as incompatible.
    pub keys: Vec<Algorithm>,
    /// For `Preferred::host_key_certificates`: empty unless an authority may vouch for the host.
    pub certificates: Vec<Algorithm>,
}

impl Table {
    pub fn algorithms(&self, name: &str, port: u16) -> HostKeyAlgorithms {
        let mut lines = self.lines(&with_port(name, port));
        // A server that is known by its bare name alone has to show the key recorded there.
        if port != SSH_PORT && lines.iter().all(|line| line.marker == Some(Marker::Revoked)) {
            lines = self.lines(&with_port(name, SSH_PORT));
        }
        let recorded = |algorithm: &Algorithm| lines.iter().any(|line| line.has(algorithm));
        let mut keys = DEFAULT.to_vec();
        // A stable sort: within each half the order of preference stays.
        keys.sort_by_key(|algorithm| !recorded(algorithm));
        let authority = lines.iter().any(|line| line.marker == Some(Marker::CertAuthority));
        let certificates = if authority { keys.clone() } else { Vec::new() };
        HostKeyAlgorithms { keys, certificates }
    }
}

impl Line {
    /// Whether this is a plain key for `algorithm`. An RSA key serves every RSA signature.
    fn has(&self, algorithm: &Algorithm) -> bool {
        self.marker.is_none()
            && match (self.key.algorithm(), algorithm) {
                (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
                (own, other) => own == *other,
            }
    }
}
