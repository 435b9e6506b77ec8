use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// The processes of this machine whose command line holds `marker`: pid and command line.
pub fn with_marker(marker: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look.
        let Ok(bytes) = fs::read(entry.path().join("cmdline")) else { continue };
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        if text.contains(marker) {
            found.push((pid, text));
        }
    }
    found
}

/// Waits until `condition` holds; whether it did within `seconds`.
pub fn until(seconds: u64, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}
