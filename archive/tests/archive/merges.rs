//! Views of one selection share a merge, which counts every window that is stored.

use crate::support::{WEB, World, cpu};
use serde_json::Value;

async fn push(world: &World, id: &str, function: &str, value: i64) {
    let raw = cpu(&world.clock, &[(&["main", function], value, &[])]);
    let (status, body) = world.push("", WEB, id, &raw).await;
    assert_eq!(status, 200, "{body}");
}

async fn top(world: &World, rest: &str) -> Value {
    world
        .json(&format!("/api/v1/profiles/top?{}", world.range(rest)))
        .await
}

#[tokio::test]
async fn views_of_one_selection_read_it_once_and_a_window_that_is_stored_later_counts() {
    let world = World::new();
    push(&world, "1", "parse", 10).await;
    let graph = world.folded("type=cpu").await;
    assert_eq!(graph, "main;parse 10");
    let before = top(&world, "type=cpu").await;
    assert_eq!(
        (&before["total"], &before["cost"]["decoded_bytes"]),
        (&10.into(), &0.into())
    );
    let subtree = world.folded("type=cpu&path=main&path=parse").await;
    assert_eq!(subtree, "main;parse 10");
    // The filter did not change the shared tree.
    assert_eq!(
        top(&world, "type=cpu&hide=parse").await["functions"][0]["name"],
        "main"
    );
    assert_eq!(
        top(&world, "type=cpu").await["functions"],
        before["functions"]
    );

    push(&world, "2", "write", 5).await;
    let after = top(&world, "type=cpu").await;
    assert_eq!(after["total"], 15);
    assert_ne!(after["cost"]["decoded_bytes"], 0);
    // Other selections, and the same of another tenant, are others.
    assert_eq!(top(&world, "type=wall").await["total"], 0);
    let range = world.range("type=cpu");
    let (status, other) = world
        .get_as("other", &format!("/api/v1/profiles/top?{range}"))
        .await;
    let other: Value = serde_json::from_slice(&other).expect("JSON");
    assert_eq!((status.as_u16(), &other["total"]), (200, &0.into()));
}

#[tokio::test]
async fn views_at_the_same_time_wait_for_one_merge() {
    let world = World::new();
    push(&world, "1", "parse", 10).await;
    let (first, second) = tokio::join!(top(&world, "type=cpu"), top(&world, "type=cpu"));
    assert_eq!(
        (&first["total"], &second["total"]),
        (&10.into(), &10.into())
    );
    let decoded = [&first, &second].map(|of| of["cost"]["decoded_bytes"].as_u64().unwrap_or(0));
    assert_eq!(
        decoded.iter().filter(|bytes| **bytes > 0).count(),
        1,
        "{decoded:?}"
    );
}
