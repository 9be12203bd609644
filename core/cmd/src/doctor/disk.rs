//! Space of the folders that Davy writes to.

use super::finding::{Finding, Findings};
use crate::config::Config;
use davy_profile::units;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Less free space is a failure.
const FREE_BYTES: u64 = 256 << 20;
/// Less free space than this is a warning.
const FREE_BYTES_WARNING: u64 = 2 << 30;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let mut folders = vec![("data_dir", config.data_dir.clone())];
    if !config.cache_dir.as_os_str().is_empty() {
        folders.push(("archive.cache_dir", config.cache_dir.clone()));
    }
    if let Some(folder) = config.bucket.url.strip_prefix("file://") {
        folders.push(("bucket.url", PathBuf::from(folder)));
    }
    for (setting, folder) in folders {
        findings.add(folder_finding(setting, &folder));
    }
}

fn folder_finding(setting: &str, folder: &Path) -> Finding {
    const CHECK: &str = "disk";
    let shown = folder.display();
    // What does not exist yet is created in the closest folder that does.
    let Some(existing) = folder.ancestors().find(|path| path.exists()) else {
        return Finding::failed(CHECK, format!("{setting} {shown} does not exist"));
    };
    if !is_writable(existing) {
        return Finding::failed(
            CHECK,
            format!("{setting} {shown} is not writable for this user"),
        )
        .advise(format!(
            "chown the folder {} to the user of Davy, or set {setting} to another one",
            existing.display()
        ));
    }
    let Some(Space { free, files }) = space(existing) else {
        return Finding::warning(
            CHECK,
            format!("the free space of {setting} {shown} is unknown"),
        );
    };
    let detail = format!("{} free in {setting} {shown}", units::bytes(free as f64));
    let advice = "free space, or set the folder to a larger disk; unacknowledged windows, the database and a bucket in a folder grow there";
    if files == Some(0) {
        return Finding::failed(CHECK, format!("no inode is free in {setting} {shown}"))
            .advise("delete files of this disk");
    }
    match free {
        free if free < FREE_BYTES => Finding::failed(CHECK, detail).advise(advice),
        free if free < FREE_BYTES_WARNING => Finding::warning(CHECK, detail).advise(advice),
        _ => Finding::ok(CHECK, detail),
    }
}

struct Space {
    free: u64,
    /// Free inodes; none if the file system does not count them.
    files: Option<u64>,
}

fn space(path: &Path) -> Option<Space> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: all bits zero are a value of this structure of numbers.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a text that ends with 0, and one structure; both outlive the call.
    let result = unsafe { libc::statvfs(path.as_ptr(), &raw mut found) };
    (result == 0).then(|| Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        files: (found.f_files > 0).then_some(found.f_favail),
    })
}

fn is_writable(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: a text that ends with 0, which outlives the call.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_that_does_not_exist_yet_is_checked_where_it_will_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("a/b");
        let found = serde_json::to_string(&folder_finding("data_dir", &below)).expect("JSON");
        assert!(found.contains("free in data_dir"), "{found}");
        let found = serde_json::to_string(&folder_finding("data_dir", Path::new("/proc/self/a")));
        let found = found.expect("JSON");
        assert!(!found.contains(r#""outcome":"ok""#), "{found}");
    }
}
