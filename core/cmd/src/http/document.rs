//! Which document an address gets, and the request that its page begins with.
//!
//! The document contains that request as a link, so that the browser sends it together with those of the scripts: the page is
//! drawn after two round trips. The times of the link are absolute; the page takes its clock from there.

use davy_base::Timestamp;
use std::fmt::Write as _;

/// The frames that the page requests first, at most.
const NODES: &str = "20000";
/// The width in pixels for which the page requests them, because the server does not know that of the window.
const WIDTH: &str = "3840";
const MINUTE_MS: i64 = 60_000;
/// The range of Incident's first request, in milliseconds.
const INCIDENT_MS: i64 = 10 * MINUTE_MS;
/// The range that Explore shows if its address names none, in milliseconds.
const EXPLORE_MS: i64 = 60 * MINUTE_MS;

/// A page for an `iframe`, and the path of its document.
pub(super) const EMBED: (&str, &str) = ("embed", "embed/flamegraph");

/// The document for a path and a query.
pub(super) fn name_of(path: &str, query: &str) -> &'static str {
    if path == EMBED.1 {
        return EMBED.0;
    }
    match path.rsplit('/').next().unwrap_or(path) {
        // Earlier links to Explore have no path; the page corrects them.
        "" if !query.is_empty() => "index",
        "" => "incident",
        "explore" => "explore",
        "compare" => "compare",
        "members" => "members",
        "fleet" => "fleet",
        "archive" => "archive",
        _ => "index",
    }
}

/// The address of the first request of a page, relative to the root; none if only the page knows it.
pub(super) fn first_request(document: &str, query: &str, now: Timestamp) -> Option<String> {
    match document {
        "incident" => {
            let (until, by) = (now.millis(), "service_name%2Cmember");
            let from = until - INCIDENT_MS;
            Some(format!(
                "api/v1/profiles/changes?from={from}&until={until}&by={by}&limit=2000"
            ))
        }
        "explore" | "embed" => flame_graph(query, now.millis()),
        _ => None,
    }
}

/// Values are passed on as they are written, so they need no decoding; those with other characters are left to the page.
fn is_plain(value: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%+{}:,()!*".contains(&b);
    value.bytes().all(is_plain)
}

fn flame_graph(query: &str, now: i64) -> Option<String> {
    let pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(of, _)| *of == name)
            .map(|(_, value)| *value)
    };
    // The page translates its transforms and links from traces, and opens captures, itself.
    if ["t", "capture", "trace", "span"]
        .iter()
        .any(|name| value(name).is_some())
    {
        return None;
    }
    let (kind, selector, by) = (value("type"), value("selector"), value("by"));
    // Without a service the page asks for one.
    if selector.is_some_and(|of| !of.contains("service_name%3D%22")) {
        return None;
    }
    let (from, until) = match value("pick") {
        Some(pick) => {
            let (from, until) = pick.split_once('-')?;
            (millis(from)?, millis(until)?)
        }
        None => (
            value("from").map_or(Some(now - EXPLORE_MS), |from| instant(from, now))?,
            value("until").map_or(Some(now), |until| instant(until, now))?,
        ),
    };
    if from >= until {
        return None;
    }
    let is_complete = kind.is_some() && selector.is_some() && by.is_some();
    if by == Some("") && !is_complete {
        return None;
    }
    let mut url = format!("api/v1/profiles/flamegraph?from={from}&until={until}");
    for (name, value) in [("type", kind), ("selector", selector), ("by", by)] {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        if !is_plain(value) {
            return None;
        }
        // Writing to a string cannot fail.
        let _ = write!(url, "&{name}={value}");
    }
    if !is_complete {
        url.push_str("&defaults=true");
    }
    let _ = write!(url, "&max_nodes={NODES}&width={WIDTH}");
    Some(url)
}

/// A time as links contain it: `now`, `now-1h`, or milliseconds; none for other forms.
fn instant(text: &str, now: i64) -> Option<i64> {
    let Some(ago) = text.strip_prefix("now") else {
        return millis(text);
    };
    if ago.is_empty() {
        return Some(now);
    }
    let ago = ago.strip_prefix('-')?;
    let (number, unit) = ago.split_at_checked(ago.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1_000,
        "m" => MINUTE_MS,
        "h" => 60 * MINUTE_MS,
        "d" => 24 * 60 * MINUTE_MS,
        "w" => 7 * 24 * 60 * MINUTE_MS,
        _ => return None,
    };
    let is_number = number.bytes().all(|b| b.is_ascii_digit());
    let number: i64 = number.parse().ok().filter(|_| is_number)?;
    now.checked_sub(number.checked_mul(unit)?)
}

/// Milliseconds since 1970 in the 13 digits that they have from 2001 to 2286; other numbers can have other units.
fn millis(text: &str) -> Option<i64> {
    let is_millis = text.len() == 13 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_764_334_800);

    /// The page's own test server follows the same rules and passes the same table.
    #[test]
    fn first_requests_are_those_of_the_table() {
        let table = include_str!("../../tests/first-requests.tsv");
        let rows = table.lines().filter(|line| !line.starts_with('#'));
        let mut count = 0;
        for row in rows {
            let mut cells = row.split('\t');
            let mut cell = || cells.next().expect("three cells");
            let (document, query, expected) = (cell(), cell(), cell());
            let found = first_request(document, query, NOW);
            assert_eq!(
                found.as_deref().unwrap_or("-"),
                expected,
                "{document} {query}"
            );
            count += 1;
        }
        assert!(count > 20);
    }

    #[test]
    fn documents_are_those_of_the_pages() {
        for (path, query, name) in [
            ("", "", "incident"),
            ("", "type=cpu", "index"),
            ("explore", "", "explore"),
            ("prefix/members", "", "members"),
            ("embed/flamegraph", "", "embed"),
            ("embed/other", "", "index"),
        ] {
            assert_eq!(name_of(path, query), name, "{path}");
        }
    }
}
