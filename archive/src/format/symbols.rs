//! The names of a build: two tables, and the meta object that makes them exist.

mod chain;
mod meta;
mod ranges;
mod read;
mod write;

pub use chain::{Chain, NamedFrame};
pub use meta::{SYMBOLS_VERSION, SymbolTable, SymbolsMeta};
pub use ranges::PackedFrame;
pub use read::{FunctionRows, NameRows};
pub use write::{Encoded, encode};
