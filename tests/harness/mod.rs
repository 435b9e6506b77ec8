//! What the tests stand on: a hermetic environment for the program, a fleet of real `sshd`
//! processes, hosts that only pretend, and the stub spoken to over pipes.
//!
//! A `mod.rs`, because cargo would take `tests/harness.rs` for a test of its own.
#![allow(dead_code, unused_imports, reason = "each test file is its own crate and uses a part of this")]

mod accounts;
mod archive;
mod environment;
mod events;
mod fleet;
mod host_side;
mod ledger;
mod outcome;
mod pretend;
mod processes;
mod proxy;
mod small_disk;
mod stub;

pub use accounts::{Accounts, LOGIN};
pub use archive::{Archive, MANIFEST, gzip};
pub use environment::{Environment, Invocation, Running};
pub use events::{bytes_of, check_grammar, finished};
pub use fleet::{Fleet, FleetPlan, HostTraits, PASSWORD, Recorded, user};
pub use host_side::HostProcess;
pub use ledger::{Ledger, ResultRow};
pub use outcome::Outcome;
pub use pretend::{black_hole, garbage, relay, stalling_relay};
pub use processes::{until, with_marker};
pub use proxy::{Proxy, Way};
pub use small_disk::{SmallDisk, fill};
pub use stub::{Arch, SpokenStub, TestKey, stub_path};
