//! What is worth another try, and after how long.

use std::time::Duration;

use crate::event::{Failure, Phase};

/// Before the second try, at most; twice as long before each further one.
const FIRST: Duration = Duration::from_secs(1);
/// A longer wait helps nobody.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether the same try may go better a moment later: a network that hiccups, a server with too
/// many guests. A wrong key, a changed host key or a full disk stay as they are. Only asked of
/// hosts that were not sent their job.
pub fn is_transient(failure: &Failure) -> bool {
    let kind = failure.kind.as_str();
    match failure.phase {
        Phase::Dns | Phase::Tcp => true,
        Phase::Banner => matches!(kind, "closed" | "max-startups" | "timeout" | "handshake"),
        Phase::Auth => matches!(kind, "closed" | "timeout"),
        Phase::Upload => matches!(kind, "lost" | "timeout" | "session"),
        Phase::Hostkey
        | Phase::Tempdir
        | Phase::Verify
        | Phase::Policy
        | Phase::Become
        | Phase::Exec
        | Phase::Timeout
        | Phase::Lost => false,
    }
}

/// How long a host waits after its `attempts`-th try: 1 s, 2 s, 4 s and so on, at most a minute,
/// and of that a random part between half and all, so that hosts which failed together do not come
/// back together.
pub fn pause(attempts: u32, random: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    let most = doubled.min(LONGEST);
    most / 2 + (most / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_another_try() {
        // phase, kind, worth it
        let table: &[(Phase, &str, bool)] = &[
            (Phase::Dns, "unknown", true),
            (Phase::Dns, "timeout", true),
            (Phase::Tcp, "refused", true),
            (Phase::Tcp, "unreachable", true),
            (Phase::Tcp, "timeout", true),
            (Phase::Banner, "closed", true),
            (Phase::Banner, "max-startups", true),
            (Phase::Banner, "handshake", true),
            (Phase::Banner, "timeout", true),
            (Phase::Banner, "garbage", false),
            (Phase::Banner, "algorithms", false),
            (Phase::Banner, "penalised", false),
            (Phase::Hostkey, "changed", false),
            (Phase::Hostkey, "unknown", false),
            (Phase::Auth, "closed", true),
            (Phase::Auth, "timeout", true),
            (Phase::Auth, "unanswered", false),
            (Phase::Auth, "refused", false),
            (Phase::Auth, "no-key", false),
            (Phase::Auth, "expired", false),
            (Phase::Upload, "lost", true),
            (Phase::Upload, "timeout", true),
            (Phase::Upload, "session", true),
            (Phase::Upload, "architecture", false),
            (Phase::Upload, "shell", false),
            (Phase::Tempdir, "folder", false),
            (Phase::Tempdir, "full", false),
            (Phase::Become, "password", false),
            (Phase::Verify, "signature", false),
            (Phase::Policy, "forbidden", false),
            (Phase::Exec, "interpreter", false),
            (Phase::Timeout, "timeout", false),
            (Phase::Lost, "lost", false),
            (Phase::Lost, "timeout", false),
        ];
        for (phase, kind, want) in table {
            let failure = Failure {
                phase: *phase,
                kind: (*kind).into(),
                message: String::new(),
                causes: Vec::new(),
                hint: None,
            };
            assert_eq!(is_transient(&failure), *want, "{phase:?} {kind}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        // attempts, least and most in ms
        for (attempts, least, most) in [
            (1, 500, 1000),
            (2, 1000, 2000),
            (3, 2000, 4000),
            (6, 16_000, 32_000),
            (7, 30_000, 60_000),
            (u32::MAX, 30_000, 60_000),
        ] {
            assert_eq!(pause(attempts, 0), Duration::from_millis(least), "{attempts}");
            assert_eq!(pause(attempts, u32::MAX), Duration::from_millis(most), "{attempts}");
        }
    }
}
