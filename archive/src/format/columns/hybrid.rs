//! Decodes numbers of Parquet's hybrid of run lengths and packed bits, in which rows refer to a dictionary.

use crate::error::{Error, Result};

/// Decodes `count` numbers of `width` bits, and shows each run of equal ones.
pub(super) fn runs(
    mut bytes: &[u8],
    width: u8,
    count: usize,
    mut show: impl FnMut(u32, usize) -> Result<()>,
) -> Result<()> {
    let corrupt = || Error::corrupt("invalid dictionary indices of texts");
    if width > 32 {
        return Err(corrupt());
    }
    let mut left = count;
    while left > 0 {
        let header = varint(&mut bytes)?;
        let length = (header >> 1) as usize;
        if header & 1 == 0 {
            let size = usize::from(width.div_ceil(8));
            let (value, rest) = bytes.split_at_checked(size).ok_or_else(corrupt)?;
            bytes = rest;
            // All bits of the bytes count, of which the number may not fill the last one.
            let number = unpack(value, width.next_multiple_of(8), 1).and_then(|mut of| of.next());
            let number = number.filter(|number| u64::from(*number) >> width == 0);
            let length = length.min(left);
            if length == 0 {
                return Err(corrupt());
            }
            show(number.ok_or_else(corrupt)?, length)?;
            left -= length;
        } else {
            // Groups of eight numbers; the last one may be cut.
            let size = length.checked_mul(width.into()).ok_or_else(corrupt)?;
            let (packed, rest) = bytes.split_at(size.min(bytes.len()));
            bytes = rest;
            let wanted = length.saturating_mul(8).min(left);
            if wanted == 0 {
                return Err(corrupt());
            }
            for number in unpack(packed, width, wanted).ok_or_else(corrupt)? {
                show(number, 1)?;
            }
            left -= wanted;
        }
    }
    Ok(())
}

/// The first `count` numbers of `width` bits, the lowest bits first; `None` if there are fewer or if they do not fit into 32
/// bits.
pub(super) fn unpack(
    bytes: &[u8],
    width: u8,
    count: usize,
) -> Option<impl Iterator<Item = u32> + '_> {
    let bits = count.checked_mul(width.into())?;
    if width > 32 || bytes.len() < bits.div_ceil(8) {
        return None;
    }
    let mask = (1u64 << width) - 1;
    Some((0..count).map(move |at| {
        let bit = at * usize::from(width);
        let from = &bytes[bit / 8..];
        let word = from.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..from.len()].copy_from_slice(from);
            word
        });
        (u64::from_le_bytes(word) >> (bit % 8) & mask) as u32
    }))
}

/// Takes a number in base 128 from the start of `bytes`.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else {
            break;
        };
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Error::corrupt("invalid number in a column of texts"))
}
