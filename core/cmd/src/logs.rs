//! Logs: for people on a terminal, JSON otherwise; always on standard error.

use crate::cli::Failure;
use crate::config::{Config, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// The filter that a level names, or what is wrong with it.
pub(crate) fn check(level: &str) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(level).map_err(|error| {
        Failure::Usage(format!(
            "log.level = {level:?} is not a level (error, warn, info, debug, trace) or a filter: {error}"
        ))
    })
}

/// Sets up the process's log.
pub(crate) fn start(config: &Config) -> Result<(), Failure> {
    let filter = check(&config.log_level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let human = match config.log_format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if human {
        builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init();
    } else {
        builder.json().flatten_event(true).init();
    }
    Ok(())
}
