//! Ingestion: from a push to a written segment.

mod add;
mod batches;
mod body;
mod cardinality;
mod connect;
mod content;
mod decode;
mod flush;
mod form;
mod http;
mod label_sets;
mod memory;
mod names;
mod open;
mod push;
mod sample_types;
mod service;
mod suffix;
mod symbol_store;
mod symbols;
mod tenant;

pub use body::read as read_body;
pub use http::router;
pub use memory::Reservation;
pub use push::{Format, Push, WindowIdentity};
pub use sample_types::SampleTypes;
pub use service::Ingest;
pub use symbol_store::{StoredSymbols, SymbolStore};
pub use tenant::tenant;
