//! Bodies of requests, in bounded memory.

use super::buffer::{Ingest, Reservation};
use crate::error::{Error, ErrorKind, Result};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use davy_profile::{Limits, gzip};
use http_body_util::BodyExt;
use std::time::Duration;

/// Waits for the next part of a body: not for ever, and not when nobody would take it.
async fn next(
    ingest: &Ingest,
    body: &mut Body,
    deadline: tokio::time::Instant,
) -> Result<Option<Bytes>> {
    let options = ingest.options();
    let idle = tokio::time::Instant::now() + options.body_idle;
    let late = |what: &str, of: Duration| {
        let message = format!("{what} {of:?}, the limit; send it again");
        Err(Error::new(ErrorKind::Late, message))
    };
    tokio::select! {
        frame = body.frame() => match frame {
            None => Ok(None),
            // Trailers count as nothing.
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(error)) => Err(Error::invalid(format!("the body ends early: {error}"))),
        },
        () = ingest.stopped() => Err(Error::new(
            ErrorKind::Unavailable,
            "ingestion is stopped on this archiver; push to another one",
        )),
        () = tokio::time::sleep_until(idle.min(deadline)) => if deadline < idle {
            late("the body took longer than", options.body_total)
        } else {
            late("nothing of the body came for", options.body_idle)
        },
    }
}

/// Reads a body and unpacks its content encoding. The memory is accounted for until the
/// reservation goes.
pub(super) async fn read(
    ingest: &Ingest,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<(Bytes, Reservation)> {
    let limit = ingest.options().body_bytes;
    let too_large = || {
        Error::new(
            ErrorKind::TooLarge,
            format!("the body is larger than {limit} bytes, the limit"),
        )
    };
    let mut reservation = ingest.reserve();
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    let deadline = tokio::time::Instant::now() + ingest.options().body_total;
    while let Some(data) = next(ingest, &mut body, deadline).await? {
        if whole.len() + data.len() > limit {
            return Err(too_large());
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
                format!("content encoding {other} is not taken; gzip, zstd and identity are"),
            ));
        }
    };
    let limits = Limits {
        bytes: limit,
        ..ingest.options().profile
    };
    let packed = whole.len();
    let unpacked = davy_tag::spawn_blocking(move || unpack(&whole, &limits)).await;
    let unpacked = unpacked
        .map_err(|_| Error::new(ErrorKind::Internal, "unpacking failed unexpectedly"))??;
    reservation.grow(unpacked.len().saturating_sub(packed))?;
    Ok((unpacked.into(), reservation))
}

fn unpack_gzip(packed: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    Ok(gzip::unpack(packed, limits)?.into_owned())
}

/// The largest window that a decoder must have, as a power of two (RFC 9659: 8 MB). It bounds the
/// memory that a frame can ask for before it has shown a byte.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Unpacks frames of zstd, several after each other included.
fn unpack_zstd(packed: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let broken = |error: std::io::Error| {
        let message = format!("the body is not a zstd stream: {error}");
        Error::new(ErrorKind::Unprocessable, message)
    };
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(decoder)
    });
    let decoder = decoder.map_err(broken)?;
    gzip::read_within(decoder, packed.len(), limits, broken)
}
