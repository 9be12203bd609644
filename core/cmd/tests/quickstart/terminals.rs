//! Terminals in the containers of running builds.

use crate::rootfs;
use crate::running::{Running, Sandbox};
use crate::workers::{PROCESS, RUNC, Worker, command, run, start_with, text, write_task};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// Runs a command at a terminal of a build that waits for a file, with input from a pipe, and sends a signal to another.
fn check_terminal(driver: &[&str], arguments: &[&str], prepare: impl FnOnce(&Sandbox)) {
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let running = sandbox.start_quiet(arguments);
    let _worker = start_with("w", driver, &running, &sandbox);
    write_task(
        &sandbox,
        "run: {path: sh, args: [-c, 'echo started; while [ ! -e go ]; do sleep 0.05; done; exit 6']}\n",
    );
    let executing = command(&["execute", "-c", "task.yml"], &running, &sandbox)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run the binary");
    let mut executing = Worker(executing);
    running.until("a line of the log", || {
        let row: serde_json::Value =
            serde_json::from_slice(&running.get("/api/v1/builds/1").body).ok()?;
        (row["log_bytes"].as_i64()? > 0).then_some(())
    });
    let hijacked = run(
        &[
            "hijack",
            "1",
            "--",
            "sh",
            "-c",
            "echo from $((6 * 7)); exit 9",
        ],
        &running,
        &sandbox,
    );
    assert_eq!(
        hijacked.status.code(),
        Some(9),
        "{}",
        text(&hijacked.stderr)
    );
    assert!(
        text(&hijacked.stdout).contains("from 42"),
        "{}",
        text(&hijacked.stdout)
    );
    let trapping = "trap 'echo got TERM; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut signalled = command(
        &["hijack", "1", "--", "sh", "-c", trapping],
        &running,
        &sandbox,
    );
    let mut signalled = signalled
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run the binary");
    let mut output = BufReader::new(signalled.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    while !shown.contains("ready") {
        assert_ne!(output.read_line(&mut shown).expect("text"), 0, "{shown}");
    }
    // SAFETY: kill has no memory effects; the process is a child of this test.
    unsafe { libc::kill(signalled.id() as libc::pid_t, libc::SIGTERM) };
    output.read_to_string(&mut shown).expect("text");
    assert!(shown.contains("got TERM"), "{shown}");
    assert_eq!(signalled.wait().expect("a child").code(), Some(5));
    // What is typed reaches a shell, which sees the files of the task.
    let mut typing = command(&["hijack", "1"], &running, &sandbox)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run the binary");
    let mut input = typing.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, b"cat > go; exit 0\n\x04").expect("it reads");
    drop(input);
    assert_eq!(executing.0.wait().expect("a child").code(), Some(6));
    typing.wait().expect("a child");
    let over = run(&["hijack", "1"], &running, &sandbox);
    assert!(
        text(&over.stderr).contains("does not run"),
        "{}",
        text(&over.stderr)
    );
}

#[test]
fn terminal_of_a_running_task_runs_commands_and_passes_keys_on() {
    check_terminal(PROCESS, &[], |_| {});
}

#[test]
fn terminal_passes_through_the_process_of_an_isolated_member() {
    check_terminal(PROCESS, &["--member-api-isolate", "process"], |_| {});
}

#[test]
fn terminal_in_a_container_runs_commands_and_passes_keys_on() {
    if rootfs::is_runc_usable() {
        check_terminal(RUNC, &[], |sandbox| {
            rootfs::write(&sandbox.path().join("images/base"))
        });
    }
}

/// A person at a terminal, without `davy hijack`.
struct Person(WebSocket<TcpStream>);

impl Person {
    fn attach(running: &Running, terminal: &str, after: usize) -> Self {
        let address = running.page.strip_prefix("http://").expect("a URL");
        let url = format!("ws://{address}/api/v1/terminals/{terminal}?after={after}");
        let mut request = url.into_client_request().expect("a request");
        let operator = "alice".parse().expect("a value");
        request.headers_mut().insert("davy-user", operator);
        let stream = TcpStream::connect(address).expect("connected");
        let patience = Some(Duration::from_mins(1));
        stream.set_read_timeout(patience).expect("a timeout");
        let (socket, _) = tungstenite::client(request, stream).expect("a WebSocket");
        Self(socket)
    }

    fn say(&mut self, message: Message) {
        self.0.send(message).expect("sent");
    }

    fn type_in(&mut self, typed: &str) {
        self.say(Message::Binary(typed.as_bytes().to_vec().into()));
    }

    /// Reads output until it contains a text.
    fn until(&mut self, expected: &str) -> String {
        let mut output = Vec::new();
        while !text(&output).contains(expected) {
            match self.0.read().expect("a message") {
                Message::Binary(bytes) => output.extend_from_slice(&bytes),
                Message::Ping(_) => {}
                other => panic!("{other:?} instead of {expected:?} after {}", text(&output)),
            }
        }
        text(&output)
    }

    /// Reads the last message: how the terminal ended, or why the connection is closed.
    fn end(&mut self) -> Result<Value, String> {
        loop {
            match self.0.read().expect("a message") {
                Message::Text(end) => return Ok(serde_json::from_str(&end).expect("JSON")),
                Message::Close(frame) => {
                    return Err(frame.expect("a reason").reason.as_str().to_owned());
                }
                _ => {}
            }
        }
    }
}

#[test]
fn websocket_of_a_terminal_resizes_continues_and_is_closed_when_its_endpoint_is_disabled() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let _worker = start_with("w", PROCESS, &running, &sandbox);
    write_task(&sandbox, "run: {path: sleep, args: ['1000']}\n");
    let executing = command(&["execute", "-c", "task.yml"], &running, &sandbox)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _executing = Worker(executing.expect("run the binary"));
    let opening = json!({"command": ["sh"], "width": 80, "height": 24}).to_string();
    let terminal = running.until("a terminal", || {
        let url = format!("{}/api/v1/builds/1/terminals", running.page);
        let response = crate::http::change(&url, "alice", opening.as_bytes());
        (response.status == 200).then(|| response.json()["id"].as_str().map(str::to_owned))
    });
    let terminal = terminal.expect("an id");
    let mut person = Person::attach(&running, &terminal, 0);
    person.say(Message::Text(r#"{"width": 100, "height": 30}"#.into()));
    // The size arrives at the worker after the shell; a shell that is asked too early says the first one.
    let mut seen = 0;
    loop {
        person.type_in("echo size $(stty size) e\"\"nd\n");
        let output = person.until(" end\r\n");
        seen += output.len();
        if output.contains("size 30 100 end") {
            break;
        }
    }
    // A connection that is cut, not closed.
    drop(person);
    let mut person = Person::attach(&running, &terminal, seen);
    person.type_in("echo again-$((6 * 7))\n");
    let output = person.until("again-42");
    assert!(!output.contains("size"), "nothing is repeated: {output:?}");
    let plain = running.get(&format!("/api/v1/terminals/{terminal}"));
    assert_eq!(plain.status, 400, "{}", plain.text());
    let disabled = ["endpoint", "disable", "AttachTerminal", "--why", "a test"];
    let changed = run(&disabled, &running, &sandbox);
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    let why = person.end().expect_err("it is closed");
    assert!(why.contains("disabled by"), "{why}");
    let changed = run(
        &["endpoint", "enable", "AttachTerminal"],
        &running,
        &sandbox,
    );
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    let mut person = Person::attach(&running, &terminal, seen + output.len());
    person.say(Message::Text(r#"{"widht": 1}"#.into()));
    let why = person.end().expect_err("it is closed");
    assert!(why.contains("invalid message"), "{why}");
    let mut person = Person::attach(&running, &terminal, seen + output.len());
    person.type_in("exit 3\n");
    let end = json!({"exit_code": 3, "error": null});
    assert_eq!(person.end(), Ok(end));
}
