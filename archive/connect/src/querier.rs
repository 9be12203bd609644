//! The methods of `querier.v1.QuerierService`.

mod listing;
mod stacks;
mod totals;

pub(crate) use listing::type_and_selector;
pub(crate) use stacks::{merge, unit};

use crate::protocol::Wire;
use crate::scope::{Scope, unary};
use crate::status::Status;
use bytes::Bytes;

/// The methods.
pub(crate) const METHODS: &[&str] = &[
    "ProfileTypes",
    "LabelNames",
    "LabelValues",
    "Series",
    "SelectMergeStacktraces",
    "SelectMergeSpanProfile",
    "SelectMergeProfile",
    "SelectSeries",
    "SelectHeatmap",
    "Diff",
    "GetProfileStats",
    "AnalyzeQuery",
];

/// Calls one of [`METHODS`].
pub(crate) async fn call(
    scope: &Scope,
    method: &'static str,
    (wire, message): (Wire, &Bytes),
) -> Result<Bytes, Status> {
    let from = (wire, message);
    match method {
        "ProfileTypes" => unary(from, |request| listing::profile_types(scope, request)).await,
        "LabelNames" => unary(from, |request| listing::label_names(scope, request)).await,
        "LabelValues" => unary(from, |request| listing::label_values(scope, request)).await,
        "Series" => unary(from, |request| listing::series(scope, request)).await,
        "SelectMergeStacktraces" => {
            unary(from, |request| {
                stacks::select_merge_stacktraces(scope, request)
            })
            .await
        }
        "SelectMergeSpanProfile" => {
            unary(from, |request| {
                stacks::select_merge_span_profile(scope, request)
            })
            .await
        }
        "SelectMergeProfile" => {
            unary(from, |request| stacks::select_merge_profile(scope, request)).await
        }
        "SelectSeries" => unary(from, |request| totals::select_series(scope, request)).await,
        "SelectHeatmap" => unary(from, |request| totals::select_heatmap(scope, request)).await,
        "Diff" => unary(from, |request| stacks::diff(scope, request)).await,
        "GetProfileStats" => unary(from, |request| listing::profile_stats(scope, request)).await,
        "AnalyzeQuery" => unary(from, |request| listing::analyze_query(scope, request)).await,
        _ => Err(Status::unimplemented(format!(
            "{method} is not implemented"
        ))),
    }
}
