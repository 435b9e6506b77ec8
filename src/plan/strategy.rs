//! In which order hosts get their turn, and what ends a run early.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

/// A number of hosts, or a part of all hosts of the run: `12`, `10%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Hosts(usize),
    /// 0 to 100.
    Percent(u8),
}

impl Share {
    pub fn rounded_up(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(count) => count,
            Self::Percent(percent) => (hosts * usize::from(percent)).div_ceil(100),
        }
    }

    pub fn rounded_down(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(count) => count,
            Self::Percent(percent) => hosts * usize::from(percent) / 100,
        }
    }
}

impl FromStr for Share {
    type Err = String;

    /// The error is a whole sentence.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("'{text}' is neither a number of hosts, as 5, nor a part of all, as 10%");
        let (digits, percent) = match text.strip_suffix('%') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        // `parse` alone would take a sign.
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        let number: u32 = digits.parse().map_err(|_| format!("'{text}' is more hosts than there can be"))?;
        match percent {
            false => Ok(Self::Hosts(number as usize)),
            true if number <= 100 => Ok(Self::Percent(number as u8)),
            true => Err(format!("'{text}' is more than all hosts")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// A shell command of the operator that stands between two batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    pub command: String,
    pub timeout: Duration,
}

/// `--canary`, `--serial`, `--max-fail`, `--retries`, `--gate`, `--pause`: see docs/rollout.md.
/// The default is one batch that nothing ends early.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strategy {
    /// So many hosts are a first batch of their own, in which each must succeed; 0 for none.
    pub canary: usize,
    /// Sizes of the batches behind the canary; the last one repeats. Empty: all hosts at once.
    pub serial: Vec<Share>,
    /// More failures than this end the run.
    pub max_fail: Option<Share>,
    /// How often a host that was not reached is tried again.
    pub retries: u32,
    pub gate: Option<Gate>,
    /// Between two batches, before the gate.
    pub pause: Duration,
}

impl Strategy {
    /// The sizes of all batches, the canary's first: none is 0, and together they are `hosts`.
    pub fn batches(&self, hosts: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        let mut left = hosts;
        let mut take = |wanted: usize, left: &mut usize| {
            let size = wanted.min(*left);
            *left -= size;
            sizes.push(size);
        };
        if self.canary > 0 && left > 0 {
            take(self.canary, &mut left);
        }
        let mut steps = self.serial.iter();
        let mut step = steps.next();
        while left > 0 {
            // A step of nothing would never end.
            let wanted = step.map_or(left, |share| share.rounded_up(hosts).max(1));
            take(wanted, &mut left);
            step = steps.next().or(step);
        }
        sizes
    }

    /// How many hosts may fail before the run ends; `None` for all of them.
    pub fn may_fail(&self, hosts: usize) -> Option<usize> {
        self.max_fail.map(|share| share.rounded_down(hosts))
    }

    /// As it is and as it is for `hosts`. The gate's command is left out: the address of a web
    /// hook is often a password.
    pub fn to_json(&self, hosts: usize) -> Value {
        json!({
            "canary": self.canary,
            "serial": self.serial.iter().map(Share::to_string).collect::<Vec<_>>(),
            "batches": self.batches(hosts),
            "max_fail": self.max_fail.map(|share| share.to_string()),
            "may_fail": self.may_fail(hosts),
            "retries": self.retries,
            "gate": self.gate.as_ref().map(|gate| json!({"timeout_ms": gate.timeout.as_millis() as u64})),
            "pause_ms": self.pause.as_millis() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{
        BoxedStrategy, Strategy as _, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };

    use super::*;

    #[test]
    fn shares() {
        for (text, want) in [
            ("5", Some(Share::Hosts(5))),
            ("0", Some(Share::Hosts(0))),
            ("10%", Some(Share::Percent(10))),
            ("100%", Some(Share::Percent(100))),
            ("101%", None),
            ("-1", None),
            ("+1", None),
            ("", None),
            ("%", None),
            ("1.5%", None),
            ("5 %", None),
            ("99999999999", None),
        ] {
            assert_eq!(text.parse().ok(), want, "{text}");
        }
        // share, of so many hosts, rounded up, rounded down
        for (share, hosts, up, down) in [
            (Share::Hosts(5), 3, 5, 5),
            (Share::Percent(10), 25, 3, 2),
            (Share::Percent(10), 20, 2, 2),
            (Share::Percent(1), 5, 1, 0),
            (Share::Percent(0), 5, 0, 0),
            (Share::Percent(100), 7, 7, 7),
        ] {
            assert_eq!(
                (share.rounded_up(hosts), share.rounded_down(hosts)),
                (up, down),
                "{share} of {hosts}"
            );
        }
    }

    #[test]
    fn batches() {
        // canary, serial, hosts, sizes
        let table: &[(usize, &str, usize, &[usize])] = &[
            (0, "", 5, &[5]),
            (0, "", 0, &[]),
            (2, "", 0, &[]),
            (2, "", 5, &[2, 3]),
            (9, "", 5, &[5]),
            (0, "2", 5, &[2, 2, 1]),
            (0, "1,10%,50%", 20, &[1, 2, 10, 7]),
            (0, "1,10%,50%", 3, &[1, 1, 1]),
            (1, "1,10%", 25, &[1, 1, 3, 3, 3, 3, 3, 3, 3, 2]),
            (0, "100%", 5, &[5]),
        ];
        for (canary, serial, hosts, want) in table {
            let serial = serial.split(',').filter(|step| !step.is_empty()).map(|step| step.parse().unwrap());
            let strategy = Strategy { canary: *canary, serial: serial.collect(), ..Strategy::default() };
            assert_eq!(strategy.batches(*hosts), *want, "{strategy:?} of {hosts}");
        }
    }

    fn share() -> BoxedStrategy<Share> {
        prop_oneof![(0usize..9).prop_map(Share::Hosts), (0u8..=100).prop_map(Share::Percent)].boxed()
    }

    proptest! {
        #[test]
        fn batches_hold_every_host_once(
            canary in 0usize..5,
            serial in proptest::collection::vec(share(), 0..4),
            hosts in 0usize..200,
        ) {
            let strategy = Strategy { canary, serial, ..Strategy::default() };
            let sizes = strategy.batches(hosts);
            prop_assert_eq!(sizes.iter().sum::<usize>(), hosts);
            prop_assert!(!sizes.contains(&0));
        }
    }
}
