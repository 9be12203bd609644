//! Symbol indices: the functions, inlined functions and lines of a program, by address.
//!
//! Debug information is made for debuggers: to find the function at an address, most of it has to be read. A symbol
//! index is made from it once per build. It is read in place, for example through a memory map: a lookup reads a few
//! hundred bytes, and opening one allocates nothing. An index of a program with 180 MB of debug information has 40 MB.
//!
//! An address is an offset in the file, as `address - start + file_offset` of a mapping gives it, whatever addresses the
//! file was linked for or loaded at.
//!
//! Numbers are little-endian, or LEB128 in blocks.
//!
//! ```text
//! magic          "DAVYSYMS"
//! version        u32, 1
//! blocks         u32, number of blocks
//! strings        u32, number of strings
//! block bytes    u32
//! text bytes     u32
//! named          u32, number of functions that have a name of debug information or of a symbol table
//! block starts   u64 for each block, ascending: the address of its first range
//! block offsets  u32 for each block
//! string ends    u32 for each string: the end of its text
//! blocks
//! text           UTF-8; the first string is empty, the second the build id, the third the file's name
//! ```
//!
//! A function without a name has a placeholder instead: the file's name and the address that it was linked for, such as
//! `server+0x4f9c0`.
//!
//! A block describes at most 32 adjacent ranges of addresses. Adjacent ranges share most of the functions that are
//! inlined there:
//!
//! ```text
//! block          number of ranges; for each of them: length in bytes, number of frames shared with the range before
//!                (counted from the outermost inwards), number of further frames; for each of these: the function
//!                and its source file as numbers of strings, and the line
//! ```

mod builder;
mod reader;

pub use builder::Builder;
pub use reader::{Error, Found, SymbolIndex};

use crate::StringId;

const MAGIC: &[u8; 8] = b"DAVYSYMS";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
/// Maximum number of ranges of a block. Fits into one byte of LEB128.
const BLOCK_RANGES: u8 = 32;
/// Maximum number of frames of a range.
const FRAMES_MAX: usize = 1_024;

const BUILD_ID: StringId = StringId(1);
const FILE_NAME: StringId = StringId(2);

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

#[cfg(test)]
mod tests;
