//! `davy record --live`: what any process did in the last seconds.

use super::{Options, how};
use crate::cli::Failure;
use crate::live::{self, PICTURE, Picture, Source};
use davy_base::Clock;
use davy_profile::FlameTree;
use davy_profile::flame::Grain;
use davy_record::{Names, Recorder, Target};
use std::path::PathBuf;
use std::time::Duration;

/// Seconds that are shown together.
const SECONDS: usize = 10;

/// Shows it until `q`.
pub(super) fn run(pid: u32, options: &Options) -> Result<(), Failure> {
    let recorder = Recorder::start(Target::Pid(pid), how(options)).map_err(super::failure_of)?;
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let clock = Clock::system();
    let mut recorded = Recorded {
        recorder,
        names: Names::new(),
        program: format!("{} ({pid})", comm.trim()),
        folder: PathBuf::from(format!("/proc/{pid}")),
        due: clock.monotonic() + PICTURE,
        clock,
    };
    live::run(&mut recorded, SECONDS)
}

struct Recorded {
    recorder: Recorder,
    names: Names,
    program: String,
    folder: PathBuf,
    due: Duration,
    clock: Clock,
}

impl Source for Recorded {
    fn next(&mut self, patience: Duration) -> Option<Picture> {
        self.recorder.record_for(patience);
        let now = self.clock.monotonic();
        if now < self.due {
            return None;
        }
        self.due = now + PICTURE;
        let mut tree = FlameTree::new();
        // The CPU time, which comes after the number of samples.
        let profile = self.recorder.take_profile(&self.names);
        tree.add_profile(&profile, 1, Grain::Function);
        Some(Picture {
            tree,
            unit: "nanoseconds".to_owned(),
        })
    }

    fn headline(&self, together: usize) -> String {
        let program = &self.program;
        let ended = if self.folder.exists() {
            ""
        } else {
            ", which has ended"
        };
        let lost = match self.recorder.lost() {
            0 => String::new(),
            lost => format!(", {lost} records lost"),
        };
        format!("davy record: {program}{ended}: the last {together} s of CPU time{lost}")
    }
}
