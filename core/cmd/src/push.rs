//! `davy push`: files into the archive.

use crate::cli::{Failure, Server, print};
use crate::client::Client;
use davy_profile::{Limits, folded, gzip, pprof};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What folded stacks can count.
const KINDS: [&str; 6] = [
    "cpu",
    "wall",
    "inuse_space",
    "inuse_objects",
    "alloc_space",
    "alloc_objects",
];

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
    #[arg(long, value_name = "NAME", value_parser = plain)]
    service: Option<String>,
    /// When the profile was taken, for a file that doesn't say so or is not to be believed: unix
    /// time, RFC 3339, now, or now-1h [default: what the file says, otherwise now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What folded stacks count
    #[arg(long = "type", value_name = "TYPE", default_value = "cpu", value_parser = KINDS)]
    kind: String,
    /// Samples a second of folded stacks, by which CPU and wall counts become time
    #[arg(long, value_name = "HZ", default_value_t = 100)]
    sample_rate: u32,
    #[command(flatten)]
    server: Server,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((plain(name)?, plain(value)?)),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// A text without the letters that hold a name and its labels together on the wire.
fn plain(text: &str) -> Result<String, String> {
    match text.find(['{', '}', ',', '=']) {
        Some(at) => Err(format!(
            "{text:?} holds {:?}; leave out braces, commas and equal signs",
            &text[at..=at]
        )),
        None => Ok(text.to_owned()),
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
        let (path, samples, service) = (input.path.display(), input.samples, &input.service);
        print(&format!("{path}: {samples} samples pushed as {service}\n"))?;
    }
    Ok(())
}

/// Reads a file, unless it is larger than any profile may be.
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
        let limits = Limits::default();
        let body = read_bounded(path, limits.bytes).map_err(|error| named(&error))?;
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
        let service = match &options.service {
            Some(service) => service.clone(),
            None => plain(&stem)
                .map_err(|why| Failure::Usage(format!("{why}; name the service with --service")))?,
        };
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
            let at = davy_archive::time::parse(at, now)
                .map_err(|error| Failure::Usage(format!("--at: {error}")))?;
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
