use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Fleet;

/// Host `number` accepts and never speaks. It lives as long as the test process.
pub fn black_hole(fleet: &Fleet, number: u8) {
    let listener = listen(fleet, number);
    thread::spawn(move || {
        let held: Vec<_> = listener.incoming().collect();
        drop(held);
    });
}

/// Host `number` sends `bytes` instead of a banner, then holds the connection open or closes it.
pub fn garbage(fleet: &Fleet, number: u8, bytes: &'static [u8], hold: bool) {
    let listener = listen(fleet, number);
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.write_all(bytes);
            if hold {
                held.push(stream);
            }
        }
    });
}

/// Host `number` passes everything on to host `to` until `cut` says so; from then on its
/// connections are dead and nobody listens.
pub fn relay(fleet: &Fleet, number: u8, to: u8, cut: impl Fn() -> bool + Send + 'static) {
    let listener = listen(fleet, number);
    listener.set_nonblocking(true).unwrap();
    fleet.record(number, to);
    let behind = (fleet.name(to), fleet.port());
    thread::spawn(move || {
        let mut streams: Vec<TcpStream> = Vec::new();
        while !cut() {
            if let Ok((near, _)) = listener.accept() {
                near.set_nonblocking(false).unwrap();
                let far = TcpStream::connect((behind.0.as_str(), behind.1)).expect("the host behind listens");
                for (from, to) in [(&near, &far), (&far, &near)] {
                    from.set_nodelay(true).unwrap();
                    pass(from.try_clone().unwrap(), to.try_clone().unwrap());
                }
                streams.extend([near, far]);
            }
            thread::sleep(Duration::from_millis(5));
        }
        drop(listener);
        for stream in streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}

/// Host `number` passes everything on to host `to`. What is connected when `stall` says so hears
/// nothing any more, and is told nothing of it either.
pub fn stalling_relay(fleet: &Fleet, number: u8, to: u8, stall: impl Fn() -> bool + Send + 'static) {
    let listener = listen(fleet, number);
    listener.set_nonblocking(true).unwrap();
    fleet.record(number, to);
    let behind = (fleet.name(to), fleet.port());
    thread::spawn(move || {
        let mut stalled: Vec<Arc<AtomicBool>> = Vec::new();
        loop {
            if stall() {
                stalled.drain(..).for_each(|one| one.store(true, Ordering::Relaxed));
            } else if let Ok((near, _)) = listener.accept() {
                near.set_nonblocking(false).unwrap();
                let far = TcpStream::connect((behind.0.as_str(), behind.1)).expect("the host behind listens");
                let is_stalled = Arc::<AtomicBool>::default();
                for (from, to) in [(&near, &far), (&far, &near)] {
                    from.set_nodelay(true).unwrap();
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let is_stalled = Arc::clone(&is_stalled);
                    thread::spawn(move || {
                        let mut piece = vec![0; 32 << 10];
                        while let Ok(count @ 1..) = from.read(&mut piece) {
                            if !is_stalled.load(Ordering::Relaxed) && to.write_all(&piece[..count]).is_err() {
                                break;
                            }
                        }
                    });
                }
                stalled.push(is_stalled);
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut piece = vec![0; 32 << 10];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if to.write_all(&piece[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn listen(fleet: &Fleet, number: u8) -> TcpListener {
    TcpListener::bind((fleet.name(number).as_str(), fleet.port())).expect("the address is free")
}
