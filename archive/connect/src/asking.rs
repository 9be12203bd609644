//! From the fields of requests to queries of the archive.

use crate::messages::labels::StackTraceSelector;
use crate::scope::{Scope, blocking, invalid};
use crate::status::Status;
use davy_archive::query::Ask;
use davy_archive::selector::Selector;
use davy_archive::spans::{Only, span_id, trace_id};
use davy_archive::types::TypeFilter;
use davy_base::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// Default of `max_nodes`.
const NODES: usize = 16_384;
/// Maximum of `max_nodes`.
const NODES_MAX: i64 = 1_000_000;
/// Maximum number of selectors of a request.
const SELECTORS: usize = 16;
/// Maximum number of labels to group by.
const BY: usize = 8;
/// Maximum number of spans, traces or profiles of a request.
const SPANS_MAX: usize = 1_000;
/// The last time that is accepted: the end of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;
/// The range of a request without times.
const RECENT: Duration = Duration::from_hours(1);

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Empty for all types.
    pub(crate) kind: String,
    pub(crate) selector: String,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) by: Vec<String>,
    pub(crate) spans: Vec<String>,
    pub(crate) traces: Vec<String>,
    pub(crate) profiles: Vec<String>,
}

/// The range of a request. Without an end it ends now, and without a start it has an hour.
fn range(start: i64, end: i64, now: Timestamp) -> Result<(Timestamp, Timestamp), Status> {
    for (name, time) in [("start", start), ("end", end)] {
        if !(0..=LAST_MS).contains(&time) {
            return Err(invalid(format!(
                "invalid {name} {time}; expected milliseconds since 1970"
            )));
        }
    }
    let until = if end == 0 {
        now
    } else {
        Timestamp::from_millis(end)
    };
    let from = if start == 0 {
        until.minus(RECENT)
    } else {
        Timestamp::from_millis(start)
    };
    if from >= until {
        return Err(invalid(format!(
            "invalid range: start {from} is not before end {until}"
        )));
    }
    Ok((from, until))
}

/// The filter of a type id.
fn type_filter(id: &str) -> Result<Option<TypeFilter>, Status> {
    match TypeFilter::parse(id) {
        _ if id.is_empty() => Ok(None),
        Some(filter @ TypeFilter::Exact(_)) => Ok(Some(filter)),
        _ => Err(invalid(format!(
            "invalid profile_typeID {id:?}; expected name:type:unit:periodtype:periodunit, \
             such as process_cpu:cpu:nanoseconds:cpu:nanoseconds"
        ))),
    }
}

/// The query that a request asks for.
pub(crate) async fn ask(scope: &Scope, wanted: Wanted) -> Result<Ask, Status> {
    let (now, tenant) = (scope.now(), scope.tenant.clone());
    // On a blocking thread, because compiling a selector takes time.
    blocking("parse a query", move || {
        let (from, until) = range(wanted.start, wanted.end, now)?;
        if wanted.by.len() > BY {
            return Err(invalid(format!(
                "group_by has {} labels, the limit is {BY}",
                wanted.by.len()
            )));
        }
        let hex = "hexadecimal digits";
        let only = Only {
            spans: ids("span_selector", wanted.spans, hex, span_id)?,
            traces: ids("trace_id_selector", wanted.traces, hex, trace_id)?,
            profiles: ids("profile_id_selector", wanted.profiles, "a UUID", |id| {
                let is_uuid = id.len() == 36 || id.len() == 32;
                trace_id(&id.replace('-', "")).filter(|_| is_uuid)
            })?,
        };
        let selector = Selector::of_query(&wanted.selector).map_err(invalid)?;
        Ok(Ask {
            tenant,
            kind: type_filter(&wanted.kind)?,
            selector: selector.with_only(only),
            from,
            until,
            by: wanted.by,
        })
    })
    .await?
}

/// The query of one type that a request asks for.
pub(crate) async fn ask_one(scope: &Scope, wanted: Wanted) -> Result<Ask, Status> {
    if wanted.kind.is_empty() {
        return Err(invalid(
            "missing profile_typeID; ProfileTypes lists the types of a range",
        ));
    }
    ask(scope, wanted).await
}

/// Queries of several selectors, whose results belong together; one without a selector if there are none.
pub(crate) async fn ask_each(
    scope: &Scope,
    mut selectors: Vec<String>,
    (start, end): (i64, i64),
) -> Result<Vec<Ask>, Status> {
    if selectors.len() > SELECTORS {
        return Err(invalid(format!(
            "the request has {} matchers, the limit is {SELECTORS}",
            selectors.len()
        )));
    }
    if selectors.is_empty() {
        selectors.push(String::new());
    }
    let mut asks = Vec::new();
    for selector in selectors {
        let wanted = Wanted {
            selector,
            start,
            end,
            ..Wanted::default()
        };
        asks.push(ask(scope, wanted).await?);
    }
    Ok(asks)
}

/// The ids that a field of a request states.
fn ids<T: Ord>(
    field: &str,
    texts: Vec<String>,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<BTreeSet<T>, Status> {
    if texts.len() > SPANS_MAX {
        return Err(invalid(format!(
            "{field} has {} ids, the limit is {SPANS_MAX}",
            texts.len()
        )));
    }
    let id = |text: String| {
        parse(&text).ok_or_else(|| {
            invalid(format!(
                "invalid id {text:?} in {field}; expected {expected}"
            ))
        })
    };
    texts.into_iter().map(id).collect()
}

/// The names of the functions, from the root, that lead to the stacks of a selector.
pub(crate) fn path(selector: Option<StackTraceSelector>) -> Result<Vec<String>, Status> {
    let selector = selector.unwrap_or_default();
    if selector.go_pgo.is_some() {
        return Err(Status::unimplemented(
            "go_pgo is not supported; download the profile with /api/v1/profiles/pprof",
        ));
    }
    let path = selector.call_site.into_iter().map(|frame| frame.name);
    Ok(path.filter(|name| !name.is_empty()).collect())
}

/// The maximum number of nodes of a response.
pub(crate) fn max_nodes(max_nodes: Option<i64>) -> Result<usize, Status> {
    match max_nodes {
        None | Some(0) => Ok(NODES),
        Some(nodes @ 1..=NODES_MAX) => Ok(nodes as usize),
        Some(other) => Err(invalid(format!(
            "invalid max_nodes {other}; expected 1 to {NODES_MAX}, or 0 for {NODES}"
        ))),
    }
}

/// A step in milliseconds.
pub(crate) fn step_ms(seconds: f64) -> Result<i64, Status> {
    let ms = (seconds * 1_000.0).round();
    if ms >= 1.0 && ms <= f64::from(i32::MAX) * 1_000.0 {
        Ok(ms as i64)
    } else {
        Err(invalid(format!(
            "invalid step {seconds}; expected seconds, at least 0.001"
        )))
    }
}

/// The maximum number of series of a response.
pub(crate) fn limit(limit: Option<i64>) -> Result<usize, Status> {
    match limit {
        None | Some(0) => Ok(usize::MAX),
        Some(limit) => usize::try_from(limit)
            .map_err(|_| invalid(format!("invalid limit {limit}; expected a positive number"))),
    }
}
