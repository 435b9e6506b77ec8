//! Many runs on many hosts while all sorts of things go wrong, and an exact account at the end. The
//! default is short; the real one takes half an hour:
//!
//!     CRONIUM_SOAK_HOSTS=50 CRONIUM_SOAK_RUNS=2000 cargo test --test soak
//!
//! `CRONIUM_SOAK_MINUTES` ends it by the clock instead, `CRONIUM_SOAK_SEED` makes the choices of an earlier
//! one again, and `CRONIUM_SOAK_AT_ONCE` says how many runs go on side by side.

#[path = "../harness/mod.rs"]
mod harness;

mod account;
mod faults;
mod random;
mod script;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use account::{Account, Given};
use faults::{Fault, PROXIES, World};
use harness::{Environment, FleetPlan, Proxy, until};
use random::Random;
use script::Script;

struct Size {
    seed: u64,
    hosts: u8,
    runs: u64,
    until: Option<Instant>,
    at_once: u64,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let is_asked_for = arguments.next().is_none_or(|name| "soak".contains(&name));
    // As the harness of other tests has it.
    if !is_asked_for || std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let size = Size::asked_for();
    println!("soak: CRONIUM_SOAK_SEED={}, {} hosts", size.seed, size.hosts);
    let begun = Instant::now();
    let world = world(size.hosts);
    let given = give(&world, &size);
    println!("soak: {} runs were given in {:.0?}", given.len(), begun.elapsed());
    world.heal();
    let left_behind = collect(&world, size.hosts);
    let mut account = Account::of(&world, &given);
    account.left_behind.extend(left_behind);
    print!("{account}");
    let injected = world.injected.lock().unwrap();
    println!("{:<40} {:>7}", "faults injected", injected.values().sum::<u64>());
    for (fault, count) in injected.iter() {
        println!("  {:<38} {count:>7}", fault.name());
    }
    println!("soak: {:.0?}", begun.elapsed());
    if !account.is_right() && std::env::var_os("CRONIUM_SOAK_KEEP").is_some() {
        println!("soak: left standing for a look: {}", world.fleet.folder().display());
        thread::sleep(Duration::from_secs(3600));
    }
    if account.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Size {
    fn asked_for() -> Self {
        let number = |name: &str| {
            let value = std::env::var(format!("CRONIUM_SOAK_{name}")).ok()?;
            Some(value.parse::<u64>().unwrap_or_else(|error| panic!("CRONIUM_SOAK_{name}={value}: {error}")))
        };
        let minutes = number("MINUTES");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let hosts = number("HOSTS").unwrap_or(8);
        assert!(hosts < u64::from(PROXIES), "{PROXIES} hosts have no room beside their proxies");
        Self {
            seed: number("SEED").unwrap_or(u64::from(now.subsec_nanos())),
            hosts: hosts as u8,
            runs: number("RUNS").unwrap_or(if minutes.is_some() { u64::MAX } else { 60 }),
            until: minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes)),
            at_once: number("AT_ONCE").unwrap_or(6),
        }
    }
}

fn world(hosts: u8) -> World {
    let fleet = (1..=hosts).fold(FleetPlan::default(), FleetPlan::host).start();
    let proxies = (1..=hosts).map(|number| Proxy::start(&fleet, PROXIES + number, number)).collect();
    let environment = Environment::new();
    // One process makes the operator's key, then many use it.
    environment.exec(&fleet, &fleet.name(PROXIES + 1)).args(["-o", "quiet", "--", "true"]).run().ignore();
    World { environment, fleet, proxies, injected: Mutex::default(), killed_on: Mutex::default() }
}

/// Gives runs to hosts, a few at a time, and does harm to most of them.
fn give(world: &World, size: &Size) -> Vec<Given> {
    let next = AtomicU64::new(0);
    let given = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..size.at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let is_late = size.until.is_some_and(|until| Instant::now() > until);
                    if number >= size.runs || is_late {
                        break;
                    }
                    let run = one(world, size.hosts, number, &mut Random::of(size.seed, number));
                    given.lock().unwrap().push(run);
                }
            });
        }
    });
    given.into_inner().unwrap()
}

fn one(world: &World, hosts: u8, number: u64, random: &mut Random) -> Given {
    let script = Script::new(number, random);
    let mut chosen: Vec<u8> =
        (0..random.between(1, 4)).map(|_| random.between(1, u64::from(hosts)) as u8).collect();
    chosen.sort_unstable();
    chosen.dedup();
    world.environment.write(script.name(), script.text(world.fleet.folder()));
    let targets = chosen.iter().map(|host| world.name(*host)).collect::<Vec<_>>().join(",");
    let mut invocation = world.command(["exec", &targets, "-o", "quiet", "--reconnect", "20s"]);
    if random.percent(10) {
        invocation = invocation.arg("--detach");
    }
    let mut running = invocation.arg(script.name()).start();
    let mut is_terminated = false;
    for _ in 0..random.of_all(&[0, 1, 1, 2, 2, 3]) {
        thread::sleep(Duration::from_millis(random.between(0, 1000)));
        is_terminated |=
            world.harm(&mut running, &script.name(), &chosen, random) == Some(Fault::OperatorTerminated);
    }
    running.wait().ignore();
    Given { script, hosts: chosen, is_terminated }
}

/// Collects until everything is settled and nothing is left; what is left all the same.
fn collect(world: &World, hosts: u8) -> Vec<String> {
    let left = || {
        let all = (1..=hosts).map(|host| (host, world.fleet.left_behind(host)));
        let named =
            all.flat_map(|(host, left)| left.into_iter().map(move |what| format!("host {host}: {what}")));
        named.collect::<Vec<String>>()
    };
    for _ in 0..6 {
        let outcome = world.command(["collect"]).run();
        println!("soak: collect exits {}", outcome.code);
        if std::env::var_os("CRONIUM_SOAK_VERBOSE").is_some() {
            println!("{outcome:?}");
        }
        outcome.ignore();
        let is_settled = until(5, || {
            thread::sleep(Duration::from_millis(500));
            left().is_empty()
        });
        if is_settled && world.environment.ledger().open_results() == 0 {
            break;
        }
    }
    // A link that fell silent is dead for the host once the last deadline is over.
    until(130, || {
        thread::sleep(Duration::from_millis(500));
        !left().iter().any(|what| what.contains("process"))
    });
    left()
}
