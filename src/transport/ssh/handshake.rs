//! From a stream to an encrypted connection with a host whose key is right.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use tokio::time::timeout;

use super::algorithms::preferred;
use super::client::{Client, ClientError, lookup};
use super::watched::{Opening, Watched};
use crate::transport::tunnel::Stream;
use crate::transport::{Fault, Phase};

/// A host that is silent for the first, so many times, is gone.
pub const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_MAX: usize = 3;
/// What a host may have on its way to us on one channel.
pub const WINDOW: u32 = 1 << 20;
/// How many messages of a channel wait for us before the connection does.
const CHANNEL_BUFFER: usize = 16;

pub async fn handshake(client: Client, stream: Box<dyn Stream>) -> Result<Handle<Client>, Fault> {
    let (name, port) = lookup(&client.address);
    let protocol = &client.address.protocol;
    let config = client::Config {
        window_size: WINDOW,
        channel_buffer_size: CHANNEL_BUFFER,
        keepalive_interval: Some(protocol.keepalive.unwrap_or(KEEPALIVE)),
        keepalive_max: protocol.keepalive_max.unwrap_or(KEEPALIVE_MAX),
        nodelay: true,
        preferred: preferred(protocol, client.known.algorithms(name, port))?,
        ..client::Config::default()
    };
    let within = client.address.connect_timeout;
    let to_type = client.address.to_type();
    let (stream, opening) = Watched::new(stream, client.heard.clone());
    match timeout(within, client::connect_stream(Arc::new(config), stream, client)).await {
        Ok(Ok(handle)) => Ok(handle),
        Ok(Err(ClientError::HostKey(fault))) => Err(fault),
        Ok(Err(ClientError::Russh(error))) => Err(broken(&opening, &error, &to_type)),
        Err(_) => Err(silence(&opening, within)),
    }
}

/// Whether the server closed the connection unheard, as it does with too many at once.
pub fn is_drop(fault: &Fault) -> bool {
    fault.phase == Phase::Banner && matches!(fault.kind.as_ref(), "closed" | "max-startups")
}

fn broken(opening: &Opening, error: &russh::Error, to_type: &str) -> Fault {
    if !opening.is_ssh() {
        return match opening.text().as_str() {
            "" => {
                Fault::new(Phase::Banner, "closed", "the host closed the connection before it said anything")
                    .because(error)
                    .hint("the server may be at its MaxStartups: try again with fewer --forks")
            }
            // What OpenSSH writes in place of its identification, since 8.5 and since 9.8.
            "Exceeded MaxStartups" => {
                Fault::new(Phase::Banner, "max-startups", "the host has too many logins under way")
                    .cause("it says 'Exceeded MaxStartups'")
                    .hint("try again with fewer --forks, or raise MaxStartups in its sshd_config")
            }
            "Not allowed at this time" => {
                let message = "the host answers no connection of this machine for a while";
                Fault::new(Phase::Banner, "penalised", message)
                    .cause("it says 'Not allowed at this time': PerSourcePenalties of OpenSSH 9.8 and later")
                    .hint("journalctl -u ssh  on the host shows the failed logins that are punished")
            }
            said => garbage(said),
        };
    }
    if let russh::Error::NoCommonAlgo { kind, ours, theirs } = error {
        return no_common(kind, ours, theirs);
    }
    Fault::new(Phase::Banner, "handshake", "the SSH handshake failed")
        .because(error)
        .hint(format!("{to_type} -v true"))
}

fn no_common(kind: &russh::AlgorithmKind, ours: &[String], theirs: &[String]) -> Fault {
    use russh::AlgorithmKind::{Cipher, Compression, Kex, Key, Mac};
    let (what, option) = match kind {
        Kex => ("key exchange", "KexAlgorithms"),
        Key => ("host key", "HostKeyAlgorithms"),
        Cipher => ("cipher", "Ciphers"),
        Mac => ("MAC", "MACs"),
        Compression => ("compression", "Compression"),
    };
    // Markers of the protocol stand among the names of key exchanges.
    let real = |names: &[String]| -> Vec<String> {
        let is_real = |name: &&String| !name.starts_with("kex-strict-") && !name.starts_with("ext-info-");
        names.iter().filter(is_real).cloned().collect()
    };
    let (ours, theirs) = (real(ours), real(theirs));
    // The last is the oldest, which servers of all ages have.
    let last = ours.last().map_or("", String::as_str);
    Fault::new(Phase::Banner, "algorithms", format!("the host and we have no {what} algorithm in common"))
        .cause(format!("it offers {}", theirs.join(", ")))
        .cause(format!("we offer {}", ours.join(", ")))
        .hint(format!("{option} +{last}  in its sshd_config"))
}

fn silence(opening: &Opening, within: Duration) -> Fault {
    let message = match (opening.is_ssh(), opening.text().as_str()) {
        (true, _) => format!("the SSH handshake was not done within {}", seconds(within)),
        (false, "") => {
            format!("the host accepted the connection and said nothing within {}", seconds(within))
        }
        (false, said) => return garbage(said),
    };
    Fault::new(Phase::Banner, "timeout", message).hint("--connect-timeout 60s")
}

fn garbage(said: &str) -> Fault {
    Fault::new(Phase::Banner, "garbage", "the port does not speak SSH")
        .cause(format!("it says '{said}'"))
        .hint("--port N")
}

pub fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
