#![doc = include_str!("../README.md")]

mod account;
mod current;
mod future;
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

pub use account::{
    POLL_BOUNDS_SECONDS, TagTime, ThreadUsage, Usage, set_allocated_source, start_accounting,
    threads, untagged_cpu_nanos, usage,
};
pub use current::{Guard, current};
pub use future::{Tagged, tagged};
#[cfg(feature = "tokio")]
pub use spawn::{spawn, spawn_blocking};
pub use table::{MAX_NAME_BYTES, MAX_TAGS, Tag, count, for_each_tag, overflowed};
pub use task::{
    StackSource, TASKS_LISTED_MAX, Task, TaskSnapshot, ask_tasks, for_each_task, set_stack_source,
    task_count,
};
