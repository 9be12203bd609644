#![doc = include_str!("../README.md")]

mod cgroup_state;
mod child;
mod context;
mod engine;
mod error;
mod gate;
mod graph;
mod group;
mod handle;
mod member;
mod notify;
pub mod policy;
mod process;
mod state;
mod stop;
mod tasks;
mod toggles;
mod trace;

pub use cgroup_state::CgroupState;
pub use child::ChildCgroup;
pub use context::Context;
pub use error::Error;
pub use gate::{Gate, Slot};
pub use graph::SupervisorError;
pub use group::Group;
pub use handle::Handle;
pub use member::Member;
pub use notify::{notify, notify_ready};
pub use policy::MemberKind;
pub use process::{Builder, Process};
pub use state::{MemberState, State, States};
pub use stop::Stop;
pub use toggles::{Effective, SLOT_DEFAULT, Setting, Target, TargetSettings, ToggleError, Toggles};
pub use trace::{End, Ending, Next, Trace};
