//! Captured heaps are kept as they are, by tenant, as long as day blocks.

use crate::support::{World, options, profile};
use davy_archive::compact::Outcome;
use davy_archive::key::Tenant;
use davy_archive::plan::retention::Retention;
use davy_archive::{CapturedProcess, ErrorKind, NewCapture};
use davy_base::Clock;
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

fn new(why: &str) -> NewCapture {
    NewCapture {
        operator: "ada".to_owned(),
        why: why.to_owned(),
        member: "api".to_owned(),
        op: String::new(),
        process: CapturedProcess {
            id: "1".to_owned(),
            kind: "web".to_owned(),
            host: "node-1".to_owned(),
            pid: 7,
        },
    }
}

fn heap(clock: &Clock, bytes: i64) -> Vec<u8> {
    let kind = ("inuse_space", "bytes");
    profile(clock, kind, ("space", "bytes"), &[(&["main"], bytes, &[])])
}

#[tokio::test]
async fn capture_is_listed_with_who_and_why_returned_as_it_is_and_kept_from_other_tenants() {
    let world = World::new();
    let (captures, tenant) = (world.archive.captures(), Tenant::anonymous());
    let first = heap(&world.clock, 100);
    let taken = captures.store(&tenant, new("it grows"), first.clone().into());
    let taken = taken.await.expect("stored");
    assert_eq!((taken.live_bytes, taken.samples), (100, 1));
    world.clock.advance(DAY);
    let second = captures.store(&tenant, new(""), heap(&world.clock, 300).into());
    let second = second.await.expect("stored");
    let (listed, faults) = captures.list(&tenant, 10).await.expect("a list");
    assert_eq!(listed, [second.clone(), taken.clone()]);
    assert!(faults.is_empty());
    let (newest, _) = captures.list(&tenant, 1).await.expect("a list");
    assert_eq!(newest, [second]);
    let (found, profile) = captures.get(&tenant, &taken.id).await.expect("a capture");
    assert_eq!((found, profile), (taken.clone(), first.into()));
    let day = world.clock.now().minus(DAY).to_string();
    let expected = format!("davy/anonymous/captures/{}/{}.json", &day[..10], taken.id);
    assert!(world.keys().await.contains(&expected), "{expected}");

    let other = Tenant::new("other").expect("a name");
    assert!(
        captures
            .list(&other, 10)
            .await
            .expect("a list")
            .0
            .is_empty()
    );
    for id in [taken.id.as_str(), "nothing"] {
        let missing = captures.get(&other, id).await.expect_err("none");
        assert_eq!(missing.kind, ErrorKind::NotFound);
    }
    // Nothing else takes it for a profile of its own.
    assert_eq!(
        world.json("/api/v1/profiles/types").await,
        serde_json::json!([])
    );
}

#[tokio::test]
async fn what_is_not_a_heap_profile_is_refused_and_nothing_is_stored() {
    let world = World::new();
    let (captures, tenant) = (world.archive.captures(), Tenant::anonymous());
    let cpu = crate::support::cpu(&world.clock, &[(&["main"], 1, &[])]);
    for (bytes, named) in [
        (b"not a profile".to_vec(), "invalid heap profile"),
        (cpu, "only with jemalloc"),
    ] {
        let refused = captures.store(&tenant, new(""), bytes.into());
        let refused = refused.await.expect_err("refused");
        assert!(refused.message.contains(named), "{}", refused.message);
    }
    assert!(
        !world
            .keys()
            .await
            .iter()
            .any(|key| key.contains("captures"))
    );
}

#[tokio::test]
async fn capture_expires_with_the_graphs_of_its_day() {
    let clock = crate::support::clock();
    let mut options = options(Arc::new(InMemory::new()), &clock);
    options.levels = Retention {
        windows: DAY * 14,
        hours: DAY * 90,
        days: DAY * 100,
    };
    let world = World::with(options);
    // Only tenants with profiles are compacted.
    let labels = [("service_name", "web"), ("__name__", "memory")];
    world.push("", &labels, "1", &heap(&world.clock, 1)).await;
    let (captures, tenant) = (world.archive.captures(), Tenant::anonymous());
    let stored = captures.store(&tenant, new(""), heap(&world.clock, 100).into());
    stored.await.expect("stored");
    let left = async || captures.list(&tenant, 10).await.expect("a list").0.len();
    let compactor = world.archive.compactor();
    world.clock.advance(DAY * 100);
    compactor.once().await.expect("a round");
    assert_eq!(left().await, 1);
    world.clock.advance(DAY);
    let due = compactor.retain(true).await.expect("a plan");
    let due: Vec<_> = due.iter().filter(|of| of.kind == "capture").collect();
    assert_eq!(due.len(), 2);
    assert!(due.iter().all(|of| of.outcome == Outcome::Due));
    assert_eq!(left().await, 1);
    compactor.once().await.expect("a round");
    assert_eq!(left().await, 0);
    assert!(
        !world
            .keys()
            .await
            .iter()
            .any(|key| key.contains("captures"))
    );
}
