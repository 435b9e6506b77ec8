//! From an address to an authenticated connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use russh::client::{self, Handle};
use russh::{Disconnect, Preferred};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::auth::Keys;
use super::client::{Client, ClientError, Forwarded, lookup};
use super::exec::Exec;
use super::known_hosts::KnownHosts;
use super::watched::{Opening, Watched};
use crate::inventory::Ssh;
use crate::transport::{Entrance, Fault, Phase, Step, Tunnel};

/// A host that is silent for the first, three times, is gone.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// What a host may have on its way to us on one channel.
const WINDOW: u32 = 1 << 20;
/// How many messages of a channel wait for us before the connection does.
const CHANNEL_BUFFER: usize = 16;
/// Helper connections that wait to be served.
const TUNNEL_BACKLOG: usize = 32;
/// How long a goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Connects; reads keys, agents and known_hosts files once for all hosts.
#[derive(Default)]
pub struct Connector {
    keys: Keys,
    known: Mutex<HashMap<Vec<PathBuf>, Arc<KnownHosts>>>,
}

impl Connector {
    pub async fn connect(&self, address: &Ssh, step: &impl Fn(Step)) -> Result<Connection, Fault> {
        step(Step::Connecting);
        let stream = tcp(address).await?;
        let forwarded = Forwarded::default();
        let handle = self.handshake(address, stream, Arc::clone(&forwarded)).await?;
        step(Step::Authenticating);
        let mut connection = Connection { handle, forwarded };
        let within = address.connect_timeout;
        let authenticated = timeout(within, self.keys.authenticate(&mut connection.handle, address)).await;
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

    async fn handshake(
        &self,
        address: &Ssh,
        stream: TcpStream,
        forwarded: Forwarded,
    ) -> Result<Handle<Client>, Fault> {
        let known = self.known_hosts(&address.known_hosts);
        let (name, port) = lookup(address);
        let algorithms = known.algorithms(name, port);
        let config = client::Config {
            window_size: WINDOW,
            channel_buffer_size: CHANNEL_BUFFER,
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: 3,
            nodelay: true,
            preferred: Preferred {
                key: algorithms.keys.into(),
                host_key_certificates: algorithms.certificates.into(),
                ..Preferred::default()
            },
            ..client::Config::default()
        };
        let client = Client { address: address.clone(), known, forwarded };
        let (stream, opening) = Watched::new(stream);
        let within = address.connect_timeout;
        match timeout(within, client::connect_stream(Arc::new(config), stream, client)).await {
            Ok(Ok(handle)) => Ok(handle),
            Ok(Err(ClientError::HostKey(fault))) => Err(fault),
            Ok(Err(ClientError::Russh(error))) => Err(handshake_fault(&opening, &error)),
            Err(_) => Err(silence(&opening, within)),
        }
    }

    fn known_hosts(&self, files: &[PathBuf]) -> Arc<KnownHosts> {
        let mut loaded = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = loaded.entry(files.to_vec()).or_insert_with(|| Arc::new(KnownHosts::load(files)));
        Arc::clone(known)
    }
}

async fn tcp(address: &Ssh) -> Result<TcpStream, Fault> {
    let within = address.connect_timeout;
    let Ssh { host, port, .. } = address;
    let looked_up = timeout(within, tokio::net::lookup_host((host.as_str(), *port))).await;
    let addresses: Vec<SocketAddr> = looked_up
        .map_err(|_| {
            Fault::new(
                Phase::Dns,
                "timeout",
                format!("'{host}' was not looked up within {}", seconds(within)),
            )
        })?
        .map_err(|error| {
            Fault::new(Phase::Dns, "unknown", format!("'{host}' has no address"))
                .because(&error)
                .hint(format!("getent hosts {host}"))
        })?
        .collect();
    let mut last = Fault::new(Phase::Dns, "unknown", format!("'{host}' has no address"))
        .hint(format!("getent hosts {host}"));
    for address in addresses {
        match timeout(within, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // russh asks for it only on streams it opens itself.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = tcp_fault(address, &error),
            Err(_) => {
                last = Fault::new(
                    Phase::Tcp,
                    "timeout",
                    format!("{address} did not answer within {}", seconds(within)),
                )
                .hint(format!("ping {}", address.ip()));
            }
        }
    }
    Err(last)
}

fn tcp_fault(address: SocketAddr, error: &std::io::Error) -> Fault {
    let (kind, message) = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => ("refused", format!("nothing listens on {address}")),
        std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
            ("unreachable", format!("there is no way to {address}"))
        }
        _ => ("connect", format!("cannot connect to {address}")),
    };
    Fault::new(Phase::Tcp, kind, message).because(error).hint(format!(
        "nc -vz {} {}",
        address.ip(),
        address.port()
    ))
}

fn handshake_fault(opening: &Opening, error: &russh::Error) -> Fault {
    if !opening.is_ssh() {
        let said = opening.text();
        return match said.as_str() {
            "" => {
                Fault::new(Phase::Banner, "closed", "the host closed the connection before it said anything")
                    .because(error)
                    .hint("the server may be at its MaxStartups: try again with fewer --forks")
            }
            said => Fault::new(Phase::Banner, "garbage", "the port does not speak SSH")
                .cause(format!("it says '{said}'"))
                .hint("--port N"),
        };
    }
    if let russh::Error::NoCommonAlgo { kind, theirs, .. } = error {
        return Fault::new(
            Phase::Banner,
            "algorithms",
            format!("no common {kind:?} algorithm").to_lowercase(),
        )
        .cause(format!("the host offers {}", theirs.join(", ")));
    }
    Fault::new(Phase::Banner, "handshake", "the SSH handshake failed").because(error).hint("ssh -v HOST true")
}

fn silence(opening: &Opening, within: Duration) -> Fault {
    let message = match (opening.is_ssh(), opening.text().as_str()) {
        (true, _) => format!("the SSH handshake was not done within {}", seconds(within)),
        (false, "") => {
            format!("the host accepted the connection and said nothing within {}", seconds(within))
        }
        (false, said) => {
            return Fault::new(Phase::Banner, "garbage", "the port does not speak SSH")
                .cause(format!("it says '{said}'"))
                .hint("--port N");
        }
    };
    Fault::new(Phase::Banner, "timeout", message).hint("--connect-timeout 60s")
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// An authenticated connection to one host.
pub struct Connection {
    handle: Handle<Client>,
    forwarded: Forwarded,
}

impl Connection {
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
        let mut exec = Exec::start(read, write, command).await;
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
