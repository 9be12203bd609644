//! Terminals in the containers of running builds, from the side of the person: a WebSocket.
//!
//! The worker may be connected to another process, so both sides meet in the database: what is typed and printed is
//! there until the other side has it.

use super::change::Operator;
use crate::control::Control;
use crate::gateway::parse;
use crate::parameters::Parameters;
use crate::problem::{Problem, failed};
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use davy_base::Random;
use davy_model::wire::TERMINAL_SIGNALS;
use davy_store::{NewTerminal, TerminalAction, TerminalRow};
use davy_tag::Tag;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::time::Duration;
use ulid::Ulid;

/// The name of the endpoint of the WebSocket.
pub(crate) const ATTACH: &str = "AttachTerminal";
/// How often output is looked for.
const LOOK: Duration = Duration::from_millis(40);
/// Looks after which the person counts as seen again, and a ping is sent.
const LOOKS_MAX: u32 = 250;
/// How long a person may take to read a message; the client connects again.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a person may say nothing, answers to pings included.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// A message, in bytes, at most.
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// Arguments of a command, at most.
const ARGS_MAX: usize = 100;
/// Columns or rows, at most.
const SIDE_MAX: u32 = 10_000;

pub(super) fn router(control: &Control) -> Router {
    Router::new()
        .route("/api/v1/builds/{build}/terminals", post(create))
        .route("/api/v1/terminals/{terminal}", get(attach))
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

/// A text message of the person. Binary messages are what the person types.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The new number of columns.
    width: Option<u32>,
    /// The new number of rows.
    height: Option<u32>,
    /// A signal for the command, by its name without `SIG`.
    signal: Option<String>,
    /// Whether to close the terminal; its command is killed.
    #[serde(default)]
    close: bool,
}

/// The last message to the person, as text. Binary messages before it are what the command printed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TerminalEnd {
    /// The exit code of the command.
    exit_code: Option<i64>,
    /// Why it could not be opened or was closed.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Position {
    after: Option<i64>,
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

/// The WebSocket of a terminal. The client counts the bytes of the output, and continues after a lost connection
/// with `after`.
async fn attach(
    State(control): State<Control>,
    Path(terminal): Path<String>,
    Parameters(position): Parameters<Position>,
    _operator: Operator,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| {
        Problem::bad_request(format!(
            "expected the upgrade of an HTTP/1.1 request to a WebSocket: {}; use `davy hijack BUILD`",
            error.body_text()
        ))
    })?;
    let found = control.0.store.terminal(&terminal).await;
    if found.map_err(failed("terminals"))?.is_none() {
        return Err(not_found(&terminal));
    }
    let session = Session {
        control,
        terminal,
        after: position.after.unwrap_or(0).max(0),
    };
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(|socket| Tag::new("api", ATTACH).wrap(session.run(socket))))
}

/// A person at a terminal.
struct Session {
    control: Control,
    terminal: String,
    /// The bytes of the output that the person has.
    after: i64,
}

/// Why the connection is closed: the code and the reason of the last frame.
type Ended = (u16, String);

fn unavailable(error: davy_store::Error) -> Ended {
    (close_code::AGAIN, failed("terminals")(error).detail)
}

impl Session {
    async fn run(mut self, mut socket: WebSocket) {
        let (code, mut reason) = self.serve(&mut socket).await;
        // A control frame has at most 125 bytes, two of them for the code.
        while reason.len() > 123 {
            reason.pop();
        }
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let closing = socket.send(Message::Close(Some(frame)));
        let _ = self.control.0.clock.timeout(SEND_TIMEOUT, closing).await;
    }

    /// Passes messages on until the terminal or the connection is closed.
    async fn serve(&mut self, socket: &mut WebSocket) -> Ended {
        let clock = self.control.0.clock.clone();
        // Not after each message, so that output is shown while the person types.
        let mut due = clock.monotonic();
        let mut heard = due;
        loop {
            if let Err(error) = self
                .control
                .0
                .store
                .see_terminal(&self.terminal, None)
                .await
            {
                return unavailable(error);
            }
            for _ in 0..LOOKS_MAX {
                // Requests in flight end when their endpoint is disabled; this is one.
                if let Some(why) = self.control.0.endpoints.disabled_because(ATTACH) {
                    return (close_code::AGAIN, why);
                }
                let pause = due.saturating_sub(clock.monotonic());
                let done = tokio::select! {
                    received = socket.recv() => match received {
                        Some(Ok(message)) => {
                            heard = clock.monotonic();
                            self.said(message).await
                        }
                        _ => ControlFlow::Break((close_code::AWAY, String::new())),
                    },
                    () = clock.sleep(pause) => {
                        let shown = self.show(socket).await;
                        due = clock.monotonic().saturating_add(LOOK);
                        shown
                    }
                };
                if let ControlFlow::Break(ended) = done {
                    return ended;
                }
            }
            let is_silent = clock.monotonic().saturating_sub(heard) > SILENCE_MAX;
            let ping = Message::Ping(Bytes::new());
            if is_silent || self.send(socket, ping).await.is_err() {
                return (close_code::AWAY, String::new());
            }
        }
    }

    async fn send(&self, socket: &mut WebSocket, message: Message) -> Result<(), ()> {
        let sent = self
            .control
            .0
            .clock
            .timeout(SEND_TIMEOUT, socket.send(message));
        sent.await.map_err(drop)?.map_err(drop)
    }

    /// Sends what the command has printed, or how it ended.
    async fn show(&mut self, socket: &mut WebSocket) -> ControlFlow<Ended> {
        let store = &self.control.0.store;
        // The state is read before the output: what is there when it is closed is complete.
        let row: Option<TerminalRow> = match store.terminal(&self.terminal).await {
            Ok(row) => row,
            Err(error) => return ControlFlow::Break(unavailable(error)),
        };
        let chunks = match store.terminal_output(&self.terminal, self.after).await {
            Ok(chunks) => chunks,
            Err(error) => return ControlFlow::Break(unavailable(error)),
        };
        let away = ControlFlow::Break((close_code::AWAY, String::new()));
        if let Some(last) = chunks.last() {
            self.after = last.number;
            let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.bytes).collect();
            return match self.send(socket, Message::Binary(bytes.into())).await {
                Ok(()) => ControlFlow::Continue(()),
                Err(()) => away,
            };
        }
        let end = match row {
            Some(row) if row.state != "closed" => return ControlFlow::Continue(()),
            Some(row) => TerminalEnd {
                exit_code: row.exit_code,
                error: row.error,
            },
            None => TerminalEnd {
                exit_code: None,
                error: Some("the build was removed".to_owned()),
            },
        };
        let end = serde_json::to_string(&end).unwrap_or_default();
        match self.send(socket, Message::Text(end.into())).await {
            Ok(()) => ControlFlow::Break((close_code::NORMAL, String::new())),
            Err(()) => away,
        }
    }

    /// Does what a message of the person says.
    async fn said(&self, message: Message) -> ControlFlow<Ended> {
        let done = match message {
            Message::Binary(bytes) => self.act(TerminalAction::Type(&bytes)).await,
            Message::Text(text) => match serde_json::from_str::<Said>(&text) {
                Ok(said) => self.told(said).await,
                Err(error) => {
                    let why = format!("invalid message: {error}");
                    return ControlFlow::Break((close_code::POLICY, why));
                }
            },
            Message::Close(_) => {
                return ControlFlow::Break((close_code::NORMAL, String::new()));
            }
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        };
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(unavailable(error)),
        }
    }

    async fn told(&self, said: Said) -> Result<(), davy_store::Error> {
        let store = &self.control.0.store;
        if let (Some(width), Some(height)) = (said.width, said.height) {
            let size = (width.min(SIDE_MAX), height.min(SIDE_MAX));
            store.see_terminal(&self.terminal, Some(size)).await?;
        }
        let name = said.signal.as_deref();
        if let Some(name) = name.filter(|name| TERMINAL_SIGNALS.contains(name)) {
            self.act(TerminalAction::Signal(name)).await?;
        }
        if said.close {
            let closed = Some("closed by the person");
            store
                .close_terminal(&self.terminal, None, None, closed)
                .await?;
        }
        Ok(())
    }

    /// What is done at a closed terminal is dropped: the next look tells the person that it is closed.
    async fn act(&self, action: TerminalAction<'_>) -> Result<(), davy_store::Error> {
        let store = &self.control.0.store;
        store
            .add_terminal_input(&self.terminal, action)
            .await
            .map(drop)
    }
}
