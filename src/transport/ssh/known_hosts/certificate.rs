//! Host certificates: an authority that known_hosts names vouches for a key.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::known_hosts::Marker;
use russh::keys::{Algorithm, Certificate, HashAlg};

use super::table::{SSH_PORT, Table, revoked, with_port};
use super::verdict::Verdict;

impl Table {
    pub fn check_certificate(&self, name: &str, port: u16, cert: &Certificate, now: SystemTime) -> Verdict {
        let mut bad = None;
        let mut lookups = vec![with_port(name, port)];
        if port != SSH_PORT {
            lookups.push(with_port(name, SSH_PORT));
        }
        for lookup in lookups {
            let lines = self.lines(&lookup);
            if let Some(place) = revoked(&lines, &[cert.public_key(), cert.signature_key()]) {
                return Verdict::Revoked { place };
            }
            let authority = lines
                .into_iter()
                .find(|line| line.marker == Some(Marker::CertAuthority) && line.key == *cert.signature_key());
            match authority.map(|line| (line, validate(cert, name, now))) {
                Some((_, Ok(()))) => return Verdict::Known,
                Some((line, Err(reason))) => {
                    bad = Some(Verdict::BadCertificate { reason, place: line.place.clone() });
                    break;
                }
                None => {}
            }
        }
        // As `ssh` does: the key inside may be known by itself, which the server has just proven
        // to hold.
        match (self.check(name, port, cert.public_key()), bad) {
            (Verdict::Unknown, Some(bad)) => bad,
            (plain, _) => plain,
        }
    }
}

/// Everything but the trust in the authority. The error is a clause about the certificate.
fn validate(cert: &Certificate, name: &str, now: SystemTime) -> Result<(), String> {
    if cert.cert_type() != CertType::Host {
        return Err("it is for a user and not for a host".into());
    }
    let name = name.to_lowercase();
    let principals = cert.valid_principals();
    // Made without `ssh-keygen -n`, a certificate is for every host.
    if !principals.is_empty() && !principals.contains(&name) {
        return Err(format!("it is for {} and not for {name}", principals.join(", ")));
    }
    // No critical option of host certificates is defined: whatever it demands, we do not do it.
    if let Some(option) = cert.critical_options().keys().next() {
        return Err(format!("it has the unknown critical option {option}"));
    }
    if matches!(cert.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Err(format!("it is signed with {}, which uses SHA-1", cert.signature().algorithm()));
    }
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if now < cert.valid_after() {
        return Err(format!("it is valid only from {}", time(cert.valid_after())));
    }
    if now >= cert.valid_before() {
        return Err(format!("it expired at {}", time(cert.valid_before())));
    }
    let authority = cert.signature_key().fingerprint(HashAlg::Sha256);
    cert.validate_at(now, [&authority]).map_err(|_| "its signature does not match".into())
}

/// Seconds since 1970 as RFC 3339.
fn time(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(|| format!("second {seconds} of the Unix era"), |at| at.to_string())
}
