//! The kernel's counters of each thread: `/proc/self/task/*/{schedstat,stat}`, see proc(5).

use super::states::States;
use rustc_hash::FxHashMap;
use std::fs::{DirEntry, File};
use std::io::Read;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

/// The counters of a thread at an instant, in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct ThreadCounters {
    /// The number of the thread's folder. The kernel uses none twice, so a thread with the same number is the same.
    inode: u64,
    pub(super) name: String,
    /// Clock ticks from boot to the start of the thread. Distinguishes threads that have the same id one
    /// after the other.
    pub(super) started: u64,
    age: u64,
    ran: u64,
    was_runnable: u64,
    state: u8,
}

impl ThreadCounters {
    /// The thread with its counters and its age now.
    fn counted(mut self, folder: &Path, since_boot: u64) -> Self {
        // A kernel may be built without it. Then threads appear to wait all the time.
        let schedstat = text(&folder.join("schedstat"), &mut [0; FILE_BYTES]).unwrap_or_default();
        let mut counts = schedstat.split_ascii_whitespace();
        let mut count = || {
            counts
                .next()
                .and_then(|count| count.parse().ok())
                .unwrap_or(0)
        };
        (self.ran, self.was_runnable) = (count(), count());
        self.age = since_boot.saturating_sub(self.started * (1_000_000_000 / ticks_per_second()));
        self
    }

    /// The thread's time since an earlier reading, or since it started, but at most `span`.
    pub(super) fn since(&self, earlier: Option<&Self>, span: u64) -> States {
        let running = self.ran - earlier.map_or(0, |e| e.ran.min(self.ran));
        let runnable =
            self.was_runnable - earlier.map_or(0, |e| e.was_runnable.min(self.was_runnable));
        let span = span.min(self.age.max(running + runnable));
        States {
            running,
            runnable,
            waiting: span.saturating_sub(running + runnable),
        }
    }

    /// The thread's state at this instant.
    pub(super) fn state(&self) -> &'static str {
        match self.state {
            b'R' => "(running or runnable)",
            b'D' => "(waiting, uninterruptible)",
            b'T' | b't' => "(stopped)",
            _ => "(waiting)",
        }
    }
}

/// How often the name of a thread is read, in readings.
const NAMES_EVERY: u32 = 8;

/// Every thread of this process, except those that end during the call. Of those that are in `earlier`, an earlier reading, only
/// the counters are read, and at every eighth `number` everything.
pub(super) fn threads(
    earlier: Option<(&FxHashMap<i32, ThreadCounters>, u32)>,
) -> FxHashMap<i32, ThreadCounters> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let since_boot = crate::clock::boot_nanos();
    let thread = |task: DirEntry| {
        let id: i32 = task.file_name().to_str()?.parse().ok()?;
        let known = earlier
            .filter(|(_, number)| !number.wrapping_add(id as u32).is_multiple_of(NAMES_EVERY))
            .and_then(|(threads, _)| threads.get(&id))
            .filter(|known| known.inode == task.ino());
        let folder = task.path();
        let read = match known {
            Some(known) => known.clone(),
            None => read(&folder, task.ino())?,
        };
        Some((id, read.counted(&folder, since_boot)))
    };
    tasks.flatten().filter_map(thread).collect()
}

/// Longer than the kernel's files: 52 numbers and a name of 16 bytes.
const FILE_BYTES: usize = 2_048;

/// Reads a file of the kernel with as few system calls as possible, because there are two for each thread.
fn text(path: &Path, buffer: &mut [u8; FILE_BYTES]) -> Option<String> {
    let length = File::open(path)
        .and_then(|mut file| file.read(buffer))
        .ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// A thread without its counters.
fn read(folder: &Path, inode: u64) -> Option<ThreadCounters> {
    let stat = text(&folder.join("stat"), &mut [0; FILE_BYTES])?;
    // The name is in brackets and may itself contain brackets.
    let open = stat.find('(')?;
    let close = stat.rfind(')')?;
    let fields: Vec<&str> = stat[close + 1..].split_ascii_whitespace().collect();
    // proc(5) numbers fields from 1; the state, the first here, is its third.
    let started: u64 = fields.get(22 - 3)?.parse().ok()?;
    Some(ThreadCounters {
        inode,
        name: stat[open + 1..close].to_owned(),
        started,
        age: 0,
        ran: 0,
        was_runnable: 0,
        state: *fields.first()?.as_bytes().first()?,
    })
}

fn ticks_per_second() -> u64 {
    // SAFETY: returns a number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100).clamp(1, 1_000_000_000)
}
