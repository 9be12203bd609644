#![doc = include_str!("../README.md")]

mod member;
mod process;
mod state;
mod trace;

pub use member::{Context, Error, Member};
pub use process::Process;
pub use state::{MemberState, State, States};
pub use trace::{End, Ending, Trace};
