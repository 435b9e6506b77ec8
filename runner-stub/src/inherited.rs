//! The first acts in a strange place.

use std::fs;
use std::os::fd::AsRawFd;

use rustix::fs::Mode;
use rustix::process::DumpableBehavior;

/// Closes every descriptor but the standard three, makes new files private, and memory too.
///
/// Whoever started us may have left descriptors open; the script must not get them. Nor may the
/// script, which runs as the same user, look for the tunnel's token in our memory.
///
/// A terminal that is hung up is the end of stdin and no more: what runs is ended in good order.
pub fn shed() {
    // SAFETY: the handler does nothing, and a script that is executed does not inherit it.
    unsafe { libc::signal(libc::SIGHUP, heed_nothing as *const () as libc::sighandler_t) };
    // Fails under emulators only. What is executed later can be looked into again.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
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

/// Lets go of what whoever started us gave for these of the standard three.
pub fn silence(descriptors: &[i32]) {
    let null = fs::File::options().read(true).write(true).open("/dev/null");
    if let Ok(null) = null {
        for descriptor in descriptors {
            // SAFETY: nothing in this process owns the standard three.
            unsafe { libc::dup2(null.as_raw_fd(), *descriptor) };
        }
    }
}

extern "C" fn heed_nothing(_: libc::c_int) {}
