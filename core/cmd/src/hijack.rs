//! `davy hijack`: a terminal in the container of a running build.

use crate::client::{Client, from_json};
use crate::failure::Failure;
use crate::operator::operator;
use crate::server::Server;
use crate::stderr;
use crate::stdout::print_bytes;
use davy_model::signature::{from_hex, to_hex};
use serde::Deserialize;
use serde_json::json;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};
use std::time::Duration;

/// How often the size of the window is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// What a terminal sends for the end of its input.
const END_OF_INPUT: &[u8] = b"\x04";
/// The size of what is typed at once, at most.
const INPUT_BYTES: usize = 4 << 10;
/// Attempts to reconnect, at most, without output in between.
const RECONNECTS_MAX: u32 = 30;

/// Options of `davy hijack`.
#[derive(Debug, clap::Args)]
pub(crate) struct HijackOptions {
    /// The build; it must be running
    build: i64,
    #[command(flatten)]
    server: Server,
    /// The command [default: a shell]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

#[derive(Deserialize)]
struct Closed {
    exit_code: Option<i64>,
    error: Option<String>,
}

/// Restores the settings of the terminal when it ends.
struct Raw(libc::termios);

impl Raw {
    /// Passes every key on, Ctrl-C included.
    fn enable() -> Option<Self> {
        // SAFETY: all fields are integers, for which zero is valid; the pointers are to structs that outlive the calls.
        unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(0, &raw mut before) != 0 {
                return None;
            }
            let mut raw = before;
            libc::cfmakeraw(&raw mut raw);
            (libc::tcsetattr(0, libc::TCSANOW, &raw const raw) == 0).then_some(Self(before))
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the pointer is to a struct that outlives the call.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, &raw const self.0) };
    }
}

/// The columns and rows of the window.
fn size() -> (u16, u16) {
    // SAFETY: all fields are integers, for which zero is valid; the pointer is to a struct that outlives the call.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        libc::ioctl(0, libc::TIOCGWINSZ, &raw mut size);
        size
    };
    if size.ws_col == 0 || size.ws_row == 0 {
        return (80, 24);
    }
    (size.ws_col, size.ws_row)
}

/// Opens a terminal, and exits with the code of its command.
pub(crate) fn run(options: &HijackOptions) -> Result<(), Failure> {
    let client = Client::new(&options.server)?;
    let operator = operator();
    let (width, height) = size();
    let path = format!("/api/v1/builds/{}/terminals", options.build);
    let opening = json!({"command": options.command, "width": width, "height": height});
    let Created { id } = from_json(&client.change("POST", &path, &opening, &operator)?)?;
    let raw = std::io::stdin().is_terminal().then(Raw::enable).flatten();
    let path = format!("/api/v1/terminals/{id}/input");
    let typing = {
        let (client, path, operator) = (client.clone(), path.clone(), operator.clone());
        let thread = std::thread::Builder::new().name("keys".to_owned());
        thread.spawn(move || type_in(&client, &path, &operator))
    };
    typing
        .map(drop)
        .map_err(Failure::because("cannot start a thread"))?;
    if raw.is_some() {
        let (client, path, operator) = (client.clone(), path.clone(), operator.clone());
        let thread = std::thread::Builder::new().name("window".to_owned());
        let watching = thread.spawn(move || watch_size(&client, &path, &operator, (width, height)));
        watching
            .map(drop)
            .map_err(Failure::because("cannot start a thread"))?;
    }
    let closed = show(&client, &id, &operator);
    drop(raw);
    let Closed { exit_code, error } = closed?;
    match (exit_code, error) {
        (Some(0), None) => Ok(()),
        (Some(code), None) => Err(Failure::Task {
            message: format!("the command exited with code {code}"),
            code: u8::try_from(code).unwrap_or(1),
        }),
        (_, error) => Err(Failure::failed(format!(
            "the terminal was closed: {}",
            error.unwrap_or_else(|| "the command was killed".to_owned())
        ))),
    }
}

fn type_in(client: &Client, path: &str, operator: &str) {
    let mut buffer = [0; INPUT_BYTES];
    let mut input = std::io::stdin();
    loop {
        let (bytes, is_over) = match input.read(&mut buffer) {
            Ok(0) | Err(_) => (END_OF_INPUT, true),
            Ok(count) => (&buffer[..count], false),
        };
        let body = json!({"bytes": to_hex(bytes)});
        let sent = client.change("POST", path, &body, operator);
        // The end of the terminal is reported by its output.
        if sent.is_err() || is_over {
            return;
        }
    }
}

fn watch_size(client: &Client, path: &str, operator: &str, mut known: (u16, u16)) {
    loop {
        std::thread::park_timeout(LOOK);
        let now = size();
        if now != known {
            let body = json!({"width": now.0, "height": now.1});
            if client.change("POST", path, &body, operator).is_ok() {
                known = now;
            }
        }
    }
}

/// Prints the output until the terminal is closed; continues after the last event when the connection is lost.
fn show(client: &Client, id: &str, operator: &str) -> Result<Closed, Failure> {
    let path = format!("/api/v1/terminals/{id}/output");
    let (mut last, mut reconnects) = ("0".to_owned(), 0);
    loop {
        let before = last.clone();
        let body = client.operator_stream(&path, &last, operator);
        match body {
            Ok(body) => {
                let (mut event, mut event_id) = (String::new(), String::new());
                for line in BufReader::new(body).lines() {
                    let Ok(line) = line else {
                        break;
                    };
                    match line.split_once(": ") {
                        Some(("event", value)) => value.clone_into(&mut event),
                        Some(("id", value)) => value.clone_into(&mut event_id),
                        Some(("data", data)) if event == "output" => {
                            print_bytes(&from_hex(data).unwrap_or_default())?;
                            last.clone_from(&event_id);
                        }
                        Some(("data", data)) if event == "end" => {
                            let closed: Option<Closed> = from_json(data.as_bytes())?;
                            return closed.ok_or_else(|| Failure::failed("the build was removed"));
                        }
                        _ => {}
                    }
                }
            }
            Err(Failure::Unreachable { .. }) => {}
            Err(failure) => return Err(failure),
        }
        reconnects = if last == before { reconnects + 1 } else { 1 };
        if reconnects > RECONNECTS_MAX {
            return Err(Failure::failed("the connection to the terminal was lost"));
        }
        stderr::print_line(format_args!("davy: the connection was lost; retrying\r"));
        std::thread::park_timeout(Duration::from_secs(1));
    }
}
