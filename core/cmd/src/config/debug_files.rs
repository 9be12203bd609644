//! The settings of debug files.

use super::error::Error;
use super::load::Loaded;

/// The values of the settings of debug files.
#[derive(Clone, Debug)]
pub(crate) struct DebugFilesConfig {
    pub(crate) file_bytes: u64,
    pub(crate) debuginfod_urls: Vec<String>,
}

impl DebugFilesConfig {
    /// Checks the values of a loaded configuration.
    pub(super) fn new(loaded: &Loaded, file_bytes: u64) -> Result<Self, Error> {
        let expected = "addresses separated by spaces such as https://debuginfod.debian.net";
        let parse = |text: &str| -> Option<Vec<String>> {
            let url = |url: &str| {
                let is_web = url.starts_with("http://") || url.starts_with("https://");
                is_web.then(|| url.to_owned())
            };
            text.split_whitespace().map(url).collect()
        };
        let mut debuginfod_urls = loaded.parse("archive.debuginfod_urls", expected, parse)?;
        if debuginfod_urls.is_empty() {
            // What tools of elfutils and GDB read. They ignore what is not a web address, too.
            let urls = std::env::var("DEBUGINFOD_URLS").unwrap_or_default();
            debuginfod_urls = parse(&urls).unwrap_or_default();
        }
        Ok(Self {
            file_bytes,
            debuginfod_urls,
        })
    }
}
