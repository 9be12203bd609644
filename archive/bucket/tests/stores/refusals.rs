//! Refusals of real object stores say what is wrong and what to do.

use crate::world::{Kind, World, options, settings};
use bytes::Bytes;
use davy_bucket::{BucketSettings, FaultKind, Secret};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Checks the text of every kind of request.
async fn check(settings: &BucketSettings, kind: FaultKind, parts: &[&str]) {
    let world = World::with(settings, options());
    let key = world.key("a");
    let faults = [
        world
            .client
            .put(&key, Bytes::from_static(b"x"))
            .await
            .expect_err("put"),
        world.client.list(&world.folder()).await.expect_err("list"),
        world
            .client
            .folders(&world.folder())
            .await
            .expect_err("list folders"),
    ];
    for fault in faults {
        assert_eq!(fault.kind, kind, "{fault}");
        let text = fault.to_string();
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
        assert!(!text.contains("wrong-secret"), "{text}");
    }
}

#[tokio::test]
async fn missing_bucket_is_named() {
    for (kind, url, parts) in [
        (
            Kind::S3,
            "s3://no-such-bucket",
            [
                "no-such-bucket",
                "aws s3 mb s3://no-such-bucket",
                "bucket.url",
            ],
        ),
        (
            Kind::SwiftS3,
            "s3://no-such-bucket",
            [
                "no-such-bucket",
                "aws s3 mb s3://no-such-bucket",
                "bucket.url",
            ],
        ),
        (
            Kind::Swift,
            "swift://no-such-bucket",
            [
                "the container no-such-bucket does not exist",
                "`swift post no-such-bucket`",
                "bucket.url",
            ],
        ),
    ] {
        let Some(settings) = settings(kind) else {
            continue;
        };
        let settings = BucketSettings {
            url: url.to_owned(),
            ..settings
        };
        check(&settings, FaultKind::NoBucket, &parts).await;
    }
}

#[tokio::test]
async fn error_for_a_wrong_secret_names_its_settings() {
    for (kind, parts) in [
        (Kind::S3, ["bucket.access_key", "AWS_SECRET_ACCESS_KEY"]),
        (
            Kind::SwiftS3,
            ["bucket.access_key", "AWS_SECRET_ACCESS_KEY"],
        ),
        (
            Kind::Swift,
            [
                "refused a token to the user test:davy",
                "bucket.password_file",
            ],
        ),
    ] {
        let Some(settings) = settings(kind) else {
            continue;
        };
        let settings = BucketSettings {
            secret_key: Secret("wrong-secret".to_owned()),
            password: Secret("wrong-secret".to_owned()),
            ..settings
        };
        check(&settings, FaultKind::Credentials, &parts).await;
    }
}

#[tokio::test]
async fn user_without_permission_is_told_which_permissions_are_needed() {
    let Some(settings) = settings(Kind::Swift) else {
        return;
    };
    let settings = BucketSettings {
        user: "test:reader".to_owned(),
        ..settings
    };
    let parts = [
        "may not",
        "allow these credentials to read, write, list and delete",
    ];
    check(&settings, FaultKind::Forbidden, &parts).await;
}

#[tokio::test]
async fn stopped_server_is_reported_as_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let settings = BucketSettings {
        endpoint: format!("http://{address}"),
        access_key: "k".to_owned(),
        secret_key: Secret("wrong-secret".to_owned()),
        ..BucketSettings::new("s3://davy")
    };
    check(
        &settings,
        FaultKind::Unreachable,
        &["Connection refused", "check bucket.endpoint"],
    )
    .await;
    let settings = BucketSettings {
        auth_url: format!("http://{address}/auth/v1.0"),
        user: "u".to_owned(),
        password: Secret("wrong-secret".to_owned()),
        ..BucketSettings::new("swift://davy")
    };
    check(
        &settings,
        FaultKind::Unreachable,
        &["Connection refused", "check bucket.auth_url"],
    )
    .await;
}

/// TempAuth keeps its tokens in memcached, so that an empty memcached means that every token has expired.
#[tokio::test]
async fn expired_token_is_renewed_without_an_error() {
    let Some(world) = World::new(Kind::Swift) else {
        return;
    };
    let key = world.key("a");
    world
        .client
        .put(&key, Bytes::from_static(b"x"))
        .await
        .expect("put");
    let cache = std::env::var("DEV_SWIFT_CACHE").expect("set together with DEV_SWIFT");
    let mut cache = TcpStream::connect(cache).expect("memcached responds");
    cache.write_all(b"flush_all\r\n").expect("flush");
    let mut answer = [0; 4];
    cache.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"OK\r\n");
    let before = world.counts.of("get");
    assert_eq!(world.client.get(&key).await.expect("get"), "x");
    // The refused request, the token, the retried request.
    assert_eq!(world.counts.of("get") - before, 3);
    assert_eq!(world.client.get(&key).await.expect("get"), "x");
    assert_eq!(world.counts.of("get") - before, 4);
}
