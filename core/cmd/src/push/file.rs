//! A profile in a file, ready to be pushed.

use super::options::PushOptions;
use crate::client::Client;
use crate::failure::Failure;
use crate::labels::{self, split_service};
use davy_base::Clock;
use davy_import::{Format, Options, Skipped};
use davy_profile::{Limits, gzip, pprof};
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
    skipped: Skipped,
}

impl ProfileFile {
    /// Reads and checks a file.
    pub(super) fn read(path: &Path, options: &PushOptions) -> Result<Self, Failure> {
        let cannot_read = || format!("cannot read {}", path.display());
        let limits = Limits::default();
        let body = read_bounded(path, limits.bytes).map_err(Failure::because(cannot_read()))?;
        let bytes = gzip::unpack(&body, &limits).map_err(Failure::because(cannot_read()))?;
        let cannot_push = || format!("cannot push {}", path.display());
        let format = match options.format {
            Some(format) => format,
            None => davy_import::detect(&bytes).map_err(Failure::because(cannot_push()))?,
        };
        let import_options = Options {
            limits,
            ..Options::default()
        };
        let mut import = davy_import::decode(&bytes, format, &import_options)
            .map_err(Failure::because(cannot_push()))?;
        let (service, labels) =
            split_service(options.service.as_deref(), &options.labels).map_err(Failure::usage)?;
        let service = match service {
            Some(service) => service,
            None => service_of_file(path)?,
        };
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let suffix = match format {
            Format::Pprof => String::new(),
            _ => format!(".{}", options.metric),
        };
        let mut query = vec![
            ("name", format!("{service}{suffix}{{{}}}", labels.join(","))),
            ("format", format.name().to_owned()),
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
        let profiles = || import.profiles.iter().map(|named| &named.profile);
        let samples = profiles().map(davy_profile::Profile::sample_count).sum();
        let old = 1..now.minus(OLD).nanos();
        let is_old =
            options.at.is_none() && profiles().any(|profile| old.contains(&profile.time_nanos));
        let body = match (format, options.at.is_some()) {
            // The time in the profile would be taken as well as that of the query, so it is removed.
            (Format::Pprof, true) => {
                let profile = &mut import.profiles[0].profile;
                profile.time_nanos = 0;
                gzip::compress(&pprof::encode(profile))
            }
            _ if is_compressed => body,
            _ => gzip::compress(&bytes),
        };
        Ok(Self {
            path: path.to_owned(),
            service,
            samples,
            query,
            body,
            is_old,
            skipped: import.skipped,
        })
    }

    /// A warning about what is invalid in the file and therefore ignored.
    pub(super) fn warning(&self) -> Option<String> {
        let summary = self.skipped.summary()?;
        Some(format!("{}: {summary}", self.path.display()))
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
