//! The check of host keys.
