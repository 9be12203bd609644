//! `/ingest`: the query's parameters and the body's parts.

use super::decode::{Format, Push, WindowIdentity};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::SERVICE;
use bytes::Bytes;
use davy_base::Timestamp;
use std::collections::BTreeMap;

/// Splits `app{k=v,...}` into the app and its labels.
pub(super) fn parse_name(name: &str) -> Result<Vec<(String, String)>> {
    let name = name.trim();
    let (app, rest) = name
        .split_once('{')
        .map_or((name, None), |(app, rest)| (app, Some(rest)));
    let mut labels = vec![(SERVICE.to_owned(), app.trim().to_owned())];
    if let Some(rest) = rest {
        let inner = rest.trim_end().strip_suffix('}');
        let inner = inner.ok_or_else(|| Error::invalid("name: a `}` is missing at the end"))?;
        for pair in inner
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| Error::invalid(format!("name: `{pair}` is not `key=value`")))?;
            // The application names the service; a label cannot make it another one.
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

/// Reads a time as agents write it: as operators do, or `YYYYMMDD`.
pub(super) fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let date = jiff::civil::Date::strptime("%Y%m%d", text).ok()?;
        let start = jiff::tz::TimeZone::UTC.to_timestamp(date.into()).ok()?;
        return Some(start.into());
    }
    crate::time::parse(text, now).ok()
}

/// Parts of a multipart body by name.
async fn parts(body: Bytes, boundary: String) -> Result<BTreeMap<String, Bytes>> {
    let stream = futures_util::stream::once(async move { Ok::<_, std::io::Error>(body) });
    let mut multipart = multer::Multipart::new(stream, boundary);
    let mut parts = BTreeMap::new();
    let fault =
        |error: multer::Error| Error::invalid(format!("the multipart body is malformed: {error}"));
    while let Some(field) = multipart.next_field().await.map_err(fault)? {
        let name = field.name().unwrap_or_default().to_owned();
        if parts.len() >= 16 {
            return Err(Error::invalid("the multipart body has more than 16 parts"));
        }
        parts.insert(name, field.bytes().await.map_err(fault)?);
    }
    Ok(parts)
}

/// Reads a request to `/ingest`.
pub(super) async fn read(
    query: &BTreeMap<String, String>,
    content_type: &str,
    body: Bytes,
    now: Timestamp,
) -> Result<Push> {
    let name = query
        .get("name")
        .ok_or_else(|| Error::invalid("the parameter `name` is missing"))?;
    let labels = parse_name(name)?;
    let time = |key: &str| match query.get(key).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => parse_time(text, now).map(Some).ok_or_else(|| {
            Error::invalid(format!(
                "{key}: `{text}` is no time; write unix seconds, RFC 3339 or now-1h"
            ))
        }),
    };
    let span = match (time("from")?, time("until")?) {
        (None, None) => None,
        (from, until) => {
            let until = until.unwrap_or(now);
            Some((from.unwrap_or(until), until))
        }
    };
    let rate = match query.get("sampleRate").filter(|text| !text.is_empty()) {
        None => 100,
        Some(text) => {
            let rate = text
                .parse()
                .ok()
                .filter(|rate| (1..=1_000_000_000).contains(rate));
            rate.ok_or_else(|| {
                Error::invalid(format!(
                    "sampleRate: `{text}` is not a number of samples a second"
                ))
            })?
        }
    };

    let boundary = multer::parse_boundary(content_type).ok();
    if boundary.is_none()
        && content_type
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("multipart/")
    {
        return Err(Error::invalid(
            "the content type says multipart but not its boundary; write multipart/form-data; boundary=…",
        ));
    }
    let multipart = boundary.is_some();
    let mut parts = match boundary {
        Some(boundary) => parts(body.clone(), boundary).await?,
        None => BTreeMap::new(),
    };
    let asked = query.get("format").map_or("", String::as_str);
    let refused = |format: &str| {
        let message =
            format!("the format {format} is not taken; pprof, folded (groups) and lines are");
        Err(Error::new(ErrorKind::Unprocessable, message))
    };
    let asked = match (asked, content_type) {
        ("", kind) if kind.contains("+trie") => "trie",
        ("", kind) if kind.contains("+tree") => "tree",
        ("", _) if parts.contains_key("jfr") => "jfr",
        ("", _) if multipart => "pprof",
        (asked, _) => asked,
    };
    let format = match asked {
        "pprof" => {
            let config = parts
                .get("sample_type_config")
                .filter(|config| !config.is_empty());
            let config = config.map(|config| {
                serde_json::from_slice(config).map_err(|error| {
                    Error::invalid(format!("sample_type_config is not JSON: {error}"))
                })
            });
            Format::Pprof(config.transpose()?)
        }
        "lines" => Format::Lines(rate),
        "folded" | "groups" => Format::Folded(rate),
        "" => Format::Unnamed(rate),
        other => return refused(&other.chars().take(40).collect::<String>()),
    };
    if parts.contains_key("prev_profile") {
        return Err(Error::new(
            ErrorKind::Unprocessable,
            "prev_profile is not taken: the agent must send differences; update it",
        ));
    }
    let body = if multipart {
        let whole = parts.remove("profile").or_else(|| parts.remove("file"));
        whole.ok_or_else(|| Error::invalid("the multipart body has no part `profile`"))?
    } else {
        body
    };
    if body.is_empty() {
        return Err(Error::invalid(
            "the body is empty: there is no profile in it",
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
    fn names_carry_labels() {
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
        assert!(parse_name("a{x=1").is_err());
        assert!(parse_name("a{x}").is_err());
    }

    #[test]
    fn dates_are_no_seconds() {
        let time = parse_time("20261122", Timestamp::EPOCH).map(|time| time.to_string());
        assert_eq!(time.as_deref(), Some("2026-11-22T00:00:00.000Z"));
    }
}
