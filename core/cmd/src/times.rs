//! Times and ranges on the command line.

use crate::failure::Failure;
use davy_base::{Clock, Timestamp};

/// Checks a time that the server interprets, relative to its own clock.
pub(crate) fn checked(text: &str) -> Result<String, String> {
    match davy_archive::time::parse(text, Clock::system().now()) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The time that a flag gives, relative to `now`.
pub(crate) fn parse(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    davy_archive::time::parse(text, now).map_err(|error| Failure::usage(format!("{flag}: {error}")))
}

/// Rejects a range without any time.
pub(crate) fn check_range(flags: &str, from: Timestamp, until: Timestamp) -> Result<(), Failure> {
    if from < until {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{flags}: the range is empty: {from} is not before {until}"
    )))
}
