//! A long line to a host that is near.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Fleet;

/// How many pieces of up to 32 KiB may be on their way.
const IN_FLIGHT: usize = 1024;

/// Host `number` is host `to`, so far away that a round trip takes `rtt`. As wide as loopback. Ends
/// with this process.
pub fn delay(fleet: &Fleet, number: u8, to: u8, rtt: Duration) {
    let listener =
        TcpListener::bind((fleet.name(number).as_str(), fleet.port())).expect("the address is free");
    fleet.record(number, to);
    let behind = (fleet.name(to), fleet.port());
    thread::spawn(move || {
        for near in listener.incoming() {
            let Ok(near) = near else { continue };
            let Ok(far) = TcpStream::connect((behind.0.as_str(), behind.1)) else { continue };
            for (from, to) in [(&near, &far), (&far, &near)] {
                from.set_nodelay(true).expect("a TCP socket can do it");
                let cloned = from.try_clone().and_then(|from| Ok((from, to.try_clone()?)));
                let (from, to) = cloned.expect("there are files left to open");
                pass(from, to, rtt / 2);
            }
        }
    });
}

/// One direction: a thread takes pieces as they come, another hands each on when its time has come.
fn pass(mut from: TcpStream, mut to: TcpStream, late: Duration) {
    let (send, pieces) = sync_channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    thread::spawn(move || {
        let mut piece = vec![0; 32 << 10];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if send.send((Instant::now() + late, piece[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
