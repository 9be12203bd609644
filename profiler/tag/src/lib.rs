#![doc = include_str!("../README.md")]

mod account;
mod claim;
mod current;
mod future;
mod guard;
#[cfg(feature = "http")]
pub mod http;
#[cfg(all(feature = "threads", target_os = "linux"))]
mod interpose;
mod origin;
#[cfg(all(
    feature = "otel",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub mod otel;
mod parking;
mod span;
#[cfg(feature = "tokio")]
mod spawn;
mod table;
mod task;
mod thread;
#[cfg(feature = "tracing")]
pub mod tracing;
mod usage;
mod waiter;

pub use account::allocated::set_allocated_source;
pub use account::buckets::POLL_BOUNDS_SECONDS;
pub use account::ledger::totals::{TagTime, ThreadUsage, threads};
pub use account::start_accounting;
pub use current::current;
pub use future::{Tagged, tagged};
pub use guard::Guard;
pub use origin::Origin;
pub use parking::{thread_parks, thread_unparks};
pub use span::{SpanGuard, SpanIds};
#[cfg(feature = "tokio")]
pub use spawn::{attribute_parking, spawn, spawn_blocking};
pub use table::{MAX_NAME_BYTES, MAX_TAGS, Tag, count, for_each_tag, overflowed};
pub use task::{
    StackSource, TASKS_LISTED_MAX, Task, TaskSnapshot, ask_tasks, for_each_task, set_stack_source,
    task_count,
};
pub use thread::add_thread_rule;
pub use usage::{Usage, untagged_cpu_nanos, usage};
