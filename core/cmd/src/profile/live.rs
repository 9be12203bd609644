//! `davy profile --live`: the flame graph of a process of Davy, updated every second.

use super::options::{ProfileMetric, ProfileOptions};
use super::request::ProfileRequest;
use crate::failure::Failure;
use crate::live::{self, INTERVAL, Snapshot, Source};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Seconds of a timed metric that are shown together.
const SECONDS: usize = 10;

/// Shows the flame graph until `q`.
pub(super) fn run(request: ProfileRequest, options: &ProfileOptions) -> Result<(), Failure> {
    // Time is summed over the last seconds. The rest is a state, of which only the latest is shown.
    let snapshots_shown = if options.metric.is_timed() {
        SECONDS
    } else {
        1
    };
    let (snapshots, received) = channel();
    let (_running, stopped) = channel();
    let process = request.process.clone();
    let all_frames = options.output.all_frames();
    let metric = options.metric;
    let options = options.clone();
    std::thread::spawn(move || poll(request, &options, &snapshots, &stopped));
    let mut polled = PolledProfiles {
        received,
        process,
        metric,
        error: None,
    };
    live::run(&mut polled, snapshots_shown, all_frames)
}

/// Requests profiles until the receiver is dropped.
fn poll(
    mut request: ProfileRequest,
    options: &ProfileOptions,
    snapshots: &Sender<Result<Snapshot, Failure>>,
    stopped: &Receiver<()>,
) {
    loop {
        let response = request.send(Some(INTERVAL.as_secs()));
        // A timed profile takes as long as the span that it measures.
        let pause = if response.is_ok() && request.metric.is_timed() {
            Duration::ZERO
        } else {
            INTERVAL
        };
        let is_error = response.is_err();
        let snapshot = response.and_then(|pprof| request.decode(&pprof));
        if snapshots.send(snapshot).is_err()
            || stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
        {
            return;
        }
        if is_error && let Ok(found) = ProfileRequest::new(options) {
            // A process that was restarted has another debug port.
            request = found;
        }
    }
}

struct PolledProfiles {
    received: Receiver<Result<Snapshot, Failure>>,
    process: String,
    metric: ProfileMetric,
    /// The error of the last request.
    error: Option<String>,
}

impl Source for PolledProfiles {
    fn next(&mut self, patience: Duration) -> Option<Snapshot> {
        let result = self.received.recv_timeout(patience).ok()?;
        match result {
            Ok(snapshot) => {
                self.error = None;
                Some(snapshot)
            }
            Err(failure) => {
                self.error = Some(failure.report());
                None
            }
        }
    }

    fn headline(&self, seconds: usize) -> String {
        let process = &self.process;
        if let Some(error) = &self.error {
            return format!("davy profile: {process} is not responding; retrying: {error}");
        }
        let shown = match self.metric {
            ProfileMetric::Cpu => format!("CPU time of the last {seconds} s"),
            ProfileMetric::Wall => format!("wall-clock time of the last {seconds} s"),
            ProfileMetric::Heap => "memory in use on the heap".to_owned(),
            ProfileMetric::Allocs => "memory allocated since the process started".to_owned(),
            ProfileMetric::Tasks => "tasks and where they wait".to_owned(),
        };
        format!("davy profile: {process}: {shown}")
    }
}
