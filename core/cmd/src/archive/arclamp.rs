//! `davy archive import arclamp`: imports the logs of Arc Lamp.

use super::copy::CopyArguments;
use super::output::{bar, print_json};
use crate::config::{Config, Loaded};
use crate::failure::Failure;
use crate::process::with_old_archive;
use crate::stderr::print_line;
use crate::stdout::print;
use davy_archive::key::Tenant;
use davy_arclamp::import::{age, find, import as import_logs};
use davy_base::Clock;
use davy_profile::units;
use std::path::Path;
use std::time::Duration;

/// Imports the logs in a folder.
pub(super) fn import(
    source: &str,
    folder: &Path,
    service: Option<&str>,
    arguments: &CopyArguments,
) -> Result<(), Failure> {
    if source != "arclamp" {
        return Err(Failure::usage(format!(
            "unknown source {source:?} of {}; expected arclamp, or a bucket or a tar alone",
            folder.display()
        )));
    }
    let flags = &arguments.options.flags;
    let loaded = Loaded::from_environment(flags)?;
    let config = Config::new(&loaded)?;
    let tenant = match &arguments.tenant {
        None => Tenant::anonymous(),
        Some(name) => Tenant::new(name)
            .ok_or_else(|| Failure::usage("invalid --tenant: expected a name of 1 to 128 bytes"))?,
    };
    let failed = Failure::because(format!("cannot read {}", folder.display()));
    let (logs, skipped) = find(folder).map_err(failed)?;
    if logs.is_empty() {
        return Err(Failure::failed(format!(
            "{} has no logs of Arc Lamp; their names are as 2026-11-29_13.excimer.all.log.gz",
            folder.display()
        )));
    }
    let now = Clock::system().now();
    let kept = config.days_retention;
    let (logs, expired): (Vec<_>, Vec<_>) = logs
        .into_iter()
        .partition(|log| now.since(log.name.start) < kept);
    let mut notes = Vec::new();
    if skipped.duplicate > 0 {
        notes.push(format!(
            "{} not read, whose samples are in the others",
            units::count(skipped.duplicate, "log", "logs")
        ));
    }
    if !expired.is_empty() {
        notes.push(format!(
            "{} not read, older than archive.days_retention",
            units::count(expired.len(), "log", "logs")
        ));
    }
    let bytes: u64 = logs.iter().map(|log| log.bytes).sum();
    if arguments.dry_run {
        for log in &logs {
            print(&format!(
                "{}  {}\n",
                log.path.display(),
                units::bytes(log.bytes as f64)
            ))?;
        }
        let count = units::count(logs.len(), "log", "logs");
        notes.insert(
            0,
            format!("would import {count}, {}", units::bytes(bytes as f64)),
        );
        return print(&format!("{}\n", notes.join("; ")));
    }
    let age = age(&logs, now) + Duration::from_hours(24);
    let service = service
        .unwrap_or(loaded.value("arclamp.service"))
        .to_owned();
    let report = with_old_archive(flags, age, async |archive| {
        let bar = bar("importing {wide_bar} {bytes}/{total_bytes}");
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let report = import_logs(archive, &tenant, &service, &logs, &progress).await;
        bar.finish_and_clear();
        report.map_err(|error| {
            Failure::because("the import stopped")(error).with_hint("repeat the command to go on")
        })
    })?;
    if arguments.options.json {
        return print_json(&report);
    }
    if report.truncated > 0 {
        print_line(format!(
            "{} early; what is before the end was imported",
            units::count(
                report.truncated,
                "compressed log ends",
                "compressed logs end"
            )
        ));
    }
    if report.bad_lines > 0 {
        notes.insert(
            0,
            format!(
                "{} left out, without a stack or a count",
                lines(report.bad_lines)
            ),
        );
    }
    if report.known > 0 {
        let known = units::count(report.known, "log", "logs");
        notes.insert(0, format!("{known} imported before"));
    }
    notes.insert(
        0,
        format!(
            "imported {} as {service}: {}, {}",
            units::count(report.logs, "log", "logs"),
            lines(report.lines),
            units::count(report.samples as usize, "sample", "samples")
        ),
    );
    print(&format!("{}\n", notes.join("; ")))
}

fn lines(count: u64) -> String {
    units::count(count as usize, "line", "lines")
}
