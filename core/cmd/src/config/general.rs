//! The settings that exist once in a configuration.

use super::setting::{Setting, setting, setting_of};
use crate::catalogue::MemberId;

const ARCHIVE: &[MemberId] = &[
    MemberId::ArchiveIngest,
    MemberId::ArchiveQuery,
    MemberId::ArchiveCompactor,
];

/// The settings that don't belong to one member, endpoint or process.
pub(super) const GENERAL: &[Setting] = &[
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
        "bucket of the archive: file:///FOLDER, s3://BUCKET/PREFIX, swift://CONTAINER/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or memory: [default: folder store in data_dir]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.endpoint",
        "",
        "address of the store of s3://, gs:// or az:// [default: the provider's, or AWS_ENDPOINT_URL]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.region",
        "",
        "region of the bucket [default: AWS_REGION or OS_REGION_NAME; us-east-1 with bucket.endpoint]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.path_style",
        "",
        "whether s3:// puts the bucket into the path and not into the host name [default: true with bucket.endpoint]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.allow_http",
        "false",
        "whether credentials may be sent to another machine without TLS",
        ARCHIVE,
    ),
    setting_of(
        "bucket.ca_file",
        "",
        "PEM file with the CAs to trust for the store [default: the CAs of the system]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.access_key",
        "",
        "access key id of s3://, or account of az:// [default: AWS_ACCESS_KEY_ID and the provider's usual chain]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.secret_key",
        "",
        "secret key of s3:// or az://",
        ARCHIVE,
    ),
    setting_of(
        "bucket.secret_key_file",
        "",
        "file with bucket.secret_key",
        ARCHIVE,
    ),
    setting_of(
        "bucket.session_token",
        "",
        "token of temporary credentials of s3://",
        ARCHIVE,
    ),
    setting_of(
        "bucket.session_token_file",
        "",
        "file with bucket.session_token",
        ARCHIVE,
    ),
    setting_of(
        "bucket.credentials_file",
        "",
        "JSON file with the service account of gs:// [default: GOOGLE_APPLICATION_CREDENTIALS]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.auth_url",
        "",
        "address of TempAuth (https://HOST/auth/v1.0) or Keystone (https://HOST:5000/v3) of swift:// [default: OS_AUTH_URL]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.user",
        "",
        "user of swift://, for TempAuth ACCOUNT:USER [default: OS_USERNAME]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.password",
        "",
        "password of swift:// [default: OS_PASSWORD]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.password_file",
        "",
        "file with bucket.password",
        ARCHIVE,
    ),
    setting_of(
        "bucket.project",
        "",
        "project of swift:// with Keystone [default: OS_PROJECT_NAME]",
        ARCHIVE,
    ),
    setting_of(
        "bucket.domain",
        "",
        "domain of the user and the project of swift:// with Keystone [default: OS_USER_DOMAIN_NAME and OS_PROJECT_DOMAIN_NAME, or Default]",
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
        "time between two flushes of windows to a segment under load; with fewer pushes, each is written within 0.2s",
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
        "timeout of a request to the bucket, repetitions included; a second longer for each MiB",
        ARCHIVE,
    ),
    setting_of(
        "bucket.attempt_timeout",
        "10s",
        "timeout of one attempt of a request to the bucket; a second longer for each MiB",
        ARCHIVE,
    ),
    setting_of(
        "bucket.attempts",
        "4",
        "maximum number of attempts of a request to a remote bucket",
        ARCHIVE,
    ),
    setting_of(
        "bucket.hedge",
        "true",
        "whether a read that is later than 95 % of recent ones is sent again; at most 5 % of reads are",
        ARCHIVE,
    ),
    setting_of(
        "bucket.multipart_bytes",
        "16MiB",
        "size above which an object is written in parts of this size, at least 5 MiB",
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
        "archive.merge_bytes",
        "96MiB",
        "memory of the services that a merge holds at once, and of its segments",
        &[MemberId::ArchiveCompactor],
    ),
    setting_of(
        "archive.compact_interval",
        "1m",
        "interval at which segments are compacted into blocks",
        &[MemberId::ArchiveCompactor],
    ),
    setting_of(
        "archive.cache_bytes",
        "",
        "memory for cached parts of segments and blocks [default: a sixteenth of the memory limit, 32MiB to 256MiB]",
        ARCHIVE,
    ),
    setting_of(
        "archive.cache_dir",
        "",
        "folder for cached parts of segments and blocks that are no longer in memory; processes may share it [default: none]",
        ARCHIVE,
    ),
    setting_of(
        "archive.cache_dir_bytes",
        "4GiB",
        "maximum size of archive.cache_dir",
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
    setting(
        "profiler.kernel_stacks",
        "false",
        "whether CPU samples show the functions of the kernel and not only the system call; needs kernel.perf_event_paranoid of at most 1 or CAP_PERFMON",
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
