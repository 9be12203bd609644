//! `davy record`: samples any program of this machine.

use crate::cli::{Failure, Server, print, print_bytes};
use crate::client::Client;
use crate::query::text;
use davy_base::Clock;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Profile, folded, gzip, pprof};
use davy_record::{Recorder, Target};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// Options of `davy record`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The running process to sample
    #[arg(long, conflicts_with = "command", required_unless_present = "command")]
    pid: Option<u32>,
    /// Samples a second of CPU time
    #[arg(long, default_value_t = 99)]
    hz: u32,
    /// For how long [default: until the program ends, or Ctrl-C; 10 with --pid]
    #[arg(long)]
    seconds: Option<u64>,
    /// File to write to: .svg a picture, .folded folded stacks, else pprof
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Push it into the archive
    #[arg(long)]
    push: bool,
    /// The service that it is pushed as [default: the program's name]
    #[arg(long)]
    service: Option<String>,
    /// Nodes of the flame graph
    #[arg(long, default_value_t = 80)]
    max_nodes: usize,
    #[command(flatten)]
    server: Server,
    /// The command to start and sample
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// How long a process is sampled unless told otherwise.
const SECONDS: u64 = 10;
/// How long a program may take to end after it was interrupted.
const FAREWELL: Duration = Duration::from_secs(5);

/// Samples, then names, then shows.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let target = options.pid.map_or(Target::NextChild, Target::Pid);
    let recorder = Recorder::start(target, options.hz);
    let mut recorder = recorder.map_err(|error| Failure::Failed(error.to_string()))?;
    let interrupted = interruption()?;
    let clock = Clock::system();
    let default = options.pid.map(|_| SECONDS);
    let end = options
        .seconds
        .or(default)
        .map(|span| clock.monotonic() + Duration::from_secs(span));
    let goes_on = |now: Duration| end.is_none_or(|end| now < end) && !interrupted();
    if options.pid.is_some() {
        recorder.record_while(goes_on);
    } else {
        let mut child = spawn(&options.command)?;
        recorder.record_while(|now| goes_on(now) && matches!(child.try_wait(), Ok(None)));
        // A Ctrl-C has reached it as well; a span that is over ends only the recording.
        let patience = clock.monotonic() + FAREWELL;
        recorder.record_while(|now| {
            interrupted() && now < patience && matches!(child.try_wait(), Ok(None))
        });
    }
    let (samples, lost) = (recorder.samples(), recorder.lost());
    let profile = recorder.finish();
    eprintln!("davy: {samples} samples, {lost} lost");
    deliver(&profile, options)
}

fn spawn(command: &[String]) -> Result<Child, Failure> {
    let [program, arguments @ ..] = command else {
        return Err(Failure::Usage(
            "name a command after --, or a process with --pid".to_owned(),
        ));
    };
    let child = Command::new(program).args(arguments).spawn();
    child.map_err(|error| Failure::Failed(format!("{program} can't be started: {error}")))
}

/// Whether a Ctrl-C has come, which ends the recording and not this program.
fn interruption() -> Result<impl Fn() -> bool, Failure> {
    let failed =
        |error: std::io::Error| Failure::Failed(format!("signals can't be watched: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(failed)?;
    let (sender, receiver) = tokio::sync::watch::channel(false);
    runtime.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            sender.send_replace(true);
        }
    });
    Ok(move || {
        let _kept = &runtime;
        *receiver.borrow()
    })
}

fn deliver(profile: &Profile, options: &Options) -> Result<(), Failure> {
    let packed = || gzip::compress(&pprof::encode(profile));
    if options.push {
        let service = service(options);
        let query = [("name", service.clone()), ("format", "pprof".to_owned())];
        let client = Client::new(&options.server)?;
        client.post("/ingest", &query, "application/octet-stream", &packed())?;
        print(&format!("pushed as {service}\n"))?;
    }
    let mut tree = FlameTree::new();
    tree.add_profile(profile, 1, Grain::Function);
    if let Some(path) = &options.output {
        let bytes = match path.extension().and_then(|e| e.to_str()) {
            Some("svg") => davy_archive::query::svg::svg(&tree, &service(options), "ns")
                .map_err(|error| Failure::Failed(error.to_string()))?,
            Some("folded") => folded::encode(&tree).into_bytes(),
            _ => packed(),
        };
        return std::fs::write(path, bytes).map_err(|error| {
            Failure::Failed(format!("can't write to {}: {error}", path.display()))
        });
    }
    if options.push {
        return Ok(());
    }
    if std::io::stdout().is_terminal() {
        return print(&text::of_tree(&tree, "nanoseconds", options.max_nodes));
    }
    print_bytes(&packed())
}

/// What was sampled, by its name.
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
        .to_owned()
}
