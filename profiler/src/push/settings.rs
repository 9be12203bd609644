//! How windows are sent and kept.

use super::pack::Compression;
#[cfg(feature = "tls")]
use super::tls::Trust;
use std::path::PathBuf;

#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// Sent as a bearer token.
    pub(crate) token: Option<String>,
    /// Labels of every series.
    pub(crate) labels: Vec<(String, String)>,
    /// The folder that keeps windows until they are acknowledged.
    pub(crate) spool: Option<PathBuf>,
    #[cfg(feature = "tls")]
    pub(crate) trust: Trust,
    pub(crate) compression: Compression,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the token.
        f.debug_struct("Settings")
            .field("labels", &self.labels)
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}
