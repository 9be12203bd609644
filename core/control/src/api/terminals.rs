//! Terminals in the containers of running builds, from the side of the person.

use super::change::Operator;
use crate::control::Control;
use crate::gateway::parse;
use crate::problem::{Problem, failed};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use davy_base::Random;
use davy_model::signature::{from_hex, to_hex};
use davy_store::{NewTerminal, TerminalRow};
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use ulid::Ulid;

/// How often output is looked for.
const LOOK: Duration = Duration::from_millis(40);
/// Looks after which the person counts as seen again, and a comment is sent.
const LOOKS_MAX: u32 = 250;
/// Input in one request, in bytes, at most.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Arguments of a command, at most.
const ARGS_MAX: usize = 100;
/// Columns or rows, at most.
const SIDE_MAX: u32 = 10_000;

pub(super) fn router(control: &Control) -> Router {
    Router::new()
        .route("/api/v1/builds/{build}/terminals", post(create))
        .route("/api/v1/terminals/{terminal}/input", post(input))
        .route("/api/v1/terminals/{terminal}/output", get(output))
        .with_state(control.clone())
}

/// A terminal to open.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TerminalOpening {
    /// The command with its arguments; a shell if it is empty.
    #[serde(default)]
    command: Vec<String>,
    /// Columns.
    width: u32,
    /// Rows.
    height: u32,
}

/// A terminal that was created. Its worker opens it within seconds.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TerminalCreated {
    /// Its id.
    id: String,
}

/// What a person does at a terminal.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TerminalTyped {
    /// Typed bytes in hexadecimal.
    #[serde(default)]
    bytes: String,
    /// The new number of columns.
    width: Option<u32>,
    /// The new number of rows.
    height: Option<u32>,
    /// Whether to close it; its command is killed.
    #[serde(default)]
    close: bool,
}

async fn create(
    State(control): State<Control>,
    Path(build): Path<i64>,
    operator: Operator,
    body: Bytes,
) -> Result<Json<TerminalCreated>, Problem> {
    let opening: TerminalOpening = parse(&body)?;
    if opening.command.len() > ARGS_MAX {
        return Err(Problem::bad_request(format!(
            "the command has {} arguments; at most {ARGS_MAX} are allowed",
            opening.command.len()
        )));
    }
    let now = control.0.clock.now().millis() as u64;
    let id = Ulid::from_parts(now, Random::system().next_u128());
    let id = id.to_string().to_lowercase();
    let command = serde_json::to_string(&opening.command).unwrap_or_default();
    let created = control.0.store.create_terminal(NewTerminal {
        id: &id,
        build,
        operator: operator.name(),
        command: &command,
        size: (opening.width.min(SIDE_MAX), opening.height.min(SIDE_MAX)),
    });
    if !created.await.map_err(failed("terminals"))? {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("build {build} does not run in a container; `davy builds ls` lists the builds"),
        ));
    }
    operator
        .audit(&control, "build.hijack", &build.to_string())
        .await?;
    Ok(Json(TerminalCreated { id }))
}

fn not_found(terminal: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!(
            "terminal {terminal} not found or closed; open another one with `davy hijack BUILD`"
        ),
    )
}

async fn input(
    State(control): State<Control>,
    Path(terminal): Path<String>,
    _operator: Operator,
    body: Bytes,
) -> Result<Json<TerminalCreated>, Problem> {
    let typed: TerminalTyped = parse(&body)?;
    let bytes = from_hex(&typed.bytes).filter(|bytes| bytes.len() <= INPUT_BYTES_MAX);
    let bytes = bytes.ok_or_else(|| {
        Problem::bad_request(format!(
            "invalid input: expected at most {INPUT_BYTES_MAX} bytes in hexadecimal"
        ))
    })?;
    let store = &control.0.store;
    if let (Some(width), Some(height)) = (typed.width, typed.height) {
        let size = (width.min(SIDE_MAX), height.min(SIDE_MAX));
        let seen = store.see_terminal(&terminal, Some(size)).await;
        seen.map_err(failed("terminals"))?;
    }
    if !bytes.is_empty() {
        let added = store.add_terminal_input(&terminal, &bytes).await;
        if !added.map_err(failed("terminals"))? {
            return Err(not_found(&terminal));
        }
    }
    if typed.close {
        let closed = store.close_terminal(&terminal, None, None, Some("closed by the person"));
        closed.await.map_err(failed("terminals"))?;
    }
    Ok(Json(TerminalCreated { id: terminal }))
}

/// The output of a terminal as server-sent events: bytes in hexadecimal, with the position as the id.
async fn output(
    State(control): State<Control>,
    Path(terminal): Path<String>,
    _operator: Operator,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = control.0.store.terminal(&terminal).await;
    if found.map_err(failed("terminals"))?.is_none() {
        return Err(not_found(&terminal));
    }
    let after = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let reader = Reader {
        control,
        terminal,
        after,
        is_over: false,
    };
    let kind = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let events = stream::try_unfold(reader, Reader::next);
    Ok((kind, Body::from_stream(events)).into_response())
}

struct Reader {
    control: Control,
    terminal: String,
    after: i64,
    is_over: bool,
}

type Events = Result<Option<(String, Reader)>, davy_store::Error>;

impl Reader {
    async fn next(mut self) -> Events {
        if self.is_over {
            return Ok(None);
        }
        let store = self.control.0.store.clone();
        store.see_terminal(&self.terminal, None).await?;
        for _ in 0..LOOKS_MAX {
            // The state is read before the output: what is there when it is closed is complete.
            let row: Option<TerminalRow> = store.terminal(&self.terminal).await?;
            let chunks = store.terminal_output(&self.terminal, self.after).await?;
            if let Some(last) = chunks.last() {
                self.after = last.number;
                let bytes: Vec<u8> = chunks
                    .iter()
                    .flat_map(|chunk| chunk.bytes.clone())
                    .collect();
                let (id, data) = (self.after, to_hex(&bytes));
                return Ok(Some((
                    format!("id: {id}\nevent: output\ndata: {data}\n\n"),
                    self,
                )));
            }
            if row.as_ref().is_none_or(|row| row.state == "closed") {
                self.is_over = true;
                let row = serde_json::to_string(&row).unwrap_or_default();
                return Ok(Some((format!("event: end\ndata: {row}\n\n"), self)));
            }
            self.control.0.clock.sleep(LOOK).await;
        }
        Ok(Some((": still open\n\n".to_owned(), self)))
    }
}
