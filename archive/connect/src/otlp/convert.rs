//! From OTLP to pushes.
//!
//! Samples of a profile whose attribute `service.name` differs are profiles of their own. `samples:count` with a period of
//! `cpu:nanoseconds` becomes CPU time: each count is a period. A sample without values counts its timestamps.

use super::labels::{Attributes, Texts, source};
use super::messages::{Export, Tables};
use super::profile::Builder;
use super::samples::{RawProfile, Samples};
use crate::json::hex;
use crate::status::{Code, Status};
use bytes::Bytes;
use davy_archive::ingest::{Push, WindowIdentity};
use davy_profile::Limits;

/// Maximum number of profiles of a request.
const PROFILES: usize = 2_000;

/// The pushes of a request, with what each is, for messages. Profiles of a request share a dictionary, and each push
/// contains what it needs of it, so a small request can become large; all pushes have at most `bytes` bytes.
pub(super) fn pushes(
    request: Export,
    bytes: usize,
    limits: Limits,
) -> Result<Vec<(String, Push)>, Status> {
    let tables = Tables::of(&request.dictionary, bytes)
        .map_err(|error| Status::invalid(format!("cannot decode the dictionary: {error}")))?;
    let tables = tables.ok_or_else(|| {
        Status::new(
            Code::ResourceExhausted,
            format!("the entries of the dictionary take more than {bytes} bytes of memory; split the request"),
        )
    })?;
    let mut texts = Texts::of(&tables);
    let mut builder = Builder::new(&tables, bytes, limits);
    let mut pushes = Vec::new();
    let mut number = 0;
    for resource in request.resource_profiles {
        let mut of_resource = Attributes::new();
        if let Some(of) = resource.resource {
            texts.add_pairs(&mut of_resource, of.attributes)?;
        }
        for scope in resource.scope_profiles {
            let mut of_scope = of_resource.clone();
            if let Some(of) = scope.scope {
                texts.add_pairs(&mut of_scope, of.attributes)?;
            }
            for profile in &scope.profiles {
                let profile = RawProfile::read(profile)?;
                let mut attributes = of_scope.clone();
                texts.add_indices(&mut attributes, &profile.attributes)?;
                let samples = Samples::read(&profile, &mut texts, &limits)?;
                for (service, of_service) in &samples.services {
                    if pushes.len() == PROFILES {
                        return Err(Status::invalid(format!(
                            "the request has more than {PROFILES} profiles, the limit; split it"
                        )));
                    }
                    let service = service.as_deref();
                    let labels = source(&attributes, service);
                    let size = labels.iter().map(|(name, value)| name.len() + value.len());
                    builder.begin(size.sum())?;
                    let labels = labels.iter();
                    let labels = labels.map(|(name, value)| (name.to_string(), value.to_string()));
                    let push = Push {
                        labels: labels.collect(),
                        identity: identity(profile.id, service),
                        span: None,
                        format: builder.profile(&mut texts, &profile, &samples, of_service)?,
                        body: Bytes::new(),
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
fn identity(id: &[u8], service: Option<&str>) -> WindowIdentity {
    if id.iter().all(|byte| *byte == 0) {
        return WindowIdentity::Content;
    }
    let id = hex::encode(id);
    WindowIdentity::Client(format!("{id}{}", service.unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::messages::{Dictionary, ExportRequest};
    use davy_archive::ingest::Format;
    use davy_profile::{LabelValue, Profile};
    use prost::Message as _;
    use serde_json::json;

    /// The profiles of a request with these samples, and the bytes that they count.
    fn profiles(samples: &serde_json::Value) -> Vec<(Profile, usize)> {
        let request = json!({
            "resourceProfiles": [{ "scopeProfiles": [{ "profiles": [{
                "sampleType": { "typeStrindex": 1, "unitStrindex": 2 },
                "samples": samples,
            }] }] }],
            "dictionary": {
                "stringTable": ["", "cpu", "nanoseconds", "main", "service.name", "other"],
                "functionTable": [{}, { "nameStrindex": 3 }],
                "locationTable": [{}, { "lines": [{ "functionIndex": 1 }] }],
                "stackTable": [{}, { "locationIndices": [1] }],
                "linkTable": [{}, { "spanId": "00f067aa0ba902b7" }],
                "attributeTable": [{}, { "keyStrindex": 4, "value": { "stringValueStrindex": 5 } }],
            },
        });
        let request: ExportRequest = serde_json::from_value(request).expect("a request");
        let export = Export::decode(request.encode_to_vec().as_slice()).expect("a request");
        let pushes = pushes(export, 1 << 20, Limits::default()).expect("valid");
        let profiles = pushes.into_iter().map(|(_, push)| match push.format {
            Format::Profile { profile, bytes } => (*profile, bytes),
            other => panic!("unexpected {other:?}"),
        });
        profiles.collect()
    }

    /// Values of the samples with their times, 0 if they have none.
    fn timed(profile: &Profile) -> Vec<(i64, i64)> {
        let samples = profile.samples.values.iter().zip(&profile.samples.labels);
        let timed = samples.map(|(value, set)| {
            let labels = profile.label_sets.get(*set).iter();
            let time = labels.map(|label| match label.value {
                LabelValue::Number(time, _) => time,
                LabelValue::Text(_) => 0,
            });
            (*value, time.sum())
        });
        timed.collect()
    }

    #[test]
    fn observations_of_a_span_keep_their_times() {
        let times = |times: &[u64]| times.iter().map(u64::to_string).collect::<Vec<_>>();
        let check = |sample: serde_json::Value, expected: &[(i64, i64)]| {
            let all = profiles(&json!([sample]));
            assert_eq!(timed(&all[0].0), expected, "{sample}");
        };
        let linked = |values: serde_json::Value, at: &[u64]| json!({ "stackIndex": 1, "linkIndex": 1, "values": values, "timestampsUnixNano": times(at) });
        check(linked(json!(["5", "6"]), &[70, 80]), &[(5, 70), (6, 80)]);
        check(
            linked(json!([]), &[70, 80, 90]),
            &[(1, 70), (1, 80), (1, 90)],
        );
        check(linked(json!(["9"]), &[70, 80]), &[(9, 70)]);
        check(linked(json!(["5", "6"]), &[]), &[(11, 0)]);
        let unlinked = json!({ "stackIndex": 1, "values": ["5", "6"], "timestampsUnixNano": times(&[70, 80]) });
        check(unlinked, &[(11, 0)]);
    }

    #[test]
    fn profiles_of_a_request_have_what_their_samples_refer_to() {
        let all = profiles(&json!([
            { "stackIndex": 1, "values": ["5"] },
            { "stackIndex": 1, "values": ["6"], "attributeIndices": [1] },
            { "stackIndex": 1, "values": ["7"] },
        ]));
        let [(own, bytes), (other, _)] = all.as_slice() else {
            panic!("expected two services");
        };
        assert_eq!(
            (
                own.samples.values.as_slice(),
                other.samples.values.as_slice()
            ),
            (&[5, 7][..], &[6][..])
        );
        for profile in [own, other] {
            assert_eq!((profile.functions.len(), profile.stacks.len()), (1, 2));
            assert_eq!(profile.text(profile.functions[0].name), "main");
        }
        // More than the samples have without their stacks and names.
        assert!((60..1_000).contains(bytes), "{bytes}");
    }

    /// A label takes many times the bytes of an index.
    #[test]
    fn samples_with_many_distinct_sets_of_labels_are_refused() {
        let count = 127;
        let mut request = ExportRequest::default();
        let empty = json!({ "stringTable": ["", "cpu"], "attributeTable": [{}] });
        let mut dictionary: Dictionary = serde_json::from_value(empty).expect("a dictionary");
        for at in 1..=count {
            dictionary.string_table.push(format!("name {at}"));
            dictionary.attribute_table.push(
                serde_json::from_value(
                    json!({ "keyStrindex": at + 1, "value": { "intValue": "1" } }),
                )
                .expect("an attribute"),
            );
        }
        request.dictionary = Some(dictionary);
        // All but one attribute, in any rotation.
        let samples = (0..8_200).map(|sample| {
            let (without, rotation) = (sample % count, sample / count);
            let all = (0..count).filter(|at| *at != without);
            let indices = all.map(|at| 1 + (at + rotation) % count);
            json!({ "attributeIndices": indices.collect::<Vec<i32>>() })
        });
        let samples: Vec<_> = samples.collect();
        request.resource_profiles =
            serde_json::from_value(json!([{ "scopeProfiles": [{ "profiles": [{
            "sampleType": { "typeStrindex": 1 }, "samples": samples,
        }] }] }]))
            .expect("profiles");
        let bytes = request.encode_to_vec();
        let export = Export::decode(bytes.as_slice()).expect("a request");
        let refused = pushes(export, 1 << 30, Limits::default()).expect_err("too many labels");
        assert!(
            refused
                .message
                .contains("labels of samples; the limit is 1000000"),
            "{}",
            refused.message
        );
    }
}
