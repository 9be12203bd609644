//! A real Redis, an archive behind HTTP, and processes that listen.

mod certificates;
mod redis_server;
mod world;

pub(crate) use certificates::Certificates;
pub(crate) use redis_server::Redis;
pub(crate) use world::{Always, Exclusive, World};

use davy_base::Clock;
use davy_test_support::skip;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Publishes a line.
pub(crate) fn publish(to: &mut redis::Connection, channel: &str, line: &[u8]) {
    let mut publish = redis::cmd("PUBLISH");
    let published: redis::RedisResult<i64> = publish.arg(channel).arg(line).query(to);
    published.expect("published");
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::system();
    let start = clock.monotonic();
    while !holds() {
        let waited = clock.monotonic().saturating_sub(start);
        assert!(
            waited < Duration::from_mins(1),
            "not within a minute: {what}"
        );
        clock.sleep(Duration::from_millis(10)).await;
    }
}

/// Whether PHP and its extensions are installed; otherwise the test is skipped.
pub(crate) fn has_php() -> bool {
    let modules = std::process::Command::new("php").arg("-m").output();
    let modules = modules
        .map(|of| String::from_utf8_lossy(&of.stdout).into_owned())
        .unwrap_or_default();
    let has = |name: &str| modules.lines().any(|line| line == name);
    let has_all = has("excimer") && has("redis");
    if !has_all {
        skip("php with the extensions excimer and redis is not installed");
    }
    has_all
}

/// Runs the busy page against a Redis and returns what it prints: the number of lines that it published.
pub(crate) async fn php(port: u16) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/php/busy-page.php");
    let run = move || {
        let output = std::process::Command::new("php")
            .arg(script)
            .arg(port.to_string())
            .stderr(Stdio::inherit())
            .output()
            .expect("php runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}
