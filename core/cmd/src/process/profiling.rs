//! The profiler of a process: it starts before everything else and pushes the process's own windows.

use super::listeners::Listeners;
use super::plan::Plan;
use crate::config::Config;
use crate::failure::Failure;
use crate::hostname::hostname;
use davy_profiler::Profiler;
use ulid::Ulid;

/// Starts the profiler, unless the configuration disables it.
pub(super) fn start(config: &Config, process: &str, id: Ulid) -> Result<Option<Profiler>, Failure> {
    // Usage is exact even if no profile is taken.
    davy_tag::start_accounting();
    if !config.profiler_enabled {
        return Ok(None);
    }
    let mut builder = davy_profiler::Builder::new(&config.profiler_service)
        .process(process)
        .instance(format!("{}:{id}", hostname()))
        .label("version", env!("CARGO_PKG_VERSION"))
        .hz(config.profiler_hz)
        .kernel_stacks(config.profiler_kernel_stacks)
        .window(config.profiler_window)
        .compression(config.profiler_compression)
        // Blocking threads work for the future that awaits them, not for the one that started them.
        .thread_tag("davy-worker", "", "")
        // What SQLite's threads do outside of queries. A query belongs to the operation that awaits it.
        .thread_tag("sqlx-sqlite-*", "database", "sqlite")
        .spool(config.data_dir.join("spool"))
        .symbols(config.data_dir.join("symbols"));
    if !config.region.is_empty() {
        builder = builder.label("region", &config.region);
    }
    if !config.profiler_token.is_empty() {
        builder = builder.token(&config.profiler_token);
    }
    if !config.profiler_ca_file.as_os_str().is_empty() {
        builder = builder.ca_file(&config.profiler_ca_file);
    }
    let profiler = builder.start().map_err(|error| {
        Failure::because("cannot start the profiler")(error)
            .with_hint("pass --profiler-enabled=false to run without it")
    })?;
    Ok(Some(profiler))
}

/// The addresses of archivers for the windows of this process: those that are configured, the parent's, or its own.
pub(super) fn archives(plan: &Plan, listeners: &Listeners) -> Vec<String> {
    let configured = &plan.config.profiler_archives;
    let own = listeners.archive_at.unwrap_or(plan.config.archive_listen);
    match &plan.parent {
        _ if !configured.is_empty() => configured.clone(),
        Some(parent) if !parent.archive.is_empty() => vec![parent.archive.clone()],
        _ => vec![format!("http://{own}")],
    }
}

/// Starts pushing the process's own windows.
pub(super) fn push(
    plan: &Plan,
    listeners: &Listeners,
    profiler: Option<&Profiler>,
) -> Result<(), Failure> {
    let Some(profiler) = profiler else {
        return Ok(());
    };
    for url in archives(plan, listeners) {
        let pushed = profiler.handle().push_to(&url);
        pushed.map_err(Failure::because(format!(
            "the profiler cannot push to {url}"
        )))?;
    }
    Ok(())
}
