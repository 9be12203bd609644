//! The parameters of a drill, from its file.

use crate::failure::Failure;
use serde::Deserialize;

/// The parameters of a drill.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrillSpec {
    pub(super) jobs: usize,
    pub(super) config_bytes: usize,
    pub(super) clients: usize,
    pub(super) storm_seconds: u64,
    pub(super) must: Requirements,
}

/// What the response to the incident must achieve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requirements {
    pub(super) named_seconds: f64,
    pub(super) recovered_seconds: f64,
    pub(super) recovered_ratio: f64,
    pub(super) others_milliseconds: f64,
}

const LIST_ALL_JOBS: &str = include_str!("../../../../ops/drills/list-all-jobs.toml");

impl DrillSpec {
    /// The drill `list-all-jobs`.
    pub(super) fn list_all_jobs() -> Result<Self, Failure> {
        toml::from_str(LIST_ALL_JOBS).map_err(Failure::because("invalid drill file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drill_file_is_valid() {
        let spec = DrillSpec::list_all_jobs().expect("parse the drill file");
        assert_eq!(spec.jobs, 36_000);
        assert!(spec.must.recovered_ratio > 1.0);
    }
}
