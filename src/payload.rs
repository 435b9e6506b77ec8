//! Pack, sign, verify, inspect, keys.
