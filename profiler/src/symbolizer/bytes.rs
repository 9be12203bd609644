//! Numbers and texts at offsets in bytes, little-endian. None if they are not within the bytes.

/// Maximum length of a text in bytes.
const TEXT_MAX: usize = 1 << 16;

/// A number of 4 bytes.
pub(super) fn u32_at(bytes: &[u8], offset: u64) -> Option<u32> {
    let bytes = bytes.get(usize::try_from(offset).ok()?..)?;
    Some(u32::from_le_bytes(*bytes.first_chunk()?))
}

/// A number of 8 bytes.
pub(super) fn u64_at(bytes: &[u8], offset: u64) -> Option<u64> {
    let bytes = bytes.get(usize::try_from(offset).ok()?..)?;
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}

/// A text that ends with a zero, without it. Empty ones count as absent.
pub(super) fn text_at(bytes: &[u8], offset: u64) -> Option<&[u8]> {
    let bytes = bytes.get(usize::try_from(offset).ok()?..)?;
    let end = bytes.iter().take(TEXT_MAX).position(|byte| *byte == 0)?;
    Some(&bytes[..end]).filter(|text| !text.is_empty())
}
