//! What time it is, on hosts whose clock may be set later, or never.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// In s since 1970: before this program was written.
const TOO_EARLY: u64 = 1_700_000_000;

/// In s since 1970, as far as the host knows.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// How long ago that was. `None` where the clock says that it is still to come, and where it was, or is,
/// one that was never set.
pub fn since(at: u64) -> Option<Duration> {
    (at >= TOO_EARLY).then(|| now().checked_sub(at).map(Duration::from_secs))?
}

/// For how many s the machine has been up, asleep or awake.
pub fn up() -> u64 {
    // SAFETY: filled before it is read.
    unsafe {
        let mut up: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut up);
        up.tv_sec as u64
    }
}

/// The kernel's name for the time since the machine started; empty where it has none.
pub fn boot() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    name.trim_end().to_owned()
}
