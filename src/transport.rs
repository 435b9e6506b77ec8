//! Ways to a host: `ssh` (the only place that names russh) and `local`.

pub mod ssh;
