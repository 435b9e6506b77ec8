//! Names to addresses, addresses to streams.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::handshake::seconds;
use crate::inventory::{Family, Ssh};
use crate::transport::{Fault, Phase};

/// All addresses of the host, at least one.
pub async fn look_up(address: &Ssh) -> Result<Vec<SocketAddr>, Fault> {
    let within = address.connect_timeout;
    let Ssh { host, port, .. } = address;
    let unknown = || {
        Fault::new(Phase::Dns, "unknown", format!("'{host}' has no address"))
            .hint(format!("getent hosts {host}"))
    };
    let looked_up = timeout(within, tokio::net::lookup_host((host.as_str(), *port))).await;
    let addresses: Vec<SocketAddr> = looked_up
        .map_err(|_| {
            let message = format!("'{host}' was not looked up within {}", seconds(within));
            Fault::new(Phase::Dns, "timeout", message).hint(format!("getent hosts {host}"))
        })?
        .map_err(|error| unknown().because(&error))?
        .filter(|found| match address.protocol.family {
            None | Some(Family::Any) => true,
            Some(Family::Inet) => found.is_ipv4(),
            Some(Family::Inet6) => found.is_ipv6(),
        })
        .collect();
    match (addresses.is_empty(), address.protocol.family) {
        (false, _) => Ok(addresses),
        (true, Some(Family::Inet)) => Err(unknown().cause("AddressFamily inet leaves no other")),
        (true, Some(Family::Inet6)) => Err(unknown().cause("AddressFamily inet6 leaves no other")),
        (true, _) => Err(unknown()),
    }
}

/// A stream to the first of the addresses that answers.
pub async fn connect(addresses: &[SocketAddr], address: &Ssh) -> Result<TcpStream, Fault> {
    let within = address.connect_timeout;
    let ours = match &address.protocol.bind_address {
        Some(ours) => Some(own_addresses(ours).await?),
        None => None,
    };
    let mut last = None;
    for &address in addresses {
        match timeout(within, stream(address, ours.as_deref())).await {
            Ok(Ok(stream)) => {
                // russh asks for it only on streams it opens itself.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(fault(address, &error)),
            Err(_) => {
                let message = format!("{address} did not answer within {}", seconds(within));
                let fault = Fault::new(Phase::Tcp, "timeout", message);
                last = Some(fault.hint(to_type(address)));
            }
        }
    }
    Err(last.expect("a host has an address"))
}

/// What `BindAddress` names.
async fn own_addresses(name: &str) -> Result<Vec<SocketAddr>, Fault> {
    let looked_up = tokio::net::lookup_host((name, 0)).await;
    looked_up.map(Iterator::collect).map_err(|error| {
        Fault::new(Phase::Tcp, "bind", format!("'{name}', the BindAddress of ssh_config, has no address"))
            .because(&error)
            .hint("ip address  shows those of this machine")
    })
}

async fn stream(address: SocketAddr, ours: Option<&[SocketAddr]>) -> io::Result<TcpStream> {
    let Some(ours) = ours else { return TcpStream::connect(address).await };
    let own = ours.iter().find(|own| own.is_ipv4() == address.is_ipv4());
    let own = own.ok_or_else(|| io::Error::other("BindAddress is of another family"))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind(*own)?;
    socket.connect(address).await
}

fn fault(address: SocketAddr, error: &std::io::Error) -> Fault {
    let (kind, message) = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => ("refused", format!("nothing listens on {address}")),
        std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
            ("unreachable", format!("there is no way to {address}"))
        }
        _ => ("connect", format!("cannot connect to {address}")),
    };
    Fault::new(Phase::Tcp, kind, message).because(error).hint(to_type(address))
}

/// The same try with another program.
fn to_type(address: SocketAddr) -> String {
    format!("nc -vz -w 5 {} {}", address.ip(), address.port())
}
