//! Where the kernel has mounted which controllers, and which cgroup this process is in.

use crate::error::{Error, at};
use std::path::{Path, PathBuf};

/// The version of the interface that limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// A hierarchy for each controller.
    V1,
    /// One hierarchy for all controllers.
    V2,
}

/// Controllers of version 1 that are used.
const V1_CONTROLLERS: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "blkio"];

/// The own cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) version: Version,
    /// Its folder in each hierarchy; one for version 2.
    pub(crate) folders: Vec<PathBuf>,
}

struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

fn mount(line: &str) -> Option<Mount<'_>> {
    // 36 35 98:0 ROOT POINT OPTIONS [FIELDS...] - KIND SOURCE SUPER_OPTIONS
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let kind = right.next()?;
    let options = right.nth(1)?;
    Some(Mount {
        root,
        point,
        kind,
        options,
    })
}

impl Mount<'_> {
    /// The folder of a cgroup in this mount. A container may see only part of the hierarchy.
    fn folder(&self, cgroup: &str) -> PathBuf {
        let inner = Path::new(cgroup)
            .strip_prefix(self.root)
            .unwrap_or(Path::new(""));
        let inner = inner.strip_prefix("/").unwrap_or(inner);
        let point = Path::new(self.point);
        if inner.as_os_str().is_empty() {
            return point.to_owned();
        }
        point.join(inner)
    }
}

/// The cgroup of this process.
pub(crate) fn own_of_process() -> Result<Own, Error> {
    let read = |path: &str| std::fs::read_to_string(path).map_err(at(Path::new(path)));
    let found = own(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
    found.ok_or_else(|| Error::Unavailable {
        reason: "neither version 1 nor version 2 is mounted".to_owned(),
    })
}

/// Finds the own cgroup in `/proc/self/mountinfo` and `/proc/self/cgroup`. Version 1 is preferred where it has the
/// controller `memory`, because then version 2 does not.
pub(crate) fn own(mountinfo: &str, cgroups: &str) -> Option<Own> {
    let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(mount).collect();
    let mut folders: Vec<PathBuf> = Vec::new();
    for controller in V1_CONTROLLERS {
        let has = |list: &str| list.split(',').any(|name| name == controller);
        let path = cgroups.lines().find_map(|line| {
            // 5:devices,cpu:/path
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            has(controllers).then_some(path)
        });
        let mount = mounts
            .iter()
            .find(|mount| mount.kind == "cgroup" && has(mount.options));
        if let (Some(path), Some(mount)) = (path, mount) {
            let folder = mount.folder(path);
            // `cpu` and `cpuacct` are often mounted together, with one as a symbolic link.
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    if !folders.is_empty() {
        return Some(Own {
            version: Version::V1,
            folders,
        });
    }
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.iter().find(|mount| mount.kind == "cgroup2")?;
    Some(Own {
        version: Version::V2,
        folders: vec![mount.folder(path)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mountinfo: &str, cgroups: &str, version: Version, folders: &[&str]) {
        let own = own(mountinfo, cgroups).expect("an own cgroup");
        let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
        assert_eq!(own, Own { version, folders });
    }

    #[test]
    fn own_cgroup_is_found_on_both_versions_and_in_containers() {
        check(
            "30 23 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
            "0::/system.slice/davy.service\n",
            Version::V2,
            &["/sys/fs/cgroup/system.slice/davy.service"],
        );
        check(
            "30 23 0:27 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
            "0::/docker/1\n",
            Version::V2,
            &["/sys/fs/cgroup"],
        );
        check(
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/\n",
            Version::V1,
            &["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/cpu,cpuacct"],
        );
    }

    #[test]
    fn machine_without_cgroups_has_none() {
        assert_eq!(own("22 1 0:1 / /proc rw - proc proc rw\n", ""), None);
        assert_eq!(own("nonsense\n", "0::/\n"), None);
    }
}
