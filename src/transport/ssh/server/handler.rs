//! What a client may do: prove its key, run commands, have a Unix socket forwarded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use russh::server::{Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Pty};

use super::command;
use super::forward::Forward;
use super::host::Host;

/// One connection.
pub struct Handler {
    host: Arc<Host>,
    /// Session channels that have no command yet.
    waiting: HashMap<ChannelId, Channel<Msg>>,
    /// By the path that the client named.
    forwards: HashMap<String, Forward>,
}

impl Handler {
    pub fn new(host: Arc<Host>) -> Self {
        Self { host, waiting: HashMap::new(), forwards: HashMap::new() }
    }
}

impl russh::server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.host.admits(user, offer.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.host.admits(user, key.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.waiting.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.waiting.remove(&id);
        Ok(())
    }

    /// A channel runs one command in its life (RFC 4254, section 6.5).
    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.waiting.remove(&id) else { return session.channel_failure(id) };
        match self.host.shell(line).spawn() {
            Ok(child) => {
                let (handle, host) = (session.handle(), Arc::clone(&self.host));
                tokio::spawn(async move { command::run(child, channel, handle, &host.folder).await });
                session.channel_success(id)
            }
            Err(error) => {
                tracing::warn!(%error, "the demo host cannot start a shell");
                session.channel_failure(id)?;
                session.close(id)
            }
        }
    }

    async fn streamlocal_forward(&mut self, path: &str, session: &mut Session) -> Result<bool, Self::Error> {
        let Entry::Vacant(place) = self.forwards.entry(path.to_owned()) else { return Ok(false) };
        match Forward::bind(path, session.handle(), self.host.folder.clone()) {
            Ok(forward) => {
                place.insert(forward);
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(%error, path, "the demo host cannot forward a socket");
                Ok(false)
            }
        }
    }

    async fn cancel_streamlocal_forward(&mut self, path: &str, _: &mut Session) -> Result<bool, Self::Error> {
        Ok(self.forwards.remove(path).is_some())
    }

    // What follows is refused in words: russh alone would leave the client waiting for an answer.

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }
}
