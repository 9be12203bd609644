//! Children in cgroups of the real kernel. Skipped where this process may not create any.

use crate::children::{ended, role, until};
use crate::{Log, logging, process, spawn};
use davy_cgroup::{Cgroup, Hierarchy, Limits};
use davy_runtime::{ChildCgroup, Member, MemberState, State};
use std::process::Stdio;

const MEMORY_MAX: u64 = 64 << 20;

/// A hierarchy for a test.
fn hierarchy(test: &str) -> Option<Hierarchy> {
    let name = format!("davy-test-{}-{test}", std::process::id());
    let opened = Hierarchy::open_exclusive(&name);
    opened
        .map_err(|error| davy_test_support::skip(&error.to_string()))
        .ok()
}

fn child(name: &str, role_name: &'static str, cgroup: ChildCgroup) -> Member {
    Member::child_in(name, Some(cgroup), move || {
        let mut command = role(role_name);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    })
}

fn cgroup(member: &MemberState) -> Cgroup {
    let state = member.cgroup.clone().expect("a cgroup");
    assert_eq!(state.problem, None);
    state.cgroup.expect("a cgroup")
}

#[tokio::test]
async fn child_that_exceeds_its_memory_is_named_counted_and_restarted_and_others_keep_running() {
    let Some(hierarchy) = hierarchy("memory") else {
        return;
    };
    let limits = Limits {
        memory_max: Some(MEMORY_MAX),
        ..Limits::default()
    };
    let of = |name, limits| ChildCgroup::new(Ok(hierarchy.clone()), name, limits);
    let log = Log::default();
    let built = process()
        .member(child("hungry", "hungry", of("hungry", limits)))
        .member(child("modest", "healthy", of("modest", Limits::default())))
        .member(logging("other", &log));
    let (handle, stop, running) = spawn(built);
    let states = handle.states();
    until(&states, "modest", State::Ready).await;
    until(&states, "other", State::Ready).await;
    log.take();
    let before = states.get("modest").expect("a known member");
    until(&states, "hungry", State::BackingOff).await;
    let hungry = states.get("hungry").expect("a known member");
    assert_eq!(
        hungry.error.as_deref(),
        Some("was killed by the kernel: out of memory, its limit is 64.0 MiB")
    );
    // It comes back and is killed again.
    until(&states, "hungry", State::Ready).await;
    until(&states, "hungry", State::BackingOff).await;
    let hungry = states.get("hungry").expect("a known member");
    let kills = hungry.cgroup.map(|cgroup| cgroup.oom_kills());
    assert!(kills.is_some_and(|kills| kills >= 2), "{kills:?}");
    let modest = states.get("modest").expect("a known member");
    assert_eq!((modest.pid, modest.restarts), (before.pid, 0));
    assert!(log.take().is_empty());
    let processes = cgroup(&modest).processes().expect("readable");
    assert!(processes.contains(&modest.pid.expect("it runs")));
    stop.drain();
    ended(running).await;
    hierarchy.close().expect("nothing is left");
}

#[tokio::test]
async fn child_runs_without_cgroups_where_there_are_none_and_says_why() {
    let none = ChildCgroup::new(Err("not writable".to_owned()), "c", Limits::default());
    let (handle, stop, running) = spawn(process().member(child("c", "healthy", none)));
    until(&handle.states(), "c", State::Ready).await;
    let state = handle.states().get("c").and_then(|child| child.cgroup);
    let problem = state.and_then(|state| state.problem);
    assert_eq!(problem.as_deref(), Some("not writable"));
    stop.drain();
    assert_eq!(ended(running).await.to_string(), "c drained");
}

#[tokio::test]
async fn what_a_child_leaves_in_its_cgroup_is_killed_when_it_ends() {
    let Some(hierarchy) = hierarchy("left") else {
        return;
    };
    let one = ChildCgroup::new(Ok(hierarchy.clone()), "one", Limits::default());
    let (handle, stop, running) = spawn(process().member(child("c", "orphaning", one)));
    let states = handle.states();
    until(&states, "c", State::Ready).await;
    let child = states.get("c").expect("a known member");
    let orphans = cgroup(&child).processes().expect("readable");
    assert!(orphans.len() >= 2, "{orphans:?}");
    stop.drain();
    ended(running).await;
    // A killed process is there until its parent has reaped it.
    while hierarchy.close().is_err() {
        tokio::task::yield_now().await;
    }
}
