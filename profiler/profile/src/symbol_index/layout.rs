//! The parts of the format that are both written and read.

use crate::StringId;

pub(super) const MAGIC: &[u8; 8] = b"DAVYSYMS";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 32;
/// Maximum number of ranges of a block. Fits into one byte of LEB128.
pub(super) const BLOCK_RANGES: u8 = 32;
/// Maximum number of frames of a range.
pub(super) const FRAMES_MAX: usize = 1_024;

pub(super) const BUILD_ID: StringId = StringId(1);
pub(super) const FILE_NAME: StringId = StringId(2);

/// A function, its source file and a line; 0 is an unknown line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SymbolFrame {
    /// The function's name.
    pub function: StringId,
    /// The path of the source file; empty if it is not known.
    pub file: StringId,
    /// The line that is being executed, or where the next inner frame was inlined.
    pub line: u32,
}

/// What is shown instead of the name of a function at an address that the file was linked for.
pub fn placeholder(file_name: &str, address: u64) -> String {
    format!("{file_name}+{address:#x}")
}
