//! Stands in for the one function of the C library that prints formatted text.
//!
//! The standard library gives a thread its name through it, and brings C's whole `printf` for that:
//! 8 kB. No thread of the stub has a name of its own.

use std::ffi::{c_char, c_int};

#[unsafe(no_mangle)]
extern "C" fn pthread_setname_np(_thread: usize, _name: *const c_char) -> c_int {
    0
}
