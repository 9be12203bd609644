//! The part `labels` of an upload: the labels of each context that the events refer to.
//!
//! ```text
//! message LabelsSnapshot {
//!   map<int64, Context> contexts = 1;
//!   map<int64, string> strings = 2;
//! }
//! message Context { map<int64, int64> labels = 1; }  // keys of strings
//! ```

use crate::{Error, Format};
use davy_profile::wire::{self, Reader, Value};
use davy_profile::{Limits, gzip};
use rustc_hash::FxHashMap;

/// Labels of one context that are kept.
const LABELS: usize = 64;

/// The labels by the id of their context.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    contexts: FxHashMap<i64, Vec<(i64, i64)>>,
    strings: FxHashMap<i64, String>,
}

impl Contexts {
    /// Decodes the part, which may be compressed or empty.
    pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let bytes = gzip::unpack(bytes, limits)?;
        Self::read(&bytes).map_err(|error| Error::Corrupt {
            format: Format::Jfr,
            problem: "the labels part is not a valid labels message",
            offset: error.offset,
        })
    }

    fn read(bytes: &[u8]) -> Result<Self, wire::Error> {
        let mut all = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.field()? {
            let Value::Bytes(entry) = value else { continue };
            let base = reader.position() - entry.len();
            let (key, value) = map_entry(entry, base)?;
            let (bytes, base) = match value {
                Some((Value::Bytes(bytes), base)) => (bytes, base),
                _ => (&[][..], base),
            };
            match field {
                1 => {
                    let mut labels = Vec::new();
                    let mut context = Reader::nested(bytes, base);
                    while let Some((field, value)) = context.field()? {
                        let (1, Value::Bytes(entry)) = (field, value) else {
                            continue;
                        };
                        let (name, value) = map_entry(entry, context.position() - entry.len())?;
                        let value = match value {
                            Some((Value::Varint(value), _)) => value as i64,
                            _ => 0,
                        };
                        if labels.len() < LABELS {
                            labels.push((name, value));
                        }
                    }
                    all.contexts.insert(key, labels);
                }
                2 => {
                    all.strings
                        .insert(key, String::from_utf8_lossy(bytes).into_owned());
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// The labels of a context, sorted; none if it is unknown.
    pub(super) fn labels(&self, context: i64) -> Vec<(&str, &str)> {
        let text = |key: &i64| self.strings.get(key).map_or("", String::as_str);
        let ids = self.contexts.get(&context).map_or(&[][..], Vec::as_slice);
        let mut labels: Vec<_> = ids
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .filter(|(name, _)| !name.is_empty())
            .collect();
        labels.sort_unstable();
        labels
    }
}

/// A value with the offset after it.
type Placed<'a> = (Value<'a>, usize);

/// The integer key of a map's entry, and its value with its offset.
fn map_entry(entry: &[u8], base: usize) -> Result<(i64, Option<Placed<'_>>), wire::Error> {
    let (mut key, mut found) = (0, None);
    let mut reader = Reader::nested(entry, base);
    while let Some((field, value)) = reader.field()? {
        match (field, value) {
            (1, Value::Varint(number)) => key = number as i64,
            (2, Value::Bytes(bytes)) => found = Some((value, reader.position() - bytes.len())),
            (2, _) => found = Some((value, reader.position())),
            _ => {}
        }
    }
    Ok((key, found))
}
