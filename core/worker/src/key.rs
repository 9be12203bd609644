//! The key of a worker.

use crate::Error;
use davy_model::signature::{from_hex, to_hex};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The largest file that is read as a key, in bytes.
const FILE_BYTES_MAX: u64 = 4_096;

/// The Ed25519 key of a worker.
#[derive(Debug)]
pub struct WorkerKey {
    pair: Ed25519KeyPair,
}

impl WorkerKey {
    /// Creates a key that is in no file, for simulated workers; `None` if the system has no random numbers.
    pub fn generate() -> Option<Self> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).ok()?;
        Some(Self { pair })
    }

    /// Creates a key and writes it to a new file that only its owner can read. An existing file is never
    /// overwritten.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::KeyFile {
            path: path.to_owned(),
            source,
        };
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| failed(io::Error::other("the system has no random numbers")))?;
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| Error::Key {
            path: path.to_owned(),
        })?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        writeln!(file, "{}", to_hex(document.as_ref())).map_err(failed)?;
        Ok(Self { pair })
    }

    /// Reads a key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::KeyFile {
            path: path.to_owned(),
            source,
        };
        let invalid = || Error::Key {
            path: path.to_owned(),
        };
        if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
            return Err(invalid());
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let document = from_hex(text.trim()).ok_or_else(invalid)?;
        let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| invalid())?;
        Ok(Self { pair })
    }

    /// The public key, in hexadecimal.
    pub fn public(&self) -> String {
        to_hex(self.pair.public_key().as_ref())
    }

    /// The signature of a text, in hexadecimal.
    pub(crate) fn sign(&self, message: &str) -> String {
        to_hex(self.pair.sign(message.as_bytes()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_back_and_never_overwritten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("w.key");
        let key = WorkerKey::create(&path).expect("a new file");
        let read = WorkerKey::read(&path).expect("a key");
        assert_eq!(read.public(), key.public());
        assert_eq!(read.sign("a"), key.sign("a"));
        assert_ne!(read.sign("a"), key.sign("b"));
        assert!(WorkerKey::create(&path).is_err());
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).expect("a file").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "00").expect("writable");
        let error = WorkerKey::read(&path).expect_err("not a key");
        assert!(matches!(error, Error::Key { .. }), "{error}");
    }
}
