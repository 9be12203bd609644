//! Configuration: one table of settings, four sources, and the source of every value.

mod load;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use load::{Flags, Loaded, Source};
pub(crate) use settings::{SETTINGS, Setting};

use davy_profiler::Compression;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why a configuration can't be used; one sentence that names the value, its source and the way out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(pub(crate) String);

/// Where logs go and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    Human,
    Json,
}

/// The values, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) database: String,
    pub(crate) bucket_url: String,
    pub(crate) region: String,
    pub(crate) log_level: String,
    pub(crate) log_format: LogFormat,
    pub(crate) http_listen: SocketAddr,
    pub(crate) http_token: String,
    pub(crate) http_require_token: bool,
    pub(crate) http_hosts: Vec<String>,
    pub(crate) http_trusted_proxies: Vec<IpNet>,
    pub(crate) archive_listen: SocketAddr,
    pub(crate) debug_listen: SocketAddr,
    pub(crate) flush_interval: Duration,
    pub(crate) flush_bytes: usize,
    pub(crate) compact_interval: Duration,
    pub(crate) cache_bytes: usize,
    pub(crate) profiler_enabled: bool,
    pub(crate) profiler_service: String,
    pub(crate) profiler_hz: u32,
    pub(crate) profiler_window: Duration,
    /// Where this process's own windows go; none: to `archive.listen`.
    pub(crate) profiler_archives: Vec<String>,
    pub(crate) profiler_token: String,
    /// Empty: what the system trusts.
    pub(crate) profiler_ca_file: PathBuf,
    pub(crate) profiler_compression: Compression,
}

impl Config {
    /// Checks every value of a loaded configuration.
    pub(crate) fn new(loaded: &Loaded) -> Result<Self, Error> {
        let text = |key: &str| loaded.value(key).to_owned();
        let address = |key: &str| {
            loaded.parse(
                key,
                "an address and port such as 127.0.0.1:8080 (port 0: any free one)",
                |t| t.parse().ok(),
            )
        };
        let duration = |key: &str| {
            loaded.parse(
                key,
                "a duration such as 250ms, 5s or 1h30m, longer than nothing",
                |t| {
                    humantime::parse_duration(t)
                        .ok()
                        .filter(|span| !span.is_zero())
                },
            )
        };
        let bytes = |key: &str| {
            loaded.parse(key, "a size such as 8MiB", |t| {
                t.parse::<bytesize::ByteSize>()
                    .ok()
                    .map(|size| size.as_u64())
                    .filter(|b| *b > 0 && *b <= 1 << 40)
            })
        };
        let data_dir = std::path::absolute(text("data_dir")).map_err(|error| {
            Error(format!(
                "data_dir {:?} can't be used: {error}",
                text("data_dir")
            ))
        })?;
        // What should not stand in a file that many read can stand in one of its own.
        let secret = |key: &str| {
            let (value, file) = (text(key), text(&format!("{key}_file")));
            if file.is_empty() {
                return Ok(value);
            }
            if !value.is_empty() {
                return Err(Error(format!(
                    "{key} and {key}_file are both set; keep one"
                )));
            }
            let read = std::fs::read_to_string(&file);
            let read = read
                .map_err(|error| Error(format!("{key}_file = {file:?} can't be read: {error}")))?;
            Ok(read.trim().to_owned())
        };
        let archivers = |list: &str| -> Result<Vec<String>, Error> {
            let urls = list.split(',').map(str::trim).filter(|url| !url.is_empty());
            let checked = urls.map(|url| match davy_profiler::check_archiver(url) {
                Ok(()) => Ok(url.to_owned()),
                Err(error) => Err(Error(format!("profiler.archive: {error}"))),
            });
            checked.collect()
        };
        let hosts = loaded.parse(
            "http.hosts",
            "a comma-separated list of host names without scheme and port, such as davy.example.com",
            |text| {
                let name = |name: &str| {
                    let is_valid = name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
                    is_valid.then(|| name.to_ascii_lowercase())
                };
                items(text).map(name).collect()
            },
        )?;
        let trusted_proxies = loaded.parse(
            "http.trusted_proxies",
            "a comma-separated list of IP addresses or networks such as 127.0.0.1, 10.0.0.0/8",
            |text| items(text).map(network).collect(),
        )?;
        let http_token = secret("http.token")?;
        let require_token =
            loaded.parse("http.require_token", "true or false", |t| t.parse().ok())?;
        if require_token && http_token.is_empty() {
            return Err(Error(
                "http.require_token is true but no token is set; set http.token or http.token_file"
                    .to_owned(),
            ));
        }
        let or = |value: String, default: String| if value.is_empty() { default } else { value };
        Ok(Self {
            database: or(
                secret("database")?,
                format!("sqlite:{}", data_dir.join("davy.db").display()),
            ),
            bucket_url: or(
                text("bucket.url"),
                format!("file://{}", data_dir.join("store").display()),
            ),
            data_dir,
            region: text("region"),
            log_level: text("log.level"),
            log_format: loaded.parse("log.format", "auto, human or json", |t| match t {
                "auto" => Some(LogFormat::Auto),
                "human" => Some(LogFormat::Human),
                "json" => Some(LogFormat::Json),
                _ => None,
            })?,
            http_listen: address("http.listen")?,
            http_token,
            http_require_token: require_token,
            http_hosts: hosts,
            http_trusted_proxies: trusted_proxies,
            archive_listen: address("archive.listen")?,
            debug_listen: address("debug.listen")?,
            flush_interval: duration("archive.flush_interval")?,
            flush_bytes: bytes("archive.flush_bytes")? as usize,
            compact_interval: duration("archive.compact_interval")?,
            cache_bytes: bytes("archive.cache_bytes")? as usize,
            profiler_enabled: loaded
                .parse("profiler.enabled", "true or false", |t| t.parse().ok())?,
            profiler_service: text("profiler.service"),
            profiler_hz: loaded.parse("profiler.hz", "a whole number from 1 to 1000", |t| {
                t.parse().ok().filter(|hz| (1..=1_000).contains(hz))
            })?,
            profiler_window: duration("profiler.window")?,
            profiler_archives: archivers(&text("profiler.archive"))?,
            profiler_token: secret("profiler.token")?,
            profiler_ca_file: text("profiler.ca_file").into(),
            profiler_compression: loaded.parse(
                "profiler.compression",
                "gzip, zstd or none",
                |t| match t {
                    "gzip" => Some(Compression::Gzip),
                    "zstd" => Some(Compression::Zstd),
                    "none" => Some(Compression::None),
                    _ => None,
                },
            )?,
        })
    }
}

/// The items of a comma-separated list.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// A network, or the network of a single address.
fn network(text: &str) -> Option<IpNet> {
    let address = || Some(IpNet::from(text.parse::<std::net::IpAddr>().ok()?));
    text.parse().ok().or_else(address)
}
