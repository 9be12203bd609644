//! What a sweeper needs of the containers and volumes of a worker.

use davy_model::HandleKind;
use std::collections::BTreeMap;
use std::io;

/// What a sweeper needs of a driver.
pub(crate) trait Driver: Send + Sync + 'static {
    /// All containers and volumes.
    fn handles(&self) -> io::Result<BTreeMap<String, HandleKind>>;

    /// Destroys a container or volume. One that does not exist is destroyed.
    fn destroy(&self, handle: &str, kind: HandleKind) -> io::Result<()>;

    /// The volume of a container.
    fn volume_of(&self, container: &str) -> Option<String>;

    /// The volume that a volume is a copy of.
    fn parent_of(&self, volume: &str) -> Option<String>;
}
