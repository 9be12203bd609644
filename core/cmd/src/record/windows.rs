//! `davy record --every`: pushes a profile of each window until what is recorded ends.

use super::command::{CommandEnd, Interruption};
use super::options::RecordCommandOptions;
use super::summary;
use crate::client::Client;
use crate::failure::Failure;
use crate::stderr;
use crate::stdout::print;
use davy_base::Clock;
use davy_profile::units::count;
use davy_profile::{Profile, gzip, pprof};
use davy_record::{Mechanism, Names, Recorder};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

/// Windows that wait for an archive that does not respond, at most; further ones are dropped.
const WAITING_MAX: usize = 20;
/// From one attempt to push a window to the next.
const RETRY: Duration = Duration::from_secs(2);
/// How long the last windows may take.
const LAST: Duration = Duration::from_secs(10);

/// Records and pushes until the process or the cgroup ends, the time is over, or a signal arrives.
pub(super) fn run(
    mut recorder: Recorder,
    every: Duration,
    options: &RecordCommandOptions,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let clock = Clock::system();
    let name = options.pushed_name()?;
    let client = Client::new(&options.server)?;
    let began = clock.monotonic();
    let end = options
        .seconds
        .map(|seconds| began + Duration::from_secs(seconds));
    let folder = options.folder(&recorder);
    let continues = |now: Duration| {
        end.is_none_or(|end| now < end)
            && interruption.count() == 0
            && folder.as_ref().is_none_or(|folder| folder.exists())
    };
    let deadline = Arc::new(OnceLock::new());
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let (result, pushed) = sync_channel(1);
    let pusher = Pusher {
        client,
        query: [("name", name.clone()), ("format", "pprof".to_owned())],
        clock: clock.clone(),
        deadline: deadline.clone(),
    };
    let pushing = thread::Builder::new().name("push".to_owned());
    let pushing = pushing
        .spawn(move || result.send(pusher.run(&receiver)))
        .map_err(Failure::because("cannot start a thread"))?;
    // The parent process reads this line to learn that sampling has started.
    print(&format!("{}\n", started(&recorder, &name, every)))?;
    let names = Names::new();
    let mut dropped = 0;
    let mut due = began + every;
    while continues(clock.monotonic()) {
        recorder.record_while(|now| now < due && continues(now));
        due += every;
        if continues(clock.monotonic()) {
            dropped += send(&sender, &recorder.take_profile(&names));
        }
    }
    let recording = recorder.finish();
    let _ = deadline.set(clock.monotonic() + LAST);
    dropped += send(&sender, &recording.profile);
    drop(sender);
    pushing.thread().unpark();
    // A server that accepts the connection and does not respond must not keep this process.
    dropped += pushed.recv_timeout(LAST + RETRY).unwrap_or(1);
    summary::print(&recording, CommandEnd::NotStarted);
    if dropped > 0 {
        let windows = count(dropped, "window", "windows");
        return Err(Failure::failed(format!("{windows} could not be pushed")));
    }
    Ok(())
}

/// What is recorded, and how.
fn started(recorder: &Recorder, name: &str, every: Duration) -> String {
    let how = recorder.mechanism().map_or("", mechanism);
    let every = humantime::format_duration(every);
    format!("recording {how}as {name}, a window every {every}")
}

/// How a cgroup is sampled.
const fn mechanism(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Kernel => "a cgroup in the kernel ",
        Mechanism::Processes => "the processes of a cgroup ",
    }
}

/// Hands a window over; returns the number of windows that had no place.
fn send(sender: &SyncSender<Vec<u8>>, profile: &Profile) -> usize {
    if profile.sample_count() == 0 {
        return 0;
    }
    let packed = gzip::compress(&pprof::encode(profile));
    usize::from(sender.try_send(packed).is_err())
}

/// Pushes windows in their order.
struct Pusher {
    client: Client,
    query: [(&'static str, String); 2],
    clock: Clock,
    /// When it gives up, once the recording is over.
    deadline: Arc<OnceLock<Duration>>,
}

impl Pusher {
    /// Pushes what arrives; returns the number of windows that could not be pushed.
    fn run(self, windows: &Receiver<Vec<u8>>) -> usize {
        windows
            .iter()
            .map(|window| usize::from(!self.push(&window)))
            .sum()
    }

    fn push(&self, window: &[u8]) -> bool {
        let mut is_first = true;
        loop {
            let kind = "application/octet-stream";
            let pushed = self.client.post("/ingest", &self.query, kind, window);
            let Err(failure) = pushed else {
                return true;
            };
            let is_invalid = matches!(
                failure,
                Failure::Refused { status, .. } if (400..500).contains(&status) && status != 429
            );
            // Once for a window, not at every attempt.
            if is_first {
                stderr::print_line(format_args!("davy: cannot push: {}", failure.report()));
            }
            is_first = false;
            let now = self.clock.monotonic();
            let is_over = self.deadline.get().is_some_and(|end| now >= *end);
            if is_invalid || is_over {
                return false;
            }
            thread::park_timeout(RETRY);
        }
    }
}
