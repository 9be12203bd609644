//! `/pyroscope/render`, `/pyroscope/render-diff` and `/pyroscope/label-values`: queries by parameters, as older clients
//! make them.

use crate::asking::{Wanted, ask, ask_one, max_nodes};
use crate::bars;
use crate::dot;
use crate::exchange::connect_error;
use crate::named::Named;
use crate::querier::{self, merge};
use crate::scope::{Scope, blocking, invalid};
use crate::status::Status;
use axum::Json;
use axum::Router;
use axum::extract::{Query as Parameters, Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use davy_archive::ingest::tenant;
use davy_archive::query::{self, Ask, Query, Stacks, Step, series};
use davy_archive::time;
use davy_base::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Number of points of the timeline.
const POINTS: i64 = 240;

/// The routes.
pub(crate) fn routes() -> Router<Query> {
    Router::new()
        .route("/pyroscope/render", get(render))
        .route("/pyroscope/render-diff", get(render_diff))
        .route("/pyroscope/label-values", get(label_values))
}

/// The parameters of a request.
struct Call {
    parameters: BTreeMap<String, String>,
    now: Timestamp,
}

impl Call {
    fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn time(&self, name: &str) -> Result<i64, Status> {
        match self.get(name) {
            "" => Ok(0),
            text => Ok(time::parse(text, self.now)
                .map_err(|error| invalid(format!("{name}: {error}")))?
                .millis()),
        }
    }

    /// A query whose parameters are named like this.
    async fn one(
        &self,
        scope: &Scope,
        (query, from, until): (&str, &str, &str),
    ) -> Result<Ask, Status> {
        let (kind, selector) = querier::type_and_selector(self.get(query));
        let wanted = Wanted {
            kind,
            selector,
            start: self.time(from)?,
            end: self.time(until)?,
            ..Wanted::default()
        };
        ask_one(scope, wanted).await
    }

    fn max_nodes(&self) -> Result<usize, Status> {
        let text = ["max-nodes", "maxNodes"]
            .map(|name| self.get(name))
            .into_iter()
            .find(|text| !text.is_empty());
        let nodes = text.map(|text| {
            text.parse()
                .map_err(|_| invalid(format!("invalid max-nodes {text:?}; expected a number")))
        });
        max_nodes(nodes.transpose()?)
    }
}

/// Answers a request within the limits of its tenant.
async fn answer<F>(
    query: Query,
    request: Request,
    operation: &'static str,
    work: impl FnOnce(std::sync::Arc<Scope>, Call) -> F,
) -> Response
where
    F: Future<Output = Result<Response, Status>>,
{
    let (parts, _body) = request.into_parts();
    let tenant = match tenant(&parts.headers) {
        Ok(tenant) => tenant,
        Err(error) => return connect_error(&error.into()),
    };
    let scope = std::sync::Arc::new(Scope::new(&query, tenant, operation));
    let parsed = Parameters::<BTreeMap<String, String>>::try_from_uri(&parts.uri);
    let result = match parsed {
        Ok(Parameters(parameters)) => {
            let call = Call {
                parameters,
                now: scope.now(),
            };
            Box::pin(work(std::sync::Arc::clone(&scope), call)).await
        }
        Err(error) => Err(invalid(format!("invalid query string: {error}"))),
    };
    let mut response = result.unwrap_or_else(|status| connect_error(&status));
    if let Some(scope) = std::sync::Arc::into_inner(scope) {
        scope.end(&mut response);
    }
    response
}

/// What the clients call a unit, and the number of samples per second that makes it a time.
fn display_unit(unit: &str) -> (&str, u32) {
    match unit {
        "nanoseconds" => ("samples", 1_000_000_000),
        "bytes" => ("bytes", 100),
        "count" => ("objects", 100),
        other => (other, 100),
    }
}

fn metadata(format: &str, ask: &Ask) -> Value {
    let unit = querier::unit(ask);
    let (units, rate) = display_unit(&unit);
    let name = ask
        .kind
        .as_ref()
        .map_or_else(String::new, |kind| kind.sample_and_unit().0);
    json!({ "format": format, "name": name, "spyName": "", "sampleRate": rate, "units": units })
}

async fn render(State(query): State<Query>, request: Request) -> Response {
    answer(query, request, "Render", async |scope, call| {
        let ask = call.one(&scope, ("query", "from", "until")).await?;
        let nodes = call.max_nodes()?;
        let by = call.get("groupBy").split(',').map(str::trim);
        let by: Vec<String> = by.filter(|by| !by.is_empty()).map(str::to_owned).collect();
        let is_mean = match call.get("aggregation") {
            "" | "sum" => false,
            "avg" | "average" => true,
            other => {
                return Err(invalid(format!(
                    "invalid aggregation {other:?}; expected sum or avg"
                )));
            }
        };
        let format = call.get("format").to_owned();
        if !matches!(format.as_str(), "" | "json" | "dot") {
            return Err(invalid(format!(
                "invalid format {format:?}; expected json or dot"
            )));
        }
        let work = async {
            let merged = merge(&scope, &ask, Vec::new()).await?;
            let of = ask.clone();
            if format == "dot" {
                return blocking("render a call graph", move || {
                    let named = Named::of([&merged], nodes);
                    let media = [(header::CONTENT_TYPE, "text/vnd.graphviz; charset=utf-8")];
                    (media, dot::encode(&named, &querier::unit(&of))).into_response()
                })
                .await;
            }
            let mut timelines = timeline(&scope, &ask, Vec::new(), is_mean).await?;
            let groups = if by.is_empty() {
                Value::Null
            } else {
                Value::Object(timeline(&scope, &ask, by, is_mean).await?)
            };
            let timeline = timelines.remove("*").unwrap_or(Value::Null);
            blocking("render a flame graph", move || {
                let named = Named::of([&merged], nodes);
                let body = json!({
                    "version": 1,
                    "flamebearer": {
                        "names": named.names,
                        "levels": bars::levels(&named),
                        "numTicks": named.nodes[0].total[0],
                        "maxSelf": named.max_self(),
                    },
                    "metadata": metadata("single", &of),
                    "timeline": timeline,
                    "groups": groups,
                    "heatmap": null,
                });
                Json(body).into_response()
            })
            .await
        };
        scope.within(&[&ask], work).await
    })
    .await
}

/// The timelines of groups by their labels; `*` without labels.
async fn timeline(
    scope: &Scope,
    ask: &Ask,
    by: Vec<String>,
    is_mean: bool,
) -> Result<serde_json::Map<String, Value>, Status> {
    let length_ms = ask.until.millis() - ask.from.millis();
    let ms = timeline_step_ms(length_ms);
    let step = Step {
        ms,
        is_mean,
        stacks: Stacks::All,
    };
    let ask = Ask { by, ..ask.clone() };
    let (totals, report) = series(&scope.query, &ask, step).await?;
    scope.report(&ask, &report);
    let from = ask.from.millis();
    let count = length_ms.div_euclid(ms) + 1;
    let of_group = |group: query::GroupTotals| {
        let mut samples = vec![0i64; count as usize];
        for (start, value) in group.points {
            if let Some(sample) = samples.get_mut(((start - from) / ms) as usize) {
                *sample = value;
            }
        }
        let labels: Vec<String> = group
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let name = if labels.is_empty() {
            "*".to_owned()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let timeline = json!({
            "startTime": from / 1_000,
            "samples": samples,
            "durationDelta": ms / 1_000,
            "watermarks": null,
        });
        (name, timeline)
    };
    Ok(totals.series.into_iter().map(of_group).collect())
}

/// The step of a timeline: whole seconds, so that it has at most [`POINTS`] points.
fn timeline_step_ms(length_ms: i64) -> i64 {
    let seconds = (length_ms / POINTS + 999).div_euclid(1_000);
    seconds.max(1) * 1_000
}

async fn render_diff(State(query): State<Query>, request: Request) -> Response {
    answer(query, request, "RenderDiff", async |scope, call| {
        let left = ("leftQuery", "leftFrom", "leftUntil");
        let left = call.one(&scope, left).await?;
        let right = ("rightQuery", "rightFrom", "rightUntil");
        let right = call.one(&scope, right).await?;
        let nodes = call.max_nodes()?;
        let work = async {
            let of_left = merge(&scope, &left, Vec::new()).await?;
            let of_right = merge(&scope, &right, Vec::new()).await?;
            let of = left.clone();
            blocking("render a diff", move || {
                let named = Named::of([&of_left, &of_right], nodes);
                let [left, right] = named.nodes[0].total;
                let body = json!({
                    "version": 1,
                    "flamebearer": {
                        "names": named.names,
                        "levels": bars::levels(&named),
                        "numTicks": left.saturating_add(right),
                        "maxSelf": named.max_self(),
                    },
                    "metadata": metadata("double", &of),
                    "leftTicks": left,
                    "rightTicks": right,
                    "timeline": null,
                    "groups": null,
                    "heatmap": null,
                });
                Json(body).into_response()
            })
            .await
        };
        scope.within(&[&left, &right], work).await
    })
    .await
}

async fn label_values(State(query): State<Query>, request: Request) -> Response {
    answer(query, request, "LabelValues", async |scope, call| {
        let label = call.get("label").to_owned();
        if label.is_empty() {
            return Err(invalid("missing parameter label"));
        }
        let (kind, selector) = querier::type_and_selector(call.get("query"));
        let wanted = Wanted {
            kind,
            selector,
            start: call.time("from")?,
            end: call.time("until")?,
            ..Wanted::default()
        };
        let ask = ask(&scope, wanted).await?;
        let work = async {
            let values = query::Wanted::Values(label);
            Ok(query::list(&scope.query, &ask, values).await?)
        };
        let (names, report) = scope.within(&[&ask], work).await?;
        scope.report(&ask, &report);
        let names: Vec<String> = names.into_iter().collect();
        Ok(Json(names).into_response())
    })
    .await
}
