//! `davy reference`: generates the reference documents in `ops/docs`.

mod commands;
mod configuration;

use crate::failure::Failure;
use crate::stdout::print;

/// The documents.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ReferenceDocument {
    /// ops/docs/cli.md
    Cli,
    /// ops/docs/configuration.md
    Configuration,
}

/// Prints a document. `command` is the definition of the command line.
pub(crate) fn run(document: ReferenceDocument, command: clap::Command) -> Result<(), Failure> {
    print(&match document {
        ReferenceDocument::Cli => commands::markdown(command),
        ReferenceDocument::Configuration => configuration::markdown(),
    })
}
