//! A root file system in one tar file, compressed with gzip or not.

use super::error::{ImageError, at};
use super::layer::{self, Budget};
use super::root::Root;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{Read, Seek as _};
use std::path::Path;

/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Unpacks a tar file.
pub(super) fn unpack(path: &Path, root: &Root, budget: &mut Budget) -> Result<(), ImageError> {
    let open = || -> Result<Box<dyn Read>, ImageError> {
        let mut file = File::open(path).map_err(at(path))?;
        let mut start = [0; 2];
        let count = file.read(&mut start).map_err(at(path))?;
        file.rewind().map_err(at(path))?;
        if count == 2 && start == GZIP {
            return Ok(Box::new(MultiGzDecoder::new(file)));
        }
        Ok(Box::new(file))
    };
    layer::unpack(open, root, budget)
}
