//! Options of every command of `davy archive`.

use crate::config::Flags;

/// The options.
#[derive(Debug, clap::Args)]
pub(crate) struct ArchiveOptions {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) flags: Flags,
}
