//! From segments to blocks, and the deletion of what blocks cover.

mod merge;
mod run;

pub use run::{Compactor, Done};
