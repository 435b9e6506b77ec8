//! A token bucket: how often a host may call.

use std::time::Instant;

/// Holds `burst` calls when full and gains `per_second` calls a second.
#[derive(Debug)]
pub struct Bucket {
    burst: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(burst: u32, per_second: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { burst, per_second: f64::from(per_second), left: burst, at: now }
    }

    /// Takes one call out, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + gained).min(self.burst);
        self.at = now;
        let granted = self.left >= 1.0;
        if granted {
            self.left -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, 2, start);
        let mut taken = |ms| bucket.take(start + Duration::from_millis(ms));
        let calls = [0, 0, 0, 0, 499, 500, 501, 1000, 1001, 60_000, 60_000, 60_000, 60_000];
        let granted = calls.map(&mut taken);
        let expected = [true, true, true, false, false, true, false, true, false, true, true, true, false];
        assert_eq!(granted, expected);
    }
}
