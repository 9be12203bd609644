//! The configuration with every value checked.

use super::arclamp::{self, ArcLampConfig};
use super::debug_files::DebugFilesConfig;
use super::error::Error;
use super::limits;
use super::load::Loaded;
use super::recording::RecordingConfig;
use super::render::RenderConfig;
use super::{prices, rules, scrape, viewer};
use davy_archive::plan::rules::RetentionRule;
use davy_archive::{LimitTable, Prices};
use davy_bucket::{BucketSettings, ClientOptions, Secret};
use davy_control::ViewerService;
use davy_profiler::Compression;
use davy_scrape::ScrapeConfig;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    Human,
    Json,
}

/// The values of all settings except those of single members, endpoints and processes.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) database: String,
    pub(crate) bucket: BucketSettings,
    pub(crate) region: String,
    pub(crate) log_level: String,
    pub(crate) log_format: LogFormat,
    pub(crate) http_listen: SocketAddr,
    pub(crate) http_token: String,
    pub(crate) http_require_token: bool,
    pub(crate) http_hosts: Vec<String>,
    pub(crate) http_embed_origins: Vec<String>,
    pub(crate) http_trusted_proxies: Vec<IpNet>,
    pub(crate) archive_listen: SocketAddr,
    pub(crate) debug_listen: SocketAddr,
    pub(crate) flush_interval: Duration,
    pub(crate) flush_bytes: usize,
    pub(crate) buffer_bytes: usize,
    pub(crate) retention: Duration,
    pub(crate) windows_retention: Duration,
    pub(crate) hours_retention: Duration,
    pub(crate) days_retention: Duration,
    pub(crate) retention_rules: Vec<RetentionRule>,
    pub(crate) viewer: Vec<ViewerService>,
    pub(crate) future_lead: Duration,
    pub(crate) bucket_requests: ClientOptions,
    pub(crate) prices: Prices,
    pub(crate) limits: LimitTable,
    pub(crate) queries: usize,
    pub(crate) queued_queries: usize,
    pub(crate) query_nodes: usize,
    pub(crate) query_series: usize,
    pub(crate) compact_interval: Duration,
    pub(crate) merge_bytes: usize,
    pub(crate) render: RenderConfig,
    pub(crate) cache_bytes: usize,
    /// Empty for none.
    pub(crate) cache_dir: PathBuf,
    pub(crate) cache_dir_bytes: u64,
    pub(crate) recording: RecordingConfig,
    /// Set if a file names targets.
    pub(crate) scrape: Option<ScrapeConfig>,
    pub(crate) debug_files: DebugFilesConfig,
    /// Set if a Redis is configured.
    pub(crate) arclamp: Option<ArcLampConfig>,
    pub(crate) profiler_enabled: bool,
    pub(crate) profiler_service: String,
    pub(crate) profiler_hz: u32,
    pub(crate) profiler_kernel_stacks: bool,
    pub(crate) profiler_window: Duration,
    /// Archivers for the process's own windows; if empty, `archive.listen`.
    pub(crate) profiler_archives: Vec<String>,
    pub(crate) profiler_token: String,
    /// If empty, the CAs of the system.
    pub(crate) profiler_ca_file: PathBuf,
    pub(crate) profiler_compression: Compression,
}

impl Config {
    /// Checks the values of a loaded configuration.
    pub(crate) fn new(loaded: &Loaded) -> Result<Self, Error> {
        let text = |key: &str| loaded.value(key).to_owned();
        let address = |key: &str| {
            loaded.parse(
                key,
                "an address and port such as 127.0.0.1:8080 (port 0 selects a free port)",
                |t| t.parse().ok(),
            )
        };
        let duration = |key: &str| {
            loaded.parse(key, "a duration above 0 such as 250ms, 5s or 1h30m", |t| {
                humantime::parse_duration(t)
                    .ok()
                    .filter(|span| !span.is_zero())
            })
        };
        let bytes = |key: &str| {
            loaded.parse(key, "a size such as 8MiB", |t| {
                t.parse::<bytesize::ByteSize>()
                    .ok()
                    .map(|size| size.as_u64())
                    .filter(|b| *b > 0 && *b <= 1 << 40)
            })
        };
        let count = |key: &str| {
            loaded.parse(key, "a whole number from 1 to 100000000", |t| {
                t.parse()
                    .ok()
                    .filter(|count| (1..=100_000_000_usize).contains(count))
            })
        };
        let truth = |key: &str| loaded.parse(key, "true or false", |t| t.parse().ok());
        let data_dir = std::path::absolute(text("data_dir"))
            .map_err(|error| Error(format!("invalid data_dir {:?}: {error}", text("data_dir"))))?;
        // A secret can be in a file of its own, with stricter permissions than davy.toml.
        let secret = |key: &str| {
            let (value, file) = (text(key), text(&format!("{key}_file")));
            if file.is_empty() {
                return Ok(value);
            }
            if !value.is_empty() {
                return Err(Error(format!(
                    "{key} and {key}_file are both set; remove one of them"
                )));
            }
            let read = std::fs::read_to_string(&file);
            let read =
                read.map_err(|error| Error(format!("cannot read {key}_file {file:?}: {error}")))?;
            Ok(read.trim().to_owned())
        };
        let archivers = |list: &str| -> Result<Vec<String>, Error> {
            let urls = list.split(',').map(str::trim).filter(|url| !url.is_empty());
            let checked = urls.map(|url| match davy_profiler::check_archiver(url) {
                Ok(()) => Ok(url.to_owned()),
                Err(error) => Err(Error(format!("invalid profiler.archive: {error}"))),
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
        let embed_origins = loaded.parse(
            "http.embed_origins",
            "a comma-separated list of origins, such as https://wiki.example.com or http://localhost:3000",
            |text| items(text).map(origin).collect(),
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
            bucket: BucketSettings {
                url: or(
                    text("bucket.url"),
                    format!("file://{}", data_dir.join("store").display()),
                ),
                endpoint: text("bucket.endpoint").trim_end_matches('/').to_owned(),
                region: text("bucket.region"),
                path_style: loaded.parse("bucket.path_style", "true or false", |t| match t {
                    "" => Some(None),
                    text => text.parse().ok().map(Some),
                })?,
                allow_http: truth("bucket.allow_http")?,
                ca_file: Some(PathBuf::from(text("bucket.ca_file")))
                    .filter(|file| !file.as_os_str().is_empty()),
                access_key: text("bucket.access_key"),
                secret_key: Secret(secret("bucket.secret_key")?),
                session_token: Secret(secret("bucket.session_token")?),
                credentials_file: text("bucket.credentials_file"),
                auth_url: text("bucket.auth_url"),
                user: text("bucket.user"),
                password: Secret(secret("bucket.password")?),
                project: text("bucket.project"),
                domain: text("bucket.domain"),
                page: None,
            },
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
            http_embed_origins: embed_origins,
            http_trusted_proxies: trusted_proxies,
            archive_listen: address("archive.listen")?,
            debug_listen: address("debug.listen")?,
            flush_interval: duration("archive.flush_interval")?,
            flush_bytes: bytes("archive.flush_bytes")? as usize,
            buffer_bytes: bytes("archive.buffer_bytes")? as usize,
            retention: duration("archive.retention")?,
            windows_retention: duration("archive.windows_retention")?,
            hours_retention: duration("archive.hours_retention")?,
            days_retention: duration("archive.days_retention")?,
            retention_rules: rules::configured(loaded)?,
            viewer: viewer::configured(loaded)?,
            future_lead: duration("archive.future_lead")?,
            bucket_requests: ClientOptions {
                timeout: duration("bucket.timeout")?,
                attempt_timeout: duration("bucket.attempt_timeout")?,
                attempts: u32::try_from(count("bucket.attempts")?).unwrap_or(u32::MAX),
                hedge: truth("bucket.hedge")?,
                multipart_bytes: loaded.parse(
                    "bucket.multipart_bytes",
                    "a size from 5MiB to 1GiB",
                    |t| {
                        let size = t.parse::<bytesize::ByteSize>().ok()?.as_u64();
                        (5 << 20..=1 << 30).contains(&size).then_some(size as usize)
                    },
                )?,
            },
            prices: prices::configured(loaded)?,
            limits: limits::configured(loaded)?,
            queries: count("archive.queries")?,
            queued_queries: count("archive.queued_queries")?,
            query_nodes: count("archive.query_nodes")?,
            query_series: count("archive.query_series")?,
            compact_interval: duration("archive.compact_interval")?,
            merge_bytes: bytes("archive.merge_bytes")? as usize,
            render: RenderConfig::new(loaded)?,
            cache_bytes: if text("archive.cache_bytes").is_empty() {
                cache_bytes(memory())
            } else {
                bytes("archive.cache_bytes")? as usize
            },
            cache_dir: text("archive.cache_dir").into(),
            cache_dir_bytes: bytes("archive.cache_dir_bytes")?,
            recording: RecordingConfig::new(loaded)?,
            scrape: scrape::configured(loaded)?,
            debug_files: DebugFilesConfig::new(loaded, bytes("archive.debug_file_bytes")?)?,
            arclamp: arclamp::configured(
                loaded,
                secret("arclamp.redis")?,
                duration("arclamp.window")?,
                bytes("arclamp.buffer_bytes")?,
            )?,
            profiler_enabled: loaded
                .parse("profiler.enabled", "true or false", |t| t.parse().ok())?,
            profiler_service: text("profiler.service"),
            profiler_hz: loaded.parse("profiler.hz", "a whole number from 1 to 1000", |t| {
                t.parse().ok().filter(|hz| (1..=1_000).contains(hz))
            })?,
            profiler_kernel_stacks: truth("profiler.kernel_stacks")?,
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

/// An origin as a policy of browsers names it: scheme, host and port, without a path or a wildcard.
fn origin(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "0"));
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let is_valid = matches!(scheme, "http" | "https") && is_host && port.parse::<u16>().is_ok();
    is_valid.then_some(text)
}

/// The default of `archive.cache_bytes` for this much memory: a sixteenth of it.
fn cache_bytes(memory: u64) -> usize {
    (memory / 16).clamp(32 << 20, 256 << 20) as usize
}

/// The memory that this process may use, in bytes: that of the machine or of its control group. 0 if unknown.
fn memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = machine
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|of| of.trim().strip_suffix(" kB")?.parse().ok());
    let machine = kibibytes.unwrap_or(0u64) << 10;
    match davy_control::KernelStatistics::read().memory_limit_bytes {
        0 => machine,
        limit => limit.min(machine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_a_sixteenth_of_the_memory_within_bounds() {
        let mebibytes = |memory: u64| cache_bytes(memory << 20) >> 20;
        assert_eq!([0, 512, 1_024, 2_048].map(mebibytes), [32, 32, 64, 128]);
        assert_eq!([4_096, 65_536].map(mebibytes), [256, 256]);
        assert!(memory() > 64 << 20, "{}", memory());
    }
}
