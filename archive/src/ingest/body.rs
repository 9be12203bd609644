//! Reads request bodies within limits of memory and time.

use super::memory::Reservation;
use super::open;
use super::service::Ingest;
use crate::blocking::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Tenant;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use davy_profile::{Limits, gzip};
use http_body_util::BodyExt;
use std::time::Duration;

/// The next part of a body. Fails after a pause, at the deadline (of the clock's monotonic time),
/// and when ingestion stops.
async fn next(ingest: &Ingest, body: &mut Body, deadline: Duration) -> Result<Option<Bytes>> {
    let options = ingest.options();
    let idle = options.clock.monotonic() + options.body_idle;
    let late = |what: &str, limit: Duration| {
        let message = format!("{what} {limit:?}, the limit; retry");
        Err(Error::new(ErrorKind::Late, message))
    };
    tokio::select! {
        frame = body.frame() => match frame {
            None => Ok(None),
            // Trailers are ignored.
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(error)) => Err(Error::caused(
                ErrorKind::Invalid,
                "the request body ended early",
                error,
            )),
        },
        () = ingest.stopped() => Err(open::stopped()),
        () = options.clock.sleep_until(idle.min(deadline)) => if deadline < idle {
            late("the request body took longer than", options.body_total)
        } else {
            late("the request body paused for more than", options.body_idle)
        },
    }
}

/// Reads a body of at most `limit` bytes, within the rate of its tenant, and decodes its content encoding. Its memory
/// is accounted for until the reservation is dropped.
pub async fn read(
    ingest: &Ingest,
    (headers, mut body): (&HeaderMap, Body),
    tenant: &Tenant,
    limit: usize,
) -> Result<(Bytes, Reservation)> {
    let too_large = || {
        Error::new(
            ErrorKind::TooLarge,
            format!("the request body is larger than {limit} bytes, the limit"),
        )
    };
    let mut reservation = ingest.reserve();
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let receive = |bytes: usize| {
        let now = ingest.options().clock.monotonic();
        ingest.limits().receive(tenant, bytes as u64, now)
    };
    // Before the body is read, so that a client that waits for `100 Continue` does not send it.
    receive(announced.unwrap_or(0))?;
    let mut whole = BytesMut::new();
    let deadline = ingest.options().clock.monotonic() + ingest.options().body_total;
    while let Some(data) = next(ingest, &mut body, deadline).await? {
        if whole.len() + data.len() > limit {
            return Err(too_large());
        }
        if announced.is_none() {
            receive(data.len())?;
        }
        reservation.grow_body(data.len())?;
        whole.extend_from_slice(&data);
    }
    let whole = whole.freeze();
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map_or("identity", |value| value.to_str().unwrap_or("?"));
    let unpack = match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok((whole, reservation)),
        "gzip" | "x-gzip" => unpack_gzip,
        "zstd" => unpack_zstd,
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "unsupported content encoding {other:?}; supported are gzip, zstd and identity"
                ),
            ));
        }
    };
    let limits = Limits {
        bytes: limit,
        ..ingest.options().profile
    };
    let packed = whole.len();
    let unpacked = blocking("unpack a request body", move || unpack(&whole, &limits)).await??;
    reservation.grow(unpacked.len().saturating_sub(packed))?;
    Ok((unpacked.into(), reservation))
}

fn unpack_gzip(packed: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    Ok(gzip::unpack(packed, limits)?.into_owned())
}

/// Largest accepted zstd window, as a power of two (RFC 9659: 8 MB). A frame header cannot make the
/// decoder allocate more.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Unpacks one or more zstd frames.
fn unpack_zstd(packed: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let broken = |error: std::io::Error| {
        Error::caused(
            ErrorKind::Unprocessable,
            "the request body is not a zstd stream",
            error,
        )
    };
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(decoder)
    });
    let decoder = decoder.map_err(broken)?;
    gzip::read_within(decoder, packed.len(), limits, broken)
}
