//! Every setting by its one name: the key in `davy.toml`, with `_` the environment variable, with
//! `-` the flag.

use crate::catalogue::{Kind, MEMBERS};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name, such as `archive.flush_interval`.
    pub(crate) key: &'static str,
    /// Its value where no source has one.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
    /// The members that it is for; none where it is for every process.
    pub(crate) members: &'static [&'static str],
    /// Whether it is one of many alike, which help does not list.
    pub(crate) one_of_many: bool,
}

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    setting_of(key, default, help, &[])
}

const fn setting_of(
    key: &'static str,
    default: &'static str,
    help: &'static str,
    members: &'static [&'static str],
) -> Setting {
    Setting {
        key,
        default,
        help,
        members,
        one_of_many: false,
    }
}

const ARCHIVE: &[&str] = &["archive.ingest", "archive.query", "archive.compactor"];

/// The settings that are not of one member, endpoint or process alone.
const GENERAL: &[Setting] = &[
    setting(
        "data_dir",
        ".davy",
        "folder of the embedded database and bucket",
    ),
    setting(
        "database",
        "",
        "database, sqlite:PATH or postgres://USER@HOST/NAME [default: davy.db in data_dir]",
    ),
    setting(
        "database_file",
        "",
        "file that holds the database's URL, for one with a password in it",
    ),
    setting(
        "region",
        "",
        "label `region` of this process's own profiles",
    ),
    setting_of(
        "bucket.url",
        "",
        "bucket of the archive, file:///FOLDER or memory: [default: the folder store in data_dir]",
        ARCHIVE,
    ),
    setting_of(
        "http.listen",
        "127.0.0.1:8080",
        "address of the page and the API",
        &["api", "ui"],
    ),
    setting(
        "http.token",
        "",
        "what a change must show as its bearer token [default: changes only from this machine]",
    ),
    setting("http.token_file", "", "file that holds http.token"),
    setting(
        "http.require_token",
        "false",
        "require http.token for every change; without it, programs on this machine need none while it is empty",
    ),
    setting(
        "http.hosts",
        "",
        "host names, comma-separated, that requests to a loopback address may carry besides IP addresses and localhost; pages of these hosts may also send changes and profiles",
    ),
    setting(
        "http.trusted_proxies",
        "",
        "IP addresses or networks, comma-separated, of reverse proxies on this machine whose forwarding headers are believed",
    ),
    setting(
        "archive.listen",
        "127.0.0.1:4040",
        "address of ingestion and query, and where a process pushes its own profiles",
    ),
    setting_of(
        "archive.flush_interval",
        "5s",
        "how long an archiver gathers windows before it writes a segment",
        &["archive.ingest"],
    ),
    setting_of(
        "archive.flush_bytes",
        "32MiB",
        "memory of gathered windows at which it writes at once; a segment is a tenth of that",
        &["archive.ingest"],
    ),
    setting_of(
        "archive.compact_interval",
        "1m",
        "how often it looks for segments to merge into blocks",
        &["archive.compactor"],
    ),
    setting_of(
        "archive.cache_bytes",
        "32MiB",
        "memory for parts of the archive that were read before",
        ARCHIVE,
    ),
    setting(
        "debug.listen",
        "127.0.0.1:8079",
        "address of /debug/pprof; a taken port moves on to the next free one",
    ),
    setting(
        "profiler.enabled",
        "true",
        "whether this process profiles itself",
    ),
    setting(
        "profiler.service",
        "davy",
        "label `service_name` of this process's own profiles",
    ),
    setting(
        "profiler.hz",
        "100",
        "CPU samples a second of CPU time, 1 to 1000",
    ),
    setting(
        "profiler.window",
        "10s",
        "span of samples that is pushed at once",
    ),
    setting(
        "profiler.archive",
        "",
        "archivers that take this process's own profiles, with commas between them; any one will do [default: http:// and archive.listen]",
    ),
    setting(
        "profiler.token",
        "",
        "what archivers are shown as a bearer token",
    ),
    setting("profiler.token_file", "", "file that holds profiler.token"),
    setting(
        "profiler.ca_file",
        "",
        "PEM file of the CAs that an https:// archiver's certificate is to be of [default: the system's]",
    ),
    setting(
        "profiler.compression",
        "gzip",
        "how profiles are packed on their way: gzip, zstd or none",
    ),
    setting(
        "log.level",
        "info",
        "error, warn, info, debug or trace; or a filter such as davy_archive=debug",
    ),
    setting(
        "log.format",
        "auto",
        "human, json, or auto: human on a terminal",
    ),
];

/// All settings: the general ones, then those of every process, member and endpoint.
pub(crate) static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let mut all: Vec<Setting> = Vec::new();
    for general in GENERAL {
        all.push(Setting { ..*general });
    }
    for kind in Kind::ALL {
        all.push(of_process(kind.name()));
    }
    for entry in MEMBERS {
        let mut add = |name: &str, default, help| {
            all.push(one_of_many(
                "member", entry.name, name, default, help, entry.name,
            ));
        };
        add("enabled", "true", "whether the member runs");
        add(
            "isolate",
            "task",
            "task, or process: a unix process of its own",
        );
        if !entry.interval.is_empty() {
            add("interval", entry.interval, "time from one run to the next");
        }
        if entry.connections > 0 {
            // Made once, as the table is.
            let default = String::leak(entry.connections.to_string());
            let help = "database connections that it may hold at a time";
            add("connections", default, help);
        }
    }
    let mut named = BTreeSet::new();
    for operation in davy_control::operations() {
        // One name may have several routes.
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
                operation.member,
            ));
        };
        add("enabled", "true", "whether the endpoint answers");
        add(
            "limit",
            "",
            "requests at a time, in all processes together [default: no limit]",
        );
        add(
            "slot",
            "30s",
            "how long a request may hold its place under a limit",
        );
    }
    all
});

/// `process.NAME.members`.
pub(crate) fn of_process(name: &str) -> Setting {
    let help = "members, with commas between them; `*` stands for any text";
    Setting {
        members: &[],
        ..one_of_many("process", name, "members", "", help, "")
    }
}

fn one_of_many(
    section: &str,
    owner: &str,
    name: &str,
    default: &'static str,
    help: &'static str,
    member: &'static str,
) -> Setting {
    // Made once, and as long-lived as the table of the others.
    Setting {
        key: String::leak(format!("{section}.{owner}.{name}")),
        default,
        help,
        members: Vec::leak(vec![member]),
        one_of_many: true,
    }
}

impl Setting {
    /// The setting of this key.
    pub(crate) fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
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
