//! Every setting by its one name: the key in `davy.toml`, with `_` the environment variable, with
//! `-` the flag.

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name, such as `archive.flush_interval`.
    pub(crate) key: &'static str,
    /// Its value where no source has one.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
}

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// All settings.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "data_dir",
        ".davy",
        "folder of the embedded database and object store",
    ),
    setting(
        "database",
        "",
        "database, sqlite:PATH [default: davy.db in data_dir]",
    ),
    setting(
        "region",
        "",
        "label `region` of this process's own profiles",
    ),
    setting(
        "store.url",
        "",
        "object store, file:///FOLDER or memory: [default: the folder store in data_dir]",
    ),
    setting(
        "http.listen",
        "127.0.0.1:8080",
        "address of the page and the API",
    ),
    setting(
        "archive.listen",
        "127.0.0.1:4040",
        "address of ingestion and query",
    ),
    setting(
        "archive.flush_interval",
        "5s",
        "how long an archiver gathers windows before it writes a segment",
    ),
    setting(
        "archive.flush_bytes",
        "32MiB",
        "memory of gathered windows at which it writes at once; a segment is a tenth of that",
    ),
    setting(
        "archive.compact_interval",
        "1m",
        "how often it looks for segments to merge into blocks",
    ),
    setting(
        "archive.cache_bytes",
        "32MiB",
        "memory for parts of the archive that were read before",
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

impl Setting {
    /// The setting of this key.
    pub(crate) fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Its environment variable, such as `DAVY_ARCHIVE_FLUSH_INTERVAL`.
    pub(crate) fn variable(&self) -> String {
        format!("DAVY_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// Its flag without the dashes, such as `archive-flush-interval`.
    pub(crate) fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }
}

/// The known name nearest to a wrong one, if any is near enough to be meant.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(wrong.len()) / 2)
        .min()
        .map(|(_, name)| name)
}
