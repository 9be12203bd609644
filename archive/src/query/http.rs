//! The routes of `/api/v1/profiles`.

use super::changes::{self, Base};
use super::cost;
use super::defaults::complete;
use super::explain::{Hint, explain, one_service};
use super::export;
use super::filters::{Filters, regex};
use super::flame::shared;
use super::metadata::{Wanted, list};
use super::params::{Ask, Parameters};
use super::run::Run;
use super::sandwich::Sandwich;
use super::scan::{Query, Report};
use super::series::{self, GroupTotals, Stacks, Step};
use super::size::check_size;
use super::svg;
use crate::answer::{PARTIAL, bytes, problem, set_header};
use crate::blocking::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::tenant;
use crate::key::Tenant;
use crate::types::{Aggregation, TypeFilter};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use axum::{Json, Router, response::IntoResponse};
use davy_base::Timestamp;
use davy_bucket::Usage;
use davy_profile::{FlameTree, folded, gzip, pprof, view};
use serde_json::{Value, json};
use std::sync::Arc;

/// The routes of `/api/v1/profiles`.
pub fn router(query: Query) -> Router {
    Router::new()
        .route("/api/v1/profiles/types", route("ListProfileTypes"))
        .route("/api/v1/profiles/labels", route("ListProfileLabels"))
        .route("/api/v1/profiles/series", route("QuerySeries"))
        .route("/api/v1/profiles/flamegraph", route("QueryFlamegraph"))
        .route("/api/v1/profiles/diff", route("QueryDiff"))
        .route("/api/v1/profiles/top", route("QueryTop"))
        .route("/api/v1/profiles/changes", route("QueryChanges"))
        .route("/api/v1/profiles/pprof", route("QueryPprof"))
        .route("/api/v1/profiles/folded", route("QueryFolded"))
        .route("/api/v1/profiles/svg", route("QuerySvg"))
        .with_state(query)
}

fn route(operation: &'static str) -> MethodRouter<Query> {
    get(move |state: State<Query>, request: Request| answer(state, request, operation))
}

async fn answer(State(query): State<Query>, request: Request, operation: &'static str) -> Response {
    let run = Run::begin(&query, operation);
    let (request, _body) = request.into_parts();
    let answered = async {
        let pairs: Vec<(String, String)> = axum::extract::Query::try_from_uri(&request.uri)
            .map_err(|error| Error::caused(ErrorKind::Invalid, "invalid query string", error))?
            .0;
        let accept = request
            .headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let call = Call {
            parameters: Parameters::checked(pairs, operation)?,
            json: accept.contains("application/json"),
            now: query.options.clock.now(),
            tenant: tenant(&request.headers)?,
            query: query.clone(),
            usage: run.usage().clone(),
        };
        let length = |from, until| query.counted_length(from, until);
        let range = call.parameters.length(operation, call.now, length)?;
        // Boxed, because it is a large future.
        let answer = Box::pin(call.answer(operation));
        run.within(&call.tenant, range, answer).await
    };
    let mut response = answered.await.unwrap_or_else(|error| problem(&error));
    run.end(&mut response);
    response
}

/// A request.
struct Call {
    query: Query,
    tenant: Tenant,
    parameters: Parameters,
    json: bool,
    now: Timestamp,
    /// The requests and bytes that it has needed so far.
    usage: Usage,
}

/// Default of `max_nodes`.
const NODES: usize = 16_384;
/// Maximum of `max_nodes`.
const NODES_MAX: usize = 1_000_000;
/// Maximum of `width`, in pixels.
const WIDTH_MAX: usize = 1_000_000;
/// Maximum number of nodes of an SVG image.
const NODES_SVG: usize = 8_192;

/// The header that states how values were added up over time: `sum` or `average`.
const AGGREGATION: &str = "davy-aggregation";

/// The header that states the range that was counted, if it is not the one that was asked for.
const EFFECTIVE: &str = "davy-effective-range";

/// A merged range.
struct Merged {
    tree: Arc<FlameTree>,
    aggregation: Aggregation,
    aggregation_source: &'static str,
    report: Report,
    hint: Hint,
}

/// Bytes of the names of all nodes.
fn name_bytes(tree: &FlameTree) -> u64 {
    let bytes = |frame| tree.frame_name(frame as u32).len() as u64;
    let of_frames: Vec<u64> = (0..tree.frames.len()).map(bytes).collect();
    let frames = tree.stacks.items().iter().skip(1);
    frames.map(|frame| of_frames[*frame as usize]).sum()
}

/// Rejects a query of several types at once, which only pprof can express.
fn one_type(ask: &Ask) -> Result<()> {
    match &ask.kind {
        Some(TypeFilter::Family(name)) => Err(Error::invalid(format!(
            "{name}:* asks for several types, which only /api/v1/profiles/pprof returns; name one of them"
        ))),
        _ => Ok(()),
    }
}

impl Call {
    async fn answer(&self, operation: &'static str) -> Result<Response> {
        match operation {
            "ListProfileTypes" => self.gather(Wanted::Types).await,
            "ListProfileLabels" => self.labels().await,
            "QuerySeries" => self.series().await,
            "QueryDiff" => self.diff().await,
            "QueryChanges" => self.changes().await,
            "QueryPprof" => self.pprof().await,
            _ => self.tree(operation).await,
        }
    }

    /// Parses the parameters on a blocking thread, because compiling a selector takes time.
    async fn ask(
        &self,
        read: impl FnOnce(&Parameters, &Tenant, Timestamp) -> Result<Ask> + Send + 'static,
    ) -> Result<Ask> {
        let (parameters, tenant, now) = (self.parameters.clone(), self.tenant.clone(), self.now);
        blocking("parse a query", move || read(&parameters, &tenant, now)).await?
    }

    fn note(&self, report: &Report) {
        if !report.partial.is_empty() {
            self.query.metrics.query_partial.inc();
        }
    }

    async fn gather(&self, wanted: Wanted) -> Result<Response> {
        let ask = self.ask(Parameters::any_type).await?;
        let (names, report) = list(&self.query, &ask, wanted).await?;
        self.note(&report);
        let mut response = Json(names.into_iter().collect::<Vec<_>>()).into_response();
        set_header(&mut response, PARTIAL, &report.partial.join("; "));
        Ok(response)
    }

    async fn labels(&self) -> Result<Response> {
        match self.parameters.get("name") {
            None => self.gather(Wanted::Names).await,
            Some(name) => self.gather(Wanted::Values(name.to_owned())).await,
        }
    }

    async fn series(&self) -> Result<Response> {
        let ask = self.ask(Parameters::one_type).await?;
        one_type(&ask)?;
        let span = ask.until.since(ask.from).as_secs().max(1) as usize;
        let step = self.parameters.number(
            "step",
            span.div_ceil(240).max(1),
            usize::try_from(i32::MAX).unwrap_or(1),
        )?;
        let step_ms = step as i64 * 1_000;
        let step = Step {
            ms: step_ms,
            is_mean: false,
            stacks: regex(&self.parameters, "focus")?.map_or(Stacks::All, Stacks::Through),
        };
        let (totals, report) = series::series(&self.query, &ask, step).await?;
        self.note(&report);
        one_service(&ask, &report, self.parameters.all_services()?)?;
        let hint = explain(&self.query, &ask, &report).await?;
        let mut response = Json(json!({
            "type": ask.type_id(),
            "unit": ask.kind_and_unit().1,
            "aggregation": totals.aggregation.name(),
            "aggregation_source": totals.aggregation_source,
            "step_ms": step_ms,
            "from": ask.from.millis(),
            "until": ask.until.millis(),
            "effective_from": report.effective.start,
            "effective_until": report.effective.end,
            "partial": report.partial,
            "cut": totals.left_out,
            "cost": cost::json(&self.usage),
            "series": totals.series.iter().map(GroupTotals::to_json).collect::<Vec<_>>(),
        }))
        .into_response();
        hint.set_headers(&mut response);
        set_header(&mut response, PARTIAL, &report.partial.join("; "));
        set_header(
            &mut response,
            EFFECTIVE,
            &report.widened(&ask).unwrap_or_default(),
        );
        Ok(response)
    }

    /// Merges a range and applies `focus`, `ignore` and `hide`. The last part of the result explains why
    /// there are no samples.
    async fn merged(&self, ask: &Ask) -> Result<Merged> {
        let filters = Filters::of(&self.parameters)?;
        let all_services = self.parameters.all_services()?;
        let shared = Box::pin(shared(&self.query, ask)).await?;
        let report = shared.report.clone();
        let hint = self.finish(ask, &report, all_services).await?;
        let mut tree = Arc::clone(&shared.tree);
        if !filters.is_empty() {
            let filter = move || Arc::new(filters.apply(&tree));
            tree = blocking("filter a tree", filter).await?;
        }
        Ok(Merged {
            tree,
            aggregation: shared.aggregation,
            aggregation_source: shared.aggregation_source,
            report,
            hint,
        })
    }

    /// Checks what was found, and explains why there are no samples.
    async fn finish(&self, ask: &Ask, report: &Report, all_services: bool) -> Result<Hint> {
        self.note(report);
        one_service(ask, report, all_services)?;
        explain(&self.query, ask, report).await
    }

    /// Answers with a pprof profile.
    async fn pprof(&self) -> Result<Response> {
        let ask = self.ask(Parameters::one_type).await?;
        let filters = Filters::of(&self.parameters)?;
        let all_services = self.parameters.all_services()?;
        let (export, report) = export::export(&self.query, &ask).await?;
        let hint = self.finish(&ask, &report, all_services).await?;
        blocking("encode a profile", move || {
            let profile = export.profile(&ask, &filters, &report);
            check_size(pprof::stack_bytes(&profile))?;
            let packed = gzip::compress(&pprof::encode(&profile));
            let mut response = bytes("application/octet-stream", packed);
            set_header(
                &mut response,
                EFFECTIVE,
                &report.widened(&ask).unwrap_or_default(),
            );
            hint.set_headers(&mut response);
            set_header(&mut response, PARTIAL, &report.partial.join("; "));
            Ok(response)
        })
        .await?
    }

    fn meta(ask: &Ask, of: &Merged) -> Value {
        let report = &of.report;
        json!({
            "type": ask.type_id(),
            "unit": ask.kind_and_unit().1,
            "aggregation": of.aggregation.name(),
            "aggregation_source": of.aggregation_source,
            "from": ask.from.millis(),
            "until": ask.until.millis(),
            "effective_from": report.effective.start,
            "effective_until": report.effective.end,
            "selector": ask.selector.text(),
            "by": ask.by,
            "partial": report.partial,
            "windows": report.windows,
        })
    }

    /// Answers the operations that render one merged tree.
    async fn tree(&self, operation: &'static str) -> Result<Response> {
        let ask = if self.parameters.has_defaults()? {
            let ask = self.ask(Parameters::any_type).await?;
            Box::pin(complete(&self.query, ask)).await?
        } else {
            self.ask(Parameters::one_type).await?
        };
        let nodes = self.parameters.number("max_nodes", NODES, NODES_MAX)?;
        let width = self.parameters.number("width", 0, WIDTH_MAX)?;
        let limit = self.parameters.number("limit", 100, 100_000)?;
        let sandwich = Sandwich::of(&self.parameters)?;
        one_type(&ask)?;
        let merged = self.merged(&ask).await?;
        let json = self.json;
        let cost = cost::json(&self.usage);
        blocking("render a tree", move || {
            let mut meta = Self::meta(&ask, &merged);
            meta["cost"] = cost.clone();
            let Merged { mut tree, aggregation, aggregation_source, report, hint } = merged;
            if let Some(sandwich) = sandwich {
                let (around, about) = sandwich.apply(&tree);
                (tree, meta["function"]) = (Arc::new(around), about);
            }
            let unit = ask.kind_and_unit().1;
            let detail = view::Detail { nodes, width };
            let answer = match operation {
                "QueryTop" => {
                    let functions: Vec<Value> = tree
                        .top(limit)
                        .into_iter()
                        .map(|of| json!({ "name": of.name, "file": of.file, "self": of.own, "total": of.total }))
                        .collect();
                    let body = json!({
                        "type": ask.type_id(),
                        "unit": unit,
                        "aggregation": aggregation.name(),
                        "aggregation_source": aggregation_source,
                        "total": tree.totals()[0],
                        "windows": report.windows,
                        "effective_from": report.effective.start,
                        "effective_until": report.effective.end,
                        "partial": report.partial,
                        "cost": cost,
                        "functions": functions,
                    });
                    Ok(Json(body).into_response())
                }
                "QueryFolded" => check_size(folded::encoded_bytes(&tree))
                    .map(|()| bytes("text/plain; charset=utf-8", folded::encode(&tree))),
                "QuerySvg" if report.windows == 0 => Ok(bytes("image/svg+xml", svg::empty(&hint.text))),
                "QuerySvg" => {
                    let title = format!("{} {} {} to {}", ask.type_id(), ask.selector.text(), ask.from, ask.until);
                    let note = report.widened(&ask);
                    let drawing = svg::svg_with(&tree.prune(nodes.min(NODES_SVG)), &title, &unit, note)?;
                    let mut response = bytes("image/svg+xml", drawing);
                    // Opened directly, the drawing is a page of this origin.
                    response
                        .headers_mut()
                        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(svg::POLICY));
                    Ok(response)
                }
                _ if json => {
                    check_size(name_bytes(&tree))?;
                    let mut text = view::to_json(&tree, detail);
                    // The object of the root is also the response, so the rest is added to it.
                    text.truncate(text.trim_end().len() - 1);
                    if !meta["function"].is_null() {
                        text.push_str(&format!(",\"function\":{}", meta["function"]));
                    }
                    text.push_str(&format!(
                        ",\"effective_from\":{},\"effective_until\":{},\"partial\":{},\"cost\":{cost}}}",
                        report.effective.start,
                        report.effective.end,
                        json!(report.partial)
                    ));
                    Ok(bytes("application/json", text))
                }
                _ => Ok(bytes(view::MEDIA_TYPE, view::encode(&tree, detail, &meta))),
            };
            answer.map(|mut response: Response| {
                hint.set_headers(&mut response);
                set_header(&mut response, PARTIAL, &report.partial.join("; "));
                set_header(&mut response, EFFECTIVE, &report.widened(&ask).unwrap_or_default());
                set_header(&mut response, AGGREGATION, aggregation.name());
                response
            })
        })
        .await?
    }

    /// Answers with what changed.
    async fn changes(&self) -> Result<Response> {
        let ask = self.ask(Parameters::changes).await?;
        let wanted = Base::parse(self.parameters.get("against"))?;
        let limit = self.parameters.number("limit", 200, 100_000)?;
        let (now, bases) = Box::pin(changes::usages(&self.query, &ask)).await?;
        let mut response = changes::answer(&ask, &now, &bases, wanted, limit, &self.usage);
        let reports = bases.iter().map(|(_, usage)| usage).chain([&now]);
        let partial: Vec<String> = reports.flat_map(|of| of.report.partial.clone()).collect();
        if !partial.is_empty() {
            self.query.metrics.query_partial.inc();
        }
        set_header(&mut response, PARTIAL, &partial.join("; "));
        Ok(response)
    }

    /// Answers with the difference of two merged trees.
    async fn diff(&self) -> Result<Response> {
        let ask = self.ask(Parameters::one_type).await?;
        let side = ask.clone();
        let base_ask = self
            .ask(move |parameters, _, now| parameters.base(&side, now))
            .await?;
        let nodes = self.parameters.number("max_nodes", NODES, NODES_MAX)?;
        one_type(&ask)?;
        let both = futures_util::future::try_join(self.merged(&ask), self.merged(&base_ask));
        let (merged, base) = both.await?;
        let cost = cost::json(&self.usage);
        blocking("render a diff", move || {
            let mut meta = Self::meta(&ask, &merged);
            meta["cost"] = cost;
            meta["base"] = Self::meta(&base_ask, &base);
            let mut response = super::diff::answer(&merged.tree, &base.tree, nodes, &meta);
            let widened = [merged.report.widened(&ask), base.report.widened(&base_ask)];
            let widened: Vec<String> = widened.into_iter().flatten().collect();
            set_header(&mut response, EFFECTIVE, &widened.join("; "));
            let partial = [merged.report.partial, base.report.partial].concat();
            set_header(&mut response, PARTIAL, &partial.join("; "));
            merged.hint.with_base(base.hint).set_headers(&mut response);
            response
        })
        .await
    }
}
