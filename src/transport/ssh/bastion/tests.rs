//! Against jump hosts that have little room.

use std::net::Ipv4Addr;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{Auth, ChannelOpenHandle, Config, Msg, Session, run_stream};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::inventory::{HostKeyPolicy, Passphrases, Protocol, Secret};

/// A server that echoes what comes on a channel and takes so many on one connection.
struct Narrow {
    room: usize,
    open: Arc<AtomicUsize>,
}

impl russh::server::Handler for Narrow {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(if password == "right" { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.room {
            self.open.fetch_sub(1, Ordering::Relaxed);
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        reply.accept().await;
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(channel.into_stream());
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        Ok(())
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.open.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Its address, and how many connections it has taken.
async fn narrow(room: usize, password: &str) -> (Arc<Ssh>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&taken);
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
    let config = Arc::new(Config {
        keys: vec![key],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        ..Config::default()
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let (config, handler) = (Arc::clone(&config), Narrow { room, open: Arc::default() });
            tokio::spawn(async move { run_stream(config, stream, handler).await.unwrap().await });
        }
    });
    let address = address("127.0.0.1", port, Some(Secret::new(password)));
    (Arc::new(address), taken)
}

fn address(host: &str, port: u16, password: Option<Secret>) -> Ssh {
    Ssh {
        host: host.into(),
        port,
        user: "ann".into(),
        host_key_alias: None,
        identities: Vec::new(),
        named: 0,
        certificates: Vec::new(),
        passphrases: Passphrases::default(),
        password,
        agent: None,
        identities_only: true,
        known_hosts: Vec::new(),
        host_key: HostKeyPolicy::Off,
        hash_known_hosts: false,
        batch_mode: false,
        connect_timeout: Duration::from_secs(5),
        protocol: Protocol::default(),
        proxy: None,
    }
}

async fn echoes(relay: &mut Relay<Place>) {
    let sent = vec![42; 100_000];
    let (mut read, mut write) = tokio::io::split(relay);
    let mut heard = vec![0; sent.len()];
    let (written, came) = tokio::join!(write.write_all(&sent), read.read_exact(&mut heard));
    written.unwrap();
    came.unwrap();
    assert!(heard == sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_connection_is_followed_by_another_and_room_is_used_again() {
    let (jump, taken) = narrow(3, "right").await;
    let (connector, target) = (Connector::default(), address("10.0.0.1", 22, None));
    let bastion = connector.bastion(&jump);
    let mut open = Vec::new();
    for count in 1..=3 * MOST_LINES {
        open.push(bastion.open(&connector, &jump, &target).await.unwrap().0);
        assert_eq!(taken.load(Ordering::Relaxed), count.div_ceil(3), "of {count} channels");
    }
    for relay in &mut open {
        echoes(relay).await;
    }
    // All are full: the next waits for a place, and needs no further connection.
    let waiting = bastion.open(&connector, &jump, &target);
    let freed = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(open.remove(0));
    };
    let (opened, ()) = tokio::join!(waiting, freed);
    echoes(&mut opened.unwrap().0).await;
    assert_eq!(taken.load(Ordering::Relaxed), MOST_LINES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_host_without_room_for_one_is_told() {
    let (jump, _) = narrow(0, "right").await;
    let (connector, target) = (Connector::default(), address("10.0.0.1", 22, None));
    let Err(fault) = connector.bastion(&jump).open(&connector, &jump, &target).await else {
        panic!("it opened")
    };
    assert!(fault.message.ends_with("has no room for another channel"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_shared_until_its_pause_is_over() {
    let (jump, taken) = narrow(1, "wrong").await;
    let (connector, target) = (Connector::default(), address("10.0.0.1", 22, None));
    let bastion = connector.bastion(&jump);
    for _ in 0..20 {
        let Err(fault) = bastion.open(&connector, &jump, &target).await else { panic!("it opened") };
        assert_eq!((fault.phase, fault.kind.as_ref()), (Phase::Auth, KIND));
        assert!(fault.message.starts_with(&format!("the jump host {jump} failed in auth: ")), "{fault:?}");
    }
    assert_eq!(taken.load(Ordering::Relaxed), 1);
    tokio::time::sleep(FIRST_PAUSE).await;
    assert!(bastion.open(&connector, &jump, &target).await.is_err());
    assert_eq!(taken.load(Ordering::Relaxed), 2);
}
