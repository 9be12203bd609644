//! The process's doors: what each listener serves, and the way to members in child processes.

mod assets;
mod forward;
mod listener;
mod serve;

pub(crate) use assets::router as assets;
pub(crate) use forward::{absent, ask, forward};
pub(crate) use listener::{Listener, bind, bind_near, bind_socket};
pub(crate) use serve::serve;
