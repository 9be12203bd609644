//! Ways to run a container.

mod bundle;
mod mapping;
pub(crate) mod process;
pub(crate) mod runc;

pub(crate) use bundle::Bundle;
pub(crate) use mapping::Mapping;

use crate::images::Images;
use std::path::PathBuf;

/// How containers are run.
#[derive(Debug)]
pub(crate) enum Runtime {
    /// As processes of the worker's user, without isolation.
    Process,
    /// By `runc`, in namespaces of their own.
    Runc(Box<Runc>),
}

/// The OCI runtime.
#[derive(Debug)]
pub(crate) struct Runc {
    /// The program.
    pub(crate) program: PathBuf,
    /// Where it keeps the state of containers.
    pub(crate) state: PathBuf,
    pub(crate) images: Images,
    pub(crate) mapping: Mapping,
    /// Whether containers share the network of the machine; otherwise they have none.
    pub(crate) has_network: bool,
}
