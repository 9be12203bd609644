//! What a range has: types, labels, series, and what a query would read.

use crate::asking::{Wanted as Request, ask, ask_each};
use crate::messages::labels::{Labels, ProfileType, pairs};
use crate::messages::minor::Empty;
use crate::messages::querier::{
    AnalyzeQueryResponse, NamesResponse, ProfileStatsResponse, ProfileTypesResponse, QueryImpact,
    QueryScope, SeriesResponse,
};
use crate::messages::requests::{
    AnalyzeQueryRequest, LabelNamesRequest, LabelValuesRequest, ProfileTypesRequest, SeriesRequest,
};
use crate::scope::{Scope, invalid};
use crate::status::Status;
use davy_archive::query::{Ask, Wanted, extent, label_sets, list, stored};
use davy_archive::types::{self, TypeId};
use std::collections::BTreeSet;
use std::time::Duration;

/// The names that any of several queries finds.
async fn names(scope: &Scope, asks: &[Ask], wanted: Wanted) -> Result<BTreeSet<String>, Status> {
    let all: Vec<&Ask> = asks.iter().collect();
    let work = async {
        let mut names = BTreeSet::new();
        for ask in asks {
            let (found, report) = list(&scope.query, ask, wanted.clone()).await?;
            scope.report(ask, &report);
            names.extend(found);
        }
        Ok(names)
    };
    scope.within(&all, work).await
}

pub(super) async fn profile_types(
    scope: &Scope,
    request: ProfileTypesRequest,
) -> Result<ProfileTypesResponse, Status> {
    let asks = ask_each(scope, Vec::new(), (request.start, request.end)).await?;
    let ids = names(scope, &asks, Wanted::Types).await?;
    let of_id = |id: String| {
        let of = TypeId::parse(&id);
        ProfileType {
            id,
            name: of.name,
            sample_type: of.sample,
            sample_unit: of.unit,
            period_type: of.period,
            period_unit: of.period_unit,
        }
    };
    Ok(ProfileTypesResponse {
        profile_types: ids.into_iter().map(of_id).collect(),
    })
}

pub(super) async fn label_names(
    scope: &Scope,
    request: LabelNamesRequest,
) -> Result<NamesResponse, Status> {
    let asks = ask_each(scope, request.matchers, (request.start, request.end)).await?;
    let mut names = names(scope, &asks, Wanted::Names).await?;
    if !names.is_empty() {
        names.extend(types::LABELS.map(str::to_owned));
    }
    Ok(NamesResponse {
        names: names.into_iter().collect(),
    })
}

pub(super) async fn label_values(
    scope: &Scope,
    request: LabelValuesRequest,
) -> Result<NamesResponse, Status> {
    if request.name.is_empty() {
        return Err(invalid("missing name of a label; LabelNames lists them"));
    }
    let asks = ask_each(scope, request.matchers, (request.start, request.end)).await?;
    let names = names(scope, &asks, Wanted::Values(request.name)).await?;
    Ok(NamesResponse {
        names: names.into_iter().collect(),
    })
}

pub(super) async fn series(
    scope: &Scope,
    request: SeriesRequest,
) -> Result<SeriesResponse, Status> {
    let asks = ask_each(scope, request.matchers, (request.start, request.end)).await?;
    let all: Vec<&Ask> = asks.iter().collect();
    let work = async {
        let mut sets = BTreeSet::new();
        for ask in &asks {
            let names = request.label_names.clone();
            let (found, report) = label_sets(&scope.query, ask, names).await?;
            scope.report(ask, &report);
            sets.extend(found);
        }
        Ok(sets)
    };
    let sets = scope.within(&all, work).await?.into_iter();
    let sets = sets.map(|labels| Labels {
        labels: pairs(labels),
    });
    Ok(SeriesResponse {
        labels_set: sets.collect(),
    })
}

pub(super) async fn profile_stats(scope: &Scope, _: Empty) -> Result<ProfileStatsResponse, Status> {
    let work = extent(&scope.query, &scope.tenant);
    let run = scope.run.within(&scope.tenant, Duration::ZERO, work);
    Ok(match Box::pin(run).await? {
        Some(extent) => ProfileStatsResponse {
            data_ingested: true,
            oldest_profile_time: extent.oldest_ms,
            newest_profile_time: extent.newest_ms,
        },
        None => ProfileStatsResponse::default(),
    })
}

/// A query as text: a type id, a selector, or both.
pub(crate) fn type_and_selector(query: &str) -> (String, String) {
    match query.find('{') {
        Some(at) => (query[..at].trim().to_owned(), query[at..].to_owned()),
        None => (query.trim().to_owned(), String::new()),
    }
}

pub(super) async fn analyze_query(
    scope: &Scope,
    request: AnalyzeQueryRequest,
) -> Result<AnalyzeQueryResponse, Status> {
    let (kind, selector) = type_and_selector(&request.query);
    let wanted = Request {
        kind,
        selector,
        start: request.start,
        end: request.end,
        ..Request::default()
    };
    let ask = ask(scope, wanted).await?;
    let work = async { Ok(stored(&scope.query, &ask).await?) };
    let (stored, report) = scope.within(&[&ask], work).await?;
    scope.report(&ask, &report);
    Ok(AnalyzeQueryResponse {
        query_scopes: vec![QueryScope {
            component_type: "Bucket".to_owned(),
            component_count: 1,
            block_count: stored.segments + stored.blocks,
            series_count: stored.series,
            profile_count: stored.windows,
            profile_bytes: stored.bytes,
        }],
        query_impact: Some(QueryImpact {
            total_bytes_in_time_range: stored.bytes,
            total_queried_series: stored.series,
            deduplication_needed: stored.segments > 0,
        }),
    })
}
