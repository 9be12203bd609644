//! `davy record --live`: the flame graph of the last seconds of any process.

use super::options::{RecordCommandOptions, recorder_options, start_failure};
use crate::failure::Failure;
use crate::live::{self, INTERVAL, Snapshot, Source};
use davy_base::Clock;
use davy_profile::FlameTree;
use davy_profile::flame::Grain;
use davy_record::{Names, Recorder, Target};
use std::path::PathBuf;
use std::time::Duration;

/// Seconds that are shown together.
const SECONDS: usize = 10;

/// Shows the flame graph until `q`.
pub(super) fn run(pid: u32, options: &RecordCommandOptions) -> Result<(), Failure> {
    let recorder =
        Recorder::start(Target::Pid(pid), recorder_options(options)).map_err(start_failure)?;
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let clock = Clock::system();
    let mut live_recorder = LiveRecorder {
        recorder,
        names: Names::new(),
        program: format!("{} ({pid})", comm.trim()),
        folder: PathBuf::from(format!("/proc/{pid}")),
        due: clock.monotonic() + INTERVAL,
        clock,
    };
    live::run(&mut live_recorder, SECONDS, options.output.all_frames())
}

struct LiveRecorder {
    recorder: Recorder,
    names: Names,
    program: String,
    folder: PathBuf,
    due: Duration,
    clock: Clock,
}

impl Source for LiveRecorder {
    fn next(&mut self, patience: Duration) -> Option<Snapshot> {
        self.recorder.record_for(patience);
        let now = self.clock.monotonic();
        if now < self.due {
            return None;
        }
        self.due = now + INTERVAL;
        let mut tree = FlameTree::new();
        // Column 0 is the number of samples, column 1 the CPU time.
        let profile = self.recorder.take_profile(&self.names);
        tree.add_profile(&profile, 1, Grain::Function);
        Some(Snapshot {
            tree,
            unit: "nanoseconds".to_owned(),
        })
    }

    fn headline(&self, seconds: usize) -> String {
        let program = &self.program;
        let ended = if self.folder.exists() {
            ""
        } else {
            " (exited)"
        };
        let lost = match self.recorder.lost() {
            0 => String::new(),
            lost => format!(", {lost} records lost"),
        };
        format!("davy record: {program}{ended}: CPU time of the last {seconds} s{lost}")
    }
}
