//! `davy profile --live`: what a process of Davy does, as it does it.

use super::{Asked, Kind, Options};
use crate::cli::Failure;
use crate::live::{self, PICTURE, Picture, Source};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Seconds of time that are shown together.
const SECONDS: usize = 10;

/// Shows it until `q`.
pub(super) fn run(asked: Asked, options: &Options) -> Result<(), Failure> {
    // Time passes, what lives is there: only the former is summed.
    let (together, what) = match options.kind {
        Kind::Cpu => (SECONDS, "CPU time"),
        Kind::Wall => (SECONDS, "time, waiting included"),
        Kind::Heap => (1, "what lives on the heap"),
        Kind::Allocs => (1, "what was allocated since it began"),
        Kind::Tasks => (1, "tasks and where they wait"),
    };
    let (pictures, received) = channel();
    let (_running, ended) = channel();
    let (process, options) = (asked.process.clone(), options.clone());
    std::thread::spawn(move || ask(asked, &options, &pictures, &ended));
    let mut asking = Asking {
        received,
        process,
        what,
        is_summed: together > 1,
        failure: None,
    };
    live::run(&mut asking, together)
}

/// Asks again and again, until nobody waits for an answer.
fn ask(
    mut asked: Asked,
    options: &Options,
    pictures: &Sender<Result<Picture, Failure>>,
    ended: &Receiver<()>,
) {
    loop {
        let answer = asked.ask(Some(PICTURE.as_secs()));
        // An answer about time has taken the time that it tells of.
        let pause = match (&answer, asked.kind) {
            (Ok(_), Kind::Cpu | Kind::Wall) => Duration::ZERO,
            _ => PICTURE,
        };
        let is_failed = answer.is_err();
        let picture = answer.and_then(|pprof| asked.picture(&pprof));
        if pictures.send(picture).is_err()
            || ended.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
        {
            return;
        }
        if is_failed && let Ok(again) = Asked::of(options) {
            // One that was started again has another port.
            asked = again;
        }
    }
}

struct Asking {
    received: Receiver<Result<Picture, Failure>>,
    process: String,
    what: &'static str,
    is_summed: bool,
    /// Why there was no answer the last time.
    failure: Option<String>,
}

impl Source for Asking {
    fn next(&mut self, patience: Duration) -> Option<Picture> {
        let answer = self.received.recv_timeout(patience).ok()?;
        match answer {
            Ok(picture) => {
                self.failure = None;
                Some(picture)
            }
            Err(failure) => {
                self.failure = Some(failure.to_string());
                None
            }
        }
    }

    fn headline(&self, together: usize) -> String {
        let (process, what) = (&self.process, self.what);
        if let Some(failure) = &self.failure {
            return format!("davy profile: {process} gives no answer, asking on: {failure}");
        }
        if self.is_summed {
            format!("davy profile: {process}: the last {together} s of {what}")
        } else {
            format!("davy profile: {process}: {what}")
        }
    }
}
