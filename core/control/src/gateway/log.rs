//! Logs of builds. Large parts become objects at once; small ones are rows first, and are folded into an object when
//! there are many, or the build ends.

use super::session::Signed;
use super::state::{Gateway, invalid, parse};
use crate::problem::{Problem, failed};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use davy_model::wire::{LogPart, LogStored};
use davy_store::{Appended, LogText};

/// The size of part of a log, at most.
const LOG_PART_BYTES_MAX: usize = 256 << 10;
/// A smaller part is a row first.
const OBJECT_BYTES_MIN: usize = 16 << 10;
/// Rows are folded when the log grows over a multiple of this.
const FOLD_BYTES: i64 = 128 << 10;
/// Fewer bytes stay in rows.
const FOLDED_BYTES_MIN: i64 = 4 << 10;
/// Rows that are folded at once, at most.
const FOLD_ROWS_MAX: u32 = 2_000;

/// The name of an object with part of a log.
fn name(build: i64, position: i64, bytes: i64) -> String {
    format!("{build}/log/{position:012}-{bytes}")
}

/// Moves consecutive rows to one object each. An error is logged: the rows stay, and are folded later.
pub(super) async fn fold(gateway: &Gateway, build: i64) {
    if let Err(problem) = try_fold(gateway, build).await {
        tracing::warn!(
            build,
            error = problem.detail,
            "cannot move the log of a build to the bucket"
        );
    }
}

async fn try_fold(gateway: &Gateway, build: i64) -> Result<(), Problem> {
    let Some(objects) = &gateway.objects else {
        return Ok(());
    };
    let rows = gateway.store.log_in_rows(build, FOLD_ROWS_MAX).await;
    let rows = rows.map_err(failed("logs"))?;
    let mut runs: Vec<(i64, i64, String)> = Vec::new();
    for row in rows {
        let start = row.number - row.size;
        match runs.last_mut() {
            Some((_, end, text)) if *end == start => {
                *end = row.number;
                text.push_str(&row.text);
            }
            _ => runs.push((start, row.number, row.text)),
        }
    }
    for (start, end, text) in runs {
        if end - start < FOLDED_BYTES_MIN {
            continue;
        }
        gateway
            .store
            .has_objects(build)
            .await
            .map_err(failed("builds"))?;
        let name = name(build, start, end - start);
        objects.put(&name, text.into()).await?;
        let folded = gateway.store.fold_log(build, start, end, &name);
        folded.await.map_err(failed("logs"))?;
    }
    Ok(())
}

pub(super) async fn append(
    State(gateway): State<Gateway>,
    Path((worker, build)): Path<(String, i64)>,
    signed: Signed,
) -> Result<Json<LogStored>, Problem> {
    let registration = gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    let part: LogPart = parse(&signed.body)?;
    if part.text.len() > LOG_PART_BYTES_MAX {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("part of a log exceeds {LOG_PART_BYTES_MAX} bytes"),
        ));
    }
    let stored = |is_held: bool, is_full: bool, is_abort_requested: bool, position: i64| {
        Json(LogStored {
            is_held,
            is_full,
            is_abort_requested,
            position: position as u64,
        })
    };
    if part.text.is_empty() {
        let renewed = gateway.store.renew_build(build, &worker, registration);
        let renewed = renewed.await.map_err(failed("builds"))?;
        return Ok(match renewed {
            Some(held) => stored(true, false, held.is_abort_requested, held.log_bytes),
            None => stored(false, false, false, 0),
        });
    }
    let position = i64::try_from(part.position).map_err(invalid)?;
    let bytes = part.text.len() as i64;
    let appended = match &gateway.objects {
        Some(objects) if part.text.len() >= OBJECT_BYTES_MIN => {
            // A repeated part is not written again.
            let renewed = gateway.store.renew_build(build, &worker, registration);
            match renewed.await.map_err(failed("builds"))? {
                None => return Ok(stored(false, false, false, 0)),
                Some(held) if held.log_bytes != position => {
                    return Ok(stored(true, false, held.is_abort_requested, held.log_bytes));
                }
                Some(_) => {}
            }
            let marked = gateway.store.has_objects(build);
            marked.await.map_err(failed("builds"))?;
            let name = name(build, position, bytes);
            objects.put(&name, part.text.into()).await?;
            let text = LogText::Object { name: &name, bytes };
            gateway
                .store
                .append_log(build, &worker, registration, position, text)
                .await
        }
        _ => {
            let text = LogText::Row(&part.text);
            gateway
                .store
                .append_log(build, &worker, registration, position, text)
                .await
        }
    };
    if position / FOLD_BYTES != (position + bytes) / FOLD_BYTES {
        fold(&gateway, build).await;
    }
    Ok(match appended.map_err(failed("logs"))? {
        Appended::Stored {
            is_abort_requested,
            position,
        } => stored(true, false, is_abort_requested, position),
        Appended::Fenced => stored(false, false, false, 0),
        Appended::TooLong => stored(true, true, false, position),
    })
}
