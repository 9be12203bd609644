//! Which users of the machine the users of a container are.

use crate::copy;
use std::fs;

/// The first user of the machine that is a user of a container. From the range that systemd reserves for containers.
const FIRST: u32 = 1_000_013_824;
/// Users of a container.
pub(crate) const USERS: u32 = 65_536;

/// Which users of the machine the users of a container are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// The same ones: root in a container is root on the machine.
    Same,
    /// Unprivileged ones, which own nothing on the machine.
    Shifted,
    /// Root in a container is the worker's user; there are no others.
    Own { uid: u32, gid: u32 },
}

impl Mapping {
    /// The best mapping that this machine allows.
    pub(crate) fn detect() -> Self {
        let max = fs::read_to_string("/proc/sys/user/max_user_namespaces");
        let is_allowed = max.is_ok_and(|max| max.trim().parse::<u64>().is_ok_and(|max| max > 0));
        if !copy::is_root() {
            // SAFETY: both have no preconditions.
            let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
            return Self::Own { uid, gid };
        }
        if is_allowed {
            Self::Shifted
        } else {
            Self::Same
        }
    }

    /// What is added to the owners of files.
    pub(crate) const fn shift(self) -> u32 {
        match self {
            Self::Shifted => FIRST,
            Self::Same | Self::Own { .. } => 0,
        }
    }
}
