#![doc = include_str!("../README.md")]

mod account;
mod current;
mod future;
#[cfg(feature = "tokio")]
mod spawn;
mod table;

pub use account::{Bill, POLL_BOUNDS_SECONDS, Task, bills, set_allocated_source, start_accounting};
pub use current::{Guard, current};
pub use future::{Tagged, tagged};
#[cfg(feature = "tokio")]
pub use spawn::{spawn, spawn_blocking};
pub use table::{MAX_NAME_BYTES, MAX_TAGS, Tag, count, for_each_tag, overflowed};
