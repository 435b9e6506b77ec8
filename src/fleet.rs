//! Runs a plan on its hosts.
