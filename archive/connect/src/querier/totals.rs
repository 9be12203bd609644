//! Totals over time, and how values are distributed over time.

use crate::asking::{Wanted, ask_one, limit, path, step_ms};
use crate::messages::labels::{Exemplar, HeatmapSeries, HeatmapSlot, Point, Series, pairs};
use crate::messages::querier::{SelectHeatmapResponse, SelectSeriesResponse};
use crate::messages::requests::{SelectHeatmapRequest, SelectSeriesRequest};
use crate::scope::{Scope, invalid};
use crate::status::Status;
use davy_archive::query::{Stacks, Step, heatmap, series};
use std::collections::BTreeMap;

/// `TIME_SERIES_AGGREGATION_TYPE_AVERAGE`.
const AVERAGE: i32 = 1;
/// `HEATMAP_QUERY_TYPE_SPAN`.
const SPAN: i32 = 2;
/// `EXEMPLAR_TYPE_INDIVIDUAL` and `EXEMPLAR_TYPE_SPAN`.
const EXEMPLARS: std::ops::RangeInclusive<i32> = 2..=3;

/// Whether a request wants exemplars.
fn wants_exemplars(exemplar_type: i32) -> Result<bool, Status> {
    if (0..=*EXEMPLARS.end()).contains(&exemplar_type) {
        return Ok(EXEMPLARS.contains(&exemplar_type));
    }
    Err(invalid(format!(
        "unknown exemplar_type {exemplar_type}; expected 0 to {}",
        EXEMPLARS.end()
    )))
}

/// The exemplars of a group by the start of their step.
type OfGroup = BTreeMap<i64, Exemplar>;

pub(super) async fn select_series(
    scope: &Scope,
    request: SelectSeriesRequest,
) -> Result<SelectSeriesResponse, Status> {
    let (ms, limit) = (step_ms(request.step)?, limit(request.limit)?);
    let aggregation = request.aggregation.unwrap_or(0);
    if !(0..=AVERAGE).contains(&aggregation) {
        return Err(invalid(format!(
            "unknown aggregation {aggregation}; expected 0 (sum) or 1 (average)"
        )));
    }
    let wanted = Wanted {
        kind: request.profile_type_id,
        selector: request.label_selector,
        start: request.start,
        end: request.end,
        by: request.group_by,
        ..Wanted::default()
    };
    let path = path(request.stack_trace_selector)?;
    // The value of an exemplar is that of all stacks.
    let has_exemplars = wants_exemplars(request.exemplar_type)? && path.is_empty();
    let is_by_span = request.exemplar_type == *EXEMPLARS.end();
    let ask = ask_one(scope, wanted).await?;
    let step = Step {
        ms,
        is_mean: aggregation == AVERAGE,
        stacks: if path.is_empty() {
            Stacks::All
        } else {
            Stacks::Below(path)
        },
    };
    let work = async {
        let (totals, report) = series(&scope.query, &ask, step).await?;
        scope.report(&ask, &report);
        let mut exemplars: BTreeMap<Vec<(String, String)>, OfGroup> = BTreeMap::new();
        if has_exemplars {
            let (found, _) = heatmap(&scope.query, &ask, ms, is_by_span).await?;
            for group in found {
                let cells = group.cells.into_iter();
                let of = cells.filter_map(|cell| Some((cell.start_ms, cell.exemplar?.into())));
                exemplars.insert(group.labels, of.collect());
            }
        }
        Ok((totals, exemplars))
    };
    let (totals, mut exemplars) = scope.within(&[&ask], work).await?;
    scope.aggregated(totals.aggregation.name());
    let until = ask.until.millis();
    let of_group = |group: davy_archive::query::GroupTotals| {
        let mut exemplars = exemplars.remove(&group.labels).unwrap_or_default();
        let points = group.points.into_iter().map(|(start, value)| Point {
            value: value as f64,
            // The clients expect the end of a step.
            timestamp: start.saturating_add(ms).min(until),
            exemplars: exemplars.remove(&start).into_iter().collect(),
        });
        Series {
            points: points.collect(),
            labels: pairs(group.labels),
        }
    };
    let groups = totals.series.into_iter().take(limit);
    Ok(SelectSeriesResponse {
        series: groups.map(of_group).collect(),
    })
}

pub(super) async fn select_heatmap(
    scope: &Scope,
    request: SelectHeatmapRequest,
) -> Result<SelectHeatmapResponse, Status> {
    let (ms, limit) = (step_ms(request.step)?, limit(request.limit)?);
    if !(0..=SPAN).contains(&request.query_type) {
        return Err(invalid(format!(
            "unknown query_type {}; expected 0 to {SPAN}",
            request.query_type
        )));
    }
    let wanted = Wanted {
        kind: request.profile_type_id,
        selector: request.label_selector,
        start: request.start,
        end: request.end,
        by: request.group_by,
        ..Wanted::default()
    };
    let has_exemplars = wants_exemplars(request.exemplar_type)?;
    let ask = ask_one(scope, wanted).await?;
    let is_by_span = request.query_type == SPAN;
    let work = async { Ok(heatmap(&scope.query, &ask, ms, is_by_span).await?) };
    let (found, report) = scope.within(&[&ask], work).await?;
    scope.report(&ask, &report);
    let until = ask.until.millis();
    let of_series = |of: davy_archive::query::HeatmapSeries| HeatmapSeries {
        labels: pairs(of.labels),
        slots: of
            .cells
            .into_iter()
            .map(|cell| HeatmapSlot {
                timestamp: cell.start_ms.saturating_add(ms).min(until),
                y_min: cell.y_min.into_iter().map(|low| low as f64).collect(),
                counts: cell.counts,
                exemplars: cell
                    .exemplar
                    .filter(|_| has_exemplars)
                    .map(Exemplar::from)
                    .into_iter()
                    .collect(),
            })
            .collect(),
    };
    Ok(SelectHeatmapResponse {
        series: found.into_iter().take(limit).map(of_series).collect(),
    })
}
