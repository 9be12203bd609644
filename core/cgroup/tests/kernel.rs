//! Cgroups of the real kernel. Skipped where this process may not create any.

use davy_cgroup::{Cgroup, Error, Hierarchy, Limits};
use std::process::{Child, Command, Stdio};

/// A hierarchy of its own, with a cgroup for a test.
struct Fixture {
    hierarchy: Hierarchy,
    cgroup: Cgroup,
}

impl Fixture {
    fn new(test: &str, limits: Limits) -> Option<Self> {
        let name = format!("davy-test-{}-{test}", std::process::id());
        let opened = Hierarchy::open(&name);
        let created = opened.and_then(|hierarchy| {
            let cgroup = hierarchy.create("c", &limits)?;
            Ok(Self { hierarchy, cgroup })
        });
        match created {
            Ok(fixture) => Some(fixture),
            Err(error @ (Error::Unavailable { .. } | Error::Controller { .. })) => {
                davy_test_support::skip(&error.to_string());
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A shell in the cgroup.
    fn run(&self, script: &str) -> Child {
        let mut command = Command::new("sh");
        self.cgroup.enter(&mut command).expect("entered");
        command
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell")
    }

    /// Removes it as soon as the kernel has forgotten the processes.
    fn remove(&self) {
        self.cgroup.kill().expect("killed");
        while let Err(error) = self.cgroup.remove() {
            let is_busy = matches!(&error, Error::File { source, .. }
                if source.raw_os_error() == Some(libc::EBUSY));
            assert!(is_busy, "{error}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.remove();
        self.hierarchy.close().expect("nothing is left");
    }
}

#[test]
fn process_that_exceeds_its_memory_is_killed_and_counted() {
    let limits = Limits {
        memory_max: Some(16 << 20),
        ..Limits::default()
    };
    let Some(fixture) = Fixture::new("memory", limits) else {
        return;
    };
    // Sorting needs the whole line in memory.
    let mut child =
        fixture.run("exec sh -c 'x=$(head -c 100000000 /dev/zero | tr \"\\0\" a); echo ${#x}'");
    let status = child.wait().expect("it ends");
    assert!(!status.success(), "{status}");
    let figures = fixture.cgroup.figures();
    assert!(
        figures.oom_kills.is_some_and(|kills| kills > 0),
        "{figures:?}"
    );
    assert_eq!(figures.memory_max_bytes, Some(16 << 20));
    assert!(
        figures
            .memory_peak_bytes
            .is_some_and(|peak| peak <= 16 << 20)
    );
}

#[test]
fn fork_bomb_is_bounded_and_killed() {
    let limits = Limits {
        pids_max: Some(20),
        ..Limits::default()
    };
    let Some(fixture) = Fixture::new("pids", limits) else {
        return;
    };
    let mut child = fixture.run("f() { f | f & }; f; sleep 1000");
    while fixture.cgroup.figures().pids_refused == Some(0) {
        std::thread::yield_now();
    }
    let figures = fixture.cgroup.figures();
    assert!(figures.pids.is_some_and(|pids| pids <= 20), "{figures:?}");
    fixture.remove();
    child.wait().expect("killed");
    assert!(!fixture.cgroup.exists());
    assert_eq!(fixture.hierarchy.names().expect("readable"), [""; 0]);
}

#[test]
fn figures_are_those_of_the_processes_in_the_cgroup() {
    let limits = Limits {
        cpu_weight: Some(200),
        ..Limits::default()
    };
    let Some(fixture) = Fixture::new("figures", limits) else {
        return;
    };
    let before = fixture.cgroup.figures();
    assert_eq!(before.cpu_microseconds, Some(0), "{before:?}");
    let mut child = fixture.run("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    child.wait().expect("it ends");
    let after = fixture.cgroup.figures();
    assert!(
        after.cpu_microseconds.is_some_and(|cpu| cpu > 1_000),
        "{after:?}"
    );
    assert_eq!(fixture.hierarchy.names().expect("readable"), ["c"]);
}

#[test]
fn second_hierarchy_of_a_name_gets_another_one_and_what_dead_processes_left_is_removed() {
    let name = format!("davy-test-{}-exclusive", std::process::id());
    let first = match Hierarchy::open_exclusive(&name) {
        Ok(first) => first,
        Err(error) => return davy_test_support::skip(&error.to_string()),
    };
    let folder = |hierarchy: &Hierarchy| {
        let cgroup = hierarchy.get("c").expect("a name").folders()[0].clone();
        cgroup.parent().expect("a hierarchy").to_owned()
    };
    let mut dead = Command::new("true").spawn().expect("true");
    dead.wait().expect("it ends");
    let abandoned = Hierarchy::open(&format!("{name}.{}", dead.id())).expect("writable");
    abandoned.create("c", &Limits::default()).expect("created");

    let second = Hierarchy::open_exclusive(&name).expect("writable");
    assert_ne!(folder(&first), folder(&second));
    assert!(!folder(&abandoned).exists());
    first.create("left", &Limits::default()).expect("created");
    let kept = folder(&first);
    drop(first);
    let third = Hierarchy::open_exclusive(&name).expect("writable");
    assert_eq!(folder(&third), kept);
    assert_eq!(third.names().expect("readable"), [""; 0]);
    third.close().expect("nothing is left");
    second.close().expect("nothing is left");
}

#[test]
fn names_never_leave_the_hierarchy() {
    for name in ["", "..", "a/b", "/", ".hidden", &"a".repeat(129)] {
        let error = Hierarchy::open(name).expect_err("refused");
        assert!(matches!(error, Error::Name { .. }), "{name}: {error}");
    }
}

/// The user `nobody`.
const NOBODY: libc::uid_t = 65_534;

#[test]
fn cgroup_that_another_user_has_left_is_not_used() {
    // SAFETY: the call has no memory effects.
    if unsafe { libc::geteuid() } != 0 {
        davy_test_support::skip("not root: cannot act for another user");
        return;
    }
    let Some(fixture) = Fixture::new("left", Limits::default()) else {
        return;
    };
    let folder = fixture.cgroup.folders()[0].parent().expect("a folder");
    let name = folder.file_name().expect("a name").to_owned();
    let name = name.to_str().expect("text").to_owned();
    let opening = std::thread::spawn(move || {
        // SAFETY: the call has no memory effects, and changes the user of this thread only.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
        assert_eq!(changed, 0, "another user");
        Hierarchy::open(&name).map(drop)
    });
    let opened = opening.join().expect("no panic");
    assert!(
        matches!(opened, Err(Error::Unavailable { .. })),
        "{opened:?}"
    );
}
