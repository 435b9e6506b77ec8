use std::time::Duration;

/// Times in order.
pub struct Quantiles(Vec<Duration>);

impl Quantiles {
    /// `times` is not empty.
    pub fn of(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        Self(times)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// For calls in turn.
    pub fn a_second(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64()
    }

    /// The least time that `percent` of them did not take longer than.
    pub fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent).div_ceil(100).clamp(1, self.0.len()) - 1]
    }
}

/// In milliseconds, three digits at least.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        0.0..1.0 => format!("{ms:.4}"),
        1.0..100.0 => format!("{ms:.2}"),
        _ => format!("{ms:.0}"),
    }
}
