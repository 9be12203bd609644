//! The tree that a flame graph shows: stacks of frames with values.

mod build;
mod export;
mod frame;
mod mappings;
mod preorder;
mod shape;
#[cfg(test)]
mod tests;
mod tree;

pub use build::{Adoption, Grain, UNTAGGED};
pub use export::Exported;
pub use frame::{CodePlace, Frame, FrameKind};
pub use mappings::MappingTable;
pub use preorder::{Preorder, Sums};
pub use shape::FunctionTotal;
pub(crate) use tree::Children;
pub use tree::FlameTree;
