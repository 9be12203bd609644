//! One pushed profile: unpacked, decoded and checked.

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
            Fault::TooLarge { .. } | Fault::Bomb { .. } => ErrorKind::TooLarge,
            _ => ErrorKind::Unprocessable,
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
    options: &ArchiveOptions,
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
    Err(Error::new(
        ErrorKind::Internal,
        "a text format without a type",
    ))
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
            "the profile is of {start}, which is longer ago than windows are kept ({}); check the client's clock",
            humantime::format_duration(options.retention),
        )));
    }
    if start > now.plus(options.future) {
        return Err(Error::invalid(format!(
            "the profile is of {start}, more than {} ahead of {now}; check the client's clock",
            humantime::format_duration(options.future),
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
