//! Whose connections there are on this machine: the kernel's own list (proc(5), `/proc/net/tcp`).

use std::fs;
use std::net::{SocketAddr, TcpStream};

pub struct Owners(String);

impl Owners {
    /// Nobody is known where the lists are not to be had.
    pub fn read() -> Self {
        // A client's socket may be one of IPv6 that speaks to an address of IPv4.
        let list = |path| fs::read_to_string(path).unwrap_or_default();
        Self(list("/proc/self/net/tcp") + &list("/proc/self/net/tcp6"))
    }

    /// Whether the other end is known to be another user's than ours and root's.
    pub fn is_stranger(&self, stream: &TcpStream) -> bool {
        let (Ok(SocketAddr::V4(client)), Ok(SocketAddr::V4(ours))) =
            (stream.peer_addr(), stream.local_addr())
        else {
            return false;
        };
        let named = |address: std::net::SocketAddrV4| {
            // The address as it lies in memory, read as a number of this machine.
            format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
        };
        let (client, ours) = (named(client), named(ours));
        let uid = self.0.lines().find_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let is_it = fields.next()?.ends_with(&client) && fields.next()?.ends_with(&ours);
            if is_it { fields.nth(4)?.parse::<u32>().ok() } else { None }
        });
        uid.is_some_and(|uid| uid != 0 && uid != rustix::process::getuid().as_raw())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn whose() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let owners = Owners::read();
        assert!(!owners.is_stranger(&server), "we are no strangers");
        // The same line with another user.
        let ours = rustix::process::getuid().as_raw().to_string();
        let port = format!(":{:04X}", client.local_addr().unwrap().port());
        let line =
            owners.0.lines().find(|line| line.split_whitespace().nth(1).unwrap().ends_with(&port)).unwrap();
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields[7], ours, "{line}");
        let mut others = fields.clone();
        others[7] = "4711";
        assert!(Owners(others.join(" ")).is_stranger(&server), "{line}");
        let mapped = [others[0], &format!("0000000000000000FFFF0000{}", others[1])].join(" ")
            + &format!(" 0000000000000000FFFF0000{} {}", others[2], others[3..].join(" "));
        assert!(Owners(mapped).is_stranger(&server));
        assert!(!Owners(String::new()).is_stranger(&server));
        assert!(!Owners("rubbish\n\n1 2\n".into()).is_stranger(&server));
    }
}
