//! What changed: the usage of each group now, against an hour, a day and a week ago.
//!
//! A measure is a profile type: CPU time, live heap, allocations, requests, errors. The 99th percentile of request
//! durations is read from the buckets of the profile of requests ([`davy_profile::durations`]). Each range is read twice:
//! the totals of all types, and the buckets.

mod measure;
mod rank;
mod read;

pub(super) use rank::Base;

use super::cost;
use super::params::Ask;
use super::scan::Query;
use crate::error::Result;
use crate::types::{TypeFilter, TypeId};
use axum::Json;
use axum::response::{IntoResponse, Response};
use davy_bucket::Usage as Cost;
use measure::Measure;
use rank::Change;
use read::{Usage, usage};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The ranges that usage is compared with, by their distance.
const BASES: [(Base, Duration); 3] = [
    (Base::Hour, Duration::from_hours(1)),
    (Base::Day, Duration::from_hours(24)),
    (Base::Week, Duration::from_hours(7 * 24)),
];

/// The usage in the range of a query, and in the ranges that it is compared with. A longer range is not compared with one
/// that overlaps it.
pub(super) async fn usages(query: &Query, ask: &Ask) -> Result<(Usage, Vec<(Base, Usage)>)> {
    let length = ask.until.since(ask.from);
    let apart = BASES.iter().filter(|(_, distance)| *distance >= length);
    let bases = apart.map(|(base, distance)| async move {
        let before = Ask {
            from: ask.from.minus(*distance),
            until: ask.until.minus(*distance),
            ..ask.clone()
        };
        Ok((*base, Box::pin(usage(query, &before)).await?))
    });
    let bases = futures_util::future::try_join_all(bases);
    tokio::try_join!(Box::pin(usage(query, ask)), bases)
}

/// The response: the ranges, the sums over all groups, and the changes, ranked.
pub(super) fn answer(
    ask: &Ask,
    now: &Usage,
    bases: &[(Base, Usage)],
    wanted: Option<Base>,
    limit: usize,
    cost: &Cost,
) -> Response {
    let ranked = rank::rank(now, bases, wanted);
    let mut ranges = vec![range("now", (ask.from.millis(), ask.until.millis()), now)];
    for (base, usage) in bases {
        let distance = BASES.iter().find(|(of, _)| of == base);
        let distance = distance.map_or(Duration::ZERO, |(_, distance)| *distance);
        let (from, until) = (ask.from.minus(distance), ask.until.minus(distance));
        ranges.push(range(base.name(), (from.millis(), until.millis()), usage));
    }
    let measures = Measure::ALL.iter().map(|measure| {
        let mut of = json!({
            "name": measure.name(),
            "unit": measure.unit(),
            "type": type_id(*measure),
        });
        if let Some((now, before)) = ranked.totals.get(measure) {
            of["now"] = json!(now);
            of["before"] = by_base(before);
        }
        of
    });
    let changes = ranked.ranked.iter().take(limit);
    Json(json!({
        "from": ask.from.millis(),
        "until": ask.until.millis(),
        "by": ask.by,
        "selector": ask.selector.text(),
        "against": ranked.against.map(Base::name),
        "ranges": ranges,
        "measures": measures.collect::<Vec<_>>(),
        "cut": ranked.ranked.len().saturating_sub(limit),
        "cost": cost::json(cost),
        "changes": changes.map(|change| of_change(&ask.by, change)).collect::<Vec<_>>(),
    }))
    .into_response()
}

/// The id of the type that a measure is read from.
fn type_id(measure: Measure) -> String {
    let filter = TypeFilter::parse(measure.short_type());
    let id = filter.map_or_else(String::new, |filter| filter.id());
    TypeId::parse(&id).to_string()
}

fn range(name: &str, (from, until): (i64, i64), usage: &Usage) -> Value {
    let report = &usage.report;
    json!({
        "name": name,
        "from": from,
        "until": until,
        "effective_from": report.effective.start,
        "effective_until": report.effective.end,
        "covered_from": usage.covered.start,
        "covered_until": usage.covered.end,
        "windows": report.windows,
        "partial": report.partial,
    })
}

fn by_base(values: &BTreeMap<Base, f64>) -> Value {
    let values = values
        .iter()
        .map(|(base, value)| (base.name().to_owned(), json!(value)));
    Value::Object(values.collect())
}

fn of_change(by: &[String], change: &Change) -> Value {
    let labels = by.iter().cloned().zip(change.key.iter().cloned());
    let labels: Map<String, Value> = labels.map(|(name, value)| (name, value.into())).collect();
    json!({
        "labels": labels,
        "measure": change.measure.name(),
        "kind": change.kind,
        "score": change.score,
        "now": change.now,
        "before": by_base(&change.before),
    })
}
