//! What every object store must do.

use crate::world::{Kind, World};
use bytes::Bytes;
use davy_bucket::{FaultKind, Scheme};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{Attribute, GetOptions};
use std::collections::BTreeSet;

/// One test for each object store.
macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod file { $( #[tokio::test] async fn $test() { super::run(super::Kind::File, super::$test).await } )* }
        mod memory { $( #[tokio::test] async fn $test() { super::run(super::Kind::Memory, super::$test).await } )* }
        mod s3 { $( #[tokio::test] async fn $test() { super::run(super::Kind::S3, super::$test).await } )* }
        mod swift { $( #[tokio::test] async fn $test() { super::run(super::Kind::Swift, super::$test).await } )* }
        mod swift_s3 { $( #[tokio::test] async fn $test() { super::run(super::Kind::SwiftS3, super::$test).await } )* }
        mod keystone { $( #[tokio::test] async fn $test() { super::run(super::Kind::Keystone, super::$test).await } )* }
        mod azure { $( #[tokio::test] async fn $test() { super::run(super::Kind::Azure, super::$test).await } )* }
    };
}

async fn run(kind: Kind, test: impl AsyncFnOnce(World)) {
    if let Some(world) = World::new(kind) {
        test(world).await;
    }
}

on_every_store! {
    object_is_read_as_written,
    missing_object_is_not_found,
    deletion_is_idempotent,
    overwritten_object_is_read_as_last_written,
    every_key_of_many_pages_is_listed_once,
    odd_keys_name_different_objects,
    large_object_is_read_as_written,
    expiring_object_is_read_as_written,
    served_object_keeps_its_type_and_encoding,
}

async fn object_is_read_as_written(world: World) {
    let (key, text) = (world.key("a/b.segment"), Bytes::from_static(b"0123456789"));
    world.client.put(&key, text.clone()).await.expect("put");
    assert_eq!(world.client.get(&key).await.expect("get"), text);
    let meta = world.client.head(&key).await.expect("head");
    assert_eq!((meta.size, &meta.location), (10, &key));
    for (range, expected) in [(0..10, "0123456789"), (3..5, "34"), (9..10, "9")] {
        let read = world
            .client
            .get_range(&key, range.clone())
            .await
            .expect("get a range");
        assert_eq!(read, expected, "{range:?}");
    }
    // A range past the end is an error, and never fewer bytes than asked for.
    world
        .client
        .get_range(&key, 8..12)
        .await
        .expect_err("past the end");
    world
        .client
        .get_range(&key, 10..12)
        .await
        .expect_err("past the end");
    let listed = world.client.list(&world.folder()).await.expect("list");
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].location, listed[0].size), (&key, 10));
    let age = meta.last_modified - listed[0].last_modified;
    assert!(age.abs() < chrono::TimeDelta::seconds(2), "{age}");
    let empty = world.key("empty");
    world
        .client
        .put(&empty, Bytes::new())
        .await
        .expect("put nothing");
    assert!(
        world
            .client
            .get(&empty)
            .await
            .expect("get nothing")
            .is_empty()
    );
}

async fn missing_object_is_not_found(world: World) {
    let key = world.key("missing");
    let kinds = [
        world.client.get(&key).await.expect_err("missing").kind,
        world
            .client
            .get_range(&key, 0..4)
            .await
            .expect_err("missing")
            .kind,
        world.client.head(&key).await.expect_err("missing").kind,
    ];
    assert_eq!(kinds, [FaultKind::NotFound; 3]);
    assert!(world.client.list(&key).await.expect("list").is_empty());
    assert!(world.client.folders(&key).await.expect("list").is_empty());
}

async fn deletion_is_idempotent(world: World) {
    let key = world.key("a");
    world
        .client
        .put(&key, Bytes::from_static(b"x"))
        .await
        .expect("put");
    for _ in 0..2 {
        world.client.delete(&key).await.expect("delete");
        assert_eq!(
            world.client.get(&key).await.expect_err("deleted").kind,
            FaultKind::NotFound
        );
    }
    let keys: Vec<_> = ["b", "c", "never written"]
        .iter()
        .map(|name| world.key(name))
        .collect();
    for key in &keys[..2] {
        world
            .client
            .put(key, Bytes::from_static(b"x"))
            .await
            .expect("put");
    }
    for _ in 0..2 {
        world
            .client
            .delete_many(&keys)
            .await
            .expect("delete several");
        assert!(
            world
                .client
                .list(&world.folder())
                .await
                .expect("list")
                .is_empty()
        );
    }
}

async fn overwritten_object_is_read_as_last_written(world: World) {
    let key = world.key("a");
    for text in ["first", "the second, longer", "3rd"] {
        world
            .client
            .put(&key, Bytes::from_static(text.as_bytes()))
            .await
            .expect("put");
        assert_eq!(world.client.get(&key).await.expect("get"), text);
    }
}

/// More than a page of S3 (1,000), in several folders.
async fn every_key_of_many_pages_is_listed_once(world: World) {
    let keys: Vec<_> = (0..1_010)
        .map(|at| world.key(&format!("{:02}/{at:04}", at % 11)))
        .collect();
    stream::iter(&keys)
        .map(|key| world.client.put(key, Bytes::from_static(b"x")))
        .buffer_unordered(16)
        .try_collect::<Vec<()>>()
        .await
        .expect("put");
    let listed = world.client.list(&world.folder()).await.expect("list");
    assert_eq!(listed.len(), keys.len());
    let names: BTreeSet<_> = listed.into_iter().map(|object| object.location).collect();
    assert_eq!(names, keys.iter().cloned().collect());
    let mut folders = world.client.folders(&world.folder()).await.expect("list");
    folders.sort();
    let expected: Vec<String> = (0..11).map(|at| format!("{at:02}")).collect();
    assert_eq!(folders, expected);
    assert_eq!(
        world
            .client
            .list(&world.key("03"))
            .await
            .expect("list")
            .len(),
        92
    );
    // Listing the folder "0" does not match names that begin with "0".
    assert!(
        world
            .client
            .list(&world.key("0"))
            .await
            .expect("list")
            .is_empty()
    );
    world.client.delete_many(&keys).await.expect("delete");
    assert!(
        world
            .client
            .list(&world.folder())
            .await
            .expect("list")
            .is_empty()
    );
}

async fn odd_keys_name_different_objects(world: World) {
    let names = [
        "=2e=2e".to_owned(),
        "with space".to_owned(),
        "with+plus".to_owned(),
        "a&b=c".to_owned(),
        "a=20b".to_owned(),
        "quote'\"".to_owned(),
        "größe-日本".to_owned(),
        "semi;colon,comma".to_owned(),
        "x".repeat(200),
        "folder/x".to_owned(),
    ];
    for name in &names {
        world
            .client
            .put(&world.key(name), Bytes::from(name.clone()))
            .await
            .expect(name);
    }
    for name in &names {
        assert_eq!(
            world.client.get(&world.key(name)).await.expect(name),
            name.as_bytes()
        );
    }
    let listed = world.client.list(&world.folder()).await.expect("list");
    let listed: BTreeSet<_> = listed.into_iter().map(|object| object.location).collect();
    assert_eq!(listed, names.iter().map(|name| world.key(name)).collect());
    let keys: Vec<_> = listed.into_iter().collect();
    world.client.delete_many(&keys).await.expect("delete");
    assert!(
        world
            .client
            .list(&world.folder())
            .await
            .expect("list")
            .is_empty()
    );
}

async fn large_object_is_read_as_written(world: World) {
    let key = world.key("large");
    let size = (11 << 20) + 7;
    let bytes: Bytes = (0..size)
        .map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    world.client.put(&key, bytes.clone()).await.expect("put");
    assert!(
        world.client.get(&key).await.expect("get") == bytes,
        "the whole object"
    );
    assert_eq!(
        world.client.head(&key).await.expect("head").size,
        u64::from(size)
    );
    // Across the border of two parts.
    let range = (5 << 20) - 3..(5 << 20) + 3;
    let read = world
        .client
        .get_range(&key, range.start as u64..range.end as u64)
        .await
        .expect("get");
    assert_eq!(read, bytes.slice(range));
    let listed = world.client.list(&world.folder()).await.expect("list");
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0].location, listed[0].size),
        (&key, u64::from(size))
    );
    world
        .client
        .put(&key, Bytes::from_static(b"small"))
        .await
        .expect("put");
    assert_eq!(world.client.get(&key).await.expect("get"), "small");
    world.client.put(&key, bytes).await.expect("put");
    world.client.delete(&key).await.expect("delete");
    assert_eq!(
        world.client.head(&key).await.expect_err("deleted").kind,
        FaultKind::NotFound
    );
}

async fn expiring_object_is_read_as_written(world: World) {
    let (key, bucket) = (world.key("a"), world.client.bucket());
    let day = std::time::Duration::from_hours(24);
    world
        .client
        .put_expiring(&key, Bytes::from_static(b"x"), day)
        .await
        .expect("put");
    assert_eq!(world.client.get(&key).await.expect("get"), "x");
    if bucket.url.scheme == Scheme::Swift {
        let options = GetOptions::new().with_head(true);
        let head = bucket.store.get_opts(&key, options).await.expect("head");
        let at = head
            .attributes
            .get(&Attribute::Metadata("delete-at".into()))
            .expect("it expires");
        let at = at.parse::<i64>().expect("seconds");
        let left = at - head.meta.last_modified.timestamp();
        assert!((86_390..=86_410).contains(&left), "{left}");
    }
}

async fn served_object_keeps_its_type_and_encoding(world: World) {
    // Not gzip: no layer may decompress it, or know better what it is.
    let (key, text) = (
        world.key("graph.svgz"),
        Bytes::from_static(b"not really gzip"),
    );
    let served = ("image/svg+xml", Some("gzip"));
    let put = world.client.put_served(&key, text.clone(), served).await;
    put.expect("put");
    assert_eq!(world.client.get(&key).await.expect("get"), text);
    let bucket = world.client.bucket();
    let got = bucket.store.get_opts(&key, GetOptions::default()).await;
    let attributes = got.expect("get").attributes;
    let value = |of: &Attribute| attributes.get(of).map(|value| value.to_string());
    let found = [Attribute::ContentType, Attribute::ContentEncoding].map(|of| value(&of));
    let expected = match bucket.url.scheme {
        // The web server sets them.
        Scheme::File => [None, None],
        _ => [Some("image/svg+xml".to_owned()), Some("gzip".to_owned())],
    };
    assert_eq!(found, expected);
}
