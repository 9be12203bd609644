//! `davy archive`: inspects and maintains the archive in the configured bucket.

mod compact;
mod ls;
mod retain;
mod verify;

use crate::config::Flags;
use crate::failure::Failure;
use crate::stdout::print;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ArchiveCommand {
    /// List what each tenant has stored: levels, services, bytes, and how far compaction lags
    Ls(ArchiveOptions),
    /// Read everything and compare it: checksums, counts, and the sums of levels. Exits with 1 if something is wrong
    Verify(ArchiveOptions),
    /// Merge segments into hour blocks and hours into day blocks until nothing is left to merge
    Compact(ArchiveOptions),
    /// Delete what is older than its retention
    Retain {
        /// List what would be deleted, why, and how many bytes, and delete nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        options: ArchiveOptions,
    },
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct ArchiveOptions {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the command.
pub(crate) fn run(command: &ArchiveCommand) -> Result<(), Failure> {
    match command {
        ArchiveCommand::Ls(options) => ls::run(options),
        ArchiveCommand::Verify(options) => verify::run(options),
        ArchiveCommand::Compact(options) => compact::run(options),
        ArchiveCommand::Retain { dry_run, options } => retain::run(*dry_run, options),
    }
}

/// Converts an error of the archive; for `map_err`.
fn failed(what: &'static str) -> impl Fn(davy_archive::Error) -> Failure {
    move |error| Failure::because(what)(error)
}

fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(Failure::because("cannot write JSON"))?;
    print(&format!("{text}\n"))
}

/// A progress bar, which is hidden unless standard error is a terminal.
fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
