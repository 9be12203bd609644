//! HTTP: listeners, the page's assets, and requests for members in child processes.

mod assets;
mod document;
mod forward;
mod heap;
mod listener;
mod serve;
mod unix;

pub(crate) use assets::{PageOptions, router as assets};
pub(crate) use forward::{ChildClient, absent};
pub(crate) use heap::heap_source;
pub(crate) use listener::{Listener, bind, bind_near, bind_socket};
pub(crate) use serve::serve;
