//! The settings of `archive.scraper`.

use super::error::Error;
use super::load::Loaded;
use davy_scrape::ScrapeConfig;

/// What the file names; `None` without a file.
pub(crate) fn configured(loaded: &Loaded) -> Result<Option<ScrapeConfig>, Error> {
    let file = loaded.value("archive.scrape_file");
    if file.is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error(format!("cannot read archive.scrape_file {file:?}: {error}")))?;
    let read = ScrapeConfig::read(&text);
    read.map(Some)
        .map_err(|error| Error(format!("archive.scrape_file {file:?}: {error}")))
}
