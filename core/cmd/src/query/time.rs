//! Times on the command line.

use crate::failure::Failure;
use davy_base::{Clock, Timestamp};

/// Checks a time. The server interprets it, relative to its own clock.
pub(super) fn checked(text: &str) -> Result<String, String> {
    match davy_archive::time::parse(text, Clock::system().now()) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Interprets a time, relative to the clock of this machine.
pub(super) fn parsed(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    davy_archive::time::parse(text, now).map_err(|error| Failure::usage(error.to_string()))
}
