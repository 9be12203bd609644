//! Imports Arc Lamp's logs into an archive.
//!
//! A log becomes windows that begin with its hour or day and last as long. Each log is noted in the bucket once all of
//! its windows are there, so an import that is repeated goes on where it stopped. The windows of a log have fixed ids,
//! so one that was stored in part is not counted twice.

mod log_name;
mod reader;
mod select;

pub use log_name::LogName;
pub use select::{LogFile, Skipped, find};

use crate::builder::Builder;
use crate::channel::Channel;
use crate::line;
use bytes::Bytes;
use davy_archive::bucket::ReadError;
use davy_archive::ingest::{Format, Push, SampleTypes, WindowIdentity};
use davy_archive::key::{Tenant, encode};
use davy_archive::{Archive, Progress};
use davy_base::Timestamp;
use davy_profile::{Limits, pprof};
use futures_util::TryStreamExt;
use futures_util::stream;
use reader::Lines;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Number of nodes at which a part of a log is stored. A node takes about 100 bytes until then.
const NODES: usize = 400_000;
/// Number of stacks at which a part of a log is stored.
const STACKS: usize = 200_000;
/// Number of parts that are stored at a time, while the next one is read.
const AT_ONCE: usize = 2;

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A log cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, #[source] std::io::Error),
    /// The archive did not store a part.
    #[error("cannot store {0}: {1}")]
    Store(String, #[source] davy_archive::Error),
    /// A part could not be read because of a panic.
    #[error("cannot import {0} because of a bug; report it")]
    Bug(String),
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Logs that were read.
    pub logs: usize,
    /// Logs that were imported before.
    pub known: usize,
    /// Lines that were stored.
    pub lines: u64,
    /// Samples of those lines.
    pub samples: u64,
    /// Lines that have no stack or no count, or are too long.
    pub bad_lines: u64,
    /// Logs whose compressed data ends early; what is before the end was stored.
    pub truncated: usize,
}

/// What is noted of a log in the bucket.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    bytes: u64,
    lines: u64,
    samples: u64,
    bad_lines: u64,
}

/// Imports logs for a tenant as profiles of a service. `progress` is called after each log with the bytes that were read.
pub async fn import(
    archive: &Archive,
    tenant: &Tenant,
    service: &str,
    logs: &[LogFile],
    progress: Progress<'_>,
) -> Result<ImportReport, ImportError> {
    let mut report = ImportReport::default();
    let whole = logs.iter().map(|log| log.bytes).sum();
    let mut read = 0;
    for log in logs {
        one(archive, tenant, service, log, &mut report).await?;
        read += log.bytes;
        progress(read, whole);
    }
    Ok(report)
}

async fn one(
    archive: &Archive,
    tenant: &Tenant,
    service: &str,
    log: &LogFile,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let bucket = archive.bucket();
    let name = log.name.to_string();
    let folder = bucket.keys.root().join(tenant.key()).join("imports");
    let note = folder
        .join("arclamp")
        .join(encode(service).as_str())
        .join(encode(&name).as_str());
    match bucket.get_current(&note).await {
        Ok(bytes)
            if serde_json::from_slice::<Done>(&bytes).is_ok_and(|done| done.bytes == log.bytes) =>
        {
            report.known += 1;
            return Ok(());
        }
        Ok(_) | Err(ReadError::Gone) => {}
        Err(ReadError::Failed(error)) => return Err(ImportError::Store(name, error)),
    }
    let lines = Lines::open(&log.path)
        .map_err(|error| ImportError::Read(log.path.display().to_string(), error))?;
    let parts = Arc::new(Mutex::new(Parts::new(lines, log.name.clone())));
    let pushes = stream::try_unfold(Arc::clone(&parts), |parts| async {
        let of = Arc::clone(&parts);
        let read = move || of.lock().unwrap_or_else(PoisonError::into_inner).next();
        let read = davy_tag::spawn_blocking(read).await;
        let part = read.map_err(|_| ImportError::Bug(name.clone()))?;
        let failed = |error| ImportError::Read(log.path.display().to_string(), error);
        Ok(part.map_err(failed)?.map(|part| (part, parts)))
    });
    let (start, duration) = (log.name.start, log.name.duration());
    let channel = Channel::named(&log.name.channel);
    let store = |part: Part| {
        let push = Push {
            labels: [
                ("service_name".to_owned(), service.to_owned()),
                ("__name__".to_owned(), channel.profile_name().to_owned()),
            ]
            .into(),
            identity: WindowIdentity::Client(format!("arclamp:{name}:{}", part.number)),
            span: Some((start, start.plus(duration))),
            format: part.format,
            body: part.body,
        };
        let (ingest, name) = (archive.ingest(), name.clone());
        async move {
            let stored = ingest.store(tenant, push).await;
            stored.map_err(|error| ImportError::Store(name, error))
        }
    };
    pushes.try_for_each_concurrent(AT_ONCE, store).await?;
    let (done, is_truncated) = {
        let parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
        let done = Done {
            bytes: log.bytes,
            lines: parts.lines_read,
            samples: parts.samples,
            bad_lines: parts.bad_lines + parts.lines.too_long,
        };
        (done, parts.lines.is_truncated)
    };
    report.logs += 1;
    report.lines += done.lines;
    report.samples += done.samples;
    report.bad_lines += done.bad_lines;
    report.truncated += usize::from(is_truncated);
    let text = serde_json::to_vec(&done).map_err(|_| ImportError::Bug(name.clone()))?;
    let noted = bucket.put(&note, Bytes::from(text)).await;
    noted.map_err(|error| ImportError::Store(name, error))
}

/// A part of a log.
struct Part {
    number: usize,
    format: Format,
    body: Bytes,
}

/// Reads a log part by part.
struct Parts {
    lines: Lines,
    name: LogName,
    number: usize,
    lines_read: u64,
    samples: u64,
    bad_lines: u64,
}

impl Parts {
    fn new(lines: Lines, name: LogName) -> Self {
        Self {
            lines,
            name,
            number: 0,
            lines_read: 0,
            samples: 0,
            bad_lines: 0,
        }
    }

    fn next(&mut self) -> std::io::Result<Option<Part>> {
        let (lines, name) = (&mut self.lines, &self.name);
        let mut profile = Channel::named(&name.channel).profile();
        (profile.time_nanos, profile.duration_nanos) = (name.start.nanos(), nanos(name.duration()));
        let mut builder = Builder::new(profile);
        let mut stacks = 0;
        while stacks < STACKS && builder.nodes() < NODES {
            let Some(text) = lines.next()? else {
                break;
            };
            match line::parse(text) {
                Ok(line) => {
                    builder.add(line.stack, line.count);
                    stacks += 1;
                    self.lines_read += 1;
                    self.samples += line.count as u64;
                }
                Err(_) => self.bad_lines += u64::from(!text.trim_ascii().is_empty()),
            }
        }
        if stacks == 0 {
            return Ok(None);
        }
        self.number += 1;
        let (depth, length) = builder.extremes();
        let profile = builder.finish();
        let limits = Limits::default();
        // What exceeds the limits of a profile is truncated when it is decoded.
        let (format, body) = if depth > limits.depth || length > limits.string {
            let described = SampleTypes::default();
            (Format::Pprof(described), pprof::encode(&profile).into())
        } else {
            let profile = Box::new(profile);
            (Format::Profile { profile, bytes: 0 }, Bytes::new())
        };
        Ok(Some(Part {
            number: self.number - 1,
            format,
            body,
        }))
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// The age of the oldest of the logs, so that the archive accepts it.
pub fn age(logs: &[LogFile], now: Timestamp) -> Duration {
    let oldest = logs.iter().map(|log| log.name.start).min();
    oldest.map_or(Duration::ZERO, |oldest| now.since(oldest))
}
