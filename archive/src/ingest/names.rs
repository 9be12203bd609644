//! Names of pprof profiles and their sample types.

use super::sample_types::SampleTypes;
use crate::error::{Error, Result};
use crate::labels;
use crate::types::TypeId;
use davy_profile::Profile;
use std::sync::Arc;

/// The name of a pprof profile whose push has none, derived from its sample types. `described` is the
/// agent's description of them, which distinguishes block profiles from mutex profiles.
pub(super) fn of_pprof(profile: &Profile, described: &SampleTypes) -> String {
    let types: Vec<&str> = profile
        .sample_types
        .iter()
        .map(|of| profile.text(of.kind))
        .collect();
    let has = |kind: &str| types.contains(&kind);
    let period = profile.text(profile.period_type.kind);
    let is_heap_of_v8 = has("objects") && has("space");
    if has("inuse_space")
        || has("alloc_space")
        || has("inuse_objects")
        || has("alloc_objects")
        || is_heap_of_v8
    {
        "memory".to_owned()
    } else if has("contentions") || has("delay") {
        if described.mention("block") {
            "block".to_owned()
        } else {
            "mutex".to_owned()
        }
    } else if has("goroutine") || has("goroutines") {
        "goroutines".to_owned()
    } else if has("wall") || period == "wall" {
        "wall".to_owned()
    } else if has("cpu") || period == "cpu" || types.first().is_none_or(|first| first.is_empty()) {
        "process_cpu".to_owned()
    } else {
        let shown = described.display_name(types[0]);
        shown.unwrap_or(types[0]).to_owned()
    }
}

/// The sample type as it is stored. V8 names the types of the live heap differently from everybody else.
fn renamed<'a>(name: &str, sample: &'a str) -> &'a str {
    match (name, sample) {
        ("memory", "objects") => "inuse_objects",
        ("memory", "space") => "inuse_space",
        (_, sample) => sample,
    }
}

/// The ids of the sample types of a profile with this name.
pub(super) fn type_ids(
    name: &str,
    profile: &Profile,
    described: &SampleTypes,
) -> Result<Vec<Arc<str>>> {
    let text = |id| profile.text(id).to_owned();
    let period = profile.period_type;
    let ids = profile.sample_types.iter().map(|of| {
        let (sample, unit) = (profile.text(of.kind), profile.text(of.unit));
        let unit = if unit.is_empty() {
            described.unit(sample)
        } else {
            unit
        };
        let id = TypeId {
            name: name.to_owned(),
            sample: renamed(name, sample).to_owned(),
            unit: unit.to_owned(),
            period: text(period.kind),
            period_unit: text(period.unit),
        };
        let id = id.to_string();
        if id.len() > labels::VALUE_BYTES {
            return Err(Error::invalid(format!(
                "the name of a sample type is {} bytes long, the limit is {}",
                id.len(),
                labels::VALUE_BYTES
            )));
        }
        Ok(id.into())
    });
    ids.collect()
}
