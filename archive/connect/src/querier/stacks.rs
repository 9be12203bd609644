//! Merged stacks: flame graphs, trees, call graphs and pprof profiles of a range, and their differences.

use crate::asking::{Wanted, ask_one, max_nodes, path};
use crate::bars;
use crate::dot;
use crate::messages::profile::Profile;
use crate::messages::querier::{
    DiffResponse, FlameGraph, FlameGraphDiff, Level, PprofProfile, SelectMergeStacktracesResponse,
};
use crate::messages::requests::{
    DiffRequest, SelectMergeProfileRequest, SelectMergeSpanProfileRequest,
    SelectMergeStacktracesRequest,
};
use crate::named::Named;
use crate::scope::{Scope, blocking, invalid};
use crate::status::{Code, Status};
use crate::tree;
use davy_archive::query::{self, Ask, flame, merged_profile};
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, pprof};
use prost::Message as _;

/// `PROFILE_FORMAT_*`.
const TREE: i32 = 2;
const DOT: i32 = 3;
const PPROF: i32 = 4;

/// The stacks that a request asks for.
struct Stacks {
    ask: Ask,
    path: Vec<String>,
    max_nodes: usize,
}

impl Stacks {
    async fn of(scope: &Scope, request: SelectMergeStacktracesRequest) -> Result<Self, Status> {
        let max_nodes = max_nodes(request.max_nodes)?;
        let path = path(request.stack_trace_selector)?;
        let wanted = Wanted {
            kind: request.profile_type_id,
            selector: request.label_selector,
            start: request.start,
            end: request.end,
            by: Vec::new(),
            spans: request.span_selector,
            traces: request.trace_id_selector,
            profiles: request.profile_id_selector,
        };
        Ok(Self {
            ask: ask_one(scope, wanted).await?,
            path,
            max_nodes,
        })
    }
}

/// Merges the stacks of a range below a call path. The caller runs it within the limits of the tenant.
pub(crate) async fn merge(
    scope: &Scope,
    ask: &Ask,
    path: Vec<String>,
) -> Result<FlameTree, Status> {
    let (flame, report) = flame(&scope.query, ask, Grain::Function).await?;
    scope.report(ask, &report);
    scope.aggregated(flame.aggregation.name());
    let tree = flame.tree;
    blocking("select stacks", move || query::on_path(tree, path)).await
}

/// A flame graph.
fn flame_graph(named: &Named<1>) -> FlameGraph {
    let levels = bars::levels(named).into_iter();
    FlameGraph {
        names: named.names.clone(),
        levels: levels.map(|values| Level { values }).collect(),
        total: named.nodes[0].total[0],
        max_self: named.max_self(),
    }
}

pub(super) async fn select_merge_stacktraces(
    scope: &Scope,
    request: SelectMergeStacktracesRequest,
) -> Result<SelectMergeStacktracesResponse, Status> {
    let format = request.format;
    if !(0..=PPROF).contains(&format) {
        return Err(invalid(format!(
            "unknown format {format}; expected 0 to {PPROF}"
        )));
    }
    let stacks = Stacks::of(scope, request).await?;
    let asks = [&stacks.ask];
    if format == PPROF {
        let encoded = scope
            .within(&asks, profile(scope, &stacks.ask, stacks.path.clone()))
            .await?;
        return Ok(SelectMergeStacktracesResponse {
            pprof: Some(PprofProfile {
                profile: Some(encoded),
            }),
            ..SelectMergeStacktracesResponse::default()
        });
    }
    let unit = unit(&stacks.ask);
    let work = async {
        let merged = merge(scope, &stacks.ask, stacks.path).await?;
        blocking("render a tree", move || {
            let named = Named::of([&merged], stacks.max_nodes);
            let mut response = SelectMergeStacktracesResponse::default();
            match format {
                TREE => response.tree = tree::encode(&named),
                DOT => response.dot = dot::encode(&named, &unit),
                _ => response.flamegraph = Some(flame_graph(&named)),
            }
            response
        })
        .await
    };
    scope.within(&asks, work).await
}

/// The unit of the values of a query.
pub(crate) fn unit(ask: &Ask) -> String {
    let filter = ask.kind.as_ref();
    filter.map_or_else(String::new, |filter| filter.sample_and_unit().1)
}

pub(super) async fn select_merge_span_profile(
    scope: &Scope,
    request: SelectMergeSpanProfileRequest,
) -> Result<SelectMergeStacktracesResponse, Status> {
    if !(0..=TREE).contains(&request.format) {
        return Err(invalid(format!(
            "unknown format {}; expected 0 to {TREE}",
            request.format
        )));
    }
    if request.span_selector.is_empty() {
        return Err(invalid(
            "missing span_selector; SelectMergeStacktraces merges all spans",
        ));
    }
    let request = SelectMergeStacktracesRequest {
        profile_type_id: request.profile_type_id,
        label_selector: request.label_selector,
        start: request.start,
        end: request.end,
        max_nodes: request.max_nodes,
        format: request.format,
        span_selector: request.span_selector,
        ..SelectMergeStacktracesRequest::default()
    };
    select_merge_stacktraces(scope, request).await
}

/// The profile of a range as a message.
async fn profile(scope: &Scope, ask: &Ask, path: Vec<String>) -> Result<Profile, Status> {
    let (profile, report) = merged_profile(&scope.query, ask, path).await?;
    scope.report(ask, &report);
    blocking("encode a profile", move || {
        Profile::decode(&*pprof::encode(&profile)).map_err(|error| {
            Status::new(Code::Internal, format!("cannot encode a profile: {error}"))
        })
    })
    .await?
}

pub(super) async fn select_merge_profile(
    scope: &Scope,
    request: SelectMergeProfileRequest,
) -> Result<Profile, Status> {
    max_nodes(request.max_nodes)?;
    let path = path(request.stack_trace_selector)?;
    let wanted = Wanted {
        kind: request.profile_type_id,
        selector: request.label_selector,
        start: request.start,
        end: request.end,
        traces: request.trace_id_selector,
        profiles: request.profile_id_selector,
        ..Wanted::default()
    };
    let ask = ask_one(scope, wanted).await?;
    scope.within(&[&ask], profile(scope, &ask, path)).await
}

pub(super) async fn diff(scope: &Scope, request: DiffRequest) -> Result<DiffResponse, Status> {
    let (Some(left), Some(right)) = (request.left, request.right) else {
        return Err(invalid("missing left or right; a diff has both"));
    };
    let (left, right) = (
        Stacks::of(scope, left).await?,
        Stacks::of(scope, right).await?,
    );
    let max_nodes = left.max_nodes.min(right.max_nodes);
    let work = async {
        let of_left = merge(scope, &left.ask, left.path.clone()).await?;
        let of_right = merge(scope, &right.ask, right.path.clone()).await?;
        blocking("render a diff", move || {
            let named = Named::of([&of_left, &of_right], max_nodes);
            let [left, right] = named.nodes[0].total;
            let levels = bars::levels(&named).into_iter();
            FlameGraphDiff {
                names: named.names.clone(),
                levels: levels.map(|values| Level { values }).collect(),
                total: left.saturating_add(right),
                max_self: named.max_self(),
                left_ticks: left,
                right_ticks: right,
            }
        })
        .await
    };
    let flamegraph = scope.within(&[&left.ask, &right.ask], work).await?;
    Ok(DiffResponse {
        flamegraph: Some(flamegraph),
    })
}
