//! FNV-1a of 64 bits (Fowler, Noll, Vo): tells contents apart where nobody means harm.
//! Used by `build.rs` too.

pub const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Goes on from `digest`; [`BASIS`] to begin with.
pub fn fnv(digest: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(digest, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(PRIME))
}
