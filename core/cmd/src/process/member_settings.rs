//! The settings of each member.

use crate::catalogue::MemberId;
use crate::config::{Error, Loaded};
use davy_cgroup::Limits;
use std::ops::RangeInclusive;
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

/// The limits of an isolated member's process.
pub(super) fn limits(loaded: &Loaded, member: MemberId) -> Result<Limits, Error> {
    let number = |name: &str, expected: &str, range: RangeInclusive<u64>| {
        let key = format!("member.{member}.{name}");
        optional(loaded, &key, expected, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    };
    let memory = format!("member.{member}.memory_max");
    Ok(Limits {
        memory_max: optional(
            loaded,
            &memory,
            "a size of at least 16MiB, such as 512MiB",
            |text| {
                let size = text.parse::<bytesize::ByteSize>().ok()?.as_u64();
                MEMORY_MAX.contains(&size).then_some(size)
            },
        )?,
        cpu_weight: number("cpu_weight", "a whole number from 1 to 10000", 1..=10_000)?,
        pids_max: number(
            "pids_max",
            "a whole number from 16 to 1000000",
            16..=1_000_000,
        )?,
    })
}

/// A process of Davy does not start with less.
const MEMORY_MAX: RangeInclusive<u64> = 16 << 20..=1 << 50;

fn optional<T>(
    loaded: &Loaded,
    key: &str,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    if loaded.value(key).trim().is_empty() {
        return Ok(None);
    }
    loaded.parse(key, expected, |text| parse(text).map(Some))
}

/// Whether any member has limits.
pub(crate) fn has_limits(loaded: &Loaded) -> bool {
    let limits = |member| limits(loaded, member).unwrap_or_default();
    MemberId::all().any(|member| limits(member) != Limits::default())
}

/// Rejects limits that would have no effect.
fn check_limits(loaded: &Loaded, member: MemberId) -> Result<(), Error> {
    if limits(loaded, member)? == Limits::default()
        || loaded.value(&format!("member.{member}.isolate")) == "process"
    {
        return Ok(());
    }
    let keys = ["memory_max", "cpu_weight", "pids_max"];
    let key = keys.map(|name| format!("member.{member}.{name}"));
    let set = key.iter().find(|key| !loaded.value(key).trim().is_empty());
    let set = set.map_or("", String::as_str);
    Err(Error(format!(
        "{set} has no effect: {member} shares its process with other members; set member.{member}.isolate = \"process\""
    )))
}

/// Checks the settings of every member.
pub(super) fn check(loaded: &Loaded) -> Result<(), Error> {
    for member in MemberId::all() {
        if member.spec().interval.is_some() {
            interval(loaded, member)?;
        }
        connections(loaded, member)?;
        check_limits(loaded, member)?;
    }
    Ok(())
}
