#![doc = include_str!("../README.md")]

pub mod imports;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's folder.
///
/// # Panics
///
/// If this package is not two folders below it.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the workspace is two folders up")
        .to_owned()
}

/// Files that git tracks or would track.
///
/// # Panics
///
/// If git cannot be run.
pub fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| root().join(line))
        .filter(|path| path.exists())
        .collect()
}
