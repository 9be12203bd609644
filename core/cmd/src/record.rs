//! `davy record`: samples any program on this machine.

mod command;
mod live;
mod options;
mod output;
mod summary;
mod windows;

pub(crate) use options::RecordCommandOptions;

use crate::failure::Failure;
use command::{CommandEnd, Interruption, RunningCommand};
use davy_base::Clock;
use davy_record::{Recorder, Target};
use options::{recorder_options, start_failure};
use std::time::Duration;

/// Default duration of a recording of a running process.
const SECONDS: u64 = 10;
/// How long an interrupted command may take to exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Records, symbolizes and writes a profile. Exits with the exit code of the recorded command.
pub(crate) fn run(options: &RecordCommandOptions) -> Result<(), Failure> {
    if let (true, Some(pid)) = (options.live, options.pid) {
        return live::run(pid, options);
    }
    let running = options.running();
    let command = match running {
        Some(_) => None,
        None => Some(options.command.split_first().ok_or_else(|| {
            Failure::usage(
                "nothing to record; use `davy record -- COMMAND` to start a command, `davy record --pid N` for a running process, or `davy record --cgroup PATH` for a cgroup",
            )
        })?),
    };
    let pushed_name = options.pushed_name()?;
    let format = output::check(options)?;
    let default = running.is_some().then_some(SECONDS);
    let target = running.unwrap_or(Target::NextChild);
    let mut recorder = Recorder::start(target, recorder_options(options)).map_err(start_failure)?;
    let interruption = Interruption::watch()?;
    if let Some(every) = options.every {
        return windows::run(recorder, every, options, &interruption);
    }
    let clock = Clock::system();
    let end = options
        .seconds
        .or(default)
        .map(|span| clock.monotonic() + Duration::from_secs(span));
    let continues = |now: Duration| end.is_none_or(|end| now < end) && interruption.count() == 0;
    let ended = if let Some((program, arguments)) = command {
        let mut running = RunningCommand::start(program, arguments)?;
        recorder.record_while(|now| continues(now) && running.is_running());
        if interruption.count() > 0 {
            // Ctrl-C has reached the command too. A second one stops waiting for it.
            running.forward(&interruption);
            let deadline = clock.monotonic() + EXIT_TIMEOUT;
            recorder.record_while(|now| {
                interruption.count() < 2 && now < deadline && running.is_running()
            });
        }
        running.end()
    } else {
        let folder = options.folder(&recorder);
        let is_running = || folder.as_ref().is_none_or(|folder| folder.exists());
        recorder.record_while(|now| continues(now) && is_running());
        CommandEnd::NotStarted
    };
    let recording = recorder.finish();
    summary::print(&recording, ended);
    output::deliver(&recording, &pushed_name, format, options)?;
    match ended.exit_code() {
        None | Some(0) => Ok(()),
        // Exits like the command, as `time` and `env` do. The recording succeeded, so no error is printed.
        Some(code) => std::process::exit(code),
    }
}
