//! When a lost connection is tried to be made again, and when no more.

use std::time::Duration;

use tokio::time::Instant;

use crate::transport::{Fault, Phase};

/// Before the first try, at most; twice as long before each further one.
const FIRST: Duration = Duration::from_millis(250);
/// Also how long a connection must have lasted for the next loss to count as the first.
const LONGEST: Duration = Duration::from_secs(15);
/// For whoever has taken our place, at least, and a random part of it more.
const WAY: Duration = Duration::from_secs(1);

/// The tries to make one host's connections again. A connection that breaks as soon as it is made is
/// not made again at once.
#[derive(Debug, Default)]
pub struct Tries {
    count: u32,
    /// The frame that was wanted when the window began, and when that was.
    since: Option<(u64, Instant)>,
    gives_way: bool,
}

impl Tries {
    /// A connection is lost that lasted for so long, and the frame `next` has not come. When the window
    /// began: a host that answers and breaks at once, again and again, is not asked for ever.
    pub fn lost(&mut self, next: u64, lasted: Duration, now: Instant) -> Instant {
        if lasted >= LONGEST {
            self.count = 0;
        }
        match self.since {
            Some((known, since)) if known == next && lasted < LONGEST => since,
            _ => self.since.insert((next, now)).1,
        }
    }

    /// Somebody else has taken our place: the next one shall not come at once.
    pub fn give_way(&mut self) {
        self.gives_way = true;
    }

    /// The next one shall come soon.
    pub fn hurry(&mut self) {
        self.count = 0;
    }

    /// How long to wait for the next try; `None` where there shall be none.
    pub fn next(&mut self, since_loss: Duration, window: Duration) -> Option<Duration> {
        // Without chance all hosts of a lost network come back together: worse for it, no reason to end.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        let pause = pause(self.count, since_loss, window, random);
        self.count = self.count.saturating_add(1);
        match std::mem::take(&mut self.gives_way) {
            true => pause.map(|_| WAY + part(WAY, random)),
            false => pause,
        }
    }
}

/// After so many tries in vain: a random part of 0.25 s, 0.5 s, 1 s and so on up to 15 s. The last try
/// begins when the window since the loss is over.
fn pause(tries: u32, since_loss: Duration, window: Duration, random: u32) -> Option<Duration> {
    let left = window.checked_sub(since_loss).filter(|left| !left.is_zero())?;
    let most = FIRST.saturating_mul(1 << tries.min(16)).min(LONGEST);
    Some(part(most, random).min(left))
}

fn part(most: Duration, random: u32) -> Duration {
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Whether a try that failed so says that others are in vain, or may do harm: another key, or a password
/// that is not taken and may lock the account.
pub fn is_final(fault: &Fault) -> bool {
    match fault.phase {
        Phase::Hostkey | Phase::Become => true,
        // What is refused while a host boots is granted later.
        Phase::Auth => !matches!(fault.kind.as_ref(), "closed" | "timeout" | "refused" | "expired"),
        Phase::Lost => fault.kind == "protocol",
        Phase::Dns | Phase::Tcp | Phase::Banner | Phase::Tempdir | Phase::Upload => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_15_s_within_the_window() {
        const MINUTES: u64 = 300_000;
        // tries before, ms since the loss, ms of the window, least and most ms of the pause
        type Row = (u32, u64, u64, Option<(u64, u64)>);
        let table: &[Row] = &[
            (0, 0, MINUTES, Some((0, 250))),
            (1, 300, MINUTES, Some((0, 500))),
            (2, 900, MINUTES, Some((0, 1000))),
            (5, 9000, MINUTES, Some((0, 8000))),
            (6, 20_000, MINUTES, Some((0, 15_000))),
            (u32::MAX, 200_000, MINUTES, Some((0, 15_000))),
            (9, 299_000, MINUTES, Some((0, 1000))),
            (9, 300_000, MINUTES, None),
            (9, 3_600_000, MINUTES, None),
            (0, 0, 100, Some((0, 100))),
            (0, 0, 0, None),
        ];
        for (tries, since, window, want) in table {
            let ms = Duration::from_millis;
            let pause = |random| pause(*tries, ms(*since), ms(*window), random);
            let got = pause(0).zip(pause(u32::MAX));
            assert_eq!(got, want.map(|(least, most)| (ms(least), ms(most))), "{tries} {since} {window}");
        }
    }

    #[test]
    fn only_a_connection_that_has_lasted_begins_anew() {
        let mut tries = Tries::default();
        for _ in 0..20 {
            tries.lost(0, Duration::from_secs(14), Instant::now());
            tries.next(Duration::ZERO, LONGEST);
        }
        assert_eq!(tries.count, 20);
        tries.lost(0, LONGEST, Instant::now());
        assert!(tries.next(Duration::ZERO, LONGEST).unwrap() <= FIRST);
    }

    #[test]
    fn a_window_begins_with_the_loss_of_a_connection_that_was_good_for_something() {
        // seconds that it lasted, the frame that was wanted, whether a window begins
        let table = [(1, 5, true), (1, 5, false), (14, 5, false), (15, 5, true), (1, 5, false), (1, 6, true)];
        let (mut tries, mut now) = (Tries::default(), Instant::now());
        let mut began = now;
        for (lasted, next, begins) in table {
            let lasted = Duration::from_secs(lasted);
            now += lasted;
            began = if begins { now } else { began };
            assert_eq!(tries.lost(next, lasted, now), began, "{lasted:?} {next}");
        }
    }

    #[test]
    fn whoever_took_our_place_has_it_for_a_second() {
        let mut tries = Tries::default();
        tries.give_way();
        let pause = tries.next(Duration::ZERO, LONGEST).unwrap();
        assert!((WAY..=2 * WAY).contains(&pause), "{pause:?}");
        assert!(tries.next(Duration::ZERO, LONGEST).unwrap() <= 2 * FIRST);
        tries.give_way();
        assert_eq!(tries.next(LONGEST, LONGEST), None, "the window is over");
    }

    #[test]
    fn what_ends_the_tries() {
        // phase, kind, final
        let table: &[(Phase, &'static str, bool)] = &[
            (Phase::Dns, "unknown", false),
            (Phase::Tcp, "refused", false),
            (Phase::Tcp, "timeout", false),
            (Phase::Banner, "closed", false),
            (Phase::Banner, "penalised", false),
            (Phase::Hostkey, "changed", true),
            (Phase::Hostkey, "unknown", true),
            (Phase::Auth, "closed", false),
            (Phase::Auth, "refused", false),
            (Phase::Auth, "password", true),
            (Phase::Auth, "unanswered", true),
            (Phase::Tempdir, "full", false),
            (Phase::Upload, "lost", false),
            (Phase::Upload, "shell", false),
            (Phase::Become, "password", true),
            (Phase::Become, "timeout", true),
            (Phase::Lost, "lost", false),
            (Phase::Lost, "timeout", false),
            (Phase::Lost, "protocol", true),
        ];
        for (phase, kind, want) in table {
            assert_eq!(is_final(&Fault::new(*phase, kind, "")), *want, "{phase:?} {kind}");
        }
    }
}
