//! Pushes files concurrently and shows their progress.

use super::file::ProfileFile;
use crate::client::Client;
use crate::failure::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Maximum number of concurrent pushes. A push is acknowledged at the next flush, so pushes spend their
/// time waiting.
const CONCURRENT_MAX: usize = 16;

/// Pushes every file and returns the results in the order of the files.
pub(super) fn push_all(client: &Client, files: &[ProfileFile]) -> Vec<Result<(), Failure>> {
    // The bar is hidden unless standard error is a terminal.
    let bar = ProgressBar::new(files.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("pushing {wide_bar} {pos}/{len} files") {
        bar.set_style(style);
    }
    bar.tick();
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<(), Failure>>>> =
        Mutex::new(files.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..files.len().min(CONCURRENT_MAX) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(index) else { break };
                    let result = file.push(client);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results[index] = Some(result);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().flatten().collect()
}
