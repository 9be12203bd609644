#![doc = include_str!("../README.md")]

pub mod clock;
pub mod id;
pub mod random;
pub mod size;

pub use clock::{Clock, Timestamp};
pub use id::Ulid;
pub use random::Random;
