//! One pushed profile: unpacked, decoded and checked.

use super::kinds::{self, TextKind};
use crate::error::{Error, Kind, Result};
use crate::format::batch::{Source, WindowId};
use crate::labels::{self, Labels, NAME, SERVICE};
use crate::metrics::Metrics;
use crate::options::Options;
use bytes::Bytes;
use davy_base::Timestamp;
use davy_profile::{LabelSetId, LabelValue, Limits, Profile, folded, gzip, pprof};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// What a profile is written in.
#[derive(Clone, Debug)]
pub enum Format {
    /// pprof, perhaps gzipped, with what the agent says about its sample types.
    Pprof(Option<serde_json::Value>),
    /// Lines of `a;b;c 12`, samples of a rate in Hz.
    Folded(u32),
    /// Lines of `a;b;c`, each one sample.
    Lines(u32),
}

/// How a push names its window, so that the same one is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowIdentity {
    /// The client's id.
    Client(String),
    /// The content itself.
    Content,
}

/// One pushed profile, as it came.
#[derive(Clone, Debug)]
pub struct Push {
    /// Labels, unchecked. For text formats the service's name still has the type's suffix.
    pub labels: Vec<(String, String)>,
    /// Its identity.
    pub identity: WindowIdentity,
    /// From when to when, where the request says so.
    pub span: Option<(Timestamp, Timestamp)>,
    /// What it is written in.
    pub format: Format,
    /// Its bytes.
    pub body: Bytes,
}

/// A profile that can be added to a segment.
pub(super) struct Decoded {
    pub(super) profile: Profile,
    pub(super) source: Source,
    /// Type ids, one for each sample type.
    pub(super) kinds: Vec<Arc<str>>,
    /// Labels to store, one for each label set of the profile.
    pub(super) labels: Vec<Arc<Labels>>,
    pub(super) id: WindowId,
    pub(super) start: Timestamp,
    pub(super) duration_ms: i64,
    /// By how much values are multiplied.
    pub(super) scale: i64,
}

impl From<davy_profile::Error> for Error {
    fn from(error: davy_profile::Error) -> Self {
        use davy_profile::Error as Fault;
        let kind = match error {
            Fault::TooLarge { .. } | Fault::Bomb { .. } => Kind::TooLarge,
            _ => Kind::Unprocessable,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<labels::Fault> for Error {
    fn from(fault: labels::Fault) -> Self {
        Self::invalid(fault.to_string())
    }
}

/// Decodes and checks a profile. `left` is how many unpacked bytes the whole request may still
/// have.
pub(super) fn decode(
    push: Push,
    options: &Options,
    metrics: &Metrics,
    now: Timestamp,
    left: &mut usize,
) -> Result<Decoded> {
    let mut pairs = push.labels;
    let text: Option<(TextKind, u32)> = match push.format {
        Format::Pprof(_) => None,
        Format::Folded(rate) | Format::Lines(rate) => Some((split_service(&mut pairs), rate)),
    };
    let mut source = Labels::checked(pairs)?;
    if source.service().is_empty() {
        return Err(labels::Fault::NoService.into());
    }

    let limits = Limits {
        bytes: options.profile.bytes.min(*left),
        ..options.profile
    };
    let bytes = gzip::unpack(&push.body, &limits)?;
    *left -= bytes.len().min(*left);
    let profile = match push.format {
        Format::Pprof(_) => pprof::decode(&bytes, &limits)?,
        Format::Folded(_) => folded::decode(&bytes, &limits)?,
        Format::Lines(_) => folded::decode(&counted(&bytes), &limits)?,
    };
    drop(bytes);

    let (name, kinds, scale) = if let Some((kind, rate)) = text {
        let id: Arc<str> = format!("{}:{}", kind.name, kind.rest).into();
        (
            kind.name.to_owned(),
            vec![id],
            if kind.sampled {
                1_000_000_000 / i64::from(rate)
            } else {
                1
            },
        )
    } else {
        let Format::Pprof(config) = &push.format else {
            unreachable_format()?
        };
        let name = match source.get(NAME) {
            "" => kinds::of_pprof(&profile, config.as_ref()),
            name => name.to_owned(),
        };
        let ids = type_ids(&name, &profile)?;
        (name, ids, 1)
    };
    if source.get(NAME).is_empty() {
        source = source.overlaid(&Labels::from_pairs([(NAME.to_owned(), name)]));
    }

    let (start, duration_ms) = when(push.span, &profile, options, now)?;
    let id = identity(&push.identity, &source, &profile, push.span, &push.body);
    let labels = sample_labels(&profile, options.label_sets, metrics)?;
    Ok(Decoded {
        profile,
        source: Arc::new(source),
        kinds,
        labels,
        id,
        start,
        duration_ms,
        scale,
    })
}

fn unreachable_format<T>() -> Result<T> {
    Err(Error::new(Kind::Internal, "a text format without a type"))
}

/// Takes the type's suffix off the service's name.
fn split_service(pairs: &mut [(String, String)]) -> TextKind {
    let mut kind = kinds::of_text("").1;
    for (name, value) in pairs {
        if name == SERVICE {
            let (service, of) = kinds::of_text(value);
            kind = of;
            *value = service.to_owned();
        }
    }
    kind
}

/// Gives every line the count 1.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            out.extend_from_slice(line);
            out.extend_from_slice(b" 1\n");
        }
    }
    out
}

fn type_ids(name: &str, profile: &Profile) -> Result<Vec<Arc<str>>> {
    let period = profile.period_type;
    let ids = profile.sample_types.iter().map(|of| {
        let parts = [of.kind, of.unit, period.kind, period.unit].map(|id| profile.text(id));
        let id = format!("{name}:{}", parts.join(":"));
        if id.len() > labels::VALUE_BYTES {
            return Err(Error::invalid(format!(
                "a sample type's name is {} bytes long",
                id.len()
            )));
        }
        Ok(id.into())
    });
    ids.collect()
}

/// When the window begins and how long it is, checked against what is still kept.
fn when(
    span: Option<(Timestamp, Timestamp)>,
    profile: &Profile,
    options: &Options,
    now: Timestamp,
) -> Result<(Timestamp, i64)> {
    let (start, duration_ms) = match span {
        Some((from, until)) => (from, (until.millis() - from.millis()).max(0)),
        None if profile.time_nanos == 0 => (now, profile.duration_nanos.max(0) / 1_000_000),
        None => (
            Timestamp::from_nanos(profile.time_nanos),
            profile.duration_nanos.max(0) / 1_000_000,
        ),
    };
    if start < now.minus(options.retention) {
        return Err(Error::invalid(format!(
            "the profile is of {start}, which is longer ago than windows are kept ({}); check the client's clock",
            davy_base::size::format_duration(options.retention),
        )));
    }
    if start > now.plus(options.future) {
        return Err(Error::invalid(format!(
            "the profile is of {start}, more than {} ahead of {now}; check the client's clock",
            davy_base::size::format_duration(options.future),
        )));
    }
    Ok((start, duration_ms))
}

/// A window is the same one if the client says so, of the same series.
fn identity(
    identity: &WindowIdentity,
    source: &Labels,
    profile: &Profile,
    span: Option<(Timestamp, Timestamp)>,
    body: &[u8],
) -> WindowId {
    let mut hash = Xxh3::new();
    hash.update(source.to_json().as_bytes());
    match identity {
        WindowIdentity::Client(id) => {
            hash.update(b"\0client\0");
            hash.update(id.to_ascii_lowercase().as_bytes());
        }
        WindowIdentity::Content => {
            let from = span.map_or(profile.time_nanos, |(from, _)| from.nanos());
            hash.update(b"\0content\0");
            hash.update(&from.to_le_bytes());
            hash.update(body);
        }
    }
    hash.digest128()
}

/// The labels to store for each label set of a profile: texts only, and no more distinct sets than
/// allowed. Where there are more, the keys with the most values are left out.
fn sample_labels(profile: &Profile, limit: usize, metrics: &Metrics) -> Result<Vec<Arc<Labels>>> {
    let mut sets: Vec<Vec<(String, String)>> = Vec::with_capacity(profile.label_sets.len());
    let (mut numbers, mut reserved) = (0u64, 0u64);
    for set in 0..profile.label_sets.len() as u32 {
        let mut pairs = Vec::new();
        for label in profile.label_sets.get(LabelSetId(set)) {
            let key = profile.text(label.key);
            match label.value {
                LabelValue::Number(..) => numbers += 1,
                LabelValue::Text(_) if key == SERVICE || key == NAME => reserved += 1,
                LabelValue::Text(value) => {
                    let value = profile.text(value);
                    labels::check(key, value)
                        .map_err(|fault| Error::invalid(format!("a sample's labels: {fault}")))?;
                    if !value.is_empty() {
                        pairs.push((key.to_owned(), value.to_owned()));
                    }
                }
            }
        }
        if pairs.len() > labels::COUNT {
            return Err(Error::invalid(format!(
                "a sample's labels: {}",
                labels::Fault::TooMany(pairs.len())
            )));
        }
        sets.push(pairs);
    }
    metrics
        .dropped_labels
        .with_label_values(&["number"])
        .inc_by(numbers);
    metrics
        .dropped_labels
        .with_label_values(&["reserved"])
        .inc_by(reserved);

    loop {
        let labels: Vec<Labels> = sets
            .iter()
            .map(|pairs| Labels::from_pairs(pairs.iter().cloned()))
            .collect();
        let distinct: FxHashSet<&Labels> = labels.iter().collect();
        if distinct.len() <= limit {
            return Ok(labels.into_iter().map(Arc::new).collect());
        }
        let mut values: BTreeMap<&str, FxHashSet<&str>> = BTreeMap::new();
        for (key, value) in sets.iter().flatten() {
            values.entry(key).or_default().insert(value);
        }
        let Some((worst, count)) = values
            .into_iter()
            .map(|(key, values)| (key.to_owned(), values.len()))
            .max_by_key(|of| of.1)
        else {
            return Ok(labels.into_iter().map(Arc::new).collect());
        };
        metrics
            .dropped_labels
            .with_label_values(&["too_many_sets"])
            .inc_by(count as u64);
        tracing::warn!(
            label = worst,
            values = count,
            limit,
            "sample label left out, it makes too many series"
        );
        for pairs in &mut sets {
            pairs.retain(|(key, _)| *key != worst);
        }
    }
}
