//! The codecs of davy-profile.

use super::LIMITS;
use crate::invariants;
use davy_profile::gzip as gz;

/// Decodes a pprof profile.
pub fn pprof(input: &[u8]) -> bool {
    let Ok(profile) = davy_profile::pprof::decode(input, &LIMITS) else {
        return false;
    };
    invariants::check(&profile, &LIMITS);
    true
}

/// Decompresses gzip data, and compresses and decompresses the result again.
pub fn gzip(input: &[u8]) -> bool {
    let Ok(unpacked) = gz::unpack(input, &LIMITS) else {
        return false;
    };
    assert!(unpacked.len() <= LIMITS.bytes, "{} bytes", unpacked.len());
    let limits = davy_profile::Limits {
        ratio: usize::MAX,
        ..LIMITS
    };
    let again = gz::compress(&unpacked);
    let again = gz::unpack(&again, &limits).expect("compressed data can be decompressed");
    assert!(again == unpacked, "the data differs after compression");
    true
}
