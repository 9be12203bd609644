//! Unpacks, decodes and checks one pushed profile.

use super::content;
use super::label_sets::{SampleSets, sample_labels};
use super::names;
use super::push::{ForeignOptions, Format, Push, WindowIdentity};
use super::sample_types::SampleTypes;
use super::suffix::{self, TextType, TextUnits};
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{Source, WindowId};
use crate::format::header::Header;
use crate::labels::{self, Labels, NAME, SERVICE};
use crate::limits::too_large_profile;
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use davy_base::Timestamp;
use davy_import::Skipped;
use davy_profile::{Limits, Profile, gzip, pprof, units};
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Labels of the series that was decoded last. A request may have thousands of profiles of one
/// series, whose labels are checked once.
#[derive(Default)]
pub(super) struct SeriesLabels {
    pairs: Option<Arc<[(String, String)]>>,
    /// Labels and their canonical text, by the name of the profile.
    sources: BTreeMap<String, (Source, Arc<str>)>,
    /// Labels that passed the checks.
    labels: Labels,
}

impl SeriesLabels {
    /// Checks labels, unless they are those of the last call.
    fn labels(&mut self, pairs: &Arc<[(String, String)]>) -> Result<()> {
        let known = self.pairs.as_ref();
        if known.is_some_and(|known| Arc::ptr_eq(known, pairs)) {
            return Ok(());
        }
        self.check(pairs.to_vec())?;
        self.pairs = Some(Arc::clone(pairs));
        Ok(())
    }

    /// Checks labels whose service has the suffix of the type, and returns the type.
    fn labels_of_text(
        &mut self,
        pairs: &Arc<[(String, String)]>,
        units: &TextUnits,
    ) -> Result<TextType> {
        let mut copy = pairs.to_vec();
        let of = split_service(&mut copy, units)?;
        self.check(copy)?;
        Ok(of)
    }

    fn check(&mut self, pairs: Vec<(String, String)>) -> Result<()> {
        self.pairs = None;
        self.sources.clear();
        self.labels = Labels::checked(pairs)?;
        if self.labels.service().is_empty() {
            return Err(labels::Fault::NoService.into());
        }
        Ok(())
    }

    /// The labels, with the profile's name, and their canonical text.
    fn source(&mut self, name: String) -> Result<(Source, Arc<str>)> {
        if self.sources.len() >= TYPES && !self.sources.contains_key(&name) {
            return Err(Error::invalid(format!(
                "the profiles of one series have more than {TYPES} names, the limit"
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

/// Maximum number of sample types of a profile.
const TYPES: usize = 64;
/// Maximum number of comments that are stored of a profile.
const COMMENTS: usize = 64;

/// The arrival of a push.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) now: Timestamp,
    /// Random, to tell it from all others.
    pub(super) id: u128,
}

/// A profile that can be added to a segment.
pub(super) struct Decoded {
    pub(super) profile: Profile,
    pub(super) source: Source,
    /// Profile type ids, one for each sample type.
    pub(super) kinds: Vec<Arc<str>>,
    /// Whether each sample type is a state, as far as the agent says so.
    pub(super) are_states: Vec<Option<bool>>,
    /// What is stored of the label sets of the profile.
    pub(super) labels: SampleSets,
    /// What the profile says about its samples.
    pub(super) header: Header,
    pub(super) id: WindowId,
    pub(super) start: Timestamp,
    pub(super) duration_ms: i64,
}

impl From<davy_profile::Error> for Error {
    fn from(error: davy_profile::Error) -> Self {
        use davy_profile::Error as Fault;
        let kind = match error {
            Fault::TooLarge { .. } | Fault::Bomb { .. } => ErrorKind::TooLarge,
            _ => ErrorKind::Unprocessable,
        };
        Self::from_source(kind, error)
    }
}

impl From<davy_import::Error> for Error {
    fn from(error: davy_import::Error) -> Self {
        match error {
            davy_import::Error::Profile(error) => error.into(),
            error => Self::from_source(ErrorKind::Unprocessable, error),
        }
    }
}

impl From<labels::Fault> for Error {
    fn from(fault: labels::Fault) -> Self {
        Self::from_source(ErrorKind::Invalid, fault)
    }
}

/// The profiles of a push, and what else its response should say.
pub(super) struct DecodedPush {
    pub(super) profiles: Vec<Decoded>,
    /// A note about parts of the profile that were ignored.
    pub(super) note: Option<String>,
}

/// Decodes and checks a push. `left` is the number of unpacked bytes that remain for the whole
/// request, and `most` that of one profile of the tenant.
pub(super) fn decode(
    mut push: Push,
    options: &ArchiveOptions,
    metrics: &Metrics,
    arrival: Arrival,
    (left, most): (&mut usize, usize),
    series: &mut SeriesLabels,
) -> Result<DecodedPush> {
    let limits = Limits {
        bytes: options.profile.bytes.min(*left).min(most),
        ..options.profile
    };
    let too_large = |error| match error {
        davy_profile::Error::TooLarge { limit } if limit == most => too_large_profile(limit),
        error => error.into(),
    };
    let bytes = gzip::unpack(&push.body, &limits).map_err(too_large)?;
    let (ready, size) = match &mut push.format {
        Format::Profile { bytes, .. } if *bytes > limits.bytes => {
            let limit = limits.bytes;
            return Err(too_large(davy_profile::Error::TooLarge { limit }));
        }
        Format::Profile { profile, bytes } => (Some(std::mem::take(&mut **profile)), *bytes),
        _ => (None, bytes.len()),
    };
    *left -= size.min(*left);
    let foreign = match &push.format {
        Format::Pprof(_) | Format::Profile { .. } => None,
        Format::Foreign(format, foreign) => Some((*format, foreign)),
        Format::Unnamed(foreign) => match davy_import::detect(&bytes)? {
            davy_import::Format::Pprof => None,
            format => Some((format, foreign)),
        },
    };
    let (named, skipped) = match (ready, foreign) {
        (Some(profile), _) => (
            vec![of_profile(&push, profile, series)?],
            Skipped::default(),
        ),
        (None, None) => (
            vec![of_pprof(&push, &bytes, &limits, series)?],
            Skipped::default(),
        ),
        (None, Some(of)) => import(&push, &bytes, &limits, of, series)?,
    };
    drop(bytes);
    let mut profiles = Vec::with_capacity(named.len());
    for (nth, named) in named.into_iter().enumerate() {
        let decoded = finish(&push, named, nth as u64, options, metrics, arrival, series)?;
        profiles.push(decoded);
    }
    metrics
        .repaired
        .with_label_values(&["line"])
        .inc_by(skipped.count as u64);
    Ok(DecodedPush {
        profiles,
        note: skipped.summary(),
    })
}

/// A profile with its name and the ids of its sample types.
struct Typed {
    profile: Profile,
    name: String,
    kinds: Vec<Arc<str>>,
    /// Whether each sample type is a state, as far as the agent says so.
    are_states: Vec<Option<bool>>,
}

impl Typed {
    fn new(profile: Profile, name: String, described: &SampleTypes) -> Result<Self> {
        let kinds = names::type_ids(&name, &profile, described)?;
        let samples = profile.sample_types.iter();
        let are_states = samples
            .map(|of| described.is_state(profile.text(of.kind)))
            .collect();
        Ok(Self {
            profile,
            name,
            kinds,
            are_states,
        })
    }
}

fn of_pprof(
    push: &Push,
    bytes: &[u8],
    limits: &Limits,
    series: &mut SeriesLabels,
) -> Result<Typed> {
    // Labels are checked first, which takes less time.
    series.labels(&push.labels)?;
    of_profile(push, pprof::decode(bytes, limits)?, series)
}

fn of_profile(push: &Push, profile: Profile, series: &mut SeriesLabels) -> Result<Typed> {
    series.labels(&push.labels)?;
    if profile.sample_types.len() > TYPES {
        return Err(Error::invalid(format!(
            "the profile has {} sample types, the limit is {TYPES}",
            profile.sample_types.len()
        )));
    }
    let none = SampleTypes::default();
    let described = match &push.format {
        Format::Pprof(described) => described,
        _ => &none,
    };
    let name = match series.labels.get(NAME) {
        "" => names::of_pprof(&profile, described),
        name => name.to_owned(),
    };
    Typed::new(profile, name, described)
}

/// Decodes a profile that is not pprof. Where it does not state its types, the request does.
fn import(
    push: &Push,
    bytes: &[u8],
    limits: &Limits,
    (format, foreign): (davy_import::Format, &ForeignOptions),
    series: &mut SeriesLabels,
) -> Result<(Vec<Typed>, Skipped)> {
    let of = series.labels_of_text(&push.labels, &foreign.units)?;
    let mut parts = of.rest.split(':');
    let (kind, unit) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let import = davy_import::decode(
        bytes,
        format,
        &davy_import::Options {
            limits: *limits,
            kind,
            unit,
            scale: scale(of, foreign.rate)?,
            headers: true,
            labels: &foreign.labels,
        },
    )?;
    let none = SampleTypes::default();
    let typed = import.profiles.into_iter().map(|named| {
        let profile = named.profile;
        let is = |wanted: (&str, &str)| {
            let types = profile.sample_types.as_slice();
            matches!(types, [one] if (profile.text(one.kind), profile.text(one.unit)) == wanted)
        };
        if named.name.is_empty() && is((kind, unit)) {
            let kinds = vec![format!("{}:{}", of.name, of.rest).into()];
            let name = of.name.to_owned();
            return Ok(Typed {
                profile,
                name,
                kinds,
                are_states: vec![None],
            });
        }
        let name = if named.name.is_empty() {
            names::of_pprof(&profile, &none)
        } else {
            named.name
        };
        Typed::new(profile, name, &none)
    });
    Ok((typed.collect::<Result<_>>()?, import.skipped))
}

/// Completes the `nth` profile of a push.
fn finish(
    push: &Push,
    typed: Typed,
    nth: u64,
    options: &ArchiveOptions,
    metrics: &Metrics,
    arrival: Arrival,
    series: &mut SeriesLabels,
) -> Result<Decoded> {
    let Typed {
        profile,
        name,
        kinds,
        are_states,
    } = typed;
    let (source, source_text) = series.source(name)?;
    let (start, duration_ms) = when(push.span, &profile, options, arrival.now)?;
    let id = identity(push, &source_text, &profile, nth, arrival.id);
    let labels = sample_labels(&profile, options.label_sets, metrics);
    let truncated = profile.truncated;
    for (what, count) in [("string", truncated.strings), ("stack", truncated.stacks)] {
        metrics.repaired.with_label_values(&[what]).inc_by(count);
    }
    Ok(Decoded {
        header: header(&profile),
        profile,
        source,
        kinds,
        are_states,
        labels,
        id,
        start,
        duration_ms,
    })
}

/// What the profile says about its samples.
fn header(profile: &Profile) -> Header {
    let text = |id| profile.text(id).to_owned();
    let is_period_sampled = profile.sample_types.contains(&profile.period_type);
    let build_id = profile.mappings.first().map(|mapping| mapping.build_id);
    Header {
        build_id: build_id.map_or_else(String::new, text),
        period: profile.period,
        default_type: text(profile.default_sample_type),
        drop_frames: text(profile.drop_frames),
        keep_frames: text(profile.keep_frames),
        doc_url: text(profile.doc_url),
        comments: profile
            .comments
            .iter()
            .take(COMMENTS)
            .map(|id| text(*id))
            .collect(),
        // Go's profiles of what exists now: goroutines, threads, and those that programs define.
        is_state: is_period_sampled && profile.period == 1 && profile.duration_nanos == 0,
        ..Header::default()
    }
}

/// Nanoseconds or units per count of a text format.
fn scale(of: TextType, rate: Option<u32>) -> Result<i64> {
    match rate {
        _ if !of.is_sampled => Ok(1),
        Some(rate) => Ok(1_000_000_000 / i64::from(rate.max(1))),
        None => Err(Error::invalid(
            "sampleRate 0 does not apply to counts of samples; send the rate in samples per second",
        )),
    }
}

/// Removes the suffix of the type from the service and returns the type.
fn split_service(pairs: &mut [(String, String)], units: &TextUnits) -> Result<TextType> {
    let mut found = suffix::of_text("", units)?.1;
    for (name, value) in pairs {
        if name == SERVICE {
            let (service, of) = suffix::of_text(value, units)?;
            found = of;
            *value = service.to_owned();
        }
    }
    Ok(found)
}

/// Start and duration (in milliseconds) of the window. The start must be within the retention and
/// not too far in the future.
fn when(
    span: Option<(Timestamp, Timestamp)>,
    profile: &Profile,
    options: &ArchiveOptions,
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
            "the window starts at {start}, which is older than the retention of {}; check the client's clock",
            units::duration(options.retention),
        )));
    }
    if start > now.plus(options.future) {
        return Err(Error::invalid(format!(
            "the window starts at {start}, more than {} ahead of {now}; check the client's clock",
            units::duration(options.future),
        )));
    }
    Ok((start, duration_ms))
}

/// Identity of a window: its source together with the client's id, or with the time and the content. Content
/// without a time is a new window each time: an idle program can send equal profiles one after the other.
fn identity(push: &Push, source: &str, profile: &Profile, nth: u64, arrival: u128) -> WindowId {
    let mut hash = Xxh3::new();
    hash.update(source.as_bytes());
    let time = push
        .span
        .map_or(profile.time_nanos, |(from, _)| from.nanos());
    match &push.identity {
        WindowIdentity::Client(id) => {
            hash.update(b"\0client\0");
            hash.update(id.to_ascii_lowercase().as_bytes());
        }
        WindowIdentity::Content if push.span.is_none() && time == 0 => {
            hash.update(b"\0arrival\0");
            hash.update(&arrival.to_le_bytes());
        }
        WindowIdentity::Content => {
            hash.update(b"\0content\0");
            hash.update(&time.to_le_bytes());
            match push.format {
                Format::Profile { .. } => content::add(profile, &mut hash),
                _ => hash.update(&push.body),
            }
        }
    }
    if nth > 0 {
        hash.update(&nth.to_le_bytes());
    }
    hash.digest128()
}

#[cfg(test)]
mod tests;
