//! The first acts in a strange place.

use std::fs;

use rustix::fs::Mode;

/// Closes every descriptor but the standard three, and makes new files private.
///
/// Whoever started us may have left descriptors open; the script must not get them.
pub fn shed() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open {
        if descriptor > 2 {
            // SAFETY: nothing in this process owns a descriptor yet. The one that read the
            // folder is closed already; closing its number again fails and does no harm.
            unsafe { libc::close(descriptor) };
        }
    }
}
