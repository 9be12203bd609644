//! The bucket that the settings name.

use crate::failure::Failure;
use davy_base::Clock;
use davy_bucket::{BucketSettings, OpenBucket, process_environment};

/// Checks the settings of the bucket without a request, and without creating a folder.
pub(crate) fn check(settings: &BucketSettings) -> Result<(), Failure> {
    let checked = davy_bucket::check(settings, &process_environment, &Clock::system());
    checked.map_err(|error| Failure::usage(error.to_string()))
}

/// Opens the bucket. The folder of `file:///FOLDER` is created if it does not exist.
pub(crate) fn open(settings: &BucketSettings, clock: &Clock) -> Result<OpenBucket, Failure> {
    let opened = davy_bucket::open(settings, &process_environment, clock);
    opened.map_err(|error| Failure::usage(error.to_string()))
}
