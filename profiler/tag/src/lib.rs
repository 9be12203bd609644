#![doc = include_str!("../README.md")]

mod account;
mod current;
mod future;
mod guard;
#[cfg(all(
    feature = "otel",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub mod otel;
#[cfg(feature = "tokio")]
mod spawn;
mod table;
mod task;
mod usage;

pub use account::allocated::set_allocated_source;
pub use account::buckets::POLL_BOUNDS_SECONDS;
pub use account::ledger::totals::{TagTime, ThreadUsage, threads};
pub use account::start_accounting;
pub use current::current;
pub use future::{Tagged, tagged};
pub use guard::Guard;
#[cfg(feature = "tokio")]
pub use spawn::{spawn, spawn_blocking};
pub use table::{MAX_NAME_BYTES, MAX_TAGS, Tag, count, for_each_tag, overflowed};
pub use task::{
    StackSource, TASKS_LISTED_MAX, Task, TaskSnapshot, ask_tasks, for_each_task, set_stack_source,
    task_count,
};
pub use usage::{Usage, untagged_cpu_nanos, usage};
