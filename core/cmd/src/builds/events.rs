//! The log of a build as server-sent events.

use super::row::BuildRow;
use crate::client::{Client, from_json};
use crate::failure::Failure;
use crate::stderr;
use crate::stdout::print;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

/// Attempts to reconnect, at most, without any event in between.
const RECONNECTS_MAX: u32 = 60;
/// The pause before an attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// The size of an event, at most.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// Prints the log of a build until the build is over; returns the build. Continues after the last event when the
/// connection is lost.
pub(super) fn follow(client: &Client, build: i64) -> Result<BuildRow, Failure> {
    let path = format!("/api/v1/builds/{build}/log");
    let (mut last, mut reconnects) = (String::from("0"), 0);
    loop {
        let before = last.clone();
        let lost = match client.stream(&path, &last) {
            Ok(body) => match read(BufReader::new(body), &mut last) {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => "the connection was closed".to_owned(),
                Err(Interruption::Lost(error)) => error.to_string(),
                Err(Interruption::Failed(failure)) => return Err(failure),
            },
            Err(failure) if is_transient(&failure) => failure.report(),
            Err(failure) => return Err(failure),
        };
        reconnects = if last == before { reconnects + 1 } else { 1 };
        if reconnects > RECONNECTS_MAX {
            return Err(Failure::failed(format!(
                "the log of build {build} is unavailable: {lost}; continue with `davy builds logs {build}`"
            )));
        }
        if reconnects == 5 {
            stderr::print_line(format_args!("davy: {lost}; retrying"));
        }
        std::thread::park_timeout(PAUSE);
    }
}

fn is_transient(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Refused { status, .. } => *status == 429 || *status >= 500,
        _ => false,
    }
}

enum Interruption {
    /// The connection was lost.
    Lost(std::io::Error),
    /// The log cannot be printed or understood.
    Failed(Failure),
}

/// Reads events; returns the end of the build, or `None` if the connection was closed before.
fn read(mut body: impl BufRead, last: &mut String) -> Result<Option<BuildRow>, Interruption> {
    let (mut id, mut event, mut data) = (String::new(), String::new(), String::new());
    loop {
        let mut line = String::new();
        let mut limited = (&mut body).take(LINE_BYTES_MAX);
        if limited.read_line(&mut line).map_err(Interruption::Lost)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end_matches(['\n', '\r']);
        if !line.is_empty() {
            match line.split_once(": ") {
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("event", value)) => value.clone_into(&mut event),
                Some(("data", value)) => value.clone_into(&mut data),
                // A comment keeps the connection open.
                _ => {}
            }
            continue;
        }
        match &*std::mem::take(&mut event) {
            "log" => {
                let text: String = from_json(data.as_bytes()).map_err(Interruption::Failed)?;
                print(&text).map_err(Interruption::Failed)?;
                last.clone_from(&id);
            }
            "end" => {
                let end: Option<BuildRow> =
                    from_json(data.as_bytes()).map_err(Interruption::Failed)?;
                let gone = || Interruption::Failed(Failure::failed("the build was removed"));
                return end.map(Some).ok_or_else(gone);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_connection_is_continued_after_the_last_complete_event() {
        let mut last = "0".to_owned();
        let cut = "id: 1\nevent: log\ndata: \"\"\n\n: still running\n\nid: 2\nevent: log\n";
        let end = read(cut.as_bytes(), &mut last);
        assert!(matches!(end, Ok(None)));
        assert_eq!(last, "1");
        let rest = "event: end\ndata: {\"id\": 3, \"state\": \"failed\", \"created_by\": \"a\", \"worker\": null, \"exit_code\": 7, \"error\": null}\n\n";
        let Ok(Some(end)) = read(rest.as_bytes(), &mut last) else {
            panic!("expected the end of the build");
        };
        let failure = end.result().expect_err("it failed");
        assert_eq!(failure.exit_code(), 7);
    }
}
