//! Who listens on a forwarded port: the token goes to nobody but our own sshd.

use std::io;

use super::ancestry;

/// proc(5): local address, state 0A for listening, uid of the owner.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Whether 127.0.0.1:`port`, and nothing wider, is listened on by root, this user or one whom we
/// descend from. sshd opens a forwarded port as the user it serves, and that is another one where
/// sudo stands between it and us: the token came to us through that user's hands already.
pub fn check(port: u16) -> io::Result<()> {
    let trusted = ancestry::users();
    let mut found = false;
    for table in TABLES {
        // A system without IPv6 has no second one.
        let text = match std::fs::read_to_string(table) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text?,
        };
        for line in text.lines().skip(1) {
            let Some(listener) = parse(line).filter(|listener| listener.port == port) else { continue };
            if !listener.is_loopback {
                return Err(io::Error::other(
                    "it is open to the network: GatewayPorts no in the host's sshd_config",
                ));
            }
            if listener.uid != 0 && !trusted.contains(&listener.uid) {
                return Err(io::Error::other("another user of the host listens there"));
            }
            found = true;
        }
    }
    match found {
        true => Ok(()),
        false => Err(io::Error::other("nobody listens there")),
    }
}

struct Listener {
    is_loopback: bool,
    port: u16,
    uid: u32,
}

/// A line of the table; `None` for one of another state.
fn parse(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != "0A" {
        return None;
    }
    // In the byte order of the machine: 127.x.y.z, ::1, ::ffff:127.x.y.z.
    let is_loopback = match address.len() {
        8 => address.ends_with("7F"),
        _ => {
            address == "00000000000000000000000001000000"
                || (address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"))
        }
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener { is_loopback, port, uid: fields.get(7)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn lines_of_the_table() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1";
        let listener = parse(line).unwrap();
        assert_eq!((listener.is_loopback, listener.port, listener.uid), (true, 8080, 1000));
        assert!(!parse(&line.replace("0100007F", "00000000")).unwrap().is_loopback);
        assert!(parse(&line.replace(" 0A ", " 01 ")).is_none());
        assert!(parse("").is_none());
    }

    #[test]
    fn real_listeners() {
        for (address, want) in
            [("127.0.0.1:0", None), ("0.0.0.0:0", Some("GatewayPorts")), ("[::]:0", Some("GatewayPorts"))]
        {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            match (check(port), want) {
                (Ok(()), None) => {}
                (Err(error), Some(word)) => assert!(error.to_string().contains(word), "{address}: {error}"),
                (result, _) => panic!("{address}: {result:?}"),
            }
            drop(listener);
            assert!(check(port).is_err(), "nobody any more");
        }
    }
}
