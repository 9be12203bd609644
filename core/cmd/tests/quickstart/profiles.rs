//! Profiles to push.

use davy_profile::{Profile, gzip, pprof};

/// A compressed CPU profile of one stack.
pub(crate) fn cpu(stack: &[&str], nanoseconds: i64) -> Vec<u8> {
    gzip::compress(&pprof::encode(&profile(stack, nanoseconds)))
}

/// A CPU profile of one stack.
pub(crate) fn profile(stack: &[&str], nanoseconds: i64) -> Profile {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    profile.period_type = profile.sample_types[0];
    profile.period = 10_000_000;
    let locations: Vec<u32> = stack
        .iter()
        .map(|name| profile.named_location(name))
        .collect();
    let node = profile.stack(locations);
    profile.add_sample(node, davy_profile::LabelSetId(0), &[nanoseconds]);
    profile
}

/// A length-delimited field of a protobuf message.
pub(crate) fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = davy_profile::wire::Writer::default();
    out.bytes(number, bytes);
    out.into_bytes()
}

/// A `PushRequest` of one series with one profile.
pub(crate) fn push_request(labels: &[(&str, &str)], id: &str, profile: &[u8]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        series.extend(field(
            1,
            &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat(),
        ));
    }
    let sample = [field(1, profile), field(2, id.as_bytes())].concat();
    series.extend(field(2, &sample));
    field(1, &series)
}
