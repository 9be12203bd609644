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
use rustc_hash::{FxHashMap, FxHashSet};
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
    /// Not said: pprof where it cannot be text, or else lines of `a;b;c 12` of a rate in Hz.
    Unnamed(u32),
}

/// Whether a body is no text: pprof begins with bytes that no line has.
fn is_binary(bytes: &[u8]) -> bool {
    let begin = &bytes[..bytes.len().min(512)];
    begin
        .iter()
        .any(|byte| byte.is_ascii_control() && !b"\t\n\r".contains(byte))
}

/// What the pushes of one series share; a request may have thousands of them.
#[derive(Default)]
pub(super) struct Shared {
    pairs: Option<Arc<[(String, String)]>>,
    /// By the name of the profile: the labels and their text.
    sources: BTreeMap<String, (Source, Arc<str>)>,
    /// The checked labels.
    labels: Labels,
}

impl Shared {
    /// Checks labels, once for a series.
    fn labels(
        &mut self,
        pairs: &Arc<[(String, String)]>,
        kind: Option<&mut TextKind>,
    ) -> Result<()> {
        if kind.is_none()
            && self
                .pairs
                .as_ref()
                .is_some_and(|known| Arc::ptr_eq(known, pairs))
        {
            return Ok(());
        }
        let mut copy = pairs.to_vec();
        if let Some(kind) = kind {
            *kind = split_service(&mut copy);
        }
        self.pairs = None;
        self.sources.clear();
        self.labels = Labels::checked(copy)?;
        if self.labels.service().is_empty() {
            return Err(labels::Fault::NoService.into());
        }
        self.pairs = Some(Arc::clone(pairs));
        Ok(())
    }

    /// The labels with the profile's name, and their canonical text.
    fn source(&mut self, name: String) -> Result<(Source, Arc<str>)> {
        if self.sources.len() >= TYPES && !self.sources.contains_key(&name) {
            return Err(Error::invalid(format!(
                "the profiles of the series have more than {TYPES} names, the limit"
            )));
        }
        let known = self.sources.entry(name);
        let (source, text) = known.or_insert_with_key(|name| {
            let source = if self.labels.get(NAME).is_empty() {
                self.labels
                    .overlaid(&Labels::from_pairs([(NAME.to_owned(), name.clone())]))
            } else {
                self.labels.clone()
            };
            let text = source.to_json().into();
            (Arc::new(source), text)
        });
        Ok((Arc::clone(source), Arc::clone(text)))
    }
}

/// Sample types of a profile, at most.
const TYPES: usize = 64;
/// Text labels of a profile's label sets together, at most.
const PAIRS: usize = 1_000_000;

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
    pub labels: Arc<[(String, String)]>,
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
    shared: &mut Shared,
) -> Result<Decoded> {
    let limits = Limits {
        bytes: options.profile.bytes.min(*left),
        ..options.profile
    };
    let bytes = gzip::unpack(&push.body, &limits)?;
    *left -= bytes.len().min(*left);
    let format = match push.format {
        Format::Unnamed(_) if is_binary(&bytes) => Format::Pprof(None),
        Format::Unnamed(rate) => Format::Folded(rate),
        named => named,
    };
    let text: Option<(TextKind, u32)> = match format {
        Format::Pprof(_) => {
            shared.labels(&push.labels, None)?;
            None
        }
        Format::Folded(rate) | Format::Lines(rate) | Format::Unnamed(rate) => {
            let mut kind = kinds::of_text("").1;
            shared.labels(&push.labels, Some(&mut kind))?;
            Some((kind, rate))
        }
    };
    let profile = match format {
        Format::Pprof(_) => pprof::decode(&bytes, &limits)?,
        Format::Folded(_) | Format::Unnamed(_) => folded::decode(&bytes, &limits)?,
        Format::Lines(_) => folded::decode(&counted(&bytes), &limits)?,
    };
    drop(bytes);
    if profile.sample_types.len() > TYPES {
        return Err(Error::invalid(format!(
            "the profile has {} sample types, the limit is {TYPES}",
            profile.sample_types.len()
        )));
    }

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
        let Format::Pprof(config) = &format else {
            unreachable_format()?
        };
        let name = match shared.labels.get(NAME) {
            "" => kinds::of_pprof(&profile, config.as_ref()),
            name => name.to_owned(),
        };
        let ids = type_ids(&name, &profile)?;
        (name, ids, 1)
    };
    let (source, source_text) = shared.source(name)?;

    let (start, duration_ms) = when(push.span, &profile, options, now)?;
    let id = identity(
        &push.identity,
        &source_text,
        &profile,
        push.span,
        &push.body,
    );
    let labels = sample_labels(&profile, options.label_sets, metrics)?;
    Ok(Decoded {
        profile,
        source,
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
    source: &str,
    profile: &Profile,
    span: Option<(Timestamp, Timestamp)>,
    body: &[u8],
) -> WindowId {
    let mut hash = Xxh3::new();
    hash.update(source.as_bytes());
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
/// allowed. Where there are more, the keys with the most values are left out: keys are taken in the
/// order of how many values they have, and each splits the sets further, until there would be too
/// many.
fn sample_labels(profile: &Profile, limit: usize, metrics: &Metrics) -> Result<Vec<Arc<Labels>>> {
    let sets = profile.label_sets.len();
    let mut by_key: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
    let (mut numbers, mut reserved, mut all) = (0u64, 0u64, 0usize);
    for set in 0..sets as u32 {
        let mut count = 0;
        for label in profile.label_sets.get(LabelSetId(set)) {
            let key = profile.text(label.key);
            let value = match label.value {
                LabelValue::Number(..) => {
                    numbers += 1;
                    continue;
                }
                LabelValue::Text(_) if key == SERVICE || key == NAME => {
                    reserved += 1;
                    continue;
                }
                LabelValue::Text(value) => profile.text(value),
            };
            labels::check(key, value)
                .map_err(|fault| Error::invalid(format!("a sample's labels: {fault}")))?;
            if value.is_empty() {
                continue;
            }
            count += 1;
            let pairs = by_key.entry(key).or_default();
            match pairs.last_mut() {
                // The last value of a name wins.
                Some(last) if last.0 == set => last.1 = value,
                _ => pairs.push((set, value)),
            }
        }
        if count > labels::COUNT {
            return Err(Error::invalid(format!(
                "a sample's labels: {}",
                labels::Fault::TooMany(count)
            )));
        }
        all += count;
        if all > PAIRS {
            return Err(Error::new(
                Kind::TooLarge,
                format!("the label sets of the profile have more than {PAIRS} labels, the limit"),
            ));
        }
    }
    let dropped = |why: &str, count: u64| {
        let counter = metrics.dropped_labels.with_label_values(&[why]);
        counter.inc_by(count);
    };
    dropped("number", numbers);
    dropped("reserved", reserved);

    let mut keys: Vec<(usize, &str)> = by_key
        .iter()
        .map(|(key, pairs)| {
            let values: FxHashSet<&str> = pairs.iter().map(|(_, value)| *value).collect();
            (values.len(), *key)
        })
        .collect();
    keys.sort_unstable();
    let (groups, kept) = split(&keys, &by_key, sets, limit);
    if let (Some((values, worst)), left_out) = (keys.last(), &keys[kept..])
        && !left_out.is_empty()
    {
        let count: usize = left_out.iter().map(|(values, _)| values).sum();
        dropped("too_many_sets", count as u64);
        tracing::warn!(
            label = worst,
            values,
            labels = left_out.len(),
            limit,
            "sample labels left out, they make too many series"
        );
    }

    // Every set of a group has the same labels: those of its first set.
    let mut first: FxHashMap<u32, u32> = FxHashMap::default();
    for (set, group) in groups.iter().enumerate() {
        first.entry(*group).or_insert(set as u32);
    }
    let mut pairs: FxHashMap<u32, Vec<(String, String)>> = FxHashMap::default();
    for (_, key) in &keys[..kept] {
        for (set, value) in &by_key[key] {
            let group = groups[*set as usize];
            if first[&group] == *set {
                let of = pairs.entry(group).or_default();
                of.push(((*key).to_owned(), (*value).to_owned()));
            }
        }
    }
    let mut labels: FxHashMap<u32, Arc<Labels>> = pairs
        .into_iter()
        .map(|(group, pairs)| (group, Arc::new(Labels::from_pairs(pairs))))
        .collect();
    let of_set = |group: &u32| Arc::clone(labels.entry(*group).or_default());
    Ok(groups.iter().map(of_set).collect())
}

/// Groups sets by the values of as many keys as make no more groups than allowed: the group of each
/// set, and how many keys were taken.
fn split(
    keys: &[(usize, &str)],
    by_key: &BTreeMap<&str, Vec<(u32, &str)>>,
    sets: usize,
    limit: usize,
) -> (Vec<u32>, usize) {
    let mut groups = vec![0u32; sets];
    let mut sizes = vec![sets];
    let mut distinct = 1;
    for (taken, (_, key)) in keys.iter().enumerate() {
        let mut next: FxHashMap<(u32, &str), u32> = FxHashMap::default();
        let mut moved: Vec<(u32, u32)> = Vec::new();
        for (set, value) in &by_key[key] {
            let old = groups[*set as usize];
            let new = *next.entry((old, value)).or_insert_with(|| {
                sizes.push(0);
                distinct += 1;
                (sizes.len() - 1) as u32
            });
            sizes[new as usize] += 1;
            sizes[old as usize] -= 1;
            distinct -= usize::from(sizes[old as usize] == 0);
            moved.push((*set, new));
        }
        if distinct > limit {
            return (groups, taken);
        }
        for (set, group) in moved {
            groups[set as usize] = group;
        }
    }
    (groups, keys.len())
}
