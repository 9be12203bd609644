#![doc = include_str!("../README.md")]

pub mod clock;
pub mod random;
#[cfg(feature = "tokio")]
pub mod timer;
#[cfg(feature = "tokio")]
mod timers;
pub mod timestamp;

pub use clock::Clock;
pub use random::Random;
pub use timestamp::Timestamp;
