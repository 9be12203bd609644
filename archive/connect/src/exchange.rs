//! Reads the message of a call and writes its response, as its protocol requires.

use crate::frame;
use crate::json;
use crate::protocol::{ACCEPTED, Form, Protocol, Wire, header_text};
use crate::status::{Code, Status};
use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use davy_base::Clock;
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// Maximum size of a message of a request, in bytes, also after decompression: gRPC's default.
const MESSAGE_BYTES: usize = 4 << 20;
/// Maximum number of bytes that are received of a body that is too large.
const DRAINED_BYTES: usize = 64 << 20;
/// How long a request body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// The parameters of a GET of Connect.
#[derive(Deserialize)]
struct GetParameters {
    #[serde(default)]
    connect: String,
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    base64: String,
    #[serde(default)]
    compression: String,
}

/// Serves a call over POST: checks its form, reads its message, and responds with what `answer` returns.
pub(crate) async fn serve(
    request: Request,
    clock: &Clock,
    answer: impl AsyncFnOnce(Wire, Bytes) -> Result<Bytes, Status>,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(mut form) = Form::of(&parts) else {
        return unsupported();
    };
    if form.protocol == Protocol::Grpc && parts.version != Version::HTTP_2 {
        return no_trailers();
    }
    let result = match read(&mut form, &parts, body, clock).await {
        Ok(message) => answer(form.wire, message).await,
        Err(error) => Err(error),
    };
    respond(form, &parts.headers, result)
}

/// The message of a call; the encoding of a GET is set in `form`.
pub(crate) async fn read(
    form: &mut Form,
    parts: &Parts,
    body: Body,
    clock: &Clock,
) -> Result<Bytes, Status> {
    let headers = &parts.headers;
    match form.protocol {
        Protocol::ConnectGet => from_parameters(form, parts),
        Protocol::Connect => {
            let version = header_text(headers, "connect-protocol-version");
            check_version(version)?;
            let bytes = whole(body, MESSAGE_BYTES, clock).await?;
            let encoding = header_text(headers, header::CONTENT_ENCODING.as_str());
            unpacked(bytes, encoding)
        }
        Protocol::Grpc | Protocol::GrpcWeb => {
            let bytes = whole(body, MESSAGE_BYTES + 5, clock).await?;
            frame::read(&bytes, header_text(headers, "grpc-encoding"), MESSAGE_BYTES)
        }
    }
}

fn check_version(version: &str) -> Result<(), Status> {
    match version {
        "" | "1" => Ok(()),
        other => Err(Status::invalid(format!(
            "unsupported version {other:?} of the Connect protocol; expected 1"
        ))),
    }
}

fn unpacked(bytes: Bytes, encoding: &str) -> Result<Bytes, Status> {
    match encoding {
        "" | "identity" => Ok(bytes),
        "gzip" => frame::gunzip(&bytes, MESSAGE_BYTES),
        other => Err(Status::unimplemented(format!(
            "unsupported content encoding {other:?}; supported are gzip and identity"
        ))),
    }
}

fn from_parameters(form: &mut Form, parts: &Parts) -> Result<Bytes, Status> {
    let Query(get) = Query::<GetParameters>::try_from_uri(&parts.uri)
        .map_err(|error| Status::invalid(format!("invalid query string: {error}")))?;
    check_version(get.connect.strip_prefix('v').unwrap_or(&get.connect))?;
    form.wire = match get.encoding.as_str() {
        "json" => Wire::Json,
        "proto" => Wire::Protobuf,
        other => {
            return Err(Status::invalid(format!(
                "invalid parameter encoding {other:?}; expected json or proto"
            )));
        }
    };
    let bytes = if get.base64 == "1" {
        json::bytes::decode(&get.message).map_err(|error| {
            Status::invalid(format!("the parameter message is not base64: {error}"))
        })?
    } else {
        get.message.into_bytes()
    };
    unpacked(bytes.into(), &get.compression)
}

/// The whole body. Of one that is too large the rest is received, too, up to a limit: a client that is still sending
/// would not read the response.
async fn whole(mut body: Body, limit: usize, clock: &Clock) -> Result<Bytes, Status> {
    let receive = async {
        let (mut bytes, mut received) = (BytesMut::new(), 0usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Status::invalid(format!("the request body ended early: {error}"))
            })?;
            let data = frame.into_data().unwrap_or_default();
            received = received.saturating_add(data.len());
            if received <= limit {
                bytes.extend_from_slice(&data);
            } else {
                bytes = BytesMut::new();
                if received > DRAINED_BYTES {
                    break;
                }
            }
        }
        if received <= limit {
            return Ok(bytes.freeze());
        }
        Err(Status::new(
            Code::ResourceExhausted,
            format!("the message has more than {MESSAGE_BYTES} bytes, the limit"),
        ))
    };
    let received = clock.timeout(BODY_TIMEOUT, receive).await;
    received.unwrap_or_else(|_| {
        Err(Status::new(
            Code::DeadlineExceeded,
            format!("the request body took longer than {BODY_TIMEOUT:?}, the limit"),
        ))
    })
}

/// The response of a call.
pub(crate) fn respond(form: Form, headers: &HeaderMap, result: Result<Bytes, Status>) -> Response {
    let mut response = match (form.protocol, &result) {
        (Protocol::Connect | Protocol::ConnectGet, Ok(message)) => {
            Body::from(message.clone()).into_response()
        }
        (Protocol::Connect | Protocol::ConnectGet, Err(status)) => {
            return connect_error(status);
        }
        (Protocol::Grpc | Protocol::GrpcWeb, Ok(message)) => framed(form, headers, message),
        (Protocol::Grpc, Err(status)) => {
            let mut response = Body::empty().into_response();
            set_status(response.headers_mut(), status.code.grpc(), &status.message);
            response
        }
        (Protocol::GrpcWeb, Err(status)) => {
            Body::from(frame::trailers(status.code.grpc(), &status.message)).into_response()
        }
    };
    let media = HeaderValue::from_static(form.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

/// An error in Connect's form.
pub(crate) fn connect_error(status: &Status) -> Response {
    let code = StatusCode::from_u16(status.code.http());
    let body = json!({ "code": status.code.name(), "message": status.message });
    let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (code, axum::Json(body)).into_response();
    if let Some(seconds) = status.retry_after {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn set_status(headers: &mut HeaderMap, code: u8, message: &str) {
    headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    if let Ok(message) = HeaderValue::from_str(&frame::percent_encoded(message))
        && !message.is_empty()
    {
        headers.insert("grpc-message", message);
    }
}

/// A message and the trailers of success.
fn framed(form: Form, headers: &HeaderMap, message: &Bytes) -> Response {
    let accepted = header_text(headers, "grpc-accept-encoding");
    let accepts_gzip = accepted.split(',').any(|name| name.trim() == "gzip");
    let (framed, is_compressed) = frame::write(message, accepts_gzip);
    let body = if form.protocol == Protocol::GrpcWeb {
        let parts = [framed, frame::trailers(0, "")];
        Body::from(Bytes::from(parts.concat()))
    } else {
        let mut trailers = HeaderMap::new();
        set_status(&mut trailers, 0, "");
        let trailers = async move { Some(Ok(trailers)) };
        Body::new(Full::new(framed).with_trailers(trailers))
    };
    let mut response = body.into_response();
    if is_compressed {
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert("grpc-encoding", gzip);
    }
    response
}

/// The error of a method that does not exist.
pub(crate) fn unknown(method: &str) -> Status {
    let method: String = method.chars().take(100).collect();
    Status::unimplemented(format!("unknown method {method:?}"))
}

/// The response to a media type that no protocol uses.
pub(crate) fn unsupported() -> Response {
    let mut response = StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    let accepted = HeaderValue::from_static(ACCEPTED);
    response.headers_mut().insert("accept-post", accepted);
    response
}

/// The response to gRPC over HTTP/1, which has no trailers.
pub(crate) fn no_trailers() -> Response {
    let text = "gRPC needs HTTP/2; use HTTP/2 without upgrade, gRPC-Web or Connect\n";
    (StatusCode::HTTP_VERSION_NOT_SUPPORTED, text).into_response()
}
