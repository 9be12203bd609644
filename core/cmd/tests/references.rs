//! The generated references in `ops/docs` are up to date. `DAVY_BLESS=1` rewrites them.

use davy_control::{MetricEntry, metrics};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The variable that makes the tests rewrite the files.
const BLESS: &str = "DAVY_BLESS";

#[track_caller]
fn check(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../ops/docs")
        .join(name);
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, generated).expect("the file can be written");
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == generated,
        "ops/docs/{name} is out of date; run {BLESS}=1 cargo nextest run -p davy --test references"
    );
}

#[test]
fn http_api_reference_is_up_to_date() {
    check("http-api.md", &davy_control::http_api_reference());
}

#[test]
fn metrics_reference_is_up_to_date() {
    check("metrics.md", &davy_control::metrics_reference());
}

/// `davy quickstart` on free ports. Dropping it kills the process.
struct Quickstart {
    child: Child,
    /// The URLs of the page, the archive and the debug port.
    urls: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Quickstart {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut command = davy();
        command.arg("quickstart");
        for listener in ["http", "archive", "debug"] {
            command.arg(format!("--{listener}-listen=127.0.0.1:0"));
        }
        std::fs::write(
            folder.path().join("scrape.yml"),
            "jobs: [{job: none, targets: [\"127.0.0.1:1\"]}]",
        )
        .expect("a file");
        let mut child = command
            // Without targets, archive.scraper has no metrics.
            .args(["--archive-scrape-file", "scrape.yml"])
            // Without a Redis, archive.arclamp has no metrics.
            .args(["--arclamp-redis", "redis://127.0.0.1:1"])
            .args(["--archive-flush-interval", "100ms", "--data-dir"])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("stdout is text");
        let urls = line
            .split(['(', ' ', ',', ')', '\n'])
            .filter(|word| word.starts_with("http://"));
        let trimmed = urls.map(|url| url.trim_end_matches("/debug/pprof/").trim_end_matches('/'));
        Self {
            urls: trimmed.map(str::to_owned).collect(),
            child,
            _folder: folder,
        }
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(url: &str, host: Option<&str>) -> String {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.get(url);
    if let Some(host) = host {
        request = request.header("host", host);
    }
    let mut response = request
        .call()
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    response.body_mut().read_to_string().expect("text")
}

/// A family of a scrape.
#[derive(Default)]
struct Family {
    help: String,
    kind: String,
    labels: BTreeSet<String>,
}

fn families(scrape: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in scrape.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            name.clone_into(&mut current);
            help.clone_into(&mut families.entry(current.clone()).or_default().help);
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            name.clone_into(&mut current);
            kind.clone_into(&mut families.entry(current.clone()).or_default().kind);
        } else if let Some((_, rest)) = line.split_once('{') {
            let labels = rest
                .split("=\"")
                .filter_map(|part| part.rsplit(['{', ',']).next());
            let family = families.entry(current.clone()).or_default();
            family.labels.extend(
                labels
                    .filter(|label| label.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
                    .map(str::to_owned),
            );
        }
    }
    families
}

#[test]
fn every_metric_of_a_running_process_is_in_the_reference() {
    let davy = Quickstart::start();
    let [page, archive, debug] = &davy.urls[..] else {
        panic!("expected three addresses, got {:?}", davy.urls);
    };
    // Metrics with labels have samples only after the first event.
    get(&format!("{page}/api/v1/members"), None);
    get(&format!("{page}/api/v1/members"), Some("attacker.example"));
    get(&format!("{archive}/api/v1/profiles/types"), None);
    get(&format!("{page}/api/v1/jobs"), None);
    // Those of workers are read from the database, which a new process reaches soon after it has printed its addresses.
    let scrape = || families(&get(&format!("{debug}/metrics"), None));
    let mut tries = (0..2_000).map(|_| scrape());
    let families = tries.find(|families| families.contains_key("davy_build_wait_seconds"));
    let families = families.unwrap_or_else(scrape);
    let known: BTreeMap<&str, &MetricEntry> = metrics().map(|entry| (entry.name, entry)).collect();
    let mut wrong = Vec::new();
    for (name, family) in &families {
        let Some(entry) = known.get(name.as_str()) else {
            wrong.push(format!(
                "{name} is missing; add it to the metrics in core/control"
            ));
            continue;
        };
        if family.kind != entry.kind.as_str() {
            wrong.push(format!("{name} is a {}", family.kind));
        }
        // Those of the unix process are from the crate prometheus.
        if family.help != entry.help {
            wrong.push(format!("{name} has the help text {:?}", family.help));
        }
        let labels = family.labels.iter().map(String::as_str);
        let unknown: Vec<&str> = labels
            .filter(|label| !["process", "le"].contains(label) && !entry.labels.contains(label))
            .collect();
        if !unknown.is_empty() {
            wrong.push(format!("{name} has the labels {unknown:?}"));
        }
    }
    for entry in metrics().filter(|entry| entry.labels.is_empty()) {
        if !families.contains_key(entry.name) {
            wrong.push(format!("{} is not exported", entry.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn metrics_are_listed_once_in_the_order_of_their_names() {
    let names: Vec<&str> = metrics().map(|entry| entry.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(unique.len(), names.len());
}

/// The binary, without the variables that control the tests: it rejects unknown variables.
fn davy() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    for (name, _) in std::env::vars() {
        if name.starts_with("DAVY_") {
            command.env_remove(name);
        }
    }
    command
}

/// The document that `davy reference` prints.
fn reference(document: &str) -> String {
    let output = davy().args(["reference", document]).output();
    let output = output.expect("run the binary");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("a document is text")
}

#[test]
fn cli_reference_is_up_to_date() {
    check("cli.md", &reference("cli"));
}

#[test]
fn configuration_reference_is_up_to_date() {
    check("configuration.md", &reference("configuration"));
}
