//! `davy push`: files into the archive.

use crate::cli::{Failure, Server};
use crate::client::Client;
use davy_profile::{Limits, folded, gzip, pprof};
use std::path::{Path, PathBuf};

/// Options of `davy push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Files: pprof, packed or not, or folded stacks
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A label of the profiles, such as `version=1.2`; may come several times
    #[arg(long = "label", value_name = "K=V", value_parser = label)]
    labels: Vec<(String, String)>,
    /// The service that was profiled [default: the file's name]
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// When the profile was taken, for a file that doesn't say so or is not to be believed: unix
    /// time, RFC 3339, now, or now-1h [default: what the file says, otherwise now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What folded stacks count: cpu, wall, inuse_space, alloc_space, ...
    #[arg(long = "type", value_name = "TYPE", default_value = "cpu")]
    kind: String,
    /// Samples a second of folded stacks, by which CPU and wall counts become time
    #[arg(long, value_name = "HZ", default_value_t = 100)]
    sample_rate: u32,
    #[command(flatten)]
    server: Server,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Checks every file, then pushes them one after the other.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let client = Client::new(&options.server)?;
    let read: Vec<Input> = options
        .files
        .iter()
        .map(|file| Input::read(file, options))
        .collect::<Result<_, _>>()?;
    for input in &read {
        client
            .post(
                "/ingest",
                &input.query,
                "application/octet-stream",
                &input.body,
            )
            .map_err(|failure| {
                let old = failure.to_string().contains("longer ago");
                let hint = if old {
                    "; --at now puts it at the present"
                } else {
                    ""
                };
                Failure::Failed(format!("{}: {failure}{hint}", input.path.display()))
            })?;
        println!(
            "{}: {} samples pushed as {}",
            input.path.display(),
            input.samples,
            input.service
        );
    }
    Ok(())
}

struct Input {
    path: PathBuf,
    service: String,
    samples: usize,
    query: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Input {
    fn read(path: &Path, options: &Options) -> Result<Self, Failure> {
        let named =
            |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", path.display()));
        let body = std::fs::read(path).map_err(|error| named(&error))?;
        let limits = Limits::default();
        let bytes = gzip::unpack(&body, &limits).map_err(|error| named(&error))?;
        let as_pprof = pprof::decode(&bytes, &limits);
        let (format, profile) = match as_pprof {
            Ok(profile) => ("pprof", profile),
            Err(not_pprof) => match folded::decode(&bytes, &limits) {
                Ok(profile) => ("folded", profile),
                Err(not_folded) => {
                    return Err(named(&format!(
                        "neither pprof ({not_pprof}) nor folded stacks ({not_folded})"
                    )));
                }
            },
        };
        let stem = path
            .file_stem()
            .map_or_else(|| "profile".into(), |stem| stem.to_string_lossy());
        let stem = stem.split('.').next().unwrap_or("profile").to_owned();
        let service = options.service.clone().unwrap_or(stem);
        let labels: Vec<String> = options
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let suffix = if format == "folded" {
            format!(".{}", options.kind)
        } else {
            String::new()
        };
        let mut query = vec![
            ("name", format!("{service}{suffix}{{{}}}", labels.join(","))),
            ("format", format.to_owned()),
            ("spyName", "davy-push".to_owned()),
            ("sampleRate", options.sample_rate.to_string()),
        ];
        if let Some(at) = &options.at {
            let now = davy_base::Clock::system().now();
            let Some(at) = davy_base::Timestamp::parse(at, now) else {
                return Err(Failure::Usage(format!(
                    "--at {at:?} is no time; write RFC 3339, unix time, now or now-1h"
                )));
            };
            query.push(("from", at.nanos().to_string()));
            query.push(("until", at.nanos().to_string()));
        }
        let packed = gzip::is_gzip(&body);
        let plain = bytes.into_owned();
        let samples = profile.sample_count();
        // The time in the file goes before that of the query, so it is taken out.
        let body = match (format, options.at.is_some()) {
            ("pprof", true) => {
                let mut profile = profile;
                profile.time_nanos = 0;
                gzip::compress(&pprof::encode(&profile))
            }
            ("pprof", false) if packed => body,
            ("pprof", false) => gzip::compress(&plain),
            _ => plain,
        };
        Ok(Self {
            path: path.to_owned(),
            service,
            samples,
            query,
            body,
        })
    }
}
