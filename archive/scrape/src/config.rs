//! The file that names what is scraped.

use crate::kubernetes::Kubernetes;
use crate::relabel::{RULES, Relabel};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The largest number of jobs.
const JOBS: usize = 100;
/// The shortest and the longest interval.
const INTERVALS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(10));

/// The file is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// A kind of profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Heap,
    Allocs,
    Goroutine,
    Mutex,
    Block,
    Wall,
    Cpu,
}

impl Kind {
    /// The path below the folder of profiles, and the name of the profile.
    pub(crate) fn path_and_name(self) -> (&'static str, &'static str) {
        match self {
            Self::Heap => ("heap", "memory"),
            Self::Allocs => ("allocs", "memory"),
            Self::Goroutine => ("goroutine", "goroutine"),
            Self::Mutex => ("mutex", "mutex"),
            Self::Block => ("block", "block"),
            Self::Wall => ("wall", "wall"),
            Self::Cpu => ("profile", "process_cpu"),
        }
    }

    /// Whether the response takes the time that is profiled.
    pub(crate) fn is_timed(self) -> bool {
        matches!(self, Self::Cpu | Self::Wall)
    }
}

/// What is scraped.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    #[serde(default = "default_interval", with = "duration")]
    interval: Duration,
    #[serde(default = "default_concurrency")]
    pub(crate) concurrency: usize,
    pub(crate) jobs: Vec<Job>,
}

fn default_interval() -> Duration {
    Duration::from_secs(15)
}

fn default_concurrency() -> usize {
    16
}

/// Targets that are scraped alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Job {
    /// The label `job`.
    #[serde(rename = "job")]
    pub(crate) name: String,
    #[serde(default, with = "optional_duration")]
    interval: Option<Duration>,
    /// The label `service_name`; the name of the job without it.
    #[serde(default)]
    pub(crate) service: String,
    #[serde(default = "default_scheme")]
    pub(crate) scheme: String,
    #[serde(default = "default_path")]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) profiles: Vec<Kind>,
    /// File with a bearer token.
    #[serde(default)]
    pub(crate) bearer_token_file: Option<PathBuf>,
    /// The tenant of the profiles; the anonymous one without it.
    #[serde(default)]
    pub(crate) tenant: String,
    /// `HOST:PORT`.
    #[serde(default)]
    pub(crate) targets: Vec<String>,
    /// Files of Prometheus's file-based discovery, JSON or YAML.
    #[serde(default)]
    pub(crate) files: Vec<PathBuf>,
    /// `NAME:PORT`, whose addresses are all targets.
    #[serde(default)]
    pub(crate) dns: Vec<String>,
    /// URLs of Prometheus's HTTP service discovery.
    #[serde(default)]
    pub(crate) http: Vec<String>,
    /// The pods of a cluster.
    #[serde(default)]
    pub(crate) kubernetes: Option<Kubernetes>,
    /// Change the labels of targets, or drop them.
    #[serde(default)]
    pub(crate) relabel_configs: Vec<Relabel>,
    /// Set by [`ScrapeConfig::read`].
    #[serde(skip)]
    pub(crate) every: Duration,
}

fn default_scheme() -> String {
    "http".to_owned()
}

fn default_path() -> String {
    "/debug/pprof".to_owned()
}

impl ScrapeConfig {
    /// Reads and checks the text of a file.
    ///
    /// # Errors
    ///
    /// If it is not YAML, has unknown or missing fields, or a value is invalid.
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let mut config: Self =
            serde_saphyr::from_str(text).map_err(|error| ConfigError(error.to_string()))?;
        let wrong = |message: String| Err(ConfigError(message));
        if config.jobs.len() > JOBS {
            return wrong(format!("{} jobs, the limit is {JOBS}", config.jobs.len()));
        }
        if !(1..=256).contains(&config.concurrency) {
            return wrong(format!(
                "invalid concurrency {}; expected 1 to 256",
                config.concurrency
            ));
        }
        let mut names = std::collections::BTreeSet::new();
        for job in &mut config.jobs {
            let name = &job.name;
            if !names.insert(name.clone()) || name.is_empty() {
                return wrong(format!(
                    "duplicate or empty job {name:?}; every job has a name of its own"
                ));
            }
            job.every = job.interval.unwrap_or(config.interval);
            if job.every < INTERVALS.0 || job.every > INTERVALS.1 {
                return wrong(format!(
                    "job {name}: invalid interval {:?}; expected 2s to 10m",
                    job.every
                ));
            }
            if !["http", "https"].contains(&&*job.scheme) {
                return wrong(format!(
                    "job {name}: invalid scheme {:?}; expected http or https",
                    job.scheme
                ));
            }
            if !job.path.starts_with('/') {
                return wrong(format!(
                    "job {name}: invalid path {:?}; expected a path such as /debug/pprof",
                    job.path
                ));
            }
            if job.targets.is_empty()
                && job.files.is_empty()
                && job.dns.is_empty()
                && job.http.is_empty()
                && job.kubernetes.is_none()
            {
                return wrong(format!(
                    "job {name} has no targets; set targets, files, dns, http or kubernetes"
                ));
            }
            if let Some(kubernetes) = &job.kubernetes {
                if let Err(fault) = kubernetes.check() {
                    return wrong(format!("job {name}: {fault}"));
                }
                if job.relabel_configs.is_empty() {
                    return wrong(format!(
                        "job {name}: kubernetes finds every port of every pod; add relabel_configs that keep those to scrape"
                    ));
                }
            }
            if let Some(wrong_name) = job.dns.iter().find(|of| {
                of.rsplit_once(':')
                    .is_none_or(|(_, port)| port.parse::<u16>().is_err())
            }) {
                return wrong(format!(
                    "job {name}: invalid dns {wrong_name:?}; expected NAME:PORT"
                ));
            }
            if job.relabel_configs.len() > RULES {
                let count = job.relabel_configs.len();
                return wrong(format!(
                    "job {name}: {count} relabel_configs, the limit is {RULES}"
                ));
            }
            for rule in &job.relabel_configs {
                if let Err(fault) = rule.check() {
                    return wrong(format!("job {name}: {fault}"));
                }
            }
            for (label, value) in &job.labels {
                if let Err(fault) = davy_archive::labels::check(label, value) {
                    return wrong(format!("job {name}: {fault}"));
                }
            }
            if job.service.is_empty() {
                job.service.clone_from(&job.name);
            }
            if job.profiles.is_empty() {
                job.profiles = vec![
                    Kind::Heap,
                    Kind::Goroutine,
                    Kind::Mutex,
                    Kind::Block,
                    Kind::Cpu,
                ];
            }
            job.profiles.sort_unstable();
            job.profiles.dedup();
        }
        Ok(config)
    }
}

mod duration {
    use serde::{Deserialize as _, Deserializer, de::Error as _};
    use std::time::Duration;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!("invalid duration {text:?}: {error}; example: 15s"))
        })
    }
}

mod optional_duration {
    use serde::Deserializer;
    use std::time::Duration;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::duration::deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_checked_and_defaults_are_those_of_go() {
        let config = ScrapeConfig::read(
            "jobs: [{job: web, targets: ['a:6060']}, {job: db, interval: 1m, service: x, profiles: [cpu], dns: ['db:1']}]",
        );
        let config = config.expect("valid");
        let [web, db] = &*config.jobs else {
            panic!("two jobs");
        };
        assert_eq!(
            (web.every, &*web.service, web.profiles.len()),
            (Duration::from_secs(15), "web", 5)
        );
        assert_eq!((db.every, &*db.service), (Duration::from_mins(1), "x"));
        let check = |text: &str, expected: &str| {
            let error = ScrapeConfig::read(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("jobs: [{job: a}]", "has no targets");
        check(
            "jobs: [{job: a, consul: x, targets: ['b:1']}]",
            "unknown field `consul`",
        );
        check(
            "jobs: [{job: a, kubernetes: {namespace: x}}]",
            "unknown field `namespace`",
        );
        check(
            "jobs: [{job: a, kubernetes: {}}]",
            "add relabel_configs that keep those to scrape",
        );
        check(
            "jobs: [{job: a, kubernetes: {api: 'cluster:6443'}}]",
            "invalid kubernetes.api \"cluster:6443\"; expected https://HOST:PORT",
        );
        check(
            "jobs: [{job: a, interval: 1s, targets: ['b:1']}]",
            "expected 2s to 10m",
        );
        check(
            "jobs: [{job: a, targets: ['b:1']}, {job: a, targets: ['b:1']}]",
            "duplicate",
        );
        check(
            "jobs: [{job: a, scheme: ftp, targets: ['b:1']}]",
            "expected http or https",
        );
        check("jobs: [{job: a, dns: [b]}]", "expected NAME:PORT");
        check(
            "jobs: [{job: a, labels: {'x y=': z}, targets: ['b:1']}]",
            "label name",
        );
        check(
            "jobs: [{job: a, profiles: [nope], targets: ['b:1']}]",
            "nope",
        );
    }
}
