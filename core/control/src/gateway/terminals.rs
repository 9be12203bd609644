//! Terminals, from the side of the worker.

use super::session::Signed;
use super::state::{Gateway, parse};
use crate::problem::{Problem, failed};
use axum::Json;
use axum::extract::{Path, State};
use davy_model::signature::{from_hex, to_hex};
use davy_model::wire::{
    TerminalInput, TerminalOutput, TerminalRequest, TerminalStored, TerminalWait,
};
use davy_store::{TerminalAppended, TerminalRow};
use std::time::Duration;

/// How long a worker waits for input, at most.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How often input is looked for.
const LOOK: Duration = Duration::from_millis(40);
/// The size of output in one request, at most.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

fn size(row: &TerminalRow) -> (u16, u16) {
    let side = |value: i64| u16::try_from(value).unwrap_or(u16::MAX);
    (side(row.width), side(row.height))
}

/// The terminals that wait for a worker.
pub(super) async fn open(
    gateway: &Gateway,
    worker: &str,
    registration: i64,
) -> Result<Vec<TerminalRequest>, Problem> {
    let opened = gateway.store.open_terminals(worker, registration).await;
    let requests = opened.map_err(failed("terminals"))?.into_iter().map(|row| {
        let (width, height) = size(&row);
        TerminalRequest {
            command: serde_json::from_str(&row.command).unwrap_or_default(),
            id: row.id,
            build: row.build,
            container: row.container,
            width,
            height,
        }
    });
    Ok(requests.collect())
}

pub(super) async fn output(
    State(gateway): State<Gateway>,
    Path((worker, terminal)): Path<(String, String)>,
    signed: Signed,
) -> Result<Json<TerminalStored>, Problem> {
    gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    let output: TerminalOutput = parse(&signed.body)?;
    let bytes = from_hex(&output.bytes).filter(|bytes| bytes.len() <= OUTPUT_BYTES_MAX);
    let bytes = bytes.ok_or_else(|| {
        Problem::bad_request(format!(
            "invalid output: expected at most {OUTPUT_BYTES_MAX} bytes in hexadecimal"
        ))
    })?;
    let position = i64::try_from(output.position).unwrap_or(i64::MAX);
    let store = &gateway.store;
    let appended = store.append_terminal_output(&terminal, &worker, position, &bytes);
    let stored = |position: i64, is_full: bool, is_closed: bool| TerminalStored {
        position: position as u64,
        is_full,
        is_closed,
    };
    let stored = match appended.await.map_err(failed("terminals"))? {
        TerminalAppended::Stored(position) => stored(position, false, false),
        TerminalAppended::Full => stored(position, true, false),
        TerminalAppended::Closed => stored(position, false, true),
    };
    if output.is_over && !stored.is_full {
        let code = output.exit_code.map(i64::from);
        let error: Option<String> = output.error.map(|error| {
            let visible = error.chars().filter(|c| *c != '\0');
            visible.take(500).collect()
        });
        let closed = store.close_terminal(&terminal, Some(&worker), code, error.as_deref());
        closed.await.map_err(failed("terminals"))?;
    }
    Ok(Json(stored))
}

/// Waits for input, a new size, or the end.
pub(super) async fn input(
    State(gateway): State<Gateway>,
    Path((worker, terminal)): Path<(String, String)>,
    signed: Signed,
) -> Result<Json<TerminalInput>, Problem> {
    gateway
        .sessions
        .check(&gateway.store, &worker, &signed)
        .await?;
    let wait: TerminalWait = parse(&signed.body)?;
    let until = gateway.clock.monotonic().saturating_add(WAIT_MAX);
    loop {
        let read = gateway.store.terminal_input(&terminal, &worker, wait.after);
        let Some((row, chunks)) = read.await.map_err(failed("terminals"))? else {
            return Ok(Json(TerminalInput {
                number: wait.after,
                bytes: String::new(),
                width: wait.width,
                height: wait.height,
                signals: Vec::new(),
                is_closed: true,
            }));
        };
        let (width, height) = size(&row);
        let is_new = !chunks.is_empty() || (width, height) != (wait.width, wait.height);
        if is_new || gateway.clock.monotonic() >= until {
            let number = chunks.last().map_or(wait.after, |chunk| chunk.number);
            let (signals, typed): (Vec<_>, Vec<_>) =
                chunks.into_iter().partition(|chunk| chunk.is_signal);
            let bytes: Vec<u8> = typed.into_iter().flat_map(|chunk| chunk.bytes).collect();
            let names = signals.iter();
            let names = names.map(|signal| String::from_utf8_lossy(&signal.bytes).into_owned());
            return Ok(Json(TerminalInput {
                number,
                bytes: to_hex(&bytes),
                width,
                height,
                signals: names.collect(),
                is_closed: false,
            }));
        }
        gateway.clock.sleep(LOOK).await;
    }
}
