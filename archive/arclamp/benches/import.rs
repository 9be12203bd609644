//! Measures the import of a daily log, compared to a bare split of its lines into frames.
//!
//! `cargo bench -p davy-arclamp`. The log has 300,000 unique stacks and 439 MB or a little more, as a large one of
//! production. Stacks of a program grow from each other, so that most of them share most of their frames: a sorted log of
//! these is 70 times smaller with `gzip -9`, and one of production was 82 times smaller. Random stacks, which share nearly
//! nothing, are the worst case. `STACKS` overrides the number, `ROUNDS` how often each is measured, of which the best
//! counts, and `LOG` selects by name.

use davy_archive::key::Tenant;
use davy_archive::{Archive, ArchiveOptions};
use davy_arclamp::import::{ImportReport, find, import};
use davy_base::{Clock, Random};
use object_store::local::LocalFileSystem;
use std::collections::HashSet;
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

/// Stacks of a log: the number of the entry point, and of the function of each frame. The last one is of this stack only
/// if they are random.
type Stacks = Vec<(usize, Vec<u64>)>;

/// Makes a number of stacks.
type Generate = fn(usize) -> Stacks;

/// The number of functions of the program.
const FUNCTIONS: u64 = 4_000;

/// Stacks of 29 frames that share nearly nothing.
fn random(count: usize) -> Stacks {
    let mut random = Random::seeded(7);
    let stack = |number: usize| {
        let (entry, mut at) = (random.below(3) as usize, random.below(40));
        let mut frames = Vec::with_capacity(30);
        for depth in 0..29 {
            // A program: what a function calls depends on it.
            at = (at * 31 + depth + random.below(3)) % FUNCTIONS;
            frames.push(at);
        }
        frames.push(FUNCTIONS + number as u64);
        (entry, frames)
    };
    (0..count).map(stack).collect()
}

/// Different stacks of about 29 frames, each of which is another one with a few other frames at its end.
fn grown(count: usize) -> Stacks {
    let mut random = Random::seeded(7);
    let callee = |stack: &mut Vec<u64>, random: &mut Random| {
        let caller = stack.last().copied().unwrap_or(11);
        stack.push((caller * 31 + random.below(20)) % FUNCTIONS);
    };
    let mut stacks = Stacks::new();
    for entry in 0..3 {
        let mut stack = Vec::new();
        while stack.len() < 29 {
            callee(&mut stack, &mut random);
        }
        stacks.push((entry, stack));
    }
    let mut known: HashSet<(usize, Vec<u64>)> = stacks.iter().cloned().collect();
    while stacks.len() < count {
        let (entry, mut stack) = stacks[random.below(stacks.len() as u64) as usize].clone();
        let kept = stack.len() - 1 - random.below(3) as usize;
        stack.truncate(kept);
        let few = if kept < 15 { 2 } else { 1 };
        for _ in 0..few + random.below(3) {
            if stack.len() < 45 {
                callee(&mut stack, &mut random);
            }
        }
        if known.insert((entry, stack.clone())) {
            stacks.push((entry, stack));
        }
    }
    stacks
}

/// Writes stacks as lines, sorted as Arc Lamp compresses them if `sorted`.
fn write(path: &Path, stacks: Stacks, sorted: bool) {
    let entries = [
        "/srv/mediawiki/w/index.php",
        "/srv/mediawiki/w/load.php",
        "/srv/mediawiki/w/api.php",
    ];
    let mut random = Random::seeded(8);
    let mut lines: Vec<String> = Vec::with_capacity(if sorted { stacks.len() } else { 0 });
    let mut to = BufWriter::new(File::create(path).expect("a file"));
    for (entry, frames) in stacks {
        let mut line = entries[entry].to_owned();
        for at in frames {
            match at.checked_sub(FUNCTIONS) {
                Some(number) => line.push_str(&format!(";leaf{number}")),
                None => line.push_str(&format!(
                    ";MediaWiki\\Extension\\Component{:03}\\Class{:04}::method{}",
                    at % 300,
                    at,
                    at % 17
                )),
            }
        }
        line.push_str(&format!(" {}\n", 1 + random.below(9)));
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

/// CPU time and elapsed time.
#[derive(Clone, Copy)]
struct Cost(Duration, Duration);

impl Cost {
    const MAX: Self = Self(Duration::MAX, Duration::MAX);

    /// Starts a measurement, whose end the returned function returns.
    fn start() -> impl FnOnce() -> Self {
        let clock = Clock::system();
        let (wall, used) = (clock.monotonic(), cpu());
        move || {
            Self(
                cpu().saturating_sub(used),
                clock.monotonic().saturating_sub(wall),
            )
        }
    }

    fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0), self.1.min(other.1))
    }
}

/// Imports the logs of a folder into a fresh bucket.
async fn imported(folder: &Path) -> (ImportReport, Cost) {
    let bucket = tempfile::tempdir().expect("a folder");
    let store = LocalFileSystem::new_with_prefix(bucket.path()).expect("a bucket");
    let options = ArchiveOptions {
        retention: Duration::from_hours(24 * 30),
        ..ArchiveOptions::new(Arc::new(store))
    };
    let archive = Archive::new(options, &prometheus::Registry::new()).expect("fresh");
    let (logs, _) = find(folder).expect("readable");
    let cost = Cost::start();
    let report = import(&archive, &Tenant::anonymous(), "site", &logs, &|_, _| {}).await;
    (report.expect("imported"), cost())
}

/// The value of a variable of the environment, or a default.
fn variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let (stacks, rounds): (usize, usize) = (variable("STACKS", 300_000), variable("ROUNDS", 3));
    let only: String = variable("LOG", String::new());
    let logs: [(&str, Generate, bool); 4] = [
        ("grown, sorted", grown, true),
        ("grown, unsorted", grown, false),
        ("random, sorted", random, true),
        ("random, unsorted", random, false),
    ];
    for (name, generate, sorted) in logs {
        if !name.contains(&only) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let day = Clock::system().now().minus(Duration::from_hours(72));
        let name_of_day = format!("{}.excimer.all.log", &day.to_string()[..10]);
        let path = folder.path().join(name_of_day);
        write(&path, generate(stacks), sorted);
        // SAFETY: gives free memory of the generator back to the system, and has no other effect.
        unsafe { libc::malloc_trim(0) };
        // The pages of the generator are not the import's.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let bytes = std::fs::metadata(&path).expect("a log").len();
        let (mut bare, mut whole, mut frames, mut lines) = (Cost::MAX, Cost::MAX, 0, 0);
        for _ in 0..rounds {
            let cost = Cost::start();
            frames = split(&path);
            bare = bare.min(cost());
            let (report, cost) = imported(folder.path()).await;
            whole = whole.min(cost);
            lines = report.lines;
        }
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        println!(
            "{name}: {} MiB, {lines} stacks, {frames} frames: bare split {:.3} s CPU, {:.3} s; import {:.3} s CPU = {:.1} x, {:.3} s = {:.1} x, peak RSS {} MiB",
            bytes >> 20,
            bare.0.as_secs_f64(),
            bare.1.as_secs_f64(),
            whole.0.as_secs_f64(),
            ratio(whole.0, bare.0),
            whole.1.as_secs_f64(),
            ratio(whole.1, bare.1),
            status("VmHWM"),
        );
    }
}
