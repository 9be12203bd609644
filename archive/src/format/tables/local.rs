//! Numbers of a file as indices of a row group.

use crate::error::{Error, Result};

/// Numbers relative to the first one of the row group; each must be below `count`.
pub(super) fn local(numbers: Vec<i32>, base: i32, count: usize, what: &str) -> Result<Vec<u32>> {
    numbers
        .into_iter()
        .map(|number| {
            let number = number.wrapping_sub(base) as u32;
            if (number as usize) < count {
                Ok(number)
            } else {
                Err(Error::corrupt(what))
            }
        })
        .collect()
}
