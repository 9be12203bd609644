//! The routes of OTLP: HTTP with protobuf or JSON, and gRPC.

use super::convert::pushes;
use super::messages::{Export, ExportRequest, ExportResponse, RpcStatus};
use crate::codec;
use crate::exchange::{self, no_trailers, unknown, unsupported};
use crate::frame;
use crate::protocol::{Form, Protocol, Wire, header_text};
use crate::scope::blocking;
use crate::status::{Code, Status};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use davy_archive::ingest::{Ingest, Reservation, read_body, tenant};
use davy_archive::key::Tenant;
use prost::Message as _;

/// The routes.
pub(crate) fn routes(ingest: Ingest) -> Router {
    Router::new()
        .route("/v1development/profiles", post(over_http))
        .route(
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/{method}",
            post(over_grpc),
        )
        .with_state(ingest)
}

/// Reads a request body within the limits of ingestion.
async fn receive(
    ingest: &Ingest,
    parts: &Parts,
    body: Body,
    tenant: &Tenant,
) -> Result<(Bytes, Reservation), Status> {
    let limit = ingest.body_bytes();
    Ok(read_body(ingest, (&parts.headers, body), tenant, limit).await?)
}

/// Stores the profiles of a message.
async fn store(
    ingest: &Ingest,
    parts: &Parts,
    (wire, message): (Wire, Bytes),
) -> Result<(), Status> {
    let tenant = tenant(&parts.headers)?;
    let (bytes, limits) = (ingest.unpacked_bytes(), ingest.profile_limits());
    let parse = move || {
        let message = match wire {
            Wire::Protobuf => message,
            // There is one conversion, that of protobuf.
            Wire::Json => codec::decode::<ExportRequest>(wire, &message)?
                .encode_to_vec()
                .into(),
        };
        let request: Export = Export::decode(message).map_err(codec::undecodable)?;
        pushes(request, bytes, limits)
    };
    let pushes = blocking("parse profiles", parse).await??;
    if !pushes.is_empty() {
        ingest.push(&tenant, pushes).await?;
    }
    Ok(())
}

async fn over_http(State(ingest): State<Ingest>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let media = header_text(&parts.headers, header::CONTENT_TYPE.as_str());
    let wire = match media.split(';').next().unwrap_or("").trim() {
        "application/x-protobuf" | "application/protobuf" => Wire::Protobuf,
        "application/json" => Wire::Json,
        other => {
            let text = format!(
                "unsupported content type {other:?}; supported are application/x-protobuf and application/json\n"
            );
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
        }
    };
    let stored = async {
        let tenant = tenant(&parts.headers)?;
        let (message, _reservation) = receive(&ingest, &parts, body, &tenant).await?;
        store(&ingest, &parts, (wire, message)).await
    };
    match stored.await {
        Ok(()) => answer(wire, StatusCode::OK, &ExportResponse {}),
        Err(status) => refusal(wire, &ingest, &status),
    }
}

fn answer<M: codec::Response>(wire: Wire, status: StatusCode, message: &M) -> Response {
    let body = codec::encode(wire, message).unwrap_or_default();
    let media = match wire {
        Wire::Protobuf => "application/x-protobuf",
        Wire::Json => "application/json",
    };
    (status, [(header::CONTENT_TYPE, media)], Body::from(body)).into_response()
}

/// An error in OTLP's form. Clients retry 429 and 503.
fn refusal(wire: Wire, ingest: &Ingest, status: &Status) -> Response {
    ingest.count_refusal(&status.clone().into());
    let is_too_large = status.code == Code::ResourceExhausted && status.retry_after.is_none();
    let code = if is_too_large {
        413
    } else {
        status.code.http()
    };
    let message = RpcStatus {
        code: status.code.grpc().into(),
        message: status.message.clone(),
    };
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer(wire, code, &message);
    if let Some(seconds) = status.retry_after {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

async fn over_grpc(
    State(ingest): State<Ingest>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(form) = Form::of(&parts) else {
        return unsupported();
    };
    if form.protocol == Protocol::Grpc && parts.version != Version::HTTP_2 {
        return no_trailers();
    }
    let result = async {
        if method != "Export" {
            return Err(unknown(&method));
        }
        let tenant = tenant(&parts.headers)?;
        let (bytes, _reservation) = receive(&ingest, &parts, body, &tenant).await?;
        let message = match form.protocol {
            Protocol::Connect | Protocol::ConnectGet => bytes,
            Protocol::Grpc | Protocol::GrpcWeb => {
                let encoding = header_text(&parts.headers, "grpc-encoding").to_owned();
                let limit = ingest.body_bytes();
                let read = move || frame::read(&bytes, &encoding, limit);
                blocking("unpack a request", read).await??
            }
        };
        store(&ingest, &parts, (form.wire, message)).await?;
        codec::encode(form.wire, &ExportResponse {})
    };
    let result = result
        .await
        .inspect_err(|status| ingest.count_refusal(&status.clone().into()));
    exchange::respond(form, &parts.headers, result)
}
