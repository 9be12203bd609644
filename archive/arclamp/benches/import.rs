//! Measures the import of a daily log, compared to a bare split of its lines into frames.
//!
//! `cargo bench -p davy-arclamp`. The log has 300,000 unique stacks and 439 MB, as a large one of production; `STACKS`
//! overrides the number.

use davy_archive::key::Tenant;
use davy_archive::{Archive, ArchiveOptions};
use davy_arclamp::import::{find, import};
use davy_base::{Clock, Random};
use object_store::local::LocalFileSystem;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// CPU time of this process.
fn cpu() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writes of a timespec during the whole call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A value of `/proc/self/status`, in MiB.
fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.and_then(|of| {
        of.trim_start_matches(':')
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    });
    kibibytes.unwrap_or(0u64) >> 10
}

/// Writes unique stacks of 1,460 bytes on average, sorted as Arc Lamp compresses them if `sorted`.
fn write(path: &Path, stacks: usize, sorted: bool) {
    let mut random = Random::seeded(7);
    let entries = [
        "/srv/mediawiki/w/index.php",
        "/srv/mediawiki/w/load.php",
        "/srv/mediawiki/w/api.php",
    ];
    let mut lines: Vec<String> = Vec::with_capacity(if sorted { stacks } else { 0 });
    let mut to = BufWriter::new(File::create(path).expect("a file"));
    for number in 0..stacks {
        let mut line = entries[random.below(3) as usize].to_owned();
        let mut at = random.below(40);
        for depth in 0..29 {
            // A program: what a function calls depends on it.
            at = (at * 31 + depth + random.below(3)) % 4_000;
            line.push_str(&format!(
                ";MediaWiki\\Extension\\Component{:03}\\Class{:04}::method{}",
                at % 300,
                at,
                at % 17
            ));
        }
        line.push_str(&format!(";leaf{number} {}\n", 1 + random.below(9)));
        if sorted {
            lines.push(line);
        } else {
            to.write_all(line.as_bytes()).expect("written");
        }
    }
    lines.sort_unstable();
    for line in lines {
        to.write_all(line.as_bytes()).expect("written");
    }
    to.flush().expect("written");
}

/// Splits every line at its spaces and semicolons, and does nothing with the parts.
fn split(path: &Path) -> u64 {
    let mut reader = BufReader::with_capacity(256 << 10, File::open(path).expect("a log"));
    let (mut line, mut frames) = (Vec::new(), 0u64);
    while reader.read_until(b'\n', &mut line).expect("readable") > 0 {
        let text = line.trim_ascii_end();
        let at = text
            .iter()
            .rposition(|byte| *byte == b' ')
            .expect("a count");
        for frame in text[..at].split(|byte| *byte == b';') {
            frames += u64::from(!black_box(frame).is_empty());
        }
        line.clear();
    }
    frames
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let stacks = std::env::var("STACKS").ok();
    let stacks = stacks.and_then(|text| text.parse().ok()).unwrap_or(300_000);
    for sorted in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let date = Clock::system()
            .now()
            .minus(Duration::from_hours(72))
            .to_string();
        let path = folder
            .path()
            .join(format!("{}.excimer.all.log", &date[..10]));
        write(&path, stacks, sorted);
        let bytes = std::fs::metadata(&path).expect("a log").len();
        let before = cpu();
        let frames = split(&path);
        let bare = cpu().saturating_sub(before);
        let bucket = tempfile::tempdir().expect("a folder");
        let options = ArchiveOptions {
            retention: Duration::from_hours(24 * 30),
            // As `davy archive import` has it.
            flush_interval: Duration::ZERO,
            ..ArchiveOptions::new(Arc::new(
                LocalFileSystem::new_with_prefix(bucket.path()).expect("a bucket"),
            ))
        };
        let archive = Archive::new(options, &prometheus::Registry::new()).expect("fresh");
        let (logs, _) = find(folder.path()).expect("readable");
        // The pages of the generator are not the import's.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let clock = Clock::system();
        let (wall, before) = (clock.monotonic(), cpu());
        let report = import(&archive, &Tenant::anonymous(), "site", &logs, &|_, _| {}).await;
        let (wall, used) = (
            clock.monotonic().saturating_sub(wall),
            cpu().saturating_sub(before),
        );
        let report = report.expect("imported");
        println!(
            "{} log, {} MiB, {} stacks, {frames} frames: bare split {:.3} s CPU; import {:.3} s CPU = {:.1} x, {:.1} s, peak RSS {} MiB",
            if sorted { "sorted" } else { "unsorted" },
            bytes >> 20,
            report.lines,
            bare.as_secs_f64(),
            used.as_secs_f64(),
            used.as_secs_f64() / bare.as_secs_f64(),
            wall.as_secs_f64(),
            status("VmHWM"),
        );
    }
}
