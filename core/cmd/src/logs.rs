//! Logs on standard error: readable text on a terminal, JSON otherwise.

use crate::config::Config;
pub(crate) use crate::config::LogFormat;
use crate::failure::Failure;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// The filter for a log level, or an error if the level is invalid.
pub(crate) fn check(level: &str) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(level).map_err(Failure::invalid(format!(
        "invalid log.level {level:?}: expected error, warn, info, debug, trace or a filter such as davy_archive=debug"
    )))
}

/// Starts logging.
pub(crate) fn start(config: &Config) -> Result<(), Failure> {
    start_at(&config.log_level, config.log_format)
}

/// Starts logging at a level.
pub(crate) fn start_at(level: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = check(level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would print to standard error that it could not, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let human = match format {
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
