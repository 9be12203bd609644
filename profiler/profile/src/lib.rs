#![doc = include_str!("../README.md")]

pub mod durations;
mod error;
pub mod flame;
pub mod folded;
pub mod gzip;
mod labels;
mod model;
pub mod names;
pub mod pprof;
mod stack_builder;
mod stacks;
mod strings;
pub mod symbol_index;
pub mod truncate;
pub mod units;
pub mod view;
pub mod wire;
mod words;

pub use error::{Error, Limits};
pub use flame::{FlameTree, Frame, FrameKind};
pub use labels::{Label, LabelSetId, LabelSets, LabelValue};
pub use model::{Function, Line, Location, Mapping, Profile, Samples, Truncated, ValueType};
pub use stack_builder::StackBuilder;
pub use stacks::{NodeId, StackTree};
pub use strings::{StringId, StringTable};
pub use words::WordMap;
