//! Unpacks, decodes and checks one pushed profile.

use super::kinds::{self, TextKind};
use super::label_sets::sample_labels;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{Source, WindowId};
use crate::labels::{self, Labels, NAME, SERVICE};
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use bytes::Bytes;
use davy_base::Timestamp;
use davy_profile::{Limits, Profile, folded, gzip, pprof};
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Format of a pushed profile.
#[derive(Clone, Debug)]
pub enum Format {
    /// pprof, optionally gzipped, with the agent's description of its sample types.
    Pprof(Option<serde_json::Value>),
    /// Lines of `a;b;c 12`; the values are samples at a rate in Hz.
    Folded(u32),
    /// Lines of `a;b;c`, each of which is one sample at a rate in Hz.
    Lines(u32),
    /// Unspecified: pprof if the body is binary, else lines of `a;b;c 12` at a rate in Hz.
    Unnamed(u32),
}

/// Whether a body is binary. Every pprof profile begins with bytes that text does not contain.
fn is_binary(bytes: &[u8]) -> bool {
    let begin = &bytes[..bytes.len().min(512)];
    begin
        .iter()
        .any(|byte| byte.is_ascii_control() && !b"\t\n\r".contains(byte))
}

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

/// How the identity of a pushed window is determined, so that a repeated push is recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowIdentity {
    /// An id from the client.
    Client(String),
    /// The hash of the content.
    Content,
}

/// One pushed profile, as received.
#[derive(Clone, Debug)]
pub struct Push {
    /// Unchecked labels. For text formats the service still has the suffix of the type.
    pub labels: Arc<[(String, String)]>,
    /// How the window's identity is determined.
    pub identity: WindowIdentity,
    /// Start and end, if the request states them.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Format of the body.
    pub format: Format,
    /// The profile itself.
    pub body: Bytes,
}

/// A profile that can be added to a segment.
pub(super) struct Decoded {
    pub(super) profile: Profile,
    pub(super) source: Source,
    /// Profile type ids, one for each sample type.
    pub(super) kinds: Vec<Arc<str>>,
    /// Labels to store, one set for each label set of the profile.
    pub(super) labels: Vec<Arc<Labels>>,
    pub(super) id: WindowId,
    pub(super) start: Timestamp,
    pub(super) duration_ms: i64,
    /// Factor for all values.
    pub(super) scale: i64,
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

impl From<labels::Fault> for Error {
    fn from(fault: labels::Fault) -> Self {
        Self::from_source(ErrorKind::Invalid, fault)
    }
}

/// Decodes and checks a profile. `left` is the number of unpacked bytes that remain for the whole
/// request.
pub(super) fn decode(
    push: Push,
    options: &ArchiveOptions,
    metrics: &Metrics,
    now: Timestamp,
    left: &mut usize,
    series: &mut SeriesLabels,
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
            series.labels(&push.labels, None)?;
            None
        }
        Format::Folded(rate) | Format::Lines(rate) | Format::Unnamed(rate) => {
            let mut kind = kinds::of_text("").1;
            series.labels(&push.labels, Some(&mut kind))?;
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
        let name = match series.labels.get(NAME) {
            "" => kinds::of_pprof(&profile, config.as_ref()),
            name => name.to_owned(),
        };
        let ids = type_ids(&name, &profile)?;
        (name, ids, 1)
    };
    let (source, source_text) = series.source(name)?;

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
    Err(Error::new(
        ErrorKind::Internal,
        "a text profile has no type; report this bug in the archive",
    ))
}

/// Removes the suffix of the type from the service and returns the type.
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

/// Appends the count 1 to every line.
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
                "the name of a sample type is {} bytes long, the limit is {}",
                id.len(),
                labels::VALUE_BYTES
            )));
        }
        Ok(id.into())
    });
    ids.collect()
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
            "the window begins at {start}, before the retention of {}; check the client's clock",
            humantime::format_duration(options.retention),
        )));
    }
    if start > now.plus(options.future) {
        return Err(Error::invalid(format!(
            "the window begins at {start}, more than {} ahead of {now}; check the client's clock",
            humantime::format_duration(options.future),
        )));
    }
    Ok((start, duration_ms))
}

/// Identity of a window: its source together with the client's id or the content.
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

#[cfg(test)]
mod tests;
