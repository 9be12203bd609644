//! Parses requests to `/ingest`: query parameters and the parts of the body.

use super::push::{ForeignOptions, Format, Push, WindowIdentity};
use super::sample_types::SampleTypes;
use super::suffix::{self, TextUnits};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::SERVICE;
use crate::time::InvalidTime;
use bytes::Bytes;
use davy_base::Timestamp;
use std::collections::BTreeMap;

/// Parses `service.type{key=value,...}`: the service, still with the suffix of the type, and labels.
pub(super) fn parse_name(name: &str) -> Result<Vec<(String, String)>> {
    let name = name.trim();
    let (app, rest) = name
        .split_once('{')
        .map_or((name, None), |(app, rest)| (app, Some(rest)));
    let app = app.trim();
    if app.is_empty() || suffix::is_suffix(app) {
        return Err(Error::invalid(format!(
            "invalid name {name:?}: the service is empty; expected SERVICE, SERVICE.TYPE or SERVICE{{label=value}}"
        )));
    }
    let mut labels = vec![(SERVICE.to_owned(), app.to_owned())];
    if let Some(rest) = rest {
        let inner = rest.trim_end().strip_suffix('}');
        let inner = inner.ok_or_else(|| {
            Error::invalid(format!("invalid name {name:?}: expected `}}` at the end"))
        })?;
        for pair in inner
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Error::invalid(format!(
                    "invalid name {name:?}: expected key=value, got {pair:?}"
                ))
            })?;
            // The part before the brace names the service; a label does not override it.
            if key.trim() != SERVICE {
                labels.push((
                    key.trim().to_owned(),
                    value.trim().trim_matches('"').to_owned(),
                ));
            }
        }
    }
    Ok(labels)
}

/// Parses a time: any form of [`crate::time::parse`], or `YYYYMMDD`, which some agents send.
pub(super) fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, InvalidTime> {
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let invalid = |_| InvalidTime(text.to_owned());
        let date = jiff::civil::Date::strptime("%Y%m%d", text).map_err(invalid)?;
        let start = jiff::tz::TimeZone::UTC.to_timestamp(date.into());
        return Ok(start.map_err(invalid)?.into());
    }
    crate::time::parse(text, now)
}

/// The parts of a multipart body, by name.
async fn parts(body: Bytes, boundary: String) -> Result<BTreeMap<String, Bytes>> {
    let stream = futures_util::stream::once(async move { Ok::<_, std::io::Error>(body) });
    let mut multipart = multer::Multipart::new(stream, boundary);
    let mut parts = BTreeMap::new();
    let fault =
        |error: multer::Error| Error::caused(ErrorKind::Invalid, "invalid multipart body", error);
    while let Some(field) = multipart.next_field().await.map_err(fault)? {
        let name = field.name().unwrap_or_default().to_owned();
        if parts.len() >= 16 {
            return Err(Error::invalid(
                "the multipart body has more than 16 parts, the limit",
            ));
        }
        parts.insert(name, field.bytes().await.map_err(fault)?);
    }
    Ok(parts)
}

/// Parses what a request says about a profile that is not pprof.
fn foreign_options(query: &BTreeMap<String, String>) -> Result<ForeignOptions> {
    let get = |name: &str| query.get(name).map_or("", String::as_str);
    let rate = match get("sampleRate") {
        "" => Some(100),
        // Agents send it with profiles that are not sampled.
        "0" => None,
        text => {
            let rate = text
                .parse()
                .ok()
                .filter(|rate| (1..=1_000_000_000).contains(rate));
            Some(rate.ok_or_else(|| {
                Error::invalid(format!(
                    "invalid sampleRate {text:?}; expected samples per second, 1 to 1000000000"
                ))
            })?)
        }
    };
    Ok(ForeignOptions {
        rate,
        labels: Bytes::new(),
        units: TextUnits {
            units: get("units").to_owned(),
            is_average: get("aggregationType") == "average",
        },
    })
}

/// The format with a name.
fn foreign_format(name: &str) -> Result<davy_import::Format> {
    davy_import::Format::of_name(name).ok_or_else(|| {
        let name: String = name.chars().take(40).collect();
        let known: Vec<&str> = davy_import::Format::names().collect();
        let message = format!(
            "unsupported format {name}; supported are {}",
            known.join(", ")
        );
        Error::new(ErrorKind::Unprocessable, message)
    })
}

/// Parses a request to `/ingest`.
pub(super) async fn read(
    query: &BTreeMap<String, String>,
    content_type: &str,
    body: Bytes,
    now: Timestamp,
) -> Result<Push> {
    let name = query
        .get("name")
        .ok_or_else(|| Error::invalid("missing parameter `name`; example: name=web.cpu"))?;
    let labels = parse_name(name)?;
    let time = |key: &str| match query.get(key).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match parse_time(text, now) {
            Ok(time) => Ok(Some(time)),
            Err(error) => Err(Error::caused(ErrorKind::Invalid, key, error)),
        },
    };
    let span = match (time("from")?, time("until")?) {
        (None, None) => None,
        (from, until) => {
            let until = until.unwrap_or(now);
            Some((from.unwrap_or(until), until))
        }
    };
    let mut options = foreign_options(query)?;

    let boundary = multer::parse_boundary(content_type).ok();
    if boundary.is_none()
        && content_type
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("multipart/")
    {
        return Err(Error::invalid(
            "missing boundary in the content type; expected multipart/form-data; boundary=...",
        ));
    }
    let multipart = boundary.is_some();
    let mut parts = match boundary {
        Some(boundary) => parts(body.clone(), boundary).await?,
        None => BTreeMap::new(),
    };
    let asked = query.get("format").map_or("", String::as_str);
    let asked = match (asked, content_type) {
        ("", kind) if kind.contains("+trie") => "trie",
        ("", kind) if kind.contains("+tree") => "tree",
        ("", _) if parts.contains_key("jfr") => "jfr",
        ("", _) if multipart => "pprof",
        (asked, _) => asked,
    };
    let format = match asked {
        "pprof" => {
            let described = parts.get("sample_type_config");
            Format::Pprof(SampleTypes::parse(
                described.map_or(&[], |bytes| &bytes[..]),
            )?)
        }
        "" => Format::Unnamed(options),
        other => {
            options.labels = parts.remove("labels").unwrap_or_default();
            Format::Foreign(foreign_format(other)?, options)
        }
    };
    if parts.contains_key("prev_profile") {
        return Err(Error::new(
            ErrorKind::Unprocessable,
            "unsupported part prev_profile: the agent must send deltas; update the agent",
        ));
    }
    let body = if multipart {
        let mut part = |name: &str| parts.remove(name);
        let whole = part("profile")
            .or_else(|| part("jfr"))
            .or_else(|| part("file"));
        whole
            .ok_or_else(|| Error::invalid("the multipart body has no part named profile or jfr"))?
    } else {
        body
    };
    if body.is_empty() {
        return Err(Error::invalid(
            "the request body is empty; expected a profile",
        ));
    }
    Ok(Push {
        labels: labels.into(),
        identity: WindowIdentity::Content,
        span,
        format,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_split_into_service_and_labels() {
        let check = |name: &str, expected: &[(&str, &str)]| {
            let labels = parse_name(name).expect("good");
            let labels: Vec<(&str, &str)> = labels
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            assert_eq!(labels, expected, "{name}");
        };
        check("app", &[("service_name", "app")]);
        check("app.cpu{}", &[("service_name", "app.cpu")]);
        check(
            "a{x=1, y = b=c ,}",
            &[("service_name", "a"), ("x", "1"), ("y", "b=c")],
        );
        check("a{service_name=b}", &[("service_name", "a")]);
        for name in [
            "a{x=1",
            "a{x}",
            "",
            " ",
            "{x=1}",
            ".cpu",
            ".inuse_space{x=1}",
        ] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn eight_digits_are_a_date_and_not_unix_time() {
        let time = parse_time("20261122", Timestamp::EPOCH).map(|time| time.to_string());
        assert_eq!(time.as_deref(), Ok("2026-11-22T00:00:00.000Z"));
        assert!(parse_time("20261322", Timestamp::EPOCH).is_err());
    }
}
