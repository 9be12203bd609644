//! Faults of real object stores: what is retried, and what is reported.

use crate::proxy::{Break, Proxy};
use crate::world::{Kind, World, options, settings};
use bytes::Bytes;
use davy_bucket::{BucketSettings, ClientOptions, FaultKind, Usage};
use std::time::Duration;

/// A client whose requests pass a proxy.
async fn behind_proxy(kind: Kind, options: ClientOptions) -> Option<(World, Proxy)> {
    let settings = settings(kind)?;
    let store = match kind {
        Kind::Swift => settings.auth_url.trim_end_matches("/auth/v1.0"),
        _ => &settings.endpoint,
    };
    let proxy = Proxy::of(store).await;
    let settings = match kind {
        Kind::Swift => BucketSettings {
            auth_url: format!("{}/auth/v1.0", proxy.url),
            ..settings
        },
        _ => BucketSettings {
            endpoint: proxy.url.clone(),
            ..settings
        },
    };
    Some((World::with(&settings, options), proxy))
}

const REMOTE: [Kind; 3] = [Kind::S3, Kind::Swift, Kind::SwiftS3];

/// Breaks two requests in a row; the third attempt succeeds.
async fn survives(what: Break, reason: &str) {
    for kind in REMOTE {
        let Some((world, proxy)) = behind_proxy(kind, options()).await else {
            continue;
        };
        let (key, text) = (world.key("a"), Bytes::from_static(b"what was written"));
        // Swift's token, so that the requests below are not about it.
        world.client.list(&world.folder()).await.expect("list");
        proxy.breaks("PUT", 2, what);
        world.client.put(&key, text.clone()).await.expect("put");
        if !matches!(what, Break::DamageRequest) {
            proxy.breaks("GET", 2, what);
        }
        assert_eq!(world.client.get(&key).await.expect("get"), text, "{kind:?}");
        let retried = world.counts.of(&format!("retried put {reason}"));
        assert_eq!(retried, 2, "{kind:?} {what:?}: {:?}", world.counts);
        proxy.breaks("DELETE", 2, what);
        world.client.delete(&key).await.expect("delete");
        assert_eq!(
            world.client.get(&key).await.expect_err("deleted").kind,
            FaultKind::NotFound
        );
    }
}

#[tokio::test]
async fn request_with_an_internal_error_is_retried() {
    survives(Break::Answer(500, ""), "failed").await;
}

#[tokio::test]
async fn request_to_a_busy_store_is_retried() {
    survives(Break::Answer(503, "retry-after: 0\r\n"), "busy").await;
}

#[tokio::test]
async fn request_on_a_closed_connection_is_retried() {
    survives(Break::Close, "failed").await;
}

#[tokio::test]
async fn request_with_a_lost_response_is_retried() {
    survives(Break::LoseAnswer, "failed").await;
}

#[tokio::test]
async fn bytes_damaged_in_transit_are_sent_again() {
    for kind in [Kind::S3, Kind::Swift] {
        let Some((world, proxy)) = behind_proxy(kind, options()).await else {
            continue;
        };
        let key = world.key("a");
        world.client.list(&world.folder()).await.expect("list");
        proxy.breaks("PUT", 2, Break::DamageRequest);
        world
            .client
            .put(&key, Bytes::from_static(b"what was written"))
            .await
            .expect("put");
        assert_eq!(
            world.client.get(&key).await.expect("get"),
            "what was written",
            "{kind:?}"
        );
        assert_eq!(
            world.counts.of("retried put damaged"),
            2,
            "{kind:?}: {:?}",
            world.counts
        );
    }
}

#[tokio::test]
async fn truncated_response_is_never_taken_for_the_whole_object() {
    for kind in REMOTE {
        let Some((world, proxy)) = behind_proxy(kind, options()).await else {
            continue;
        };
        let (key, text) = (world.key("a"), Bytes::from(vec![7; 300_000]));
        world.client.put(&key, text.clone()).await.expect("put");
        proxy.breaks("GET", 2, Break::HalfAnswer);
        assert!(
            world.client.get(&key).await.expect("get") == text,
            "{kind:?}"
        );
        proxy.breaks("GET", 2, Break::HalfAnswer);
        assert!(
            world.client.get_range(&key, 5..200_000).await.expect("get") == text.slice(5..200_000)
        );
        proxy.breaks("GET", 2, Break::HalfAnswer);
        assert_eq!(
            world
                .client
                .list(&world.folder())
                .await
                .expect("list")
                .len(),
            1,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn damaged_response_of_swift_is_read_again() {
    let Some((world, proxy)) = behind_proxy(Kind::Swift, options()).await else {
        return;
    };
    let key = world.key("a");
    world
        .client
        .put(&key, Bytes::from_static(b"what was written"))
        .await
        .expect("put");
    proxy.breaks("GET", 2, Break::DamageAnswer);
    // Both were read, and both were refused.
    assert_eq!(
        world.client.get(&key).await.expect("get"),
        "what was written"
    );
    assert_eq!(
        world.counts.of("retried get damaged"),
        2,
        "{:?}",
        world.counts
    );
    assert_eq!(proxy.unbroken(), 0);
}

#[tokio::test]
async fn request_to_a_hanging_store_times_out() {
    for kind in REMOTE {
        let options = ClientOptions {
            attempt_timeout: Duration::from_secs(1),
            attempts: 2,
            ..options()
        };
        let Some((world, proxy)) = behind_proxy(kind, options).await else {
            continue;
        };
        let key = world.key("a");
        world.client.list(&world.folder()).await.expect("list");
        proxy.breaks("PUT", 1_000, Break::Hang);
        let fault = world
            .client
            .put(&key, Bytes::from_static(b"x"))
            .await
            .expect_err("hangs");
        assert_eq!(fault.kind, FaultKind::TimedOut, "{fault}");
        let expected = "no response within 1 s; check that the store responds, or raise bucket.attempt_timeout \
                        (after 2 attempts)";
        assert_eq!(fault.to_string(), expected);
        let failing = world.client.writes().failing().expect("writes fail");
        assert_eq!(failing.message, expected);
        proxy.heal();
        world
            .client
            .put(&key, Bytes::from_static(b"x"))
            .await
            .expect("put");
        assert_eq!(world.client.writes().failing(), None);
    }
}

/// 200 requests while the object store is down: each is tried once, and the budget allows 20 retries in total.
#[tokio::test]
async fn retries_do_not_amplify_an_outage() {
    for kind in [Kind::S3, Kind::Swift] {
        let Some((world, proxy)) = behind_proxy(kind, options()).await else {
            continue;
        };
        world
            .client
            .put(&world.key("a"), Bytes::from_static(b"x"))
            .await
            .expect("put");
        let before = proxy.count("GET");
        proxy.breaks("*", usize::MAX, Break::Answer(503, "retry-after: 0\r\n"));
        for _ in 0..200 {
            let fault = world.client.get(&world.key("a")).await.expect_err("down");
            assert_eq!(fault.kind, FaultKind::Busy, "{fault}");
        }
        let sent = proxy.count("GET") - before;
        assert_eq!(sent, 220, "{kind:?}");
        proxy.heal();
        assert_eq!(world.client.get(&world.key("a")).await.expect("back"), "x");
    }
}

#[tokio::test]
async fn slow_read_is_hedged_and_the_first_response_wins() {
    for kind in [Kind::S3, Kind::Swift] {
        let options = ClientOptions {
            hedge: true,
            ..options()
        };
        let Some((world, proxy)) = behind_proxy(kind, options).await else {
            continue;
        };
        let key = world.key("a");
        world
            .client
            .put(&key, Bytes::from_static(b"x"))
            .await
            .expect("put");
        for _ in 0..40 {
            world.client.get(&key).await.expect("get");
        }
        // Without a hedge this read would take 30 s, and fail.
        proxy.breaks("GET", 1, Break::Hang);
        let before = proxy.count("GET");
        assert_eq!(world.client.get(&key).await.expect("get"), "x");
        assert_eq!(proxy.count("GET") - before, 2);
        assert_eq!(world.counts.of("retried get timed_out"), 0);
        assert!(world.counts.of("hedged true") >= 1, "{:?}", world.counts);
    }
}

#[tokio::test]
async fn lost_response_to_the_completion_of_a_large_object_is_not_a_failure() {
    for kind in [Kind::S3, Kind::Swift] {
        let Some((world, proxy)) = behind_proxy(kind, options()).await else {
            continue;
        };
        let (key, bytes) = (world.key("large"), Bytes::from(vec![3; 6 << 20]));
        // S3 completes an upload by its second POST, Swift by its fourth PUT: container, two parts, manifest.
        let (method, before) = if kind == Kind::S3 {
            ("POST", 1)
        } else {
            ("PUT", 3)
        };
        world.client.list(&world.folder()).await.expect("list");
        proxy.breaks(method, before, Break::Nothing);
        proxy.breaks(method, 1, Break::LoseAnswer);
        world.client.put(&key, bytes.clone()).await.expect("put");
        assert!(
            world.client.get(&key).await.expect("get") == bytes,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn usage_counts_requests_and_bytes_of_one_query() {
    for kind in [Kind::Memory, Kind::File, Kind::S3, Kind::Swift] {
        let Some(world) = World::new(kind) else {
            continue;
        };
        let key = world.key("a");
        world
            .client
            .put(&key, Bytes::from_static(b"0123456789"))
            .await
            .expect("put");
        let usage = Usage::default();
        let work = async {
            world.client.get(&key).await.expect("get");
            world
                .client
                .get_range(&key, 2..6)
                .await
                .expect("get a range");
            world.client.list(&world.folder()).await.expect("list");
        };
        usage.count(work).await;
        world.client.get(&key).await.expect("get");
        assert_eq!((usage.requests(), usage.bytes()), (3, 14), "{kind:?}");
    }
}
