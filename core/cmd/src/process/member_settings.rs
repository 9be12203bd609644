//! The settings of each member.

use crate::catalogue::MemberId;
use crate::config::{Error, Loaded};
use std::time::Duration;

/// Maximum number of database connections that a member holds; 0 if it does not use the database.
pub(super) fn connections(loaded: &Loaded, member: MemberId) -> Result<u32, Error> {
    if member.spec().connections == 0 {
        return Ok(0);
    }
    let key = format!("member.{member}.connections");
    loaded.parse(&key, "a whole number from 1 to 1000", |text| {
        text.parse()
            .ok()
            .filter(|count| (1..=1_000).contains(count))
    })
}

/// The time between two ticks of a periodic member.
pub(super) fn interval(loaded: &Loaded, member: MemberId) -> Result<Duration, Error> {
    let key = format!("member.{member}.interval");
    loaded.parse(&key, "a duration such as 30s", |text| {
        humantime::parse_duration(text)
            .ok()
            .filter(|span| !span.is_zero())
    })
}

/// Checks the settings of every member.
pub(super) fn check(loaded: &Loaded) -> Result<(), Error> {
    for member in MemberId::all() {
        if member.spec().interval.is_some() {
            interval(loaded, member)?;
        }
        connections(loaded, member)?;
    }
    Ok(())
}
