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
mod layout;
mod reader;

pub use builder::Builder;
pub use layout::{SymbolFrame, placeholder};
pub use reader::{Error, Found, SymbolIndex};

#[cfg(test)]
mod tests;
