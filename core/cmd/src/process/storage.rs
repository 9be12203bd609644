//! The database and the archive of a process.

use crate::bucket;
use crate::catalogue::MemberId;
use crate::config::{Config, Flags, Loaded};
use crate::failure::Failure;
use crate::stdout::print;
use davy_archive::Archive;
use davy_base::{Clock, Random};
use davy_bucket::DiskCache;
use davy_control::BuildObjects;
use davy_render::{RenderOptions, Renderer};
use davy_store::Store;
use davy_symbols::{DebugFileOptions, DebugFiles};
use prometheus::Registry;
use std::time::Duration;

/// Opens the database of the configuration; connections are established when they are needed.
pub(crate) fn open_store(
    config: &Config,
    connections_max: u32,
    clock: &Clock,
) -> Result<Store, Failure> {
    if let Some(folder) = config.database.strip_prefix("sqlite:").and_then(|path| {
        let path = std::path::Path::new(path.trim_start_matches("//"));
        path.parent().map(std::path::Path::to_owned)
    }) {
        // Opening the database reports a folder that could not be created.
        let _ = std::fs::create_dir_all(folder);
    }
    let options = davy_store::StoreOptions {
        url: config.database.clone(),
        connections_max,
        clock: clock.clone(),
    };
    Store::new(options).map_err(Failure::invalid("invalid configuration"))
}

/// The archive, if one of these members works on it.
pub(super) fn open_archive(
    config: &Config,
    members: &[MemberId],
    clock: &Clock,
    random: Random,
    registry: &Registry,
) -> Result<Option<Archive>, Failure> {
    if !members.iter().any(|member| member.uses_archive()) {
        return Ok(None);
    }
    archive(config, clock, random, registry).map(Some)
}

/// Where logs and files of builds are: the bucket, if all processes share it. A folder is shared only if the database
/// is a file on the same machine.
pub(super) fn build_objects(
    config: &Config,
    members: &[MemberId],
    clock: &Clock,
    random: Random,
) -> Result<Option<BuildObjects>, Failure> {
    let uses = |member: &MemberId| {
        matches!(
            member,
            MemberId::Api | MemberId::Gateway | MemberId::GcBuilds
        )
    };
    if !members.iter().any(uses) {
        return Ok(None);
    }
    let is_local = config.database.starts_with("sqlite:");
    let opened = bucket::open(&config.bucket, clock)?;
    let is_shared = opened.url.scheme.is_remote()
        || (is_local && opened.url.scheme == davy_bucket::Scheme::File);
    let client = davy_bucket::Client::new(
        opened,
        config.bucket_requests.clone(),
        clock.clone(),
        random,
        std::sync::Arc::new(davy_bucket::NoMeter),
    );
    Ok(is_shared.then(|| BuildObjects::new(client)))
}

/// The archive of the configuration.
pub(crate) fn archive(
    config: &Config,
    clock: &Clock,
    random: Random,
    registry: &Registry,
) -> Result<Archive, Failure> {
    let mut options = davy_archive::ArchiveOptions::of(bucket::open(&config.bucket, clock)?);
    options.clock = clock.clone();
    options.random = random;
    options.flush_interval = config.flush_interval;
    options.flush_bytes = config.flush_bytes;
    options.buffer_bytes = config.buffer_bytes;
    options.retention = config.retention;
    options.levels = retention(config);
    options.retention_rules.clone_from(&config.retention_rules);
    options.future = config.future_lead;
    options.requests = config.bucket_requests.clone();
    options.prices = config.prices.clone();
    options.limits = config.limits.clone();
    options.recording_rules.clone_from(&config.recording.rules);
    options.recording_api = config.recording.accepts_changes;
    options
        .recording_remote_write
        .clone_from(&config.recording.remote_write);
    options.queries = config.queries;
    options.queued_queries = config.queued_queries;
    options.query_nodes = config.query_nodes;
    options.query_series = config.query_series;
    options.compact_interval = config.compact_interval;
    // The encoded segments of a merge take a third, the service that is merged two thirds.
    options.merge_bytes = config.merge_bytes / 3 * 2;
    options.policy.segment_bytes = (config.merge_bytes / 3) as u64;
    options.cache_bytes = config.cache_bytes;
    options.disk = open_cache(config, clock)?;
    Archive::new(options, registry).map_err(Failure::because(
        "cannot register the metrics of the archive",
    ))
}

/// The renderer of the configuration.
pub(super) fn renderer(
    config: &Config,
    archive: &Archive,
    clock: &Clock,
    random: Random,
    registry: &Registry,
) -> Result<Renderer, Failure> {
    let options = RenderOptions {
        clock: clock.clone(),
        random,
        interval: config.render.interval,
        levels: retention(config),
        accepted: config.retention,
        members: config.render.members,
        nodes: config.render.nodes,
        has_operations: config.render.has_operations,
        focus: config.render.focus.clone(),
        page_url: config.render.page_url.clone(),
        ..RenderOptions::default()
    };
    Renderer::new(archive, options, registry).map_err(Failure::because(
        "cannot register the metrics of the renderer",
    ))
}

/// What takes debug files for an archive.
pub(super) fn debug_files(
    config: &Config,
    archive: &Archive,
    registry: &Registry,
) -> Result<DebugFiles, Failure> {
    let options = DebugFileOptions {
        folder: config.data_dir.join("debug-files"),
        file_bytes: config.debug_files.file_bytes,
        debuginfod_urls: config.debug_files.debuginfod_urls.clone(),
    };
    DebugFiles::new(archive, options, registry)
        .map_err(|error| Failure::failed(format!("cannot take debug files: {error}")))
}

/// How long each level is kept.
fn retention(config: &Config) -> davy_archive::plan::retention::Retention {
    davy_archive::plan::retention::Retention {
        windows: config.windows_retention,
        hours: config.hours_retention,
        days: config.days_retention,
    }
}

/// Runs a command on the archive of the configuration, without a server.
pub(crate) fn with_archive<T>(
    flags: &Flags,
    command: impl AsyncFnOnce(&Archive) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_config(flags, Duration::ZERO, async |archive, _| {
        command(archive).await
    })
}

/// Like [`with_archive`], on an archive that accepts windows of this age, whatever `archive.retention` says.
pub(crate) fn with_old_archive<T>(
    flags: &Flags,
    age: Duration,
    command: impl AsyncFnOnce(&Archive) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_config(flags, age, async |archive, _| command(archive).await)
}

/// Runs a command with the renderer of the configuration, without a server.
pub(crate) fn with_renderer<T>(
    flags: &Flags,
    command: impl AsyncFnOnce(&Archive, &Renderer) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_config(flags, Duration::ZERO, async |archive, config| {
        let (clock, random) = (Clock::system(), Random::system());
        let renderer = renderer(config, archive, &clock, random, &Registry::new())?;
        command(archive, &renderer).await
    })
}

fn with_config<T>(
    flags: &Flags,
    age: Duration,
    command: impl AsyncFnOnce(&Archive, &Config) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut config = Config::new(&Loaded::from_environment(flags)?)?;
    config.retention = config.retention.max(age);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::because("cannot start the runtime"))?;
    runtime.block_on(async {
        let (clock, random) = (Clock::system(), Random::system());
        let archive = archive(&config, &clock, random, &Registry::new())?;
        command(&archive, &config).await
    })
}

/// The cache on disk, if the configuration has one.
fn open_cache(config: &Config, clock: &Clock) -> Result<Option<DiskCache>, Failure> {
    let folder = &config.cache_dir;
    if folder.as_os_str().is_empty() {
        return Ok(None);
    }
    let opened = DiskCache::open(folder, config.cache_dir_bytes, clock.clone());
    let failed = Failure::invalid(format!("cannot use archive.cache_dir {}", folder.display()));
    Ok(Some(opened.map_err(failed)?))
}

/// Checks the URL of the database without connecting to it.
pub(crate) fn check_database(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(Failure::because("cannot start the runtime"))?;
    let _entered = runtime.enter();
    let options = davy_store::StoreOptions::new(&config.database);
    let checked = Store::new(options).map(drop);
    checked.map_err(Failure::invalid("invalid configuration"))
}

/// `davy migrate`: creates or upgrades the tables of the database.
pub(crate) fn migrate(flags: &Flags) -> Result<(), Failure> {
    let config = Config::new(&Loaded::from_environment(flags)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::because("cannot start the runtime"))?;
    runtime.block_on(async {
        let store = open_store(&config, 0, &Clock::system())?;
        let migrated = store.migrate().await;
        migrated.map_err(|error| Failure::failed(error.to_string()))?;
        print(&format!("{} is up to date\n", store.name()))?;
        store.close().await;
        Ok(())
    })
}
