//! `davy archive`: inspects and maintains the archive in the configured bucket.

mod arclamp;
mod compact;
mod copy;
mod ls;
mod options;
mod output;
mod render;
mod retain;
mod rewrite;
mod table;
mod verify;

use crate::failure::Failure;
use copy::CopyArguments;
use options::ArchiveOptions;
use render::RenderArguments;
use std::path::PathBuf;
use table::TableArguments;

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ArchiveCommand {
    /// List what each tenant has stored: levels, services, bytes, and how far compaction lags. Services that share a
    /// row group are shown with equal shares of its size
    Ls(ArchiveOptions),
    /// Read everything and compare it: checksums, counts, and the sums of levels. Exits with 1 if something is wrong
    Verify(ArchiveOptions),
    /// Merge segments into hour blocks, hours into day blocks and days into month blocks until nothing is left to merge
    Compact(ArchiveOptions),
    /// Write the flame graphs and folded logs of closed hours and days that have none, or not of everything
    Render(RenderArguments),
    /// Delete what is older than its retention
    Retain {
        /// List what would be deleted, why, and how many bytes, and delete nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        options: ArchiveOptions,
    },
    /// Rewrite blocks of earlier format versions in the current version. The old ones are deleted after the grace
    /// period
    Rewrite {
        /// Say what would be rewritten, and write nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        options: ArchiveOptions,
    },
    /// Publish the blocks as Apache Iceberg tables in the same bucket, for Spark, Trino, DuckDB and others
    Table(TableArguments),
    /// Copy the archive to another bucket or a tar file. Repeat it after an interruption: it goes on where it stopped
    Export {
        /// URL of a bucket, a tar file, or - for a tar file on standard output
        #[arg(value_name = "DEST")]
        destination: String,
        #[command(flatten)]
        arguments: CopyArguments,
    },
    /// Copy an archive from another bucket or a tar file into this one, which keeps what it has; or import the logs of
    /// Arc Lamp
    Import {
        /// URL of a bucket, a tar file, - for a tar file on standard input, or `arclamp` followed by FOLDER
        #[arg(value_name = "SOURCE")]
        source: String,
        /// Folder with the logs of Arc Lamp
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
        /// Service of the logs of Arc Lamp [default: arclamp.service]
        #[arg(long, value_name = "NAME", requires = "folder")]
        service: Option<String>,
        #[command(flatten)]
        arguments: CopyArguments,
    },
}

/// Runs the command.
pub(crate) fn run(command: &ArchiveCommand) -> Result<(), Failure> {
    match command {
        ArchiveCommand::Ls(options) => ls::run(options),
        ArchiveCommand::Verify(options) => verify::run(options),
        ArchiveCommand::Compact(options) => compact::run(options),
        ArchiveCommand::Render(arguments) => render::run(arguments),
        ArchiveCommand::Retain { dry_run, options } => retain::run(*dry_run, options),
        ArchiveCommand::Rewrite { dry_run, options } => rewrite::run(*dry_run, options),
        ArchiveCommand::Table(arguments) => table::run(arguments),
        ArchiveCommand::Export {
            destination,
            arguments,
        } => copy::export(destination, arguments),
        ArchiveCommand::Import {
            source,
            folder: Some(folder),
            service,
            arguments,
        } => arclamp::import(source, folder, service.as_deref(), arguments),
        ArchiveCommand::Import {
            source, arguments, ..
        } => copy::import(source, arguments),
    }
}
