//! Parses requests to `push.v1.PusherService/Push`: series with labels and profiles, in protobuf or
//! JSON.
//!
//! ```text
//! PushRequest       { repeated RawProfileSeries series = 1; }
//! RawProfileSeries  { repeated LabelPair labels = 1; repeated RawSample samples = 2; }
//! LabelPair         { string name = 1; string value = 2; }
//! RawSample         { bytes rawProfile = 1; string ID = 2; }
//! ```

use super::push::{Format, Push, WindowIdentity};
use super::sample_types::SampleTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::labels;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use davy_profile::wire::{Reader, Value};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

/// Base64 with optional padding, as in the JSON mapping of protobuf.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A field of a message, and the offset of its bytes in the request. Only a length-delimited field
/// has bytes.
struct Field {
    number: u64,
    bytes: Bytes,
    offset: usize,
}

/// Calls `each` with every field of a message that begins at `offset` in the request.
fn fields(message: &Bytes, offset: usize, mut each: impl FnMut(Field) -> Result<()>) -> Result<()> {
    let mut reader = Reader::nested(message, offset);
    while let Some((number, value)) = reader
        .field()
        .map_err(|error| Error::invalid(format!("invalid protobuf PushRequest: {error}")))?
    {
        let bytes = match value {
            Value::Bytes(bytes) => message.slice_ref(bytes),
            Value::Varint(_) | Value::Fixed(_) => Bytes::new(),
        };
        let offset = reader.position() - bytes.len();
        each(Field {
            number,
            bytes,
            offset,
        })?;
    }
    Ok(())
}

fn text(bytes: &Bytes) -> Result<String> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Error::invalid("a label or an ID is not UTF-8"))?;
    Ok(text.to_owned())
}

/// A series of a request.
struct Series {
    labels: Vec<(String, String)>,
    samples: Vec<(Bytes, String)>,
}

/// Maximum number of profiles, and of series, of one request. All are decoded before the first is
/// stored, and even an empty one takes 20 KB then.
const SAMPLES: usize = 2_000;
/// Maximum number of objects of a JSON request: series, labels and samples together.
const OBJECTS: usize = 200_000;
/// Maximum size of the ID of a window, in bytes.
const ID_BYTES: usize = 1_024;

fn too_many(what: &str) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the request has more than {SAMPLES} {what}, the limit; split it"),
    )
}

/// Checks the part of a series that was read last, before more memory is used for it.
fn check(series: &Series) -> Result<()> {
    if series.labels.len() > labels::COUNT {
        return Err(labels::Fault::TooMany(series.labels.len()).into());
    }
    if let Some((name, value)) = series.labels.last() {
        labels::check(name, value)?;
    }
    if series
        .samples
        .last()
        .is_some_and(|(_, id)| id.len() > ID_BYTES)
    {
        return Err(Error::invalid(format!(
            "an ID is longer than {ID_BYTES} bytes, the limit"
        )));
    }
    Ok(())
}

/// Parses a protobuf request.
pub(super) fn from_protobuf(body: Bytes) -> Result<Vec<(String, Push)>> {
    let (mut all, mut samples) = (Vec::new(), 0usize);
    fields(&body, 0, |field| {
        if field.number != 1 {
            return Ok(());
        }
        if all.len() == SAMPLES {
            return Err(too_many("series"));
        }
        let mut series = Series {
            labels: Vec::new(),
            samples: Vec::new(),
        };
        fields(&field.bytes, field.offset, |field| {
            let (mut first, mut second) = (Bytes::new(), Bytes::new());
            fields(&field.bytes, field.offset, |part| {
                match part.number {
                    1 => first = part.bytes,
                    2 => second = part.bytes,
                    _ => {}
                }
                Ok(())
            })?;
            match field.number {
                1 => series.labels.push((text(&first)?, text(&second)?)),
                2 if samples == SAMPLES => return Err(too_many("profiles")),
                2 => {
                    samples += 1;
                    series.samples.push((first, text(&second)?));
                }
                _ => {}
            }
            check(&series)
        })?;
        all.push(series);
        Ok(())
    })?;
    pushes(all)
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct JsonRequest<'a> {
    #[serde(default)]
    series: Vec<JsonSeries<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct JsonSeries<'a> {
    #[serde(default)]
    labels: Vec<JsonLabel>,
    #[serde(default)]
    samples: Vec<JsonSample<'a>>,
}

#[derive(Deserialize)]
struct JsonLabel {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct JsonSample<'a> {
    #[serde(borrow, default, alias = "raw_profile", rename = "rawProfile")]
    raw_profile: Cow<'a, str>,
    #[serde(default, rename = "ID", alias = "id")]
    id: String,
}

/// Parses a JSON request.
pub(super) fn from_json(body: &[u8]) -> Result<Vec<(String, Push)>> {
    if objects(body) > OBJECTS {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the request has more than {OBJECTS} series, labels and profiles, the limit; split it"
            ),
        ));
    }
    let request: JsonRequest<'_> = serde_json::from_slice(body).map_err(|error| {
        let context = "the request body is not a JSON PushRequest";
        Error::caused(ErrorKind::Invalid, context, error)
    })?;
    if request.series.len() > SAMPLES {
        return Err(too_many("series"));
    }
    let mut all = Vec::new();
    let mut count = 0;
    for of in request.series {
        count += of.samples.len();
        if count > SAMPLES {
            return Err(too_many("profiles"));
        }
        let mut series = Series {
            labels: Vec::new(),
            samples: Vec::new(),
        };
        for label in of.labels {
            series.labels.push((label.name, label.value));
            check(&series)?;
        }
        for sample in of.samples {
            // The JSON mapping allows both alphabets.
            let raw = &*sample.raw_profile;
            let bytes = if raw.contains(['-', '_']) {
                BASE64.decode(raw.replace('-', "+").replace('_', "/"))
            } else {
                BASE64.decode(raw)
            };
            let bytes = bytes.map_err(|error| {
                Error::caused(ErrorKind::Invalid, "rawProfile is not base64", error)
            })?;
            series.samples.push((bytes.into(), sample.id));
            check(&series)?;
        }
        all.push(series);
    }
    pushes(all)
}

/// Number of objects of a JSON text, counted before parsing allocates memory for them.
fn objects(body: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

fn pushes(all: Vec<Series>) -> Result<Vec<(String, Push)>> {
    let count: usize = all.iter().map(|series| series.samples.len()).sum();
    if count == 0 {
        return Err(Error::invalid("the request has no profiles"));
    }
    let mut pushes = Vec::with_capacity(count);
    for (at, series) in all.into_iter().enumerate() {
        let labels: Arc<[(String, String)]> = series.labels.into();
        for (which, (body, id)) in series.samples.into_iter().enumerate() {
            let identity = if id.is_empty() {
                WindowIdentity::Content
            } else {
                WindowIdentity::Client(id)
            };
            let push = Push {
                labels: Arc::clone(&labels),
                identity,
                span: None,
                format: Format::Pprof(SampleTypes::default()),
                body,
            };
            pushes.push((format!("series {at}, sample {which}"), push));
        }
    }
    Ok(pushes)
}
