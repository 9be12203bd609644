//! From OTLP to pushes of pprof profiles.
//!
//! Samples of a profile whose attribute `service.name` differs are profiles of their own. `samples:count` with a period of
//! `cpu:nanoseconds` becomes CPU time: each count is a period. A sample without values counts its timestamps.

use super::labels::{Attributes, LabelSet, add_indices, add_link, add_pairs, labels, source};
use super::messages::{Export, Profile, Sample, Tables};
use super::transcode::Transcoder;
use crate::json::hex;
use crate::status::Status;
use davy_archive::ingest::{Format, Push, SampleTypes, WindowIdentity};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// Maximum number of profiles of a request.
const PROFILES: usize = 2_000;

/// The attribute that can differ between the samples of a profile.
const SERVICE: &str = "service.name";

/// The pushes of a request, with what each is, for messages. Profiles of a request share a dictionary, and each push
/// contains what it needs of it, so a small request can become large; all pushes have at most `limit` bytes.
pub(super) fn pushes(request: &Export, limit: usize) -> Result<Vec<(String, Push)>, Status> {
    let dictionary = &Tables::of(&request.dictionary)
        .map_err(|error| Status::invalid(format!("cannot decode the dictionary: {error}")))?;
    let mut transcoder = Transcoder::new(dictionary, limit);
    let mut pushes = Vec::new();
    let mut number = 0;
    for resource in &request.resource_profiles {
        let mut of_resource = Attributes::new();
        if let Some(of) = &resource.resource {
            add_pairs(&mut of_resource, dictionary, &of.attributes)?;
        }
        for scope in &resource.scope_profiles {
            let mut of_scope = of_resource.clone();
            if let Some(of) = &scope.scope {
                add_pairs(&mut of_scope, dictionary, &of.attributes)?;
            }
            for profile in &scope.profiles {
                let mut attributes = of_scope.clone();
                add_indices(&mut attributes, dictionary, &profile.attribute_indices)?;
                let of = by_service(dictionary, profile)?;
                for (service, samples) in of.services {
                    if pushes.len() == PROFILES {
                        return Err(Status::invalid(format!(
                            "the request has more than {PROFILES} profiles, the limit; split it"
                        )));
                    }
                    let labels = source(&attributes, service.as_deref());
                    let push = Push {
                        labels: labels.into(),
                        identity: identity(profile, service.as_deref()),
                        span: None,
                        format: Format::Pprof(SampleTypes::default()),
                        body: transcoder.profile(profile, &samples, &of.sets)?.into(),
                    };
                    pushes.push((format!("profile {number}"), push));
                }
                number += 1;
            }
        }
    }
    Ok(pushes)
}

/// The id of a profile, if it has one; samples of its services are windows of their own.
fn identity(profile: &Profile, service: Option<&str>) -> WindowIdentity {
    if profile.profile_id.iter().all(|byte| *byte == 0) {
        return WindowIdentity::Content;
    }
    let id = hex::encode(&profile.profile_id);
    WindowIdentity::Client(format!("{id}{}", service.unwrap_or("")))
}

/// Samples, each with the index of its labels.
type Labelled<'a> = Vec<(&'a Sample, usize)>;

/// The samples of a profile by the service that they name.
struct Services<'a> {
    services: Vec<(Option<String>, Labelled<'a>)>,
    /// The sets of labels to which samples refer.
    sets: Vec<LabelSet>,
}

fn by_service<'a>(dictionary: &Tables<'_>, profile: &'a Profile) -> Result<Services<'a>, Status> {
    let mut of = Services {
        services: Vec::new(),
        sets: Vec::new(),
    };
    let mut numbers: FxHashMap<Option<String>, usize> = FxHashMap::default();
    // Samples with the same attributes and link have the same service and labels.
    let mut known: FxHashMap<(&[i32], i32), (usize, usize)> = FxHashMap::default();
    for sample in &profile.samples {
        let key = (sample.attribute_indices.as_slice(), sample.link_index);
        let (service, set) = match known.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let mut attributes = Attributes::new();
                add_indices(&mut attributes, dictionary, &sample.attribute_indices)?;
                add_link(&mut attributes, dictionary, sample.link_index)?;
                let name = attributes.remove(SERVICE).filter(|name| !name.is_empty());
                let service = *numbers.entry(name).or_insert_with_key(|name| {
                    of.services.push((name.clone(), Vec::new()));
                    of.services.len() - 1
                });
                of.sets.push(labels(&attributes));
                *new.insert((service, of.sets.len() - 1))
            }
        };
        of.services[service].1.push((sample, set));
    }
    Ok(of)
}
