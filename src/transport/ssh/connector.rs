//! From an address to an authenticated connection.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::auth::{self, Credential, Keys};
use super::bastion::{Bastion, Bastions};
use super::client::{self, Client, Forwarded, Shown};
use super::endpoint::{Endpoints, Patience};
use super::exec::Exec;
use super::handshake::{KEEPALIVE, handshake, is_drop, seconds};
use super::heard::Heard;
use super::known_hosts::{Entry, KnownHosts, Verdict};
use super::notice::Notice;
use super::proxy_command::ProxyCommand;
use super::revoked_keys::RevokedKeys;
use super::tcp;
use super::unknown_key::UnknownKey;
use crate::inventory::{HostKeyPolicy, Proxy, Ssh};
use crate::transport::tunnel::Stream;
use crate::transport::{Entrance, Fault, Phase, Step, Tunnel};

/// Helper connections that wait to be served.
const TUNNEL_BACKLOG: usize = 32;
/// How long a goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Kept alive, a connection is heard again after its keep-alive's interval and no more than this.
const ANSWER_LATE: Duration = Duration::from_secs(5);

/// Connects; reads keys, agents and known_hosts files once for all hosts, and has one connection
/// to each jump host.
#[derive(Default)]
pub struct Connector {
    keys: Keys,
    known: Mutex<HashMap<Vec<PathBuf>, Arc<KnownHosts>>>,
    revoked: Mutex<HashMap<PathBuf, Result<Arc<RevokedKeys>, Fault>>>,
    endpoints: Arc<Endpoints>,
    bastions: Arc<Bastions>,
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

    /// One like [`remembering`](Self::remembering), which goes through the same jump hosts.
    pub fn beside(&self, file: PathBuf) -> Self {
        let (endpoints, bastions) = (Arc::clone(&self.endpoints), Arc::clone(&self.bastions));
        Self { endpoints, bastions, ..Self::remembering(file) }
    }

    /// Closes connections to jump hosts that lead to no host.
    pub fn leave_bastions(&self) {
        self.bastions.leave();
    }

    /// Has jump hosts asked again that failed.
    pub fn forgive_bastions(&self) {
        self.bastions.forgive();
    }

    /// Whether the keys that the host and all jump hosts on the way to it showed when the connection
    /// was made would be taken now.
    pub fn trusts(&self, connection: &Connection) -> bool {
        connection.hops.iter().chain([&connection.hop]).all(|hop| self.trusts_hop(hop))
    }

    fn trusts_hop(&self, Hop { address, shown }: &Hop) -> bool {
        let Some(shown) = shown.get() else { return false };
        match self.revoked(address) {
            Ok(None) => {}
            Ok(Some(revoked)) if !revoked.holds(shown) => {}
            _ => return false,
        }
        let known = self.known_hosts(&address.known_hosts);
        address.host_key == HostKeyPolicy::Off || client::verdict(&known, address, shown) == Verdict::Known
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

    /// Trusts keys from now on: in this run, and in the known_hosts file of each. What became of each
    /// key, in their order.
    pub async fn accept(&self, keys: &[UnknownKey]) -> Vec<Result<(), Fault>> {
        let mut by_files: BTreeMap<&[PathBuf], Vec<usize>> = BTreeMap::new();
        for (index, key) in keys.iter().enumerate() {
            by_files.entry(&key.files).or_default().push(index);
        }
        let mut accepted = vec![Ok(()); keys.len()];
        for (files, indices) in by_files {
            let Some(file) = files.first() else { continue };
            let entry = |index: &usize| {
                let UnknownKey { name, port, key, hashed, .. } = &keys[*index];
                Entry { name, port: *port, key, hashed: *hashed }
            };
            let entries: Vec<Entry<'_>> = indices.iter().map(entry).collect();
            let recorded = self.known_hosts(files).record_all(file, &entries);
            for (index, recorded) in indices.into_iter().zip(recorded) {
                accepted[index] = recorded.map_err(client::unrecorded);
            }
        }
        self.bastions.forgive();
        accepted
    }

    async fn attempt(&self, address: &Ssh, way: &Way<'_>, step: &impl Fn(Step)) -> Result<Connection, Fault> {
        let forwarded = Forwarded::default();
        let known = self.known_hosts(&address.known_hosts);
        let (shown, heard, notice) = (Shown::default(), Heard::now(), Notice::default());
        let client = Client {
            address: address.without_secrets(),
            known,
            forwarded: Arc::clone(&forwarded),
            shown: Arc::clone(&shown),
            heard: heard.clone(),
            notice: notice.clone(),
            revoked: self.revoked(address)?,
        };
        let mut hops = Vec::new();
        let mut handle = match way {
            Way::Tcp(addresses) => {
                handshake(client, Box::new(tcp::connect(addresses, address).await?)).await?
            }
            Way::Jump(jump) => {
                let stream;
                (stream, hops) = self.bastion(jump).open(self, jump, address).await?;
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
        let within = address.connect_timeout;
        let mut is_sent = false;
        let authenticating = self.keys.authenticate(&mut handle, address, &notice, &mut is_sent);
        let authenticated = timeout(within, authenticating).await;
        let credential = authenticated
            .unwrap_or_else(|_| {
                Err(Fault::new(
                    Phase::Auth,
                    "timeout",
                    format!("the host did not let us in within {}", seconds(within)),
                )
                .hint("--connect-timeout 60s"))
            })
            .map_err(|fault| match is_sent && matches!(fault.kind.as_ref(), "closed" | "timeout") {
                true => auth::unanswered(fault, &address.user),
                false => fault,
            })
            .map_err(|fault| notice.explain(fault, address))?;
        let hop = Hop { address: address.without_secrets(), shown };
        Ok(Connection { handle, forwarded, listening: Mutex::default(), heard, hop, hops, credential })
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

/// A host, and the key that it has shown.
#[derive(Clone)]
pub struct Hop {
    /// Without secrets.
    address: Ssh,
    shown: Shown,
}

/// An authenticated connection to one host.
pub struct Connection {
    handle: Handle<Client>,
    forwarded: Forwarded,
    /// Where the host listens for us.
    listening: Mutex<Vec<Entrance>>,
    heard: Heard,
    hop: Hop,
    /// The jump hosts on the way, the nearest first.
    hops: Vec<Hop>,
    credential: Credential,
}

impl Connection {
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    pub fn address(&self) -> &Ssh {
        &self.hop.address
    }

    /// What a connection through this one has on its way.
    pub fn hops_through(&self) -> Vec<Hop> {
        self.hops.iter().chain([&self.hop]).cloned().collect()
    }

    /// What let us in.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Whether the host was heard so lately that a connection which is kept alive can be believed in.
    pub fn is_fresh(&self) -> bool {
        let interval = self.hop.address.protocol.keepalive.unwrap_or(KEEPALIVE);
        self.heard.ago() < interval.min(KEEPALIVE) + ANSWER_LATE
    }

    /// Whether the host answers now: all that it said before on any channel has come then.
    pub async fn answers(&self, within: Duration) -> bool {
        matches!(timeout(within, self.handle.send_ping()).await, Ok(Ok(()))) && !self.is_closed()
    }

    /// A channel to another host through this one.
    pub async fn open_direct(&self, host: String, port: u16) -> Result<Channel<Msg>, russh::Error> {
        self.handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await
    }

    /// Starts `command`, on a terminal where one is wanted. It is not waited for, as its failure
    /// shows in what comes back.
    pub async fn exec(&self, command: &str, terminal: bool) -> Result<Exec, Fault> {
        let channel = self.handle.channel_open_session().await.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(reason) => {
                Fault::new(Phase::Upload, "session", "the host opens no session")
                    .cause(format!("it says {reason:?}"))
                    .hint("MaxSessions 10 in its sshd_config")
            }
            error => Fault::new(Phase::Auth, "closed", "the host closed the connection after it let us in")
                .because(&error)
                .hint(format!("{} true", self.hop.address.to_type())),
        })?;
        let (read, write) = channel.split();
        Ok(Exec::start(read, write, &self.hop.address.protocol.environment, command, terminal).await)
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
        match &at {
            Entrance::Socket(path) => {
                let asked = self.handle.streamlocal_forward(path.clone()).await;
                asked.map_err(|error| refused("Unix sockets", "AllowStreamLocalForwarding", error))?;
                self.listens(at);
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
                    .hint("AllowTcpForwarding yes in its sshd_config")
                })?;
                serve(Entrance::Port(port));
                self.listens(Entrance::Port(port));
                Ok((Tunnel::Ssh(streams), Some(port)))
            }
        }
    }

    fn listens(&self, at: Entrance) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).push(at);
    }

    /// Has the host listen for us no more.
    pub async fn close_tunnels(&self) {
        let listening = std::mem::take(&mut *self.listening.lock().unwrap_or_else(PoisonError::into_inner));
        for at in listening {
            // A host that does not know of it does not listen either.
            let _ = match at {
                Entrance::Socket(path) => self.handle.cancel_streamlocal_forward(path).await,
                Entrance::Port(port) => self.handle.cancel_tcpip_forward("127.0.0.1", port.into()).await,
            };
        }
        *self.forwarded.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub async fn close(&self) {
        let goodbye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = timeout(CLOSE_WITHIN, goodbye).await;
    }
}
