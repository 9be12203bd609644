//! The settings of recording rules.

use super::error::Error;
use super::load::Loaded;
use davy_archive::recording::{RecordingRule, RulesFile};

/// The recording rules of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct RecordingConfig {
    pub(crate) rules: Vec<RecordingRule>,
    pub(crate) accepts_changes: bool,
    /// Where the counters are sent.
    pub(crate) remote_write: Option<String>,
}

impl RecordingConfig {
    /// Reads the file, if there is one.
    pub(crate) fn new(loaded: &Loaded) -> Result<Self, Error> {
        let file = loaded.value("archive.rules_file");
        let wrong = |error: String| Error(format!("archive.rules_file {file:?}: {error}"));
        let rules = if file.is_empty() {
            Vec::new()
        } else {
            let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
            let read: RulesFile =
                serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
            read.checked().map_err(|error| wrong(error.to_string()))?
        };
        let url = loaded.value("archive.rules_remote_write");
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Error(format!(
                "archive.rules_remote_write {url:?}: expected a URL such as http://prometheus:9090/api/v1/write"
            )));
        }
        Ok(Self {
            remote_write: Some(url.to_owned()).filter(|url| !url.is_empty()),
            rules,
            accepts_changes: loaded.parse("archive.rules_api", "true or false", |text| {
                text.parse().ok()
            })?,
        })
    }
}
