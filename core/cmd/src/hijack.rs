//! `davy hijack`: a terminal in the container of a running build.

use crate::client::{Client, from_json};
use crate::failure::Failure;
use crate::operator::operator;
use crate::server::Server;
use crate::stderr;
use crate::stdout::print_bytes;
use davy_base::Clock;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use std::io::{IsTerminal as _, Read as _};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// What a terminal sends for the end of its input.
const END_OF_INPUT: &[u8] = b"\x04";
/// The size of what is typed at once, at most.
const INPUT_BYTES: usize = 4 << 10;
/// Attempts to reconnect, at most, without output in between.
const RECONNECTS_MAX: u32 = 30;
/// The pause before an attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// Messages that wait to be sent, at most.
const WAITING_MAX: usize = 16;
/// The signals that are passed on to the command, and their names.
const SIGNALS: [(SignalKind, &str); 6] = [
    (SignalKind::hangup(), "HUP"),
    (SignalKind::interrupt(), "INT"),
    (SignalKind::quit(), "QUIT"),
    (SignalKind::terminate(), "TERM"),
    (SignalKind::user_defined1(), "USR1"),
    (SignalKind::user_defined2(), "USR2"),
];

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::because("cannot start the runtime"))?;
    let raw = std::io::stdin().is_terminal().then(Raw::enable).flatten();
    let closed = runtime.block_on(attach(&client, &id, &operator));
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

/// Reads what is typed. It is not waited for: it ends with the process.
fn type_in(sender: &Sender<Message>) {
    let mut buffer = [0; INPUT_BYTES];
    let mut input = std::io::stdin();
    loop {
        let (bytes, is_over) = match input.read(&mut buffer) {
            Ok(0) | Err(_) => (END_OF_INPUT, true),
            Ok(count) => (&buffer[..count], false),
        };
        let sent = sender.blocking_send(Message::Binary(bytes.to_vec().into()));
        if sent.is_err() || is_over {
            return;
        }
    }
}

/// Passes a signal on. The second request to terminate closes the terminal, which kills the command.
async fn pass_on(mut signals: Signal, name: &'static str, sender: Sender<Message>) {
    let mut count = 0;
    while signals.recv().await.is_some() {
        count += 1;
        let message = if name == "TERM" && count > 1 {
            json!({"close": true})
        } else {
            json!({"signal": name})
        };
        if sender.send(text(&message)).await.is_err() {
            return;
        }
    }
}

/// Tells the size of the window whenever it changes.
async fn resize(mut changes: Signal, sender: Sender<Message>) {
    while changes.recv().await.is_some() {
        let (width, height) = size();
        let message = json!({"width": width, "height": height});
        if sender.send(text(&message)).await.is_err() {
            return;
        }
    }
}

fn text(message: &serde_json::Value) -> Message {
    Message::Text(message.to_string().into())
}

/// Prints the output until the terminal is closed; continues after the last byte when the connection is lost.
async fn attach(client: &Client, id: &str, operator: &str) -> Result<Closed, Failure> {
    let (sender, mut messages) = channel(WAITING_MAX);
    let failed = || Failure::because("cannot watch for signals");
    for (kind, name) in SIGNALS {
        let signals = signal(kind).map_err(failed())?;
        tokio::spawn(pass_on(signals, name, sender.clone()));
    }
    let changes = signal(SignalKind::window_change()).map_err(failed())?;
    tokio::spawn(resize(changes, sender.clone()));
    let thread = std::thread::Builder::new().name("keys".to_owned());
    let typing = thread.spawn(move || type_in(&sender));
    typing
        .map(drop)
        .map_err(Failure::because("cannot start a thread"))?;
    let (mut position, mut reconnects) = (0_u64, 0);
    loop {
        let before = position;
        let path = format!("/api/v1/terminals/{id}?after={position}");
        match client.socket(&path, operator).await {
            Ok(socket) => {
                let ended = pass(socket, &mut messages, &mut position).await?;
                if let ControlFlow::Break(closed) = ended {
                    return Ok(closed);
                }
            }
            Err(Failure::Unreachable { .. }) => {}
            Err(failure) => return Err(failure),
        }
        reconnects = if position == before {
            reconnects + 1
        } else {
            1
        };
        if reconnects > RECONNECTS_MAX {
            return Err(Failure::failed("the connection to the terminal was lost"));
        }
        stderr::print_line(format_args!("davy: the connection was lost; retrying\r"));
        Clock::system().sleep(PAUSE).await;
    }
}

/// Passes messages on in both directions until the terminal is closed or the connection is lost.
async fn pass(
    socket: WebSocketStream<TcpStream>,
    messages: &mut Receiver<Message>,
    position: &mut u64,
) -> Result<ControlFlow<Closed>, Failure> {
    let (mut sink, mut stream) = socket.split();
    let sending = async {
        // The signals keep the channel open.
        while let Some(message) = messages.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
    };
    let receiving = async {
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Binary(bytes) => {
                    print_bytes(&bytes)?;
                    *position += bytes.len() as u64;
                }
                Message::Text(text) => {
                    return from_json(text.as_bytes()).map(ControlFlow::Break);
                }
                _ => {}
            }
        }
        Ok(ControlFlow::Continue(()))
    };
    // The other direction is cut as well when one is.
    tokio::select! {
        () = sending => Ok(ControlFlow::Continue(())),
        received = receiving => received,
    }
}
