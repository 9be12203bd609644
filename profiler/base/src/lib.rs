#![doc = include_str!("../README.md")]

pub mod clock;
pub mod random;
#[cfg(feature = "tokio")]
pub mod timer;
pub mod timestamp;

pub use clock::Clock;
pub use random::Random;
pub use timestamp::Timestamp;
