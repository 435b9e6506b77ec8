//! What the script and everything it waited for has used.

/// User and system time in ms, and the largest resident set of one process in KiB.
pub fn of_children() -> Option<(u64, u64)> {
    // SAFETY: an all-zero rusage is a valid one, and getrusage fills it before we read.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) != 0 {
            return None;
        }
        usage
    };
    let ms = |time: libc::timeval| time.tv_sec as u64 * 1000 + time.tv_usec as u64 / 1000;
    Some((ms(usage.ru_utime) + ms(usage.ru_stime), usage.ru_maxrss as u64))
}
