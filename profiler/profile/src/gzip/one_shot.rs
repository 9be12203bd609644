//! Decompression into a buffer of the size that the data states, by libdeflate, in half the time of zlib-rs.

use crate::Limits;
use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_free_decompressor, libdeflate_gzip_decompress_ex,
    libdeflate_result_LIBDEFLATE_SUCCESS as SUCCESS,
};

/// The content of a single gzip member with nothing after it. `None` for anything else, what is damaged or exceeds a limit
/// included: the decompressor that reads a stream reports what is wrong with it.
pub(super) fn unpack(packed: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    // A member ends with its size.
    let size = u32::from_le_bytes(*packed.last_chunk::<4>()?) as usize;
    if size > limits.bytes || limits.is_bomb(size, packed.len()) {
        return None;
    }
    let mut out: Vec<u8> = Vec::new();
    out.try_reserve_exact(size).ok()?;
    let (mut read, mut written) = (0, 0);
    // SAFETY: `packed` is valid for reads of its length and `out` for writes of `size` bytes, which are reserved. The
    // decompressor is used by this thread alone, and freed once.
    let result = unsafe {
        let decompressor = libdeflate_alloc_decompressor();
        if decompressor.is_null() {
            return None;
        }
        let result = libdeflate_gzip_decompress_ex(
            decompressor,
            packed.as_ptr().cast(),
            packed.len(),
            out.as_mut_ptr().cast(),
            size,
            &raw mut read,
            &raw mut written,
        );
        libdeflate_free_decompressor(decompressor);
        result
    };
    if result != SUCCESS || read != packed.len() || written != size {
        return None;
    }
    // SAFETY: libdeflate has written `size` bytes.
    unsafe { out.set_len(size) };
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::{compress, unpack as unpack_any};
    use super::*;

    #[test]
    fn one_whole_member_within_the_limits_is_read_in_one_call() {
        let limits = Limits {
            bytes: 6_000,
            ratio: 1_000,
            ..Limits::default()
        };
        let text = b"flame ".repeat(1_000);
        let packed = compress(&text);
        assert_eq!(unpack(&packed, &limits), Some(text.clone()));
        assert_eq!(unpack(&compress(b""), &limits), Some(Vec::new()));
        let smaller = Limits {
            bytes: 5_999,
            ..limits
        };
        assert_eq!(unpack(&packed, &smaller), None);
        let large = compress(&vec![0; Limits::BOMB_FLOOR + 1]);
        let strict = Limits {
            bytes: 2 * Limits::BOMB_FLOOR,
            ratio: 100,
            ..limits
        };
        assert_eq!(unpack(&large, &strict), None);
        for other in [
            [packed.as_slice(), &packed].concat(),
            [packed.as_slice(), &[0; 4]].concat(),
            packed[..packed.len() - 1].to_vec(),
            packed[..3].to_vec(),
        ] {
            assert_eq!(unpack(&other, &limits), None);
        }
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 1;
            let read = unpack(&damaged, &limits);
            assert!(read.is_none_or(|read| read == text), "byte {at}");
        }
        // Both ways give the same.
        let padded = [packed.as_slice(), &[0; 4]].concat();
        let streamed = unpack_any(&padded, &limits);
        assert_eq!(streamed.as_deref(), Ok(&text[..]));
    }
}
