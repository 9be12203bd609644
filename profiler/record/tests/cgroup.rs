//! Recordings of cgroups by the real kernel.

#[path = "programs/mod.rs"]
mod programs;

use davy_record::{Mechanism, RecordOptions, Recording, Target};
use programs::{built, recorder, share};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A cgroup with its processes, which are killed and removed with it.
struct Cgroup {
    folder: PathBuf,
    processes: Vec<Child>,
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let removed = || fs::remove_dir(&self.folder);
        // What they have started dies a moment later.
        while fs::read_to_string(self.folder.join("cgroup.procs"))
            .is_ok_and(|pids| !pids.is_empty())
        {
            std::thread::yield_now();
        }
        let _ = removed();
    }
}

/// Creates a cgroup in a hierarchy; `None` if there is none that is writable.
fn cgroup(mount: Option<PathBuf>, name: &str) -> Option<Cgroup> {
    let folder = mount?.join(format!("davy-record-{}-{name}", std::process::id()));
    fs::create_dir(&folder).ok()?;
    Some(Cgroup {
        folder,
        processes: Vec::new(),
    })
}

/// Where a hierarchy is mounted.
fn mount(is_wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("readable");
    let mut lines = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let found = lines.find(|fields| is_wanted(fields[2], fields[3]));
    found.map(|fields| PathBuf::from(fields[1]))
}

/// Uses CPU time outside the cgroup.
#[inline(never)]
fn burn_outside(until: &AtomicBool) -> u64 {
    let mut sum = 0_u64;
    while !until.load(Ordering::Relaxed) {
        for round in 0..10_000 {
            sum = std::hint::black_box(sum ^ round);
        }
    }
    sum
}

/// Records a cgroup that is empty at first. A program joins it and starts, and another one joins it while it runs.
fn recorded(cgroup: &mut Cgroup, target: &Path) -> Option<Recording> {
    let programs = tempfile::tempdir().expect("create a folder");
    let starts = built(programs.path(), "libc", &[]);
    let joins = built(programs.path(), "deep", &[]);
    let options = RecordOptions {
        hz: 997,
        ..RecordOptions::default()
    };
    let running = Command::new(&joins).arg("60").spawn().expect("start");
    let pid = running.id().to_string();
    cgroup.processes.push(running);
    let mut recorder = recorder(Target::Cgroup(target.to_owned()), options)?;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| burn_outside(&is_over));
        // The program is a child of what joins.
        let script = "echo 0 > \"$0/cgroup.procs\" && { \"$1\" 60 & wait; }";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(&cgroup.folder).arg(&starts);
        cgroup.processes.push(shell.spawn().expect("start"));
        fs::write(cgroup.folder.join("cgroup.procs"), pid).expect("join");
        recorder.record_for(Duration::from_secs(1));
        is_over.store(true, Ordering::Relaxed);
    });
    let pids = fs::read_to_string(cgroup.folder.join("cgroup.procs")).expect("readable");
    for pid in pids.lines() {
        let killed = Command::new("kill").args(["-9", pid]).status();
        assert!(killed.expect("run kill").success());
    }
    assert_eq!(recorder.cgroup_folder(), Some(&*cgroup.folder));
    Some(recorder.finish())
}

fn assert_whole(recording: &Recording, mechanism: Mechanism) {
    assert_eq!(recording.mechanism, Some(mechanism));
    assert_eq!((recording.refused, &recording.refusal), (0, &None));
    let started = share(recording, &["main", "turns", "sorts"]);
    let joined = share(recording, &["descends", "burns"]);
    let outside = share(recording, &["burn_outside"]);
    let shares = format!("{started:.3} {joined:.3} {outside:.3}");
    assert!(started > 0.2 && joined > 0.2, "{shares}");
    assert!(started + joined > 0.9, "{shares} {:?}", recording.nameless);
    let other = recording
        .profile
        .strings
        .iter()
        .any(|name| name.contains("burn_outside"));
    assert!(!other, "{shares}");
}

#[test]
fn kernel_samples_whatever_runs_in_a_cgroup_of_version_2() {
    let mount = mount(|kind, _| kind == "cgroup2");
    let Some(mut cgroup) = cgroup(mount, "kernel") else {
        return davy_test_support::skip("no cgroup of version 2 is writable");
    };
    // As in `/proc/PID/cgroup`.
    let name = PathBuf::from(cgroup.folder.file_name().expect("a name"));
    if let Some(recording) = recorded(&mut cgroup, &Path::new("/").join(name)) {
        assert_whole(&recording, Mechanism::Kernel);
    }
}

#[test]
fn processes_of_a_cgroup_that_the_kernel_cannot_sample_are_followed() {
    let is_v1 = |kind: &str, options: &str| {
        kind == "cgroup" && options.contains("pids") && !options.contains("perf_event")
    };
    let Some(mut cgroup) = cgroup(mount(is_v1), "followed") else {
        return davy_test_support::skip("no cgroup of version 1 is writable");
    };
    let folder = cgroup.folder.clone();
    if let Some(recording) = recorded(&mut cgroup, &folder) {
        assert_whole(&recording, Mechanism::Processes);
    }
}
