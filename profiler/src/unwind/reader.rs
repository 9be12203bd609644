//! Reads the fields of unwind tables.

/// A cursor over little-endian fields.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A LEB128 number, its width in bits, and its last byte.
    fn groups(&mut self) -> Option<(u64, u32, u8)> {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let byte = self.u8()?;
            if shift < 64 {
                number |= u64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                return Some((number, shift, byte));
            }
        }
    }

    pub(super) fn uleb(&mut self) -> Option<u64> {
        self.groups().map(|(number, ..)| number)
    }

    pub(super) fn sleb(&mut self) -> Option<i64> {
        let (number, shift, last) = self.groups()?;
        let is_negative = last & 0x40 != 0 && shift < 64;
        Some(if is_negative {
            (number | u64::MAX << shift) as i64
        } else {
            number as i64
        })
    }
}
