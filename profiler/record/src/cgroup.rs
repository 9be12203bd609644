//! A cgroup as the target of a recording: its folder, and its processes.

use crate::error::Error;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};

/// The file that every cgroup has, with the processes in it.
const PROCESSES: &str = "cgroup.procs";
/// Processes of a cgroup that are listed.
const PROCESSES_MAX: usize = 16_384;
/// Levels of cgroups below it whose processes are listed.
const DEPTH_MAX: usize = 16;

/// The folder of a cgroup, held open.
#[derive(Debug)]
pub(crate) struct CgroupFolder {
    path: PathBuf,
    folder: fs::File,
}

impl CgroupFolder {
    /// Finds a cgroup by its folder, or by its path below the mount of a hierarchy, as in `/proc/PID/cgroup`.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let candidates = candidates(path, &mountinfo);
        let found = candidates.iter().find(|path| path.join(PROCESSES).exists());
        let Some(found) = found else {
            return Err(Error::NoCgroup {
                path: path.to_owned(),
                mounts: mounts(&mountinfo),
            });
        };
        let folder = fs::File::open(found).map_err(|source| Error::Failed {
            action: format!("open cgroup {}", found.display()),
            source,
        })?;
        Ok(Self {
            path: found.clone(),
            folder,
        })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open folder, as `perf_event_open` expects it.
    pub(crate) fn fd(&self) -> RawFd {
        self.folder.as_raw_fd()
    }

    /// Its processes and those of cgroups below it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut found = Vec::new();
        // One that cannot be read was removed.
        let _ = list(&self.path, DEPTH_MAX, &mut found);
        found
    }
}

fn list(folder: &Path, depth: usize, found: &mut Vec<u32>) -> io::Result<()> {
    let text = fs::read_to_string(folder.join(PROCESSES))?;
    let room = PROCESSES_MAX.saturating_sub(found.len());
    let pids = text.lines().filter_map(|line| line.parse::<u32>().ok());
    found.extend(pids.take(room));
    if depth == 0 || found.len() >= PROCESSES_MAX {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = list(&entry.path(), depth - 1, found);
        }
    }
    Ok(())
}

/// Folders that a path may mean, in the order in which they are tried. The kernel can sample those of version 2 and of
/// the controller `perf_event` of version 1 by itself, so they come first.
fn candidates(path: &Path, mountinfo: &str) -> Vec<PathBuf> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let mut all = Vec::new();
    if path.is_absolute() {
        all.push(path.to_owned());
    }
    all.extend(mounts(mountinfo).iter().map(|mount| mount.join(below)));
    all
}

/// Where hierarchies are mounted: version 2, then `perf_event`, then others.
fn mounts(mountinfo: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u8, PathBuf)> = mountinfo
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut after = after.split(' ');
            let (kind, options) = (after.next()?, after.nth(1).unwrap_or_default());
            let order = match kind {
                "cgroup2" => 0,
                "cgroup" if options.split(',').any(|option| option == "perf_event") => 1,
                "cgroup" => 2,
                _ => return None,
            };
            Some((order, PathBuf::from(before.split(' ').nth(4)?)))
        })
        .collect();
    found.sort_by_key(|(order, _)| *order);
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
32 30 0:28 / /sys/fs/cgroup/unified rw shared:1 - cgroup2 cgroup2 rw
33 30 0:29 / /sys/fs/cgroup/perf_event rw - cgroup cgroup rw,perf_event
";

    #[test]
    fn path_is_searched_first_where_the_kernel_can_sample_it() {
        let check = |path: &str, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(candidates(Path::new(path), HYBRID), expected);
        };
        check(
            "shop/api",
            &[
                "/sys/fs/cgroup/unified/shop/api",
                "/sys/fs/cgroup/perf_event/shop/api",
                "/sys/fs/cgroup/pids/shop/api",
            ],
        );
        check(
            "/shop",
            &[
                "/shop",
                "/sys/fs/cgroup/unified/shop",
                "/sys/fs/cgroup/perf_event/shop",
                "/sys/fs/cgroup/pids/shop",
            ],
        );
    }

    #[test]
    fn missing_cgroup_is_refused_with_the_places_that_were_searched() {
        let error = CgroupFolder::open(Path::new("no-such-cgroup")).expect_err("it does not exist");
        let text = error.to_string();
        assert!(text.contains("no-such-cgroup not found"), "{text}");
    }
}
