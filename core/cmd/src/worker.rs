//! `davy worker` runs tasks on this machine; `davy workers` lists workers and lets them leave; `davy token` makes and
//! revokes their keys.

mod telemetry;

use crate::client::{Client, from_json};
use crate::failure::Failure;
use crate::operator::operator;
use crate::server::Server;
use crate::stdout::print;
use crate::{hostname, logs};
use clap::Subcommand;
use davy_base::{Clock, Timestamp};
use davy_worker::{DriverOptions, Error, Stop, Worker, WorkerKey};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use telemetry::{ProfilerTarget, Telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// Options of `davy worker`.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerOptions {
    /// Address of a frontend
    #[arg(
        long,
        env = "DAVY_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    server: String,
    /// Name of the worker, unique in the fleet [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Key of the worker, as `davy token worker NAME` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Folder for containers and volumes; no other worker may use it
    #[arg(long, value_name = "FOLDER")]
    work_dir: PathBuf,
    /// How tasks are run. `process` does not isolate: tasks run as processes of this user
    #[arg(long, value_enum)]
    driver: DriverName,
    /// Folder with the images that tasks can name: folders, NAME.tar, NAME.tar.gz and OCI layouts (driver runc)
    #[arg(long, value_name = "FOLDER")]
    images: Option<PathBuf>,
    /// Image of tasks that name none (driver runc)
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Network of containers (driver runc)
    #[arg(long, value_enum, default_value = "none")]
    network: NetworkName,
    /// The OCI runtime (driver runc)
    #[arg(long, default_value = "runc", value_name = "PROGRAM")]
    runc: PathBuf,
    /// Memory of a container, at most, such as 2GiB. Needs cgroups
    #[arg(long, value_name = "SIZE")]
    memory_max: Option<bytesize::ByteSize>,
    /// Share of the CPU of a container while others want it too, 1 to 10000; 100 is usual. Needs cgroups
    #[arg(long, value_name = "WEIGHT", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    cpu_weight: Option<u64>,
    /// Processes and threads of a container, at most. Needs cgroups
    #[arg(long, default_value_t = 1_024, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(16..=4_194_304))]
    pids_max: u64,
    /// Tag that tasks can ask for; may be repeated. A worker with tags runs only tasks that ask for one
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Builds at the same time, at most
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=250))]
    capacity: u32,
    /// From one report to the next, at most 30s
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    sync_interval: Duration,
    /// Remove the worker instead of keeping it as stalled when it stops reporting
    #[arg(long)]
    ephemeral: bool,
    /// Whether the worker profiles itself
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    profiler: bool,
    /// Address of an archiver for its own profiles [default: that of the frontend]
    #[arg(long, value_name = "URL")]
    profiler_archive: Option<String>,
    /// Log level: error, warn, info, debug, trace
    #[arg(long, env = "DAVY_LOG_LEVEL", default_value = "info")]
    log_level: String,
}

/// How tasks are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DriverName {
    /// In containers, by runc
    Runc,
    /// As processes of the worker's user, without isolation: only for tasks that you trust
    Process,
}

/// The network of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum NetworkName {
    /// None but a loopback interface that is down
    None,
    /// That of the machine, with all of its addresses and ports
    Host,
}

/// Options of the hidden command `shim`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShimOptions {
    /// The folder of a container
    folder: PathBuf,
}

/// Holds the streams and the exit status of a task. Only a worker starts it.
pub(crate) fn shim(options: &ShimOptions) -> Result<(), Failure> {
    logs::start_at("warn", logs::LogFormat::Auto)?;
    davy_worker::shim(&options.folder, &Clock::system())
        .map_err(Failure::because("the shim failed"))
}

/// Commands on workers.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// List the workers: state, last report, containers, volumes, what they have to destroy
    Ls(ListOptions),
    /// Let a worker finish its builds and leave for a while
    Land(NamedWorker),
    /// Let a worker finish its builds, destroy what it has, and be removed
    Retire(NamedWorker),
}

/// Commands on keys.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a key for a worker, and let Davy accept it
    Worker {
        #[command(flatten)]
        worker: NamedWorker,
        /// File for the private key [default: NAME.key]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Revoke the key of a worker; its requests are refused from now on
    Revoke(NamedWorker),
}

/// Options of `davy workers ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    server: Server,
    /// Print the response of the API as JSON
    #[arg(long)]
    json: bool,
}

/// A worker.
#[derive(Debug, clap::Args)]
pub(crate) struct NamedWorker {
    /// Its name
    name: String,
    #[command(flatten)]
    server: Server,
}

/// Runs a worker until a signal: the first lets running builds finish, the second kills them; SIGQUIT leaves them
/// running for the next process.
pub(crate) fn run(options: WorkerOptions) -> Result<(), Failure> {
    logs::start_at(&options.log_level, logs::LogFormat::Auto)?;
    let name = options.name.unwrap_or_else(hostname::hostname);
    davy_model::name::check("worker name", &name)
        .map_err(|error| Failure::usage(error.to_string()))?;
    for tag in &options.tag {
        davy_model::name::check("tag", tag).map_err(|error| Failure::usage(error.to_string()))?;
    }
    if !options.server.starts_with("http://") {
        return Err(Failure::usage(format!(
            "invalid --server {:?}: expected an http:// URL such as http://127.0.0.1:8080",
            options.server
        )));
    }
    let driver = match options.driver {
        DriverName::Process => {
            if options.images.is_some() || options.image.is_some() {
                return Err(Failure::usage(
                    "the driver process has no images; remove --images and --image, or use --driver runc",
                ));
            }
            tracing::warn!("driver process: tasks are not isolated; run only tasks that you trust");
            DriverOptions::Process
        }
        DriverName::Runc => DriverOptions::Runc {
            program: options.runc,
            images: options.images.ok_or_else(|| {
                Failure::usage("missing --images: the folder with the images that tasks can name")
            })?,
            default_image: options.image,
            has_network: options.network == NetworkName::Host,
        },
    };
    // Everything that this thread and the ones that it starts do, as far as their names say nothing else.
    let _tag = davy_tag::Tag::new("worker.protocol", "protocol").enter();
    let archive = options.profiler_archive.as_deref();
    let profiler_folder = options.work_dir.join("profiler");
    let target = options.profiler.then_some(ProfilerTarget {
        archive: archive.unwrap_or(&options.server),
        folder: &profiler_folder,
    });
    let telemetry = Telemetry::start(&name, target)?;
    let folder = options.work_dir.clone();
    let sampler = telemetry::sampler(archive.unwrap_or(&options.server));
    let worker = davy_worker::WorkerOptions {
        key: WorkerKey::read(&options.key).map_err(failure)?,
        server: options.server,
        name,
        folder: options.work_dir,
        driver,
        limits: davy_worker::Limits {
            memory_max: options.memory_max.map(|size| size.as_u64()),
            cpu_weight: options.cpu_weight,
            pids_max: Some(options.pids_max),
        },
        // The program that runs, even if its file was replaced.
        shim: vec!["/proc/self/exe".into(), "shim".into()],
        sampler,
        tags: options.tag.into_iter().collect(),
        capacity: options.capacity,
        is_ephemeral: options.ephemeral,
        sync_interval: options.sync_interval,
        clock: Clock::system(),
    };
    let stop = Stop::default();
    watch_signals(&stop)?;
    let worker = Worker::register(worker, &stop).map_err(failure)?;
    telemetry.send(&worker, folder)?;
    let result = worker.run().map_err(failure);
    telemetry.stop();
    result
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Key { .. } | Error::KeyFile { .. } | Error::Runtime { .. } => {
            Failure::invalid("cannot start the worker")(error)
        }
        error => Failure::because("the worker stopped")(error),
    }
}

fn watch_signals(stop: &Stop) -> Result<(), Failure> {
    let failed = || Failure::because("cannot watch for signals");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed())?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed())?;
    let mut quit = signal(SignalKind::quit()).map_err(failed())?;
    drop(entered);
    let stop = stop.clone();
    let watching = move || {
        runtime.block_on(async {
            for stage in 0.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = quit.recv() => {
                        tracing::info!("stopping; the running builds go on, and the next process finds them");
                        stop.leave();
                        continue;
                    }
                }
                if stage == 0 {
                    tracing::info!("finishing the running builds; another signal kills them");
                    stop.land();
                } else {
                    stop.kill();
                }
            }
        });
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(watching).map(drop).map_err(failed())
}

/// `davy token`.
pub(crate) fn token(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Worker { worker, output } => {
            davy_model::name::check("worker name", &worker.name)
                .map_err(|error| Failure::usage(error.to_string()))?;
            let default = || PathBuf::from(format!("{}.key", worker.name));
            let path = output.clone().unwrap_or_else(default);
            let key = WorkerKey::create(&path).map_err(failure)?;
            let sent = Client::new(&worker.server)?.change(
                "PUT",
                &format!("/api/v1/workers/{}/key", worker.name),
                &json!({"public_key": key.public()}),
                &operator(),
            );
            if sent.is_err() {
                // A key that Davy does not know is of no use, and would be in the way of the next attempt.
                let _ = std::fs::remove_file(&path);
            }
            sent?;
            let (path, name) = (path.display(), &worker.name);
            print(&format!(
                "{path}: key of worker {name}; start it with `davy worker --name {name} --key {path} --work-dir FOLDER --driver process`\n"
            ))
        }
        TokenCommand::Revoke(worker) => change(worker, "revoke"),
    }
}

/// `davy workers`.
pub(crate) fn workers(command: &WorkersCommand) -> Result<(), Failure> {
    match command {
        WorkersCommand::Ls(options) => list(options),
        WorkersCommand::Land(worker) => change(worker, "land"),
        WorkersCommand::Retire(worker) => change(worker, "retire"),
    }
}

#[derive(Deserialize)]
struct Changed {
    worker: String,
    effect: String,
}

fn change(worker: &NamedWorker, action: &str) -> Result<(), Failure> {
    davy_model::name::check("worker name", &worker.name)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let path = format!("/api/v1/workers/{}/{action}", worker.name);
    let body = Client::new(&worker.server)?.change("POST", &path, &json!({}), &operator())?;
    let Changed { worker, effect } = from_json(&body)?;
    print(&format!("worker {worker}: {effect}\n"))
}

#[derive(Deserialize)]
struct Row {
    name: String,
    state: String,
    heartbeat_at: i64,
    capacity: i64,
    containers: i64,
    volumes: i64,
    doomed: i64,
    missing: i64,
    status: Option<String>,
    foreign_handles: String,
}

fn list(options: &ListOptions) -> Result<(), Failure> {
    let limit = [("limit", "1000".to_owned())];
    let body = Client::new(&options.server)?.get("/api/v1/workers", &limit)?;
    if options.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&body)));
    }
    let rows: Vec<Row> = from_json(&body)?;
    print(&table(&rows, Clock::system().now()))
}

fn table(rows: &[Row], now: Timestamp) -> String {
    let mut table = format!(
        "{:<24} {:<9} {:>9} {:>10} {:>7} {:>6} {:>7}  {}\n",
        "WORKER", "STATE", "REPORTED", "CONTAINERS", "VOLUMES", "DOOMED", "MISSING", "NOTE"
    );
    for row in rows {
        let silent = now.since(Timestamp::from_millis(row.heartbeat_at));
        let status: Option<davy_model::wire::Status> = row
            .status
            .as_deref()
            .and_then(|status| serde_json::from_str(status).ok());
        let mut notes = Vec::new();
        if let Some(hung) = status.map(|status| status.hung).filter(|hung| *hung > 0) {
            notes.push(format!("{hung} hung destroys"));
        }
        if row.foreign_handles != "[]" {
            notes.push(format!(
                "reports handles of others: {}",
                row.foreign_handles
            ));
        }
        let line = format!(
            "{:<24} {:<9} {:>9} {:>10} {:>7} {:>6} {:>7}  {}",
            row.name,
            row.state,
            format!("{} s ago", silent.as_secs()),
            format!("{}/{}", row.containers, row.capacity),
            row.volumes,
            row.doomed,
            row.missing,
            notes.join("; ")
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}
