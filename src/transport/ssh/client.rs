//! What russh asks us during a connection: is this host key right, and who takes this channel.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use russh::client::{DisconnectReason, Handler, Msg, Session};
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::mpsc;

use super::heard::Heard;
use super::known_hosts::{Entry, KnownHosts, Verdict};
use super::notice::Notice;
use super::revoked_keys::RevokedKeys;
use super::unknown_key::UnknownKey;
use crate::error::Error;
use crate::inventory::{HostKeyPolicy, Ssh};
use crate::transport::tunnel::Stream;
use crate::transport::{Entrance, Fault, Phase};

/// What helps a host whose key is revoked.
const NEW_KEYS: &str = "rm /etc/ssh/ssh_host_*; ssh-keygen -A  on the host makes new ones";

/// The one entrance this connection may forward to us, once it is asked for.
pub type Forwarded = Arc<Mutex<Option<(Entrance, mpsc::Sender<Box<dyn Stream>>)>>>;

/// The key that the host has shown.
pub type Shown = Arc<OnceLock<PublicKeyOrCertificate>>;

pub struct Client {
    pub address: Ssh,
    pub known: Arc<KnownHosts>,
    pub forwarded: Forwarded,
    pub shown: Shown,
    pub heard: Heard,
    pub notice: Notice,
    pub revoked: Option<Arc<RevokedKeys>>,
}

/// Why russh's loop ends.
#[derive(Debug)]
pub enum ClientError {
    HostKey(Fault),
    Russh(russh::Error),
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

impl Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        if self.revoked.as_ref().is_some_and(|revoked| revoked.holds(shown)) {
            let list = self.address.protocol.revoked.as_deref().unwrap_or(Path::new("")).display();
            return Err(ClientError::HostKey(
                Fault::new(Phase::Hostkey, "revoked", "the host's key is revoked")
                    .cause(format!("it is on the list of RevokedHostKeys, {list}"))
                    .hint(NEW_KEYS),
            ));
        }
        if self.address.host_key != HostKeyPolicy::Off {
            self.check(shown).map_err(ClientError::HostKey)?;
        }
        // It is shown again with every new exchange of keys.
        let _ = self.shown.set(copy(shown));
        Ok(true)
    }

    async fn auth_banner(&mut self, text: &str, _: &mut Session) -> Result<(), ClientError> {
        self.notice.put(text);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ClientError>) -> Result<(), ClientError> {
        match reason {
            DisconnectReason::ReceivedDisconnect(last) => {
                self.notice.put(&last.message);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: russh::client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        self.forward(|asked| *asked == Entrance::Socket(path.to_owned()), channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: russh::client::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        // Between our request and the host's answer its port is not known to us; nobody but the
        // one we asked for can be meant.
        let is_ours = |asked: &Entrance| match asked {
            Entrance::Port(asked) => *asked == 0 || u32::from(*asked) == port,
            Entrance::Socket(_) => false,
        };
        self.forward(is_ours, channel, reply).await;
        Ok(())
    }
}

impl Client {
    /// A host that opens what nobody asked for, or faster than we serve, gets a refusal.
    async fn forward(
        &self,
        is_asked: impl Fn(&Entrance) -> bool,
        channel: Channel<Msg>,
        reply: russh::client::ChannelOpenHandle,
    ) {
        let slot = {
            let forwarded = self.forwarded.lock().unwrap_or_else(PoisonError::into_inner);
            forwarded.as_ref().filter(|(asked, _)| is_asked(asked)).map(|(_, streams)| streams.clone())
        };
        match slot.as_ref().map(mpsc::Sender::try_reserve) {
            Some(Ok(permit)) => {
                reply.accept().await;
                permit.send(Box::new(channel.into_stream()));
            }
            _ => reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await,
        }
    }

    fn check(&self, shown: &PublicKeyOrCertificate) -> Result<(), Fault> {
        let (name, port) = lookup(&self.address);
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            PublicKeyOrCertificate::Certificate(certificate) => {
                PublicKey::new(certificate.public_key().clone(), "")
            }
        };
        let verdict = verdict(&self.known, &self.address, shown);
        let hashed = self.address.hash_known_hosts;
        let verdict = match (verdict, self.address.host_key, self.address.known_hosts.first()) {
            (Verdict::Unknown, HostKeyPolicy::AcceptNew, Some(file)) => {
                self.known.record(file, Entry { name, port, key: &key, hashed }).map_err(unrecorded)?
            }
            (verdict, _, _) => verdict,
        };
        self.judge(verdict, &key)
    }

    fn unknown(&self, key: &PublicKey) -> Box<UnknownKey> {
        let (name, port) = lookup(&self.address);
        Box::new(UnknownKey {
            files: self.address.known_hosts.clone(),
            name: name.to_owned(),
            port,
            key: key.clone(),
            hashed: self.address.hash_known_hosts,
            jump: None,
        })
    }

    fn judge(&self, verdict: Verdict, key: &PublicKey) -> Result<(), Fault> {
        let shown = format!("it shows {} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        let (name, port) = lookup(&self.address);
        let entry = if port == 22 { name.to_owned() } else { format!("[{name}]:{port}") };
        match verdict {
            Verdict::Known => Ok(()),
            Verdict::Unknown => {
                let fault = Fault::new(Phase::Hostkey, "unknown", "the host's key is not in known_hosts")
                    .cause(shown)
                    .hint("compare the fingerprint, then run once with --host-key accept-new");
                let may_ask = self.address.host_key == HostKeyPolicy::Ask;
                let unknown = may_ask.then(|| self.unknown(key));
                Err(Fault { unknown, ..fault })
            }
            Verdict::Changed { known } => {
                let mut files: Vec<_> = known.iter().map(|key| &key.place.file).collect();
                files.dedup();
                let forget = files.into_iter().map(|file| {
                    let file = file.to_string_lossy();
                    format!("ssh-keygen -f {} -R '{entry}'", shlex::try_quote(&file).unwrap_or_default())
                });
                let forget = forget.collect::<Vec<_>>().join("; ");
                let known =
                    known.iter().map(|key| format!("{} {} at {}", key.algorithm, key.fingerprint, key.place));
                let known = known.collect::<Vec<_>>().join(", ");
                Err(Fault::new(Phase::Hostkey, "changed", "the host's key is not the one in known_hosts")
                    .cause(shown)
                    .cause(format!("recorded: {known}"))
                    .hint(format!("if the change was yours: {forget}")))
            }
            Verdict::Revoked { place } => {
                Err(Fault::new(Phase::Hostkey, "revoked", "the host's key is revoked")
                    .cause(shown)
                    .cause(format!("revoked at {place}"))
                    .hint(NEW_KEYS))
            }
            Verdict::BadCertificate { reason, place } => {
                Err(Fault::new(Phase::Hostkey, "certificate", "the host's certificate does not hold")
                    .cause(reason)
                    .cause(format!("its authority stands at {place}"))
                    .hint("ssh-keygen -L -f /etc/ssh/ssh_host_ed25519_key-cert.pub  on the host"))
            }
        }
    }
}

/// Why a key that is taken stands in no file.
pub fn unrecorded(error: Error) -> Fault {
    let fault = Fault::new(Phase::Hostkey, "record", "the host's key cannot be recorded");
    let fault = error.causes.into_iter().fold(fault.cause(error.message), Fault::cause);
    Fault { hint: error.hints.into_iter().next(), ..fault }
}

/// What the files say of a key.
pub fn verdict(known: &KnownHosts, address: &Ssh, shown: &PublicKeyOrCertificate) -> Verdict {
    let (name, port) = lookup(address);
    match shown {
        PublicKeyOrCertificate::PublicKey { key, .. } => known.check(name, port, key),
        PublicKeyOrCertificate::Certificate(certificate) => known.check_certificate(name, port, certificate),
    }
}

fn copy(shown: &PublicKeyOrCertificate) -> PublicKeyOrCertificate {
    match shown {
        PublicKeyOrCertificate::PublicKey { key, hash_alg } => {
            PublicKeyOrCertificate::PublicKey { key: key.clone(), hash_alg: *hash_alg }
        }
        PublicKeyOrCertificate::Certificate(certificate) => {
            PublicKeyOrCertificate::Certificate(certificate.clone())
        }
    }
}

/// What known_hosts is searched for: an alias stands there without a port.
pub fn lookup(address: &Ssh) -> (&str, u16) {
    match &address.host_key_alias {
        Some(alias) => (alias, 22),
        None => (&address.host, address.port),
    }
}
