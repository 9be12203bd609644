//! The pages.

use crate::support::{HOUR, MINUTE, Objects, Sample, World, has_extension, links, resolved};
use std::collections::BTreeSet;

const SAMPLES: &[Sample<'_>] = &[
    (&["main", "a"], 5_000_000, &[("member", "api")]),
    (&["main", "b"], 5_000_000, &[("member", "all")]),
    (&["main", "b"], 5_000_000, &[("member", "a.b.reversed")]),
];

/// Every relative link of every page leads to an object, and every object can be reached from the calendar.
pub(crate) fn check_links(objects: &Objects) {
    let start = objects
        .keys()
        .find(|key| key.ends_with("flamegraphs/index.html"))
        .expect("a calendar");
    let mut reached = BTreeSet::from([start.clone()]);
    let mut pending = vec![start.clone()];
    while let Some(page) = pending.pop() {
        let html = String::from_utf8(objects[&page].clone()).expect("UTF-8");
        assert!(!html.contains("<script") && !html.contains("://"), "{page}");
        for link in links(&html) {
            if let Some(id) = link.strip_prefix('#') {
                assert!(html.contains(&format!("id=\"{id}\"")), "{page}: {link}");
                continue;
            }
            let target = resolved(&page, &link);
            assert!(objects.contains_key(&target), "{page} links to {link}");
            if reached.insert(target.clone()) && has_extension(&target, "html") {
                pending.push(target);
            }
        }
    }
    let all: BTreeSet<String> = objects.keys().cloned().collect();
    let unreached: Vec<&String> = all.difference(&reached).collect();
    assert!(unreached.is_empty(), "{unreached:?}");
}

#[tokio::test]
async fn every_link_resolves_and_everything_can_be_reached() {
    let world = World::new();
    let yesterday = world.clock.now().floor(HOUR * 24).minus(HOUR * 24);
    for hour in [0, 1, 7, 23] {
        let at = yesterday.plus(HOUR * hour);
        world.push("anonymous", "web", at, SAMPLES).await;
        world
            .push("anonymous", "a.b", at.plus(MINUTE), SAMPLES)
            .await;
    }
    let rendered = world.render().await;
    assert_eq!(rendered.len(), 4 + 1, "{rendered:?}");
    let objects = world.written().await;
    check_links(&objects);
    let served = world.served("davy/anonymous/flamegraphs/index.html").await;
    assert_eq!(served, [Some("text/html; charset=utf-8".to_owned()), None]);
}

#[tokio::test]
async fn tenants_have_sites_of_their_own() {
    let world = World::new();
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    world.push("a", "secret", at, SAMPLES).await;
    world.push("b", "web", at, SAMPLES).await;
    world.render().await;
    for (key, bytes) in world.written().await {
        if key.starts_with("davy/b/") && has_extension(&key, "html") {
            let html = String::from_utf8(bytes).expect("UTF-8");
            assert!(!html.contains("secret"), "{key}");
        }
    }
}

#[tokio::test]
async fn damaged_page_is_written_again() {
    let world = World::new();
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    world.push("anonymous", "web", at, SAMPLES).await;
    world.render().await;
    let expected = world.written().await;
    for key in [
        "index.html".to_owned(),
        format!("{}/index.html", &World::hour(at).0[..10]),
    ] {
        let key = format!("davy/anonymous/flamegraphs/{key}");
        let key = object_store::path::Path::parse(key).expect("a key");
        let put = object_store::ObjectStoreExt::put(&world.bucket, &key, "gone".into()).await;
        put.expect("written");
    }
    assert!(world.render().await.is_empty());
    assert!(expected == world.written().await);
}
