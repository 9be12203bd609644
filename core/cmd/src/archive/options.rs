//! What the commands share.

use crate::config::Flags;
use crate::failure::Failure;
use crate::stdout::print;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct ArchiveOptions {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) flags: Flags,
}

/// Converts an error of the archive; for `map_err`.
pub(super) fn failed(what: &'static str) -> impl Fn(davy_archive::Error) -> Failure {
    move |error| Failure::because(what)(error)
}

pub(super) fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(Failure::because("cannot write JSON"))?;
    print(&format!("{text}\n"))
}

/// A progress bar, which is hidden unless standard error is a terminal.
pub(super) fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
