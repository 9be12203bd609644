//! The provisioned dashboards of Grafana: every panel has data.

use crate::http;
use crate::running::{Running, Sandbox};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn grafana() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("the workspace is two folders up")
        .join("ops/grafana")
}

/// The dashboards, by the names of their files.
fn dashboards() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(grafana().join("dashboards")).expect("the folder of dashboards");
    let mut dashboards: Vec<(String, Value)> = files
        .map(|file| {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("read a dashboard");
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, serde_json::from_str(&text).expect("JSON"))
        })
        .collect();
    dashboards.sort_by(|a, b| a.0.cmp(&b.0));
    dashboards
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

#[test]
fn panels_have_titles_descriptions_places_and_provisioned_data_sources() {
    let sources = grafana().join("provisioning/datasources/davy.yml");
    let sources = std::fs::read_to_string(sources).expect("read the data sources");
    let mut uids = BTreeSet::new();
    let names: Vec<String> = dashboards().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["archive", "members", "profiler", "runtime"]);
    for (name, dashboard) in dashboards() {
        assert!(
            uids.insert(dashboard["uid"].to_string()),
            "{name}: duplicate uid"
        );
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in list(&dashboard["panels"]) {
            let title = panel["title"].as_str().expect("a title");
            let context = format!("{name}: {title}");
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|text| text.len() > 5),
                "{context}"
            );
            assert!(
                ids.insert(panel["id"].as_u64().expect("an id")),
                "{context}: duplicate id"
            );
            let place = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            for y in place("y")..place("y") + place("h") {
                for x in place("x")..place("x") + place("w") {
                    assert!(
                        x < 24 && cells.insert((x, y)),
                        "{context}: overlaps another panel"
                    );
                }
            }
            for target in list(&panel["targets"]) {
                let uid = target["datasource"]["uid"].as_str().expect("a data source");
                let is_provisioned = sources
                    .lines()
                    .any(|line| line.trim() == format!("uid: {uid}"));
                assert!(is_provisioned, "{context}: {uid}");
            }
        }
    }
}

/// Labels by metric, of the generated reference.
fn reference() -> BTreeMap<String, BTreeSet<String>> {
    let text = include_str!("../../../../ops/docs/metrics.md");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `davy_")?.split(" | ");
        let name = format!("davy_{}", cells.next()?.trim_end_matches('`'));
        let labels = cells.nth(1)?.split(',');
        let labels = labels.map(|label| label.trim().trim_matches('`').to_owned());
        Some((name, labels.chain(["process".to_owned()]).collect()))
    });
    rows.collect()
}

/// The metrics of an expression, each with the labels that it selects by, and the labels that it groups by.
fn names(expression: &str) -> (Vec<(&str, Vec<&str>)>, Vec<&str>) {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let metrics = expression.match_indices("davy_").map(|(at, _)| {
        let text = &expression[at..];
        let (name, rest) = text.split_at(text.find(|of| !is_name(of)).unwrap_or(text.len()));
        let selector = rest
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next());
        let labels = selector.unwrap_or("").split(',');
        let labels = labels.filter_map(|of| of.split(['=', '!']).next());
        (name, labels.filter(|of| !of.is_empty()).collect())
    });
    let groups = expression.split("by (").skip(1).flat_map(|rest| {
        let labels = rest.split(')').next().unwrap_or("");
        labels.split(',').map(str::trim)
    });
    (metrics.collect(), groups.collect())
}

/// An expression that ends in `or vector(0)` has data even if its metric does not exist.
#[test]
fn expressions_use_metrics_and_labels_of_the_reference() {
    let reference = reference();
    for (name, dashboard) in dashboards() {
        for panel in list(&dashboard["panels"]) {
            for target in list(&panel["targets"]) {
                let Some(expression) = target["expr"].as_str() else {
                    continue;
                };
                let (metrics, groups) = names(expression);
                let mut of_all = BTreeSet::from(["le", "process"].map(str::to_owned));
                for (metric, labels) in metrics {
                    let parts = ["_bucket", "_sum", "_count"].into_iter();
                    let mut whole = parts.filter_map(|part| metric.strip_suffix(part));
                    let known = reference
                        .get(metric)
                        .or_else(|| whole.find_map(|name| reference.get(name)));
                    let known = known.unwrap_or_else(|| panic!("{name}: no metric {metric}"));
                    for label in labels {
                        assert!(
                            known.contains(label),
                            "{name}: {metric} has no label {label}"
                        );
                    }
                    of_all.extend(known.iter().cloned());
                }
                for label in groups {
                    assert!(
                        of_all.contains(label),
                        "{name}: no label {label}: {expression}"
                    );
                }
            }
        }
    }
}

/// A Prometheus that scrapes a running Davy.
struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// `None` if it is not installed.
    fn start(sandbox: &Sandbox, running: &Running) -> Option<Self> {
        let target = running.debug.trim_start_matches("http://");
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: davy\n  static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        let file = sandbox.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("write the configuration");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = port.expect("a free port").to_string();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                sandbox.path().join("prometheus").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.ok()?;
        let url = format!("http://{address}");
        Some(Self { child, url })
    }

    fn is_ready(&self) -> bool {
        // It refuses connections at first.
        std::net::TcpStream::connect(self.url.trim_start_matches("http://")).is_ok()
            && http::get(&format!("{}/-/ready", self.url)).status == 200
    }

    /// Whether an expression has a value that is a number.
    fn has_data(&self, expression: &str) -> bool {
        let encoded = percent_encoded(expression);
        let answer = http::get(&format!("{}/api/v1/query?query={encoded}", self.url)).json();
        let mut results = list(&answer["data"]["result"]);
        results.any(|of| of["value"][1].as_str().is_some_and(|value| value != "NaN"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_panel_of_every_dashboard_has_data() {
    let sandbox = Sandbox::new();
    let running = sandbox.start(&[]);
    let Some(prometheus) = Prometheus::start(&sandbox, &running) else {
        davy_test_support::skip("Prometheus is not installed: ops/dev/need prometheus");
        return;
    };
    running.until("Prometheus", || prometheus.is_ready().then_some(()));
    for (name, dashboard) in dashboards() {
        for panel in list(&dashboard["panels"]) {
            for target in list(&panel["targets"]) {
                let context = format!("data of {name}: {}", panel["title"]);
                if let Some(expression) = target["expr"].as_str() {
                    let expression = expression
                        .replace("$__rate_interval", "10s")
                        .replace("$process", ".*");
                    running.until(&format!("{context}: {expression}"), || {
                        // Some panels show queries, so there must be some.
                        let types = "/api/v1/profiles/types?from=now-5m";
                        let status = http::get(&format!("{}{types}", running.archive)).status;
                        assert_eq!(status, 200);
                        prometheus.has_data(&expression).then_some(())
                    });
                } else {
                    running.until(&context, || has_stacks(&running, target).then_some(()));
                }
            }
        }
    }
}

/// Whether the query of a flame graph, as the data source sends it, has values.
fn has_stacks(running: &Running, target: &Value) -> bool {
    let request = json!({
        "profileTypeID": target["profileTypeId"],
        "labelSelector": target["labelSelector"],
    });
    let encoded = percent_encoded(&request.to_string());
    let url = format!(
        "{}/querier.v1.QuerierService/SelectMergeStacktraces?connect=v1&encoding=json&message={encoded}",
        running.archive
    );
    let answer = http::get(&url).json();
    answer["flamegraph"]["total"] != "0"
}

fn percent_encoded(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    bytes.concat()
}
