//! A process that is killed for its memory leaves the culprit's flame graph behind.

mod archiver;
mod work;

use archiver::{Archiver, Push};
use davy_profiler::Builder;
use davy_tag::Tag;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use work::{burn, label, stack, sum, turn};

davy_profiler::use_jemalloc!();

/// What the child is told by.
const ARCHIVER: &str = "TEST_LEAK_ARCHIVER";
const LIMIT: &str = "TEST_LEAK_LIMIT";

const ROOM: u64 = 384 << 20;

/// Grows by some 600 MB of memory a second, all of it used, until it is killed.
#[inline(never)]
fn leak_for_ever() {
    let _guard = Tag::new("leaker", "grow").enter();
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1u8; 64 << 10]));
        burn(Duration::from_micros(80));
    }
}

/// Limits this process to `ROOM` more than it has.
fn limit_address_space() {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("linux");
    let pages: u64 = statm
        .split(' ')
        .next()
        .expect("one")
        .parse()
        .expect("a number");
    let limit = libc::rlimit {
        rlim_cur: pages * 4_096 + ROOM,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the limit lives through the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
    assert_eq!(set, 0);
}

#[test]
fn child_that_leaks() {
    let Some(archiver) = std::env::var_os(ARCHIVER) else {
        return;
    };
    // The address space of the tests' own threads is not a part of the story.
    let limit = std::env::var(LIMIT).expect("told");
    let profiler = Builder::new("leaks").archiver(archiver.to_str().expect("an address"));
    if limit == "address space" {
        let _profiler = profiler.start().expect("started");
        limit_address_space();
        leak_for_ever();
    } else {
        let group = Path::new(&limit).join("cgroup.procs");
        std::fs::write(group, std::process::id().to_string()).expect("moved");
        let _profiler = profiler.start().expect("started");
        leak_for_ever();
    }
}

fn leak(archiver: &Archiver, limit: &str) -> ExitStatus {
    let own = std::env::current_exe().expect("this test");
    let output = Command::new(own)
        .args(["--exact", "child_that_leaks", "--nocapture"])
        .env(ARCHIVER, archiver.url())
        .env(LIMIT, limit)
        .output();
    output.expect("the child ran").status
}

/// Whether some window shows who had most of the memory, and in which function.
fn shows_the_culprit(pushes: &[Push]) -> bool {
    let of_heap = pushes
        .iter()
        .filter(|push| push.label("__name__") == "memory");
    of_heap.map(|push| &push.profile).any(|profile| {
        let of_leaker = sum(profile, "inuse_space", |member, op| {
            member == "leaker" && op == "grow"
        });
        let names = (0..profile.sample_count())
            .filter(|sample| label(profile, *sample, "member") == "leaker")
            .flat_map(|sample| stack(profile, sample));
        of_leaker > sum(profile, "inuse_space", |_, _| true) / 2
            && names.into_iter().any(|name| name.contains("leak_for_ever"))
    })
}

fn runs() -> u32 {
    let runs = std::env::var("LEAK_RUNS").ok();
    runs.and_then(|runs| runs.parse().ok()).unwrap_or(3)
}

#[test]
fn a_child_that_outgrows_its_address_space_leaves_the_culprits_flame_graph() {
    let _turn = turn();
    let mut found = 0;
    for _ in 0..runs() {
        let archiver = Archiver::start();
        let status = leak(&archiver, "address space");
        assert_eq!(status.signal(), Some(libc::SIGABRT), "an allocation failed");
        found += u32::from(shows_the_culprit(&archiver.all_now()));
    }
    println!("found {found} of {}", runs());
    assert_eq!(found, runs());
}

/// A control group with a memory limit, removed at the end.
struct Group(PathBuf);

impl Group {
    /// None where this process may not make one.
    fn make() -> Option<Self> {
        let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let find = |controller: &str| {
            let mut lines = groups
                .lines()
                .map(|line| line.splitn(3, ':').collect::<Vec<_>>());
            lines.find_map(|line| (line.get(1)? == &controller).then(|| line[2].to_owned()))
        };
        let name = format!("davy-test-{}", std::process::id());
        let (mount, own, limit) = match find("memory") {
            Some(own) => ("/sys/fs/cgroup/memory", own, "memory.limit_in_bytes"),
            None => ("/sys/fs/cgroup", find("")?, "memory.max"),
        };
        let folder = Path::new(mount)
            .join(own.trim_start_matches('/'))
            .join(name);
        std::fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        std::fs::write(group.0.join(limit), ROOM.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel lets go of a group a moment after its last process has ended.
        while std::fs::remove_dir(&self.0)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy)
        {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_child_that_the_kernel_kills_for_its_memory_leaves_the_culprits_flame_graph() {
    let _turn = turn();
    let Some(group) = Group::make() else {
        println!("no control group can be made here");
        return;
    };
    let mut found = 0;
    for _ in 0..runs() {
        let archiver = Archiver::start();
        let status = leak(&archiver, group.0.to_str().expect("a path"));
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}");
        found += u32::from(shows_the_culprit(&archiver.all_now()));
    }
    println!("found {found} of {}", runs());
    assert_eq!(found, runs());
}
