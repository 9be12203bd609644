//! Builds symbol indices from debug information, symbol tables and unwind tables.
//!
//! Debug information has to be read as a whole, which takes up to seconds and tens of megabytes. So a short-lived child
//! builds the index of a file, once per build.

mod bytes;
mod child;
mod debug_file;
mod dwarf;
mod elf;
mod function;
mod go;
mod go_module;
mod index;
mod lines;
mod names;
mod split;
mod unwind_table;

pub(crate) use child::{build, children, cpu_nanos};
pub use child::{build_symbol_index_in_child, serve_if_asked};
pub(crate) use index::of_memory;
pub use index::{SymbolSources, build_symbol_index};

#[cfg(test)]
mod tests;
