//! The names of a build: two tables, and the meta object that makes them exist.

mod chain;
mod meta;
mod ranges;
mod read;
mod write;

pub use chain::{Chain, NamedFrame};
pub use meta::{SymbolTable, SymbolsMeta};
pub use ranges::PackedFrame;
pub use read::{FunctionRows, NameRows};
pub use write::{Encoded, encode};

/// Version of the tables and of the meta object.
pub const SYMBOLS_VERSION: u32 = 1;
