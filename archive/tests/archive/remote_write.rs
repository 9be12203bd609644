//! Counters of recording rules in a real Prometheus, by remote write.

use crate::recording::{METRIC, Replica, rounds};
use davy_base::Clock;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use serde_json::Value;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A Prometheus that receives samples, killed on drop.
struct Prometheus {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// `None` if it is not installed.
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").expect("written");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = port.expect("a free port").to_string();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let prometheus = Self {
            child: child.ok()?,
            address,
            _folder: folder,
        };
        let clock = Clock::system();
        while prometheus.get("/-/ready").await.is_none() {
            clock.sleep(Duration::from_millis(50)).await;
        }
        Some(prometheus)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> Option<String> {
        let client = davy_bucket::web_client().expect("a client");
        let response = client.get(self.url(path)).send().await.ok()?;
        let is_good = response.status().is_success();
        response.text().await.ok().filter(|_| is_good)
    }

    /// All series of a counter: the region, and the values of its samples.
    async fn series(&self, name: &str) -> Vec<(String, Vec<f64>)> {
        let path = format!("/api/v1/query?query={name}%5B2h%5D");
        let text = self.get(&path).await.expect("an answer");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let mut all = Vec::new();
        for series in answer["data"]["result"].as_array().expect("a matrix") {
            let labels = series["metric"].as_object().expect("labels");
            let names: Vec<&str> = labels.keys().map(String::as_str).collect();
            assert_eq!(names, ["__name__", "region"]);
            let value = |of: &Value| of[1].as_str().expect("a value").parse().expect("a number");
            let values = series["values"].as_array().expect("values").iter();
            let region = labels["region"].as_str().expect("a region").to_owned();
            all.push((region, values.map(value).collect()));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

#[tokio::test]
async fn series_in_prometheus_continues_through_a_takeover_and_counts_nothing_twice() {
    let Some(prometheus) = Prometheus::start().await else {
        davy_test_support::skip("Prometheus is not installed: ops/dev/need prometheus");
        return;
    };
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    // Prometheus refuses samples of the future.
    let now = Clock::system().now();
    let clock = Clock::manual(now.minus(Duration::from_mins(30)));
    let url = Some(prometheus.url("/api/v1/write"));
    let replica = || Replica::with_remote_write(&bucket, &clock, url.clone());
    let (mut a, mut b) = (replica(), replica());
    rounds(&mut [&mut a]).await;
    for value in [5, 0, 2] {
        a.push("eu", value, 1_000).await;
        clock.advance(Duration::from_mins(1));
        rounds(&mut [&mut a]).await;
    }
    clock.advance(Duration::from_mins(1));
    rounds(&mut [&mut a]).await;
    let eu = |values: &[f64]| vec![("eu".to_owned(), values.to_vec())];
    // A new counter begins at 0, so its increase is exact.
    assert_eq!(prometheus.series(METRIC).await, eu(&[0.0, 5.0, 5.0, 7.0]));

    // The first replica hangs, and both evaluate what follows.
    a.push("eu", 4, 0).await;
    a.push("us", 1, 0).await;
    clock.advance(Duration::from_mins(2));
    b.runner.round().await;
    a.runner.round().await;
    a.runner.leave().await;
    b.runner.refresh().await;
    b.runner.round().await;
    a.runner.round().await;
    b.runner.round().await;
    let found = prometheus.series(METRIC).await;
    let last: Vec<Option<&f64>> = found.iter().map(|(_, values)| values.last()).collect();
    assert_eq!(last, [Some(&11.0), Some(&1.0)], "{found:?}");
    assert!(
        found.iter().all(|(_, values)| values.is_sorted()),
        "{found:?}"
    );
    assert_eq!(found[1], ("us".to_owned(), vec![0.0, 1.0]));
}

#[tokio::test]
async fn receiver_that_is_away_misses_points_but_no_values() {
    let Some(prometheus) = Prometheus::start().await else {
        davy_test_support::skip("Prometheus is not installed: ops/dev/need prometheus");
        return;
    };
    // A receiver that is not there, then a proxy to the real one at its address.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let now = Clock::system().now();
    let clock = Clock::manual(now.minus(Duration::from_mins(30)));
    let url = Some(format!("http://{address}/api/v1/write"));
    let mut replica = Replica::with_remote_write(&bucket, &clock, url);
    rounds(&mut [&mut replica]).await;
    replica.push("eu", 5, 0).await;
    clock.advance(Duration::from_mins(2));
    rounds(&mut [&mut replica]).await;
    assert_eq!(
        replica.counter(METRIC, "eu"),
        Some(5),
        "the counter goes on"
    );

    let proxy = tokio::net::TcpListener::bind(address)
        .await
        .expect("free again");
    let target = prometheus.address.clone();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = proxy.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut to = tokio::net::TcpStream::connect(target).await.expect("there");
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    rounds(&mut [&mut replica]).await;
    let expected = vec![("eu".to_owned(), vec![5.0])];
    assert_eq!(prometheus.series(METRIC).await, expected);
}
