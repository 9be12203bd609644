//! What the kernel counts for each thread: `/proc/self/task/*/{comm,schedstat,stat}`, proc(5).

use super::States;
use rustc_hash::FxHashMap;
use std::path::Path;

/// What the kernel says of a thread at an instant, in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    pub(super) name: String,
    /// Ticks of the kernel's clock from its boot to the thread's beginning: tells threads that have
    /// the same number one after the other apart.
    pub(super) began: u64,
    age: u64,
    ran: u64,
    was_runnable: u64,
    state: u8,
}

impl Kernel {
    /// What the thread did since an earlier reading, or since it began, but at most for `span`.
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

    /// What the thread does now.
    pub(super) fn state(&self) -> &'static str {
        match self.state {
            b'R' => "(running or runnable)",
            b'D' => "(waits for a disk or the like)",
            b'T' | b't' => "(stopped)",
            _ => "(waiting)",
        }
    }
}

/// Every thread of this process. One that ends meanwhile is left out.
pub(super) fn threads() -> FxHashMap<i32, Kernel> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let since_boot = crate::clock::boot_nanos();
    tasks
        .flatten()
        .filter_map(|task| {
            let id = task.file_name().to_str()?.parse().ok()?;
            Some((id, read(&task.path(), since_boot)?))
        })
        .collect()
}

fn read(folder: &Path, since_boot: u64) -> Option<Kernel> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let stat = text("stat")?;
    // The name stands in brackets and may hold anything, brackets included.
    let open = stat.find('(')?;
    let close = stat.rfind(')')?;
    let fields: Vec<&str> = stat[close + 1..].split_ascii_whitespace().collect();
    // proc(5) numbers fields from 1; the state, the first here, is its third.
    let began: u64 = fields.get(22 - 3)?.parse().ok()?;
    // Where the kernel was built without it, a thread is seen to wait all the time.
    let schedstat = text("schedstat").unwrap_or_default();
    let mut counts = schedstat.split_ascii_whitespace();
    let mut count = || counts.next().and_then(|count| count.parse().ok());
    Some(Kernel {
        name: stat[open + 1..close].to_owned(),
        began,
        age: since_boot.saturating_sub(began * (1_000_000_000 / ticks_a_second())),
        ran: count().unwrap_or(0),
        was_runnable: count().unwrap_or(0),
        state: *fields.first()?.as_bytes().first()?,
    })
}

fn ticks_a_second() -> u64 {
    // SAFETY: asks for a number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100).clamp(1, 1_000_000_000)
}
