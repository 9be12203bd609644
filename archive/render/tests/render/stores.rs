//! The same on stores that answer over HTTP. `ops/dev/versitygw run` and `ops/dev/swift run` start them.

use crate::support::{HOUR, Sample, World, clock};
use davy_archive::ArchiveOptions;
use davy_base::Clock;
use davy_bucket::{BucketSettings, Secret, open};

const SAMPLES: &[Sample<'_>] = &[
    (&["main", "a"], 5_000_000, &[("member", "api")]),
    (&["main", "b"], 5_000_000, &[("member", "gc")]),
];

fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        davy_test_support::skip(&format!(
            "{name} is not set; start the tests with `ops/dev/versitygw run ops/dev/swift run`"
        ));
    }
    value
}

async fn check(settings: BucketSettings) {
    let opened = open(&settings, &|_| None, &Clock::system()).expect("valid settings");
    let options = ArchiveOptions {
        prefix: format!("render-{}", std::process::id()),
        ..ArchiveOptions::of(opened)
    };
    let prefix = options.prefix.clone();
    let world = World::with(options, &clock());
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    world.push("anonymous", "web", at, SAMPLES).await;
    assert_eq!(world.render().await, [World::hour(at).0]);
    let objects = world.written().await;
    let mine = format!("{prefix}/");
    let objects = objects
        .into_iter()
        .filter(|(key, _)| key.starts_with(&mine));
    let objects: crate::support::Objects = objects.collect();
    assert_eq!(objects.len(), 9 + 3, "{:?}", objects.keys());
    crate::pages::check_links(&objects);
    for key in objects.keys() {
        let expected = match key.rsplit_once('.').expect("an extension").1 {
            "svgz" => ["image/svg+xml", "gzip"],
            "gz" => ["text/plain; charset=utf-8", "gzip"],
            _ => ["text/html; charset=utf-8", ""],
        };
        let served = world.served(key).await;
        let served = served.map(Option::unwrap_or_default);
        assert_eq!(served, expected, "{key}");
    }
    assert!(world.render().await.is_empty());
}

#[tokio::test]
async fn s3_serves_what_is_rendered() {
    let Some(endpoint) = variable("DEV_S3") else {
        return;
    };
    check(BucketSettings {
        endpoint,
        access_key: variable("DEV_S3_ACCESS_KEY").unwrap_or_default(),
        secret_key: Secret(variable("DEV_S3_SECRET_KEY").unwrap_or_default()),
        ..BucketSettings::new("s3://davy")
    })
    .await;
}

#[tokio::test]
async fn swift_serves_what_is_rendered() {
    let Some(address) = variable("DEV_SWIFT") else {
        return;
    };
    check(BucketSettings {
        auth_url: format!("{address}/auth/v1.0"),
        user: variable("DEV_SWIFT_USER").unwrap_or_default(),
        password: Secret(variable("DEV_SWIFT_PASSWORD").unwrap_or_default()),
        ..BucketSettings::new("swift://davy")
    })
    .await;
}
