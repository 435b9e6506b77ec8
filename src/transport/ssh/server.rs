//! SSH servers of our own on loopback, for the demo: real SSH hosts without an installed sshd.
//!
//! A [`Fleet`] is a number of them in one process. They take one throw-away key and nothing else,
//! run commands (`exec`) and forward Unix sockets (`streamlocal-forward@openssh.com`), and refuse
//! whatever else a client asks for: terminals, shells, subsystems, agents, X11, TCP forwards.

mod backlog;
mod command;
mod fleet;
mod forward;
mod handler;
mod host;
mod inflow;
mod interrupts;
mod leftovers;
#[cfg(test)]
mod tests;

pub use fleet::Fleet;
