//! Names to addresses, addresses to streams.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::handshake::seconds;
use crate::inventory::Ssh;
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
        .collect();
    if addresses.is_empty() { Err(unknown()) } else { Ok(addresses) }
}

/// A stream to the first of the addresses that answers.
pub async fn connect(addresses: &[SocketAddr], address: &Ssh) -> Result<TcpStream, Fault> {
    let within = address.connect_timeout;
    let mut last = None;
    for &address in addresses {
        match timeout(within, TcpStream::connect(address)).await {
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
