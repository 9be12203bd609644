//! The shim: a process between a worker and a task. It holds the standard streams and the exit status of the task, so
//! that the task goes on when the worker is killed, and a restarted worker finds everything.
//!
//! Its standard input is a file that it holds a lock on; the worker sees by the lock whether the shim runs.

mod output;
mod program;
mod sampler;
pub(crate) mod spec;

use crate::folder::{Reserved, read_json};
use davy_base::Clock;
use davy_cgroup::Figures;
use davy_model::wire::End;
use output::Output;
use program::Running;
use spec::{EXIT, Exit, OUTPUT, OUTPUT_BYTES_MAX, SPEC, Spec};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// Space for how the task ended.
const EXIT_BYTES: usize = 4 << 10;
/// How long output is collected before it is written.
const COLLECT: Duration = Duration::from_millis(50);
/// How long the streams may stay open after everything was killed.
const CLOSE: Duration = Duration::from_secs(10);

/// Runs the task that a folder describes to its end, whatever happens to the worker. Only a worker calls this.
pub fn shim(folder: &Path, clock: &Clock) -> io::Result<()> {
    let spec: Spec = read_json(&folder.join(SPEC))?;
    program::adopt_orphans();
    // A task may fill the disk that this is on.
    let reserved = Reserved::new(&folder.join(EXIT), EXIT_BYTES)?;
    let exit = match run(&spec, folder, clock) {
        Ok(exit) => exit,
        Err(error) => Exit {
            end: End::Errored {
                error: error.to_string(),
            },
            usage: figures(&spec),
        },
    };
    reserved.write_json(&exit)
}

fn figures(spec: &Spec) -> Figures {
    let cgroup = spec.cgroup.as_ref();
    cgroup.map(davy_cgroup::Cgroup::figures).unwrap_or_default()
}

/// Why a task was stopped.
enum Stopped {
    Timeout,
    Output,
}

fn run(spec: &Spec, folder: &Path, clock: &Clock) -> io::Result<Exit> {
    let mut spool = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join(OUTPUT))?;
    if let Err(reason) = sampler::start(&spec.sampler, folder) {
        // The task is what matters.
        let _ = writeln!(spool, "davy: this task is not profiled: {reason}");
    }
    let started = clock.monotonic();
    let limit = started.saturating_add(Duration::from_secs(spec.timeout_seconds));
    let mut running = Running::start(spec, folder, clock)?;
    let followed = follow(spec, &mut running, spool, clock, limit);
    // Whatever the task has left running, and the task itself after an error.
    running.kill(spec);
    let (code, stopped) = followed?;
    let usage = figures(spec);
    let end = match stopped {
        Some(Stopped::Timeout) => End::Errored {
            error: with_reason(
                format!(
                    "the task exceeded its time limit of {} s",
                    spec.timeout_seconds
                ),
                spec,
                usage,
            ),
        },
        Some(Stopped::Output) => End::Errored {
            error: format!(
                "the task printed more than {} MiB; write large output to a file",
                OUTPUT_BYTES_MAX >> 20
            ),
        },
        None if code != 0 && usage.oom_kills.is_some_and(|kills| kills > 0) => End::Errored {
            error: out_of_memory(spec, usage, code),
        },
        None => End::Exited { code },
    };
    Ok(Exit { end, usage })
}

fn out_of_memory(spec: &Spec, usage: Figures, code: i32) -> String {
    let kills = usage.oom_kills.unwrap_or(0);
    let processes = if kills == 1 { "process" } else { "processes" };
    let limit = spec.limits.memory_max.map_or_else(String::new, |bytes| {
        format!(": it exceeded its memory limit of {bytes} bytes")
    });
    format!(
        "out of memory: the kernel killed {kills} {processes} of the task{limit}; it exited with code {code}"
    )
}

/// Adds what the limits have prevented.
fn with_reason(error: String, spec: &Spec, usage: Figures) -> String {
    match (spec.limits.pids_max, usage.pids_refused) {
        (Some(limit), Some(refused)) if refused > 0 => {
            format!("{error}; it reached its limit of {limit} processes {refused} times")
        }
        _ => error,
    }
}

/// Writes what the task prints until it has exited; returns its exit code.
fn follow(
    spec: &Spec,
    running: &mut Running,
    mut spool: File,
    clock: &Clock,
    limit: Duration,
) -> io::Result<(i32, Option<Stopped>)> {
    let mut output = Output::of(running.streams())?;
    let (mut code, mut stopped, mut written) = (None, None, 0_u64);
    let mut close = None;
    loop {
        let text = output.collect(COLLECT);
        written += text.len() as u64;
        if written <= OUTPUT_BYTES_MAX {
            spool.write_all(text.as_bytes()).map_err(|error| {
                let kind = error.kind();
                io::Error::new(
                    kind,
                    format!("cannot store the output of the task: {error}"),
                )
            })?;
        } else if stopped.is_none() {
            stopped = Some(Stopped::Output);
            running.kill(spec);
        }
        if code.is_none() {
            code = running.try_wait();
            if code.is_some() {
                // Processes that it left behind would keep its output open.
                running.kill(spec);
            }
        }
        let now = clock.monotonic();
        if let Some(code) = code {
            let close = *close.get_or_insert(now.saturating_add(CLOSE));
            if output.is_over() || now >= close {
                return Ok((code, stopped));
            }
        } else if output.is_over() {
            // It has closed its streams and goes on.
            std::thread::park_timeout(COLLECT);
        }
        if now >= limit && stopped.is_none() && code.is_none() {
            stopped = Some(Stopped::Timeout);
            running.kill(spec);
        }
    }
}
