//! The immutable result of every check.
