//! A program that is scraped.

use crate::config::{Job, Kind};
use crate::relabel::relabel;
use davy_archive::labels;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Why a discovered target is not scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// A rule of relabeling drops it.
    Dropped,
    /// Its address or a label is invalid.
    Invalid,
}

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
    /// A target of a job, with labels of its discovery, after relabeling.
    pub(crate) fn new(
        job: &Job,
        address: &str,
        discovered: &BTreeMap<String, String>,
    ) -> Result<Self, Unfit> {
        let own = [
            ("__address__", address),
            ("__scheme__", &job.scheme),
            ("__profile_path__", &job.path),
            (labels::SERVICE, &job.service),
            ("job", &job.name),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut all = BTreeMap::from(own);
        let of_job = job.labels.iter();
        for (name, value) in discovered.iter().chain(of_job) {
            all.insert(name.clone(), value.clone());
        }
        let mut all = relabel(&job.relabel_configs, all).ok_or(Unfit::Dropped)?;
        let mut take = |name: &str| all.remove(name).unwrap_or_default();
        let (address, scheme) = (take("__address__"), take("__scheme__"));
        let path = take("__profile_path__");
        let is_address = |letter: char| letter.is_ascii_alphanumeric() || ".-_:[]".contains(letter);
        if address.is_empty() || !address.chars().all(is_address) {
            return Err(Unfit::Invalid);
        }
        all.retain(|name, _| !name.starts_with("__"));
        all.entry("instance".to_owned())
            .or_insert_with(|| address.clone());
        for (name, default) in [(labels::SERVICE, &job.service), ("job", &job.name)] {
            all.entry(name.to_owned())
                .or_insert_with(|| default.clone());
        }
        if all
            .iter()
            .any(|(name, value)| labels::check(name, value).is_err())
        {
            return Err(Unfit::Invalid);
        }
        Ok(Self {
            job: job.name.clone(),
            url: format!("{scheme}://{address}{}", path.trim_end_matches('/')),
            instance: address,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ScrapeConfig;

    #[test]
    fn relabeling_decides_address_path_and_labels_of_a_target() {
        let config = ScrapeConfig::read(
            r"
jobs:
  - job: pods
    labels: { region: eu }
    http: ['http://inventory/targets']
    relabel_configs:
      - { action: keep, source_labels: [__meta_scrape], regex: 'true' }
      - { source_labels: [__address__, __meta_port], regex: '([^:]+)(?::\d+)?;(\d+)', target_label: __address__, replacement: '$1:$2' }
      - { source_labels: [__meta_app], target_label: service_name }
      - { source_labels: [__meta_path], regex: '(.+)', target_label: __profile_path__ }
      - { action: labelmap, regex: '__meta_label_(.+)' }
",
        );
        let config = config.expect("valid");
        let target = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let labels = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Target::new(&config.jobs[0], "10.0.0.7:80", &labels.collect())
        };
        let found = target(&[
            ("__meta_scrape", "true"),
            ("__meta_port", "6060"),
            ("__meta_app", "shop"),
            ("__meta_path", "/internal/pprof/"),
            ("__meta_label_team", "blue"),
        ]);
        let found = found.expect("kept");
        assert_eq!(found.url, "http://10.0.0.7:6060/internal/pprof");
        let labels: Vec<String> = found
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let expected = [
            "instance=10.0.0.7:6060",
            "job=pods",
            "region=eu",
            "service_name=shop",
            "team=blue",
        ];
        assert_eq!(labels, expected);
        assert_eq!(target(&[]).expect_err("dropped"), Unfit::Dropped);
        // Without an application the service is that of the job.
        let found = target(&[("__meta_scrape", "true")]).expect("kept");
        assert_eq!(
            (&*found.labels["service_name"], &*found.url),
            ("pods", "http://10.0.0.7:80/debug/pprof")
        );
        let invalid = target(&[("__meta_scrape", "true"), ("__meta_app", "a\0b")]);
        assert_eq!(invalid.expect_err("invalid"), Unfit::Invalid);
    }
}
