//! From an address to an authenticated connection.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::auth::Keys;
use super::bastion::{Bastion, Bastions};
use super::client::{Client, Forwarded};
use super::endpoint::{Endpoints, Patience};
use super::exec::Exec;
use super::handshake::{handshake, is_drop, seconds};
use super::known_hosts::{Entry, KnownHosts};
use super::parting::Parting;
use super::proxy_command::ProxyCommand;
use super::revoked_keys::RevokedKeys;
use super::tcp;
use super::unknown_key::UnknownKey;
use crate::inventory::{Proxy, Ssh};
use crate::transport::tunnel::Stream;
use crate::transport::{Entrance, Fault, Phase, Step, Tunnel};

/// Helper connections that wait to be served.
const TUNNEL_BACKLOG: usize = 32;
/// How long a goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Connects; reads keys, agents and known_hosts files once for all hosts, and has one connection
/// to each jump host.
#[derive(Default)]
pub struct Connector {
    keys: Keys,
    known: Mutex<HashMap<Vec<PathBuf>, Arc<KnownHosts>>>,
    revoked: Mutex<HashMap<PathBuf, Result<Arc<RevokedKeys>, Fault>>>,
    endpoints: Endpoints,
    bastions: Bastions,
}

/// Where the stream to a host comes from.
enum Way<'a> {
    Tcp(Vec<SocketAddr>),
    Jump(&'a Arc<Ssh>),
    Command(&'a str),
}

impl Connector {
    /// Remembers in a file which key each host took.
    pub fn remembering(file: PathBuf) -> Self {
        Self { keys: Keys::remembering(file), ..Self::default() }
    }

    /// At the end of a run: writes down what later runs shall know.
    pub fn save(&self) {
        self.keys.save();
    }

    /// A server that drops us unheard is asked again for as long as it may take to connect.
    pub async fn connect(&self, address: &Ssh, step: &impl Fn(Step)) -> Result<Connection, Fault> {
        step(Step::Connecting);
        let way = match &address.proxy {
            None => Way::Tcp(tcp::look_up(address).await?),
            Some(Proxy::Jump(jump)) => Way::Jump(jump),
            Some(Proxy::Command(line)) => Way::Command(line),
        };
        let endpoint = self.endpoints.at(way.to(address));
        let mut patience = Patience::new(address.connect_timeout);
        loop {
            let turn = endpoint.turn().await;
            let begun = Instant::now();
            let fault = match self.attempt(address, &way, step).await {
                Ok(connection) => {
                    turn.welcomed();
                    return Ok(connection);
                }
                Err(fault) => fault,
            };
            if !is_drop(&fault) {
                return Err(fault);
            }
            turn.dropped();
            let Some(pause) = patience.after(begun.elapsed()) else {
                return Err(fault.cause(format!("so it did {} times", patience.tries)));
            };
            tracing::debug!(%address, tries = patience.tries, ?pause, "dropped by the server");
            sleep(pause).await;
        }
    }

    /// [`connect`](Self::connect) for a jump host, on the way to which there may be others.
    pub fn connect_jump<'a>(
        &'a self,
        address: &'a Ssh,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, Fault>> + Send + 'a>> {
        Box::pin(self.connect(address, &|_| {}))
    }

    pub fn bastion(&self, address: &Arc<Ssh>) -> Arc<Bastion> {
        self.bastions.at(address)
    }

    /// Trusts keys from now on: in this run, and in the known_hosts file of each.
    pub async fn accept(&self, keys: &[UnknownKey]) -> Result<(), Fault> {
        let mut by_files: BTreeMap<&[PathBuf], Vec<Entry<'_>>> = BTreeMap::new();
        for UnknownKey { files, name, port, key, .. } in keys {
            by_files.entry(files).or_default().push(Entry { name, port: *port, key });
        }
        for (files, entries) in by_files {
            let Some(file) = files.first() else { continue };
            self.known_hosts(files).record_all(file, &entries).map_err(|error| {
                Fault::new(Phase::Hostkey, "record", "the host's key cannot be recorded").cause(error.message)
            })?;
        }
        self.bastions.forgive().await;
        Ok(())
    }

    async fn attempt(&self, address: &Ssh, way: &Way<'_>, step: &impl Fn(Step)) -> Result<Connection, Fault> {
        let forwarded = Forwarded::default();
        let known = self.known_hosts(&address.known_hosts);
        let parting = Parting::default();
        let client = Client {
            address: address.clone(),
            known,
            forwarded: Arc::clone(&forwarded),
            parting: parting.clone(),
            revoked: self.revoked(address)?,
        };
        let handle = match way {
            Way::Tcp(addresses) => {
                handshake(client, Box::new(tcp::connect(addresses, address).await?)).await?
            }
            Way::Jump(jump) => {
                let stream = self.bastion(jump).open(self, address).await?;
                handshake(client, Box::new(stream) as Box<dyn Stream>).await?
            }
            Way::Command(line) => {
                let (stream, words) = ProxyCommand::start(line)?;
                match handshake(client, Box::new(stream)).await {
                    Err(fault) if is_drop(&fault) => return Err(words.explain(line).await),
                    shaken => shaken?,
                }
            }
        };
        step(Step::Authenticating);
        let environment = address.protocol.environment.clone();
        let mut connection = Connection { handle, forwarded, environment };
        let within = address.connect_timeout;
        let authenticating = self.keys.authenticate(&mut connection.handle, address, &parting);
        let authenticated = timeout(within, authenticating).await;
        authenticated.unwrap_or_else(|_| {
            Err(Fault::new(
                Phase::Auth,
                "timeout",
                format!("the host did not let us in within {}", seconds(within)),
            )
            .hint("--connect-timeout 60s"))
        })?;
        Ok(connection)
    }

    fn revoked(&self, address: &Ssh) -> Result<Option<Arc<RevokedKeys>>, Fault> {
        let Some(file) = &address.protocol.revoked else { return Ok(None) };
        let mut loaded = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        let revoked = loaded.entry(file.clone()).or_insert_with(|| RevokedKeys::load(file).map(Arc::new));
        revoked.clone().map(Some)
    }

    fn known_hosts(&self, files: &[PathBuf]) -> Arc<KnownHosts> {
        let mut loaded = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = loaded.entry(files.to_vec()).or_insert_with(|| Arc::new(KnownHosts::load(files)));
        Arc::clone(known)
    }
}

impl Way<'_> {
    /// A name for the server at the end: two that are equal are the same one.
    fn to(&self, address: &Ssh) -> String {
        match self {
            Self::Tcp(addresses) => addresses[0].to_string(),
            Self::Jump(jump) => format!("{}:{} behind {jump}", address.host, address.port),
            Self::Command(line) => format!("{}:{} through {line}", address.host, address.port),
        }
    }
}

/// An authenticated connection to one host.
pub struct Connection {
    handle: Handle<Client>,
    forwarded: Forwarded,
    /// Asked for with each command.
    environment: Vec<(String, String)>,
}

impl Connection {
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// A channel to another host through this one.
    pub async fn open_direct(&self, host: String, port: u16) -> Result<Channel<Msg>, russh::Error> {
        self.handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await
    }

    /// Starts `command` and sends it `input` at once: exec is not waited for, as its failure shows
    /// in what comes back. Whether all input was sent.
    pub async fn exec(
        &self,
        command: &str,
        input: impl IntoIterator<Item = Bytes>,
    ) -> Result<(Exec, bool), Fault> {
        let channel = self.handle.channel_open_session().await.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(reason) => {
                Fault::new(Phase::Upload, "session", "the host opens no session").cause(format!("{reason:?}"))
            }
            error => Fault::new(Phase::Auth, "closed", "the host closed the connection after it let us in")
                .because(&error)
                .hint("ssh HOST true"),
        })?;
        let (read, write) = channel.split();
        let mut exec = Exec::start(read, write, &self.environment, command).await;
        for bytes in input {
            if !exec.write(bytes).await {
                return Ok((exec, false));
            }
        }
        Ok((exec, true))
    }

    /// The tunnel opened last is the one that is served.
    pub async fn open_tunnel(&self, at: Entrance) -> Result<(Tunnel, Option<u16>), Fault> {
        let (sender, streams) = mpsc::channel(TUNNEL_BACKLOG);
        let serve = |at| {
            let mut forwarded = self.forwarded.lock().unwrap_or_else(PoisonError::into_inner);
            *forwarded = Some((at, sender.clone()));
        };
        serve(at.clone());
        let refused = |what: &str, option: &str, error: russh::Error| {
            Fault::new(Phase::Upload, "forward", format!("the host's sshd forwards no {what}"))
                .because(&error)
                .hint(format!("{option} yes in its sshd_config"))
        };
        match at {
            Entrance::Socket(path) => {
                let asked = self.handle.streamlocal_forward(path).await;
                asked.map_err(|error| refused("Unix sockets", "AllowStreamLocalForwarding", error))?;
                Ok((Tunnel::Ssh(streams), None))
            }
            Entrance::Port(_) => {
                let asked = self.handle.tcpip_forward("127.0.0.1", 0).await;
                let port = asked.map_err(|error| refused("ports", "AllowTcpForwarding", error))?;
                let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
                    Fault::new(
                        Phase::Upload,
                        "forward",
                        "the host's sshd does not say which port it forwards",
                    )
                })?;
                serve(Entrance::Port(port));
                Ok((Tunnel::Ssh(streams), Some(port)))
            }
        }
    }

    pub async fn close(&self) {
        let goodbye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = timeout(CLOSE_WITHIN, goodbye).await;
    }
}
