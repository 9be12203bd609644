//! Every setting. Its key in `davy.toml` determines its environment variable and its flag.

use crate::catalogue::{MemberId, ProcessKind};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key, such as `archive.flush_interval`.
    pub(crate) key: &'static str,
    /// Its value if no source sets it.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
    /// The members that read it; empty if every process does.
    pub(crate) members: &'static [MemberId],
    /// Whether it belongs to one member, endpoint or process. `--help` does not list these.
    pub(crate) one_of_many: bool,
}

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    setting_of(key, default, help, &[])
}

const fn setting_of(
    key: &'static str,
    default: &'static str,
    help: &'static str,
    members: &'static [MemberId],
) -> Setting {
    Setting {
        key,
        default,
        help,
        members,
        one_of_many: false,
    }
}

const ARCHIVE: &[MemberId] = &[
    MemberId::ArchiveIngest,
    MemberId::ArchiveQuery,
    MemberId::ArchiveCompactor,
];

/// The settings that don't belong to one member, endpoint or process.
const GENERAL: &[Setting] = &[
    setting(
        "data_dir",
        ".davy",
        "folder for the embedded database, the bucket and the spool",
    ),
    setting(
        "database",
        "",
        "database, sqlite:PATH or postgres://USER@HOST/NAME [default: davy.db in data_dir]",
    ),
    setting(
        "database_file",
        "",
        "file with the URL of the database, for a URL with a password",
    ),
    setting("region", "", "label `region` of the process's own profiles"),
    setting_of(
        "bucket.url",
        "",
        "bucket of the archive, file:///FOLDER or memory: [default: folder store in data_dir]",
        ARCHIVE,
    ),
    setting_of(
        "http.listen",
        "127.0.0.1:8080",
        "address of the page and the API",
        &[MemberId::Api, MemberId::Ui],
    ),
    setting(
        "http.token",
        "",
        "bearer token required for changes [default: changes only from this machine]",
    ),
    setting("http.token_file", "", "file with http.token"),
    setting(
        "http.require_token",
        "false",
        "whether every change needs http.token, including those from this machine",
    ),
    setting(
        "http.hosts",
        "",
        "host names, separated by commas, that the Host header of requests to a loopback address may contain besides IP addresses and localhost; pages of these hosts may also send changes and profiles",
    ),
    setting(
        "http.trusted_proxies",
        "",
        "IP addresses or networks, separated by commas, of reverse proxies whose forwarding headers are trusted",
    ),
    setting(
        "archive.listen",
        "127.0.0.1:4040",
        "address of ingestion and queries; processes push their own profiles to it",
    ),
    setting_of(
        "archive.flush_interval",
        "5s",
        "time between two flushes of windows to a segment",
        &[MemberId::ArchiveIngest],
    ),
    setting_of(
        "archive.flush_bytes",
        "32MiB",
        "memory of buffered windows that triggers a flush; the segment is about a tenth of it",
        &[MemberId::ArchiveIngest],
    ),
    setting_of(
        "archive.buffer_bytes",
        "128MiB",
        "memory of request bodies and buffered windows above which pushes are refused with 429",
        &[MemberId::ArchiveIngest],
    ),
    setting_of(
        "archive.retention",
        "14d",
        "age above which pushed windows are refused",
        &[MemberId::ArchiveIngest],
    ),
    setting_of(
        "archive.windows_retention",
        "14d",
        "how long windows are kept, at least a day longer than archive.retention; then sums by hour are left",
        ARCHIVE,
    ),
    setting_of(
        "archive.hours_retention",
        "90d",
        "how long sums by hour are kept; then sums by day are left",
        ARCHIVE,
    ),
    setting_of(
        "archive.days_retention",
        "731d",
        "how long sums by day are kept",
        ARCHIVE,
    ),
    setting_of(
        "archive.future_lead",
        "10m",
        "how far in the future a pushed window may start",
        &[MemberId::ArchiveIngest],
    ),
    setting_of(
        "bucket.timeout",
        "30s",
        "timeout of a request to the bucket",
        ARCHIVE,
    ),
    setting_of(
        "archive.queries",
        "4",
        "maximum number of concurrent queries; further ones wait",
        &[MemberId::ArchiveQuery],
    ),
    setting_of(
        "archive.query_nodes",
        "1000000",
        "maximum number of nodes of a flame graph during a query; the smallest are merged into their callers",
        &[MemberId::ArchiveQuery],
    ),
    setting_of(
        "archive.query_series",
        "1000",
        "maximum number of series in a response; the smallest are left out",
        &[MemberId::ArchiveQuery],
    ),
    setting_of(
        "archive.compact_interval",
        "1m",
        "interval at which segments are compacted into blocks",
        &[MemberId::ArchiveCompactor],
    ),
    setting_of(
        "archive.merge_bytes",
        "96MiB",
        "memory of the services that a merge holds at once, and of its segments",
        &[MemberId::ArchiveCompactor],
    ),
    setting_of(
        "archive.cache_bytes",
        "32MiB",
        "memory for cached parts of segments and blocks",
        ARCHIVE,
    ),
    setting(
        "debug.listen",
        "127.0.0.1:8079",
        "address of the debug port; if the port is in use, the next free one",
    ),
    setting(
        "profiler.enabled",
        "true",
        "whether the process profiles itself",
    ),
    setting(
        "profiler.service",
        "davy",
        "label `service_name` of the process's own profiles",
    ),
    setting(
        "profiler.hz",
        "100",
        "samples per second of CPU time, 1 to 1000",
    ),
    setting("profiler.window", "10s", "duration of a window of samples"),
    setting(
        "profiler.archive",
        "",
        "URLs of archivers for the process's own profiles, separated by commas; each window is pushed to one of them [default: http://ARCHIVE.LISTEN]",
    ),
    setting("profiler.token", "", "bearer token for the archivers"),
    setting("profiler.token_file", "", "file with profiler.token"),
    setting(
        "profiler.ca_file",
        "",
        "PEM file with the CAs to trust for https:// archivers [default: the CAs of the system]",
    ),
    setting(
        "profiler.compression",
        "gzip",
        "compression of pushed profiles: gzip, zstd or none",
    ),
    setting(
        "log.level",
        "info",
        "error, warn, info, debug, trace, or a filter such as davy_archive=debug",
    ),
    setting(
        "log.format",
        "auto",
        "human, json, or auto: human on a terminal and json otherwise",
    ),
];

/// All settings: the general ones, then those of each process, member and endpoint.
pub(crate) static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let mut all: Vec<Setting> = Vec::new();
    for general in GENERAL {
        all.push(Setting { ..*general });
    }
    for kind in ProcessKind::all() {
        all.push(of_process(kind.name()));
    }
    for member in MemberId::all() {
        let spec = member.spec();
        let mut add = |name: &str, default, help| {
            all.push(one_of_many(
                "member",
                spec.name,
                name,
                default,
                help,
                Some(member),
            ));
        };
        add("enabled", "true", "whether the member runs");
        add(
            "isolate",
            "task",
            "task, or process: a unix process of its own",
        );
        if let Some(interval) = spec.interval {
            add("interval", interval, "time between two ticks");
        }
        if spec.connections > 0 {
            // Leaked once, because the table is static.
            let default = String::leak(spec.connections.to_string());
            let help = "maximum number of database connections";
            add("connections", default, help);
        }
    }
    let mut named = BTreeSet::new();
    for operation in davy_control::operations() {
        // An operation may have several routes.
        if !named.insert(operation.id) {
            continue;
        }
        let mut add = |name: &str, default, help| {
            all.push(one_of_many(
                "endpoint",
                operation.id,
                name,
                default,
                help,
                MemberId::find(operation.member),
            ));
        };
        add("enabled", "true", "whether the endpoint serves requests");
        add(
            "limit",
            "",
            "maximum number of concurrent requests across all processes [default: no limit]",
        );
        add(
            "slot",
            "30s",
            "how long a request may hold its slot of the limit",
        );
    }
    all
});

/// `process.NAME.members`.
pub(crate) fn of_process(name: &str) -> Setting {
    let help = "members, separated by commas; `*` matches any text";
    Setting {
        members: &[],
        ..one_of_many("process", name, "members", "", help, None)
    }
}

fn one_of_many(
    section: &str,
    owner: &str,
    name: &str,
    default: &'static str,
    help: &'static str,
    member: Option<MemberId>,
) -> Setting {
    // Leaked once per key, because the table is static.
    Setting {
        key: String::leak(format!("{section}.{owner}.{name}")),
        default,
        help,
        members: Vec::leak(Vec::from_iter(member)),
        one_of_many: true,
    }
}

impl Setting {
    /// The setting with a key.
    pub(crate) fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The type and unit of its value, by the last part of its key.
    pub(crate) fn value_type(&self) -> &'static str {
        let name = self.key.rsplit('.').next().unwrap_or_default();
        match name {
            "enabled" | "require_token" => "true or false",
            "hosts" | "trusted_proxies" => "list",
            "hz" => "samples/s",
            "connections" | "limit" | "queries" | "query_nodes" | "query_series" => "count",
            "listen" => "address:port",
            "members" => "list of names",
            "isolate" => "task or process",
            "url" | "database" => "URL",
            "archive" => "list of URLs",
            "data_dir" => "path",
            "interval" | "slot" | "window" | "retention" | "timeout" => "duration",
            _ if ["_interval", "_lead", "_retention"]
                .iter()
                .any(|end| name.ends_with(end)) =>
            {
                "duration"
            }
            _ if name.ends_with("_bytes") => "size",
            _ if name.ends_with("_file") => "path",
            _ => "text",
        }
    }

    /// Its environment variable, such as `DAVY_ARCHIVE_FLUSH_INTERVAL`.
    pub(crate) fn variable(&self) -> String {
        format!("DAVY_{}", self.key.replace(['.', '-'], "_").to_uppercase())
    }

    /// Its flag without the dashes, such as `archive-flush-interval`.
    pub(crate) fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }
}
