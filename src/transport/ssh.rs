//! SSH, over russh. Nothing outside this module names it.

pub mod known_hosts;
