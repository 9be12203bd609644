//! Finds targets: static ones, those of files, of DNS names, of Prometheus's HTTP service discovery, and pods.

use crate::config::{Job, ScrapeConfig};
use crate::kubernetes;
use crate::source::{Group, TIMEOUT, body};
use crate::target::{Target, Unfit};
use davy_base::Clock;
use std::collections::BTreeMap;
use std::path::Path;

/// Maximum number of targets.
pub(crate) const TARGETS: usize = 2_000;
/// What is noted of ignored targets, beside the notes of sources.
const TARGETS_NOTE: &str = "targets";
/// Maximum size of a file or a response, in bytes.
const BYTES: usize = 4 << 20;

/// What was found last by each source, which counts while the source cannot be read.
#[derive(Default)]
pub(crate) struct Discovery {
    found: BTreeMap<String, Vec<Group>>,
    /// Sources that failed the last time, so that a failure is logged once.
    failing: BTreeMap<String, String>,
}

impl Discovery {
    /// Number of sources that could not be read the last time.
    pub(crate) fn failing(&self) -> usize {
        self.failing.keys().filter(|of| *of != TARGETS_NOTE).count()
    }

    /// Forgets which sources failed: those of another configuration may not be read again.
    pub(crate) fn forget_failures(&mut self) {
        self.failing.clear();
    }

    /// The targets of all jobs, by key.
    pub(crate) async fn targets(
        &mut self,
        config: &ScrapeConfig,
        client: &reqwest::Client,
        clock: &Clock,
    ) -> BTreeMap<String, Target> {
        let mut targets = BTreeMap::new();
        let mut ignored = 0;
        for job in &config.jobs {
            for group in self.groups(job, client, clock).await {
                for address in &group.targets {
                    match Target::new(job, address.trim(), &group.labels) {
                        Ok(target) if targets.len() < TARGETS => {
                            targets.insert(target.key(), target);
                        }
                        Err(Unfit::Dropped) => {}
                        Ok(_) | Err(Unfit::Invalid) => ignored += 1,
                    }
                }
            }
        }
        let note = match ignored {
            0 => Ok(Vec::new()),
            ignored => Err(format!(
                "{ignored} targets ignored: invalid address or label, or more than {TARGETS}"
            )),
        };
        self.note(TARGETS_NOTE.to_owned(), note);
        targets
    }

    async fn groups(&mut self, job: &Job, client: &reqwest::Client, clock: &Clock) -> Vec<Group> {
        let mut all = vec![Group {
            targets: job.targets.clone(),
            labels: BTreeMap::new(),
        }];
        for file in &job.files {
            let read = read_file(file);
            all.extend(self.note(format!("file {}", file.display()), read));
        }
        for name in &job.dns {
            let found = clock.timeout(TIMEOUT, look_up(name)).await;
            let found = found.unwrap_or_else(|_| Err(format!("no response for {TIMEOUT:?}")));
            all.extend(self.note(format!("dns {name}"), found));
        }
        for url in &job.http {
            let found = clock.timeout(TIMEOUT, get(client, url)).await;
            let found = found.unwrap_or_else(|_| Err(format!("no response for {TIMEOUT:?}")));
            all.extend(self.note(url.clone(), found));
        }
        if let Some(cluster) = &job.kubernetes {
            let found = kubernetes::pods(cluster, clock).await;
            all.extend(self.note(format!("kubernetes of job {}", job.name), found));
        }
        all
    }

    /// What a source has now, or had last. Logs a failure when it begins.
    fn note(&mut self, source: String, found: Result<Vec<Group>, String>) -> Vec<Group> {
        match found {
            Ok(groups) => {
                self.failing.remove(&source);
                self.found.insert(source, groups.clone());
                groups
            }
            Err(error) => {
                if self.failing.get(&source) != Some(&error) {
                    tracing::warn!(
                        source,
                        error,
                        "cannot discover targets; keeping those found before"
                    );
                }
                let before = self.found.get(&source).cloned();
                self.failing.insert(source, error);
                before.unwrap_or_default()
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<Group>, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > BYTES as u64 {
        return Err(format!("{size} bytes, the limit is {BYTES}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    parse(&text)
}

/// JSON is YAML.
fn parse(text: &str) -> Result<Vec<Group>, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

async fn look_up(name: &str) -> Result<Vec<Group>, String> {
    let found = tokio::net::lookup_host(name).await;
    let addresses = found.map_err(|error| error.to_string())?;
    let mut targets: Vec<String> = addresses.map(|address| address.to_string()).collect();
    targets.sort();
    targets.dedup();
    Ok(vec![Group {
        targets,
        labels: BTreeMap::new(),
    }])
}

async fn get(client: &reqwest::Client, url: &str) -> Result<Vec<Group>, String> {
    let sent = client.get(url).header("accept", "application/json").send();
    let mut response = sent.await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("the server responded with {}", response.status()));
    }
    let body = body(&mut response, BYTES).await?;
    let text = String::from_utf8(body).map_err(|_| "the response is not UTF-8".to_owned())?;
    parse(&text)
}
