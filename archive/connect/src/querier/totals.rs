//! Totals over time, and how values are distributed over time.

use crate::asking::{Wanted, ask_one, limit, path, step_ms};
use crate::messages::labels::{HeatmapSeries, HeatmapSlot, Point, Series, pairs};
use crate::messages::querier::{SelectHeatmapResponse, SelectSeriesResponse};
use crate::messages::requests::{SelectHeatmapRequest, SelectSeriesRequest};
use crate::scope::{Scope, invalid};
use crate::status::Status;
use davy_archive::query::{Step, heatmap, series};

/// `TIME_SERIES_AGGREGATION_TYPE_AVERAGE`.
const AVERAGE: i32 = 1;
/// `HEATMAP_QUERY_TYPE_SPAN`.
const SPAN: i32 = 2;

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
    let ask = ask_one(scope, wanted).await?;
    let step = Step {
        ms,
        is_mean: aggregation == AVERAGE,
        path,
    };
    let work = async { Ok(series(&scope.query, &ask, step).await?) };
    let (totals, report) = scope.within(&[&ask], work).await?;
    scope.report(&ask, &report);
    scope.aggregated(totals.aggregation.name());
    let until = ask.until.millis();
    let of_group = |group: davy_archive::query::GroupTotals| Series {
        labels: pairs(group.labels),
        points: group
            .points
            .into_iter()
            .map(|(start, value)| Point {
                value: value as f64,
                // The clients expect the end of a step.
                timestamp: start.saturating_add(ms).min(until),
            })
            .collect(),
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
            })
            .collect(),
    };
    Ok(SelectHeatmapResponse {
        series: found.into_iter().take(limit).map(of_series).collect(),
    })
}
