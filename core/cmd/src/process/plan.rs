//! The plan of a process: its configuration and placement.

use crate::catalogue::MemberId;
use crate::config::{Config, Flags, Loaded};
use crate::placement::Placement;
use std::path::PathBuf;
use tokio::runtime::Handle;

/// Configuration, placement and runtime of a process.
pub(crate) struct Plan {
    pub(crate) flags: Flags,
    pub(crate) loaded: Loaded,
    pub(crate) config: Config,
    pub(crate) placement: Placement,
    /// Set in a child process.
    pub(crate) parent: Option<Parent>,
    /// The runtime that members run on.
    pub(crate) workers: Handle,
}

/// What a parent passes to a child process.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Parent {
    /// Name of the child process
    #[arg(long = "child-process")]
    pub(crate) process: String,
    /// Its members, separated by commas
    #[arg(long = "child-members", value_delimiter = ',', value_parser = member)]
    pub(crate) members: Vec<MemberId>,
    /// The socket on which the parent forwards requests
    #[arg(long = "child-socket")]
    pub(crate) socket: PathBuf,
    /// Id of the parent process
    #[arg(long = "child-of")]
    pub(crate) id: String,
    /// URL to which the process pushes its own profiles
    #[arg(long = "child-archive", default_value = "")]
    pub(crate) archive: String,
}

fn member(name: &str) -> Result<MemberId, String> {
    MemberId::find(name).ok_or_else(|| format!("unknown member {name}"))
}
