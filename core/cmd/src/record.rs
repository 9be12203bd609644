//! `davy record`: samples any program of this machine.

mod command;
mod live;
mod output;

use crate::cli::{Failure, Server};
use crate::form::Form;
use command::{Ended, Interruption, Running};
use davy_base::Clock;
use davy_record::{CallGraph, Error, Recorder, Recording, Target};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Options of `davy record`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The running process to sample
    #[arg(long, conflicts_with = "command")]
    pid: Option<u32>,
    /// Samples a second of CPU time
    #[arg(long, default_value_t = 99)]
    hz: u32,
    /// How callers are found
    #[arg(long, value_enum, default_value_t = Callers::Auto)]
    call_graph: Callers,
    /// Bytes of the stack that are copied with each sample, for unwind tables
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 10)]
    stack_bytes: u32,
    /// For how long [default: until the program ends, or Ctrl-C; 10 with --pid]
    #[arg(long)]
    seconds: Option<u64>,
    /// Show the last seconds in the terminal, as they pass
    #[arg(long, requires = "pid", conflicts_with_all = ["command", "format", "output", "push", "seconds", "max_nodes", "all_frames"])]
    live: bool,
    /// Push it into the archive
    #[arg(long)]
    push: bool,
    /// The service that it is pushed as [default: the program's name]
    #[arg(long)]
    service: Option<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    server: Server,
    /// The command to start and sample
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// How callers are found.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Callers {
    /// By unwind tables, and where those end, along frame pointers
    Auto,
    /// By unwind tables
    Dwarf,
    /// Along frame pointers: the least work, and whole only if all code keeps them
    Fp,
}

impl From<Callers> for CallGraph {
    fn from(callers: Callers) -> Self {
        match callers {
            Callers::Auto => Self::Auto,
            Callers::Dwarf => Self::Dwarf,
            Callers::Fp => Self::Fp,
        }
    }
}

/// How long a process is sampled unless told otherwise.
const SECONDS: u64 = 10;
/// How long a program may take to end after it was interrupted.
const FAREWELL: Duration = Duration::from_secs(5);

/// Samples, then names, then shows. The exit code of a command is passed on.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if let (true, Some(pid)) = (options.live, options.pid) {
        return live::run(pid, options);
    }
    let command = match options.pid {
        Some(_) => None,
        None => Some(options.command.split_first().ok_or_else(nothing_said)?),
    };
    let service = service(options);
    let format = output::check(options)?;
    let target = options.pid.map_or(Target::NextChild, Target::Pid);
    let mut recorder = Recorder::start(target, how(options)).map_err(failure_of)?;
    let interruption = Interruption::watch()?;
    let clock = Clock::system();
    let default = options.pid.map(|_| SECONDS);
    let end = options
        .seconds
        .or(default)
        .map(|span| clock.monotonic() + Duration::from_secs(span));
    let goes_on = |now: Duration| end.is_none_or(|end| now < end) && interruption.times() == 0;
    let ended = if let Some((program, arguments)) = command {
        let mut running = Running::start(program, arguments)?;
        recorder.record_while(|now| goes_on(now) && running.is_running());
        if interruption.times() > 0 {
            // A Ctrl-C has reached it as well, and a second one ends the patience.
            running.pass_on(&interruption);
            let patience = clock.monotonic() + FAREWELL;
            recorder.record_while(|now| {
                interruption.times() < 2 && now < patience && running.is_running()
            });
        }
        running.ended()
    } else {
        let folder = options.pid.map(|pid| PathBuf::from(format!("/proc/{pid}")));
        let lives = || folder.as_ref().is_none_or(|folder| folder.exists());
        recorder.record_while(|now| goes_on(now) && lives());
        Ended::NotOurs
    };
    let recording = recorder.finish();
    say(&recording, ended);
    output::deliver(&recording, &service, format, options)?;
    match ended.exit_code() {
        None | Some(0) => Ok(()),
        // As `time` and `env` do: davy itself has done what it was asked to.
        Some(code) => std::process::exit(code),
    }
}

fn nothing_said() -> Failure {
    Failure::Usage(
        "say what to sample: `davy record --pid N` a running process, `davy record -- COMMAND` one that is started"
            .to_owned(),
    )
}

fn how(options: &Options) -> davy_record::Options {
    davy_record::Options {
        hz: options.hz,
        call_graph: options.call_graph.into(),
        stack_bytes: options.stack_bytes,
    }
}

fn failure_of(error: Error) -> Failure {
    match error {
        Error::Hz { .. } | Error::StackBytes { .. } => Failure::Usage(error.to_string()),
        error => Failure::Failed(error.to_string()),
    }
}

/// Tells what happened, and what is missing, on standard error.
fn say(recording: &Recording, ended: Ended) {
    let Recording { samples, lost, .. } = recording;
    if let Some(sentence) = ended.sentence() {
        eprintln!("davy: {sentence}");
    }
    eprintln!("davy: {samples} samples, {lost} lost");
    for sentence in sentences(recording) {
        eprintln!("davy: {sentence}");
    }
}

/// Files without names that are told one by one.
const NAMELESS_MAX: usize = 5;

fn sentences(recording: &Recording) -> Vec<String> {
    let mut sentences = Vec::new();
    if recording.samples == 0 {
        sentences
            .push("the program spent less CPU time than there is between two samples".to_owned());
    }
    if recording.throttled > 0 {
        sentences.push(format!(
            "the kernel left out samples {} times, because taking them took too long",
            recording.throttled
        ));
    }
    if recording.cut > 0 {
        let hint = if recording.short > recording.cut / 2 {
            "; a larger --stack-bytes keeps more"
        } else {
            ""
        };
        sentences.push(format!(
            "{} stacks are not known up to their root{hint}",
            recording.cut
        ));
    }
    if !recording.has_kernel {
        sentences.push(
            "time in the kernel is left out; it takes kernel.perf_event_paranoid=1 or CAP_PERFMON"
                .to_owned(),
        );
    }
    let nameless = recording.nameless.iter();
    sentences.extend(
        nameless
            .take(NAMELESS_MAX)
            .map(|(file, why)| format!("no names for {file}: {why}")),
    );
    if recording.nameless.len() > NAMELESS_MAX {
        let more = recording.nameless.len() - NAMELESS_MAX;
        sentences.push(format!("no names for {more} more files"));
    }
    sentences
}

/// What is sampled, by its name, without the letters that hold a name and its labels together.
fn service(options: &Options) -> String {
    let name = |path: &str| {
        Path::new(path)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let of_pid = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let found = options
        .service
        .clone()
        .or_else(|| options.pid.and_then(of_pid))
        .or_else(|| name(options.command.first()?));
    found
        .unwrap_or_else(|| "recorded".to_owned())
        .trim()
        .replace(['{', '}', ',', '='], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let recording = Recording {
            profile: davy_profile::Profile::new(),
            samples: 10,
            lost: 0,
            throttled: 2,
            cut: 3,
            short: 2,
            has_kernel: false,
            call_graph: CallGraph::Auto,
            nameless: vec![("/bin/x".to_owned(), "it was replaced by another".to_owned()); 7],
        };
        let text = sentences(&recording).join("\n");
        for part in [
            "left out samples 2 times",
            "3 stacks are not known up to their root; a larger --stack-bytes",
            "time in the kernel is left out",
            "no names for /bin/x: it was replaced by another",
            "no names for 2 more files",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        let whole = Recording {
            throttled: 0,
            cut: 0,
            has_kernel: true,
            nameless: Vec::new(),
            ..recording
        };
        assert_eq!(sentences(&whole), Vec::<String>::new());
    }
}
