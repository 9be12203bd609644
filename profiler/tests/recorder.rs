//! A process that is killed for its memory use has sent the flame graph of the leak.

mod archiver;
mod work;

use archiver::{Archiver, Push};
use davy_profile::Profile;
use davy_profile::symbol_index::SymbolIndex;
use davy_profiler::Builder;
use davy_tag::Tag;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use work::{burn, label, stack, sum, turn};

davy_profiler::use_jemalloc!();

/// Environment variables for the child.
const ARCHIVER: &str = "TEST_LEAK_ARCHIVER";
const LIMIT: &str = "TEST_LEAK_LIMIT";
const SYMBOLS: &str = "TEST_LEAK_SYMBOLS";

/// The limit of the control group.
const MEMORY: u64 = 384 << 20;
/// The limit of the address space. A quarter of it is gone before anything is leaked: the GNU libc reserves 64 MiB for each
/// thread.
const ADDRESS_SPACE: u64 = 1_280 << 20;

/// Leaks about 600 MB of touched memory per second until the process is killed.
#[inline(never)]
fn leak_forever() {
    let _guard = Tag::new("leaker", "grow").enter();
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1u8; 64 << 10]));
        burn(Duration::from_micros(80));
    }
}

/// Limits the address space of this process, as `ulimit -v` does.
fn limit_address_space() {
    let limit = libc::rlimit {
        rlim_cur: ADDRESS_SPACE,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the limit outlives the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
    assert_eq!(set, 0);
}

#[test]
#[ignore = "a child process of the other tests"]
fn leaking_child() {
    let Some(archiver) = std::env::var_os(ARCHIVER) else {
        return davy_test_support::skip("runs only as a child process of other tests");
    };
    let limit = std::env::var(LIMIT).expect("set with the archiver");
    let profiler = Builder::new("leaks")
        .archiver(archiver.to_str().expect("an address"))
        // Only what the recorder sends counts.
        .window(Duration::from_hours(1))
        .symbols(std::env::var_os(SYMBOLS).expect("set with the archiver"));
    if limit == "address space" {
        limit_address_space();
        let _profiler = profiler.start().expect("profiler started");
        leak_forever();
    } else {
        let group = Path::new(&limit).join("cgroup.procs");
        std::fs::write(group, std::process::id().to_string()).expect("joined the group");
        let _profiler = profiler.start().expect("profiler started");
        leak_forever();
    }
}

fn leak(archiver: &Archiver, limit: &str, symbols: &Path) -> ExitStatus {
    let own = std::env::current_exe().expect("this test");
    let output = Command::new(own)
        .args(["--exact", "leaking_child", "--ignored", "--nocapture"])
        .env(ARCHIVER, archiver.url())
        .env(LIMIT, limit)
        .env(SYMBOLS, symbols)
        .output();
    output.expect("the child ran").status
}

/// Whether a heap profile attributes most of the memory to the leaking member and function.
fn shows_the_leak(pushes: &[Push], names: &SymbolIndex<Vec<u8>>) -> bool {
    let heap_profiles = pushes
        .iter()
        .filter(|push| push.label("__name__") == "memory");
    heap_profiles.map(|push| &push.profile).any(|profile| {
        let leaked = sum(profile, "inuse_space", |member, op| {
            member == "leaker" && op == "grow"
        });
        let mut leaking = (0..profile.sample_count())
            .filter(|sample| label(profile, *sample, "member") == "leaker");
        leaked > sum(profile, "inuse_space", |_, _| true) / 2
            && leaking.any(|sample| has_frame(profile, sample, names, "leak_forever"))
    })
}

/// Prints what has arrived from a process whose leak is not shown.
fn describe(pushes: &[Push]) {
    println!("not shown; {} windows arrived", pushes.len());
    for push in pushes {
        let (name, profile) = (push.label("__name__"), &push.profile);
        println!("  {name}");
        for sample in 0..profile.sample_count() {
            let (values, member) = (profile.values(sample), label(profile, sample, "member"));
            println!("    {values:?} {member} {:?}", stack(profile, sample));
        }
    }
}

/// Whether a stack has this function, by the names of the profile or else by those of the symbol index.
fn has_frame(profile: &Profile, sample: usize, names: &SymbolIndex<Vec<u8>>, name: &str) -> bool {
    let stack = profile.samples.stacks[sample];
    profile.stacks.leaf_to_root(stack).any(|location| {
        let location = &profile.locations[location as usize];
        let mut lines = profile.lines_of(location).iter();
        if lines.len() > 0 {
            return lines.any(|line| {
                let function = &profile.functions[line.function as usize];
                profile.text(function.name).contains(name)
            });
        }
        location.mapping.is_some_and(|mapping| {
            let mapping = &profile.mappings[mapping as usize];
            let offset = location.address - mapping.start + mapping.file_offset;
            let found = names.find(offset).unwrap_or_default();
            let mut frames = found.frames.iter();
            profile.text(mapping.build_id) == names.build_id()
                && frames.any(|frame| names.text(frame.function).contains(name))
        })
    })
}

/// The symbol index of this program, written to a folder if there is one.
fn symbols(folder: Option<&Path>) -> SymbolIndex<Vec<u8>> {
    let own = std::env::current_exe().expect("this test has a path");
    let mut index = Vec::new();
    let sources = davy_profiler::build_symbol_index(&own, &mut index).expect("an ELF file");
    if let Some(folder) = folder {
        let path = folder.join(format!("{}.symbols", sources.build_id));
        std::fs::write(path, &index).expect("written");
    }
    SymbolIndex::open(index).expect("an index")
}

/// Has the child leak until it ends by this signal, several times, and asserts that each one has sent the leak's flame
/// graph. With `is_indexed`, a process of the same build has run before, and the child knows its names; otherwise the
/// next process of the build supplies them.
fn assert_leaks_are_shown(limit: &str, signal: i32, is_indexed: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let names = symbols(is_indexed.then_some(folder.path()));
    let none = SymbolIndex::open(empty_index()).expect("an index");
    let names = if is_indexed { none } else { names };
    let mut found = 0;
    for _ in 0..runs() {
        let archiver = Archiver::start();
        let status = leak(&archiver, limit, folder.path());
        assert_eq!(status.signal(), Some(signal), "{status}");
        let pushes = archiver.all_now();
        if shows_the_leak(&pushes, &names) {
            found += 1;
        } else {
            describe(&pushes);
        }
    }
    println!("found in {found} of {} runs", runs());
    assert_eq!(found, runs());
}

fn empty_index() -> Vec<u8> {
    let mut index = Vec::new();
    let builder = davy_profile::symbol_index::Builder::new("", "");
    builder.write(&mut index).expect("a vector");
    index
}

fn runs() -> u32 {
    let runs = std::env::var("LEAK_RUNS").ok();
    runs.and_then(|runs| runs.parse().ok()).unwrap_or(3)
}

#[test]
fn process_that_exceeds_its_address_space_has_sent_the_leaks_flame_graph() {
    let _turn = turn();
    assert_leaks_are_shown("address space", libc::SIGABRT, true);
}

#[test]
fn first_process_of_a_build_that_exceeds_its_address_space_has_sent_the_leaks_addresses() {
    let _turn = turn();
    assert_leaks_are_shown("address space", libc::SIGABRT, false);
}

/// A control group with a memory limit, removed when it is dropped.
struct Group(PathBuf);

impl Group {
    /// None if this process may not create one.
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
        std::fs::write(group.0.join(limit), MEMORY.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel keeps a group busy for a moment after its last process has ended.
        while std::fs::remove_dir(&self.0)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy)
        {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

#[test]
fn process_killed_by_its_cgroup_limit_has_sent_the_leaks_flame_graph() {
    let _turn = turn();
    let Some(group) = Group::make() else {
        return davy_test_support::skip("no control group with a memory limit can be created");
    };
    let limit = group.0.to_str().expect("a path");
    assert_leaks_are_shown(limit, libc::SIGKILL, true);
    assert_leaks_are_shown(limit, libc::SIGKILL, false);
}
