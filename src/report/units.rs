//! Durations and sizes as people say them.

use crate::event::Stream;

/// `0.3 s`, `12 s`, `2 min 5 s`, `3 h 7 min`, `2 d 4 h`.
pub fn duration(milliseconds: u64) -> String {
    // Rounded first, so that 59.96 s is no `60.0 s`.
    let tenths = (milliseconds + 50) / 100;
    if tenths < 100 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = (milliseconds + 500) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `812 B`, `1.5 kB`, `20.0 MB`: powers of 1000.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, rounded, in whole numbers: the same text everywhere.
    let tenths = |unit: usize| {
        let scale = 1000_u128.pow(unit as u32 + 1);
        (u128::from(bytes) * 10 + scale / 2) / scale
    };
    let unit = (0..UNITS.len()).find(|unit| tenths(*unit) < 10_000).unwrap_or(UNITS.len() - 1);
    let tenths = tenths(unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// What stands where bytes are missing: `⟨4.9 GB of stdout not kept⟩`.
pub fn gap(bytes: u64, stream: Stream) -> String {
    format!("⟨{} of {} not kept⟩", size(bytes), stream.as_str())
}

/// `1 host`, `4 hosts`.
pub fn hosts(count: usize) -> String {
    if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") }
}

/// `1 file`, `12 files`.
pub fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        const TABLE: &[(u64, &str)] = &[
            (0, "0.0 s"),
            (1_849, "1.8 s"),
            (1_850, "1.9 s"),
            (9_949, "9.9 s"),
            (9_950, "10 s"),
            (59_499, "59 s"),
            (59_500, "1 min 0 s"),
            (125_000, "2 min 5 s"),
            (11_220_000, "3 h 7 min"),
            (187_200_000, "2 d 4 h"),
        ];
        for (milliseconds, text) in TABLE {
            assert_eq!(duration(*milliseconds), *text, "{milliseconds}");
        }
    }

    #[test]
    fn sizes() {
        const TABLE: &[(u64, &str)] = &[
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_549, "1.5 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (20_000_000, "20.0 MB"),
            (u64::MAX, "18446.7 PB"),
        ];
        for (bytes, text) in TABLE {
            assert_eq!(size(*bytes), *text, "{bytes}");
        }
    }
}
