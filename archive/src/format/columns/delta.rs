//! Decodes numbers of Parquet's encoding `DELTA_BINARY_PACKED`, in which lengths of texts are written.

use super::hybrid::{unpack, varint};
use crate::error::{Error, Result};

/// Decodes the numbers at the start of `bytes`, of which there must be `count`, and returns the bytes after them.
pub(super) fn lengths(mut bytes: &[u8], count: usize) -> Result<(Vec<u32>, &[u8])> {
    let corrupt = || Error::corrupt("invalid text lengths");
    let bytes = &mut bytes;
    let (block, parts) = (varint(bytes)? as usize, varint(bytes)? as usize);
    let (total, first) = (varint(bytes)? as usize, zigzag(varint(bytes)?));
    if parts == 0 || !block.is_multiple_of(parts) || total != count {
        return Err(corrupt());
    }
    let values = block / parts;
    if values == 0 || !values.is_multiple_of(32) {
        return Err(corrupt());
    }
    let (mut lengths, mut last) = (Vec::with_capacity(count.min(1 << 20)), first);
    if count > 0 {
        lengths.push(last as u32);
    }
    while lengths.len() < count {
        let least = zigzag(varint(bytes)?);
        let (widths, rest) = bytes.split_at_checked(parts).ok_or_else(corrupt)?;
        *bytes = rest;
        for width in widths {
            let wanted = values.min(count - lengths.len());
            if wanted == 0 {
                break;
            }
            // The last part has as many bytes as the others.
            let packed = values.checked_mul((*width).into()).ok_or_else(corrupt)? / 8;
            let (packed, rest) = bytes.split_at_checked(packed).ok_or_else(corrupt)?;
            *bytes = rest;
            let deltas = unpack(packed, *width, wanted).ok_or_else(corrupt)?;
            lengths.extend(deltas.map(|delta| {
                last = last.wrapping_add(least).wrapping_add(delta.into());
                last as u32
            }));
        }
    }
    Ok((lengths, bytes))
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
