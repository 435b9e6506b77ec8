//! What both ends of a connection speak. The operator's program and the runner stub are two
//! builds of one source tree and the stub is named by its own SHA-256, so the wire needs no old
//! versions: each build speaks with itself.
//!
//! Sans-IO: everything here works on bytes it is given. The async operator, the synchronous stub
//! and the fuzz targets share it.

#![forbid(unsafe_code)]

pub mod archive;
pub mod bundle;
pub mod digest;
pub mod frame;
pub mod greeting;
pub mod key;
pub mod manifest;
pub mod message;
pub mod number;
