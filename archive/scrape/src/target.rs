//! A program that is scraped.

use crate::config::{Job, Kind};
use davy_archive::labels;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A program that is scraped, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) job: String,
    /// The folder of profiles, such as `http://10.0.0.1:6060/debug/pprof`.
    pub(crate) url: String,
    pub(crate) instance: String,
    pub(crate) tenant: String,
    pub(crate) every: Duration,
    pub(crate) profiles: Vec<Kind>,
    pub(crate) bearer_token_file: Option<PathBuf>,
    /// The labels of its profiles, without `__name__`.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Target {
    /// A target of a job, with labels of its discovery; none if the address or a label is invalid.
    pub(crate) fn new(
        job: &Job,
        address: &str,
        discovered: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let is_address = |letter: char| letter.is_ascii_alphanumeric() || ".-_:[]".contains(letter);
        if address.is_empty() || !address.chars().all(is_address) {
            return None;
        }
        let meta = |name: &str, default: &str| {
            let value = discovered.get(name).map_or(default, String::as_str);
            value.to_owned()
        };
        let scheme = meta("__scheme__", &job.scheme);
        let path = meta("__profile_path__", &job.path);
        let mut all = BTreeMap::from([
            (labels::SERVICE.to_owned(), job.service.clone()),
            ("job".to_owned(), job.name.clone()),
            ("instance".to_owned(), address.to_owned()),
        ]);
        let shown = discovered
            .iter()
            .filter(|(name, _)| !name.starts_with("__"));
        let of_job = job.labels.iter();
        for (name, value) in shown.chain(of_job) {
            labels::check(name, value).ok()?;
            all.insert(name.clone(), value.clone());
        }
        Some(Self {
            job: job.name.clone(),
            url: format!("{scheme}://{address}{}", path.trim_end_matches('/')),
            instance: address.to_owned(),
            tenant: job.tenant.clone(),
            every: job.every,
            profiles: job.profiles.clone(),
            bearer_token_file: job.bearer_token_file.clone(),
            labels: all,
        })
    }

    /// What identifies it in all replicas.
    pub(crate) fn key(&self) -> String {
        format!("{}\n{}\n{}", self.tenant, self.job, self.url)
    }
}
