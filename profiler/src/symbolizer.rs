//! Finds the names of addresses in debug information and symbol tables.

mod child;
mod debug_file;
mod debug_info;
mod resolve;
mod symbol_table;

pub use child::serve_if_asked;
pub(crate) use child::{children, resolve};
pub(crate) use symbol_table::resolve_by_tables;
