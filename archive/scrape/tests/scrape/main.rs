//! Scrapes a real Go program.

mod kubernetes;

use axum::Router;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random};
use davy_scrape::{ScrapeConfig, ScrapeOptions, Scraper};
use object_store::memory::InMemory;
use prometheus::Registry;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A Go program, killed on drop.
struct Program {
    child: Child,
    address: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program");
        let binary = tempfile::tempdir()
            .expect("a folder")
            .keep()
            .join("program");
        let build = Command::new("go")
            .args(["build", "-o"])
            .arg(&binary)
            .arg(".")
            .current_dir(folder)
            .output();
        match build {
            Ok(build) if build.status.success() => {}
            Ok(build) => panic!("{}", String::from_utf8_lossy(&build.stderr)),
            Err(_) => {
                davy_test_support::skip("Go is not installed: ops/dev/need go");
                return None;
            }
        }
        let child = Command::new(&binary).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let mut address = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output)
            .read_line(&mut address)
            .expect("a line");
        Some(Self {
            child,
            address: address.trim().to_owned(),
        })
    }

    async fn allocated(&self) -> i64 {
        let client = davy_bucket::web_client().expect("a client");
        let response = client
            .get(format!("http://{}/allocated", self.address))
            .send()
            .await;
        let text = response.expect("a response").text().await.expect("a text");
        text.parse().expect("a number")
    }
}

fn archive() -> Archive {
    let options = ArchiveOptions {
        random: Random::system(),
        flush_interval: Duration::ZERO,
        ..ArchiveOptions::new(Arc::new(InMemory::new()))
    };
    Archive::new(options, &Registry::new()).expect("fresh registry")
}

/// An archive that accepts profiles at an address.
async fn archiver() -> (String, Archive) {
    let archive = archive();
    tokio::spawn(archive.ingest().run(CancellationToken::new()));
    let app: Router = archive.ingest_router().merge(archive.query_router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, archive)
}

async fn get(url: &str, path: &str) -> String {
    let client = davy_bucket::web_client().expect("a client");
    let request = client.get(format!("{url}/api/v1/profiles/{path}"));
    let response = request
        .header("accept", "application/json")
        .send()
        .await
        .expect("a response");
    response.text().await.expect("a text")
}

async fn total(url: &str, kind: &str) -> i64 {
    let text = get(
        url,
        &format!("top?type={kind}&selector=%7Bservice_name=%22shop%22%7D"),
    )
    .await;
    let top: Value = serde_json::from_str(&text).expect("JSON");
    top["total"]
        .as_i64()
        .unwrap_or_else(|| panic!("{kind}: {text}"))
}

fn config(target: &str) -> ScrapeConfig {
    let text = format!(
        "interval: 2s\njobs: [{{job: shop, labels: {{region: eu}}, targets: ['{target}', '127.0.0.1:1']}}]"
    );
    ScrapeConfig::read(&text).expect("valid")
}

fn scraper(url: &str, config: ScrapeConfig, registry: &Registry) -> Scraper {
    let options = ScrapeOptions {
        config,
        archives: vec![url.to_owned()],
        token: None,
        clock: Clock::system(),
    };
    // Without a common bucket, each scraper believes that it owns all targets, as after a takeover.
    Scraper::new(&archive(), options, registry).expect("fresh registry")
}

fn metric(registry: &Registry, name: &str, label: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().filter(|family| family.name() == name);
    let metrics = family.flat_map(prometheus::proto::MetricFamily::get_metric);
    let has =
        |of: &&prometheus::proto::Metric| of.get_label().iter().any(|pair| pair.value() == label);
    metrics
        .filter(has)
        .map(|of| of.get_gauge().get_value() + of.get_counter().get_value())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_scrapers_of_a_program_count_everything_once() {
    let Some(program) = Program::start() else {
        return;
    };
    let (url, _archive) = archiver().await;
    let registries = [Registry::new(), Registry::new()];
    let before = program.allocated().await;
    let clock = Clock::system();
    let began = clock.monotonic();
    let scrapers: Vec<_> = registries
        .iter()
        .map(|registry| {
            tokio::spawn(
                scraper(&url, config(&program.address), registry).run(CancellationToken::new()),
            )
        })
        .collect();
    let stored = |registry: &Registry| metric(registry, "davy_archive_scrapes_total", "stored");
    // Go refuses a second CPU profile at the same time, so each scraper may fail in some slots.
    let up = |registry: &Registry| metric(registry, "davy_archive_scrape_up", &program.address);
    let mut was_up = false;
    let done = clock.timeout(Duration::from_mins(1), async {
        while registries.iter().any(|registry| stored(registry) < 20.0) {
            was_up |= registries.iter().any(|registry| up(registry) > 0.0);
            clock.sleep(Duration::from_millis(50)).await;
        }
    });
    done.await.expect("four slots of five profiles");
    for scraper in scrapers {
        scraper.abort();
    }
    let elapsed = clock.monotonic().saturating_sub(began).as_nanos() as i64;
    let allocated = program.allocated().await - before;

    let cpu = total(&url, "cpu").await;
    assert!(
        cpu > 1_000_000_000 && cpu < elapsed * 11 / 10,
        "{cpu} ns of CPU in {elapsed} ns"
    );
    let alloc = total(&url, "allocs").await;
    assert!(
        alloc > allocated / 8 && alloc < allocated * 11 / 10,
        "{alloc} B of {allocated} B"
    );
    for kind in ["heap", "goroutines", "mutex", "block"] {
        assert!(total(&url, kind).await > 0, "{kind}");
    }
    let folded = get(
        &url,
        "folded?type=allocs&selector=%7Bregion=%22eu%22,job=%22shop%22%7D",
    )
    .await;
    assert!(folded.contains("main.allocate"), "{folded}");
    assert!(was_up);
    for registry in &registries {
        assert_eq!(
            metric(registry, "davy_archive_scrape_up", "127.0.0.1:1") as i64,
            0
        );
    }
}

#[tokio::test]
async fn replicas_share_the_targets_and_take_over_what_one_leaves() {
    let archive = archive();
    let (a, b) = (archive.presence(".scrapers"), archive.presence(".scrapers"));
    assert!(!a.owns("x"), "nothing is owned before the others are known");
    for presence in [&a, &b, &a] {
        presence.refresh().await;
    }
    let keys: Vec<String> = (0..100).map(|key| key.to_string()).collect();
    let both = keys.iter().filter(|key| a.owns(key) == b.owns(key)).count();
    assert_eq!(both, 0, "each target has one owner");
    let of_a = keys.iter().filter(|key| a.owns(key)).count();
    assert!((25..75).contains(&of_a), "{of_a}");
    b.leave().await;
    a.refresh().await;
    assert!(keys.iter().all(|key| a.owns(key)));
}

/// Counts the requests of each path, and answers 404.
async fn target() -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let paths = Arc::clone(&seen);
    let app = Router::new().fallback(async move |uri: axum::http::Uri| {
        paths.lock().expect("no panic").push(uri.path().to_owned());
        axum::http::StatusCode::NOT_FOUND
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}

/// Waits until a path was asked for.
async fn asked(seen: &std::sync::Mutex<Vec<String>>, path: &str) {
    let clock = Clock::system();
    let is_there = || seen.lock().expect("no panic").iter().any(|of| of == path);
    let asked = clock.timeout(Duration::from_secs(30), async {
        while !is_there() {
            clock.sleep(Duration::from_millis(20)).await;
        }
    });
    asked
        .await
        .unwrap_or_else(|_| panic!("{path} was not asked for"));
}

#[tokio::test]
async fn replaced_file_decides_what_is_scraped_from_then_on() {
    let (url, _archive) = archiver().await;
    let (first, of_first) = target().await;
    let (second, of_second) = target().await;
    let registry = Registry::new();
    let of = |target: &str, rules: &str| {
        let text = format!(
            "interval: 2s\njobs: [{{job: shop, profiles: [heap], targets: ['{target}'], relabel_configs: [{rules}]}}]"
        );
        ScrapeConfig::read(&text).expect("valid")
    };
    let scraper = scraper(&url, of(&first, ""), &registry);
    tokio::spawn(scraper.clone().run(CancellationToken::new()));
    asked(&of_first, "/debug/pprof/heap").await;
    assert!(of_second.lock().expect("no panic").is_empty());
    let path = "{target_label: __profile_path__, replacement: /internal}";
    scraper.set_config(of(&second, path));
    asked(&of_second, "/internal/heap").await;
    let before = of_first.lock().expect("no panic").len();
    // The next slots are of the new target alone.
    of_second.lock().expect("no panic").clear();
    scraper.set_config(of(&second, ""));
    asked(&of_second, "/debug/pprof/heap").await;
    assert_eq!(of_first.lock().expect("no panic").len(), before);
    let up = metric(&registry, "davy_archive_scrape_targets", "all");
    assert_eq!(up as i64, 1);
}
