//! What the kernel lists: the threads of a process, and the CPUs.

use crate::error::Error;
use std::path::Path;

/// The current threads of a process.
pub(crate) fn threads(pid: u32) -> Result<Vec<i32>, Error> {
    let folder = format!("/proc/{pid}/task");
    let listed = std::fs::read_dir(Path::new(&folder)).map_err(|_| Error::NoProcess { pid })?;
    let names = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(names.collect())
}

/// The online CPUs, from a list such as `0-3,6`.
pub(crate) fn cpus() -> Vec<i32> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    let cpus: Vec<i32> = ranges.flatten().collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}
