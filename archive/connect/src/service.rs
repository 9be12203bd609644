//! The routes of the services.

use crate::debuginfo;
use crate::exchange::{self, no_trailers, unknown, unsupported};
use crate::messages::minor::{Empty, VersionResponse};
use crate::otlp;
use crate::protocol::{Form, Protocol, Wire};
use crate::querier;
use crate::recording;
use crate::render;
use crate::scope::{Scope, unary};
use crate::status::{Code, Status};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use davy_archive::Archive;
use davy_archive::ingest::tenant;
use davy_archive::query::Query;

/// A service beside the querier, whose methods answer without the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Minor {
    Settings,
    Version,
    FeatureFlags,
}

/// The routes of `querier.v1`, of the services that its clients use besides, and of `/pyroscope/render*`.
pub fn router(archive: &Archive) -> Router {
    Router::new()
        .route(
            "/querier.v1.QuerierService/{method}",
            get(querier).post(querier),
        )
        .route("/settings.v1.SettingsService/{method}", post(settings))
        .route("/version.v1.Version/{method}", post(version))
        .route(
            "/capabilities.v1.FeatureFlagsService/{method}",
            post(feature_flags),
        )
        .merge(render::routes())
        .with_state(archive.query())
        .merge(recording::routes(archive.rules()))
}

/// The routes of OTLP profiles.
pub fn otlp_router(archive: &Archive) -> Router {
    otlp::routes(archive.ingest())
}

/// The routes of the service of debug files, except that of the files.
pub fn debuginfo_router(archive: &Archive) -> Router {
    debuginfo::routes(archive.symbols())
}

async fn querier(
    State(query): State<Query>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    let known = querier::METHODS.iter().find(|known| **known == method);
    serve(&query, (known.copied(), &method), request).await
}

/// Serves a call of a method of the querier.
async fn serve(
    query: &Query,
    (known, method): (Option<&'static str>, &str),
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(mut form) = Form::of(&parts) else {
        return unsupported();
    };
    if form.protocol == Protocol::Grpc && parts.version != Version::HTTP_2 {
        return no_trailers();
    }
    let tenant = match tenant(&parts.headers) {
        Ok(tenant) => tenant,
        Err(error) => return exchange::respond(form, &parts.headers, Err(error.into())),
    };
    let Some(known) = known else {
        return exchange::respond(form, &parts.headers, Err(unknown(method)));
    };
    let scope = Scope::new(query, tenant, known);
    let mut is_read = false;
    let result = async {
        let timeout = form.timeout(&parts.headers)?;
        let message = exchange::read(&mut form, &parts, body, query.clock()).await?;
        is_read = true;
        let call = Box::pin(querier::call(&scope, known, (form.wire, &message)));
        match timeout {
            None => call.await,
            Some(timeout) if timeout.is_zero() => Err(over_time(timeout)),
            Some(timeout) => {
                let done = query.clock().timeout(timeout, call).await;
                done.unwrap_or_else(|_| Err(over_time(timeout)))
            }
        }
    };
    let result = result.await;
    let mut response = exchange::respond(form, &parts.headers, result);
    if !is_read && parts.version < Version::HTTP_2 {
        // The rest of the body is not read, so the connection cannot be used again.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    scope.end(&mut response);
    response
}

fn over_time(timeout: std::time::Duration) -> Status {
    Status::new(
        Code::DeadlineExceeded,
        format!("the query took longer than the client waits, {timeout:?}"),
    )
}

async fn settings(
    State(query): State<Query>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    minor(Minor::Settings, &query, &method, request).await
}

async fn version(
    State(query): State<Query>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    minor(Minor::Version, &query, &method, request).await
}

async fn feature_flags(
    State(query): State<Query>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    minor(Minor::FeatureFlags, &query, &method, request).await
}

/// Serves a call of a service beside the querier.
async fn minor(service: Minor, query: &Query, method: &str, request: Request) -> Response {
    let answer = async |wire, message: Bytes| minor_call(service, method, (wire, &message)).await;
    exchange::serve(request, query.clock(), answer).await
}

async fn minor_call(service: Minor, method: &str, from: (Wire, &Bytes)) -> Result<Bytes, Status> {
    match (service, method) {
        // Nothing is stored: no settings, no flags.
        (Minor::Settings, "Get") | (Minor::FeatureFlags, "GetFeatureFlags") => {
            unary(from, async |_: Empty| Ok(Empty {})).await
        }
        (Minor::Settings, "Set" | "Delete") => Err(Status::unimplemented(
            "settings are not stored; Grafana uses its defaults",
        )),
        (Minor::Version, "Version") => {
            unary(from, async |_: Empty| {
                Ok(VersionResponse { querier_api: 1 })
            })
            .await
        }
        _ => Err(unknown(method)),
    }
}
