//! MD5, the checksum of Swift.

use bytes::Bytes;
use md5::{Digest, Md5};

/// The MD5 of bytes that arrive in pieces.
#[derive(Default)]
pub(super) struct Sum(Md5);

impl Sum {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// As in `ETag`.
    pub(super) fn hex(self) -> String {
        let mut text = String::new();
        for byte in self.0.finalize() {
            text += &format!("{byte:02x}");
        }
        text
    }
}

/// The MD5 of some bytes, as in `ETag`.
pub(super) fn md5_of(bytes: &Bytes) -> String {
    let mut sum = Sum::default();
    sum.add(bytes);
    sum.hex()
}
