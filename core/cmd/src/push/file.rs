//! A profile in a file, ready to be pushed.

use super::options::PushOptions;
use crate::client::Client;
use crate::failure::Failure;
use crate::labels::{self, split_service};
use davy_base::Clock;
use davy_profile::{Format, Limits, decode_any, gzip, pprof};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Profiles older than this may be older than the retention of the archive.
const OLD: Duration = Duration::from_hours(24);

/// A profile that was read from a file.
pub(super) struct ProfileFile {
    pub(super) path: PathBuf,
    pub(super) service: String,
    pub(super) samples: usize,
    query: Vec<(&'static str, String)>,
    body: Vec<u8>,
    is_old: bool,
}

impl ProfileFile {
    /// Reads and checks a file.
    pub(super) fn read(path: &Path, options: &PushOptions) -> Result<Self, Failure> {
        let cannot_read = || format!("cannot read {}", path.display());
        let limits = Limits::default();
        let body = read_bounded(path, limits.bytes).map_err(Failure::because(cannot_read()))?;
        let bytes = gzip::unpack(&body, &limits).map_err(Failure::because(cannot_read()))?;
        let cannot_push = format!("cannot push {}", path.display());
        let (format, mut profile) =
            decode_any(&bytes, &limits).map_err(Failure::because(cannot_push))?;
        let (service, labels) =
            split_service(options.service.as_deref(), &options.labels).map_err(Failure::usage)?;
        let service = match service {
            Some(service) => service,
            None => service_of_file(path)?,
        };
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let (format_name, suffix) = match format {
            Format::Pprof => ("pprof", String::new()),
            Format::Folded => ("folded", format!(".{}", options.metric)),
        };
        let mut query = vec![
            ("name", format!("{service}{suffix}{{{}}}", labels.join(","))),
            ("format", format_name.to_owned()),
            ("spyName", "davy-push".to_owned()),
            ("sampleRate", options.sample_rate.to_string()),
        ];
        let now = Clock::system().now();
        if let Some(at) = &options.at {
            let at = davy_archive::time::parse(at, now)
                .map_err(Failure::invalid("invalid value for --at"))?;
            query.push(("from", at.nanos().to_string()));
            query.push(("until", at.nanos().to_string()));
        }
        let is_compressed = gzip::is_gzip(&body);
        let bytes = bytes.into_owned();
        let samples = profile.sample_count();
        let is_old = options.at.is_none()
            && profile.time_nanos > 0
            && profile.time_nanos < now.minus(OLD).nanos();
        let body = match (format, options.at.is_some()) {
            // The archive prefers the time in the profile to that of the query, so it is removed.
            (Format::Pprof, true) => {
                profile.time_nanos = 0;
                gzip::compress(&pprof::encode(&profile))
            }
            (Format::Pprof, false) if is_compressed => body,
            (Format::Pprof, false) => gzip::compress(&bytes),
            (Format::Folded, _) => bytes,
        };
        Ok(Self {
            path: path.to_owned(),
            service,
            samples,
            query,
            body,
            is_old,
        })
    }

    /// Pushes it and waits until the archive has acknowledged it.
    pub(super) fn push(&self, client: &Client) -> Result<(), Failure> {
        let pushed = client.post(
            "/ingest",
            &self.query,
            "application/octet-stream",
            &self.body,
        );
        let Err(failure) = pushed else {
            return Ok(());
        };
        let is_refused = matches!(
            failure,
            Failure::Refused {
                status: 400..500,
                ..
            }
        );
        let failure = Failure::failed(format!(
            "cannot push {}: {}",
            self.path.display(),
            failure.report()
        ));
        if self.is_old && is_refused {
            return Err(failure.with_hint("pass --at now to store it with the current time"));
        }
        Err(failure)
    }
}

/// Reads a file up to a limit.
fn read_bounded(path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    std::fs::File::open(path)?
        .take(limit as u64 + 1)
        .read_to_end(&mut body)?;
    if body.len() > limit {
        let limit = davy_profile::units::bytes(limit as f64);
        return Err(std::io::Error::other(format!(
            "it is larger than {limit}, the limit for one profile"
        )));
    }
    Ok(body)
}

/// The service that the name of a file stands for: everything up to the first dot.
fn service_of_file(path: &Path) -> Result<String, Failure> {
    let stem = path
        .file_stem()
        .map_or_else(|| "profile".into(), |stem| stem.to_string_lossy());
    let stem = stem.split('.').next().unwrap_or("profile");
    labels::service(stem)
        .map_err(|error| Failure::usage(error).with_hint("pass the service with --service"))
}
