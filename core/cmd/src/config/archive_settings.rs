//! The settings of debug files, of `archive.scraper` and of recording rules.

use super::setting::{Setting, setting_of};
use crate::catalogue::MemberId;

const RULES: &[MemberId] = &[MemberId::ArchiveRules, MemberId::ArchiveQuery];

/// The settings of debug files.
pub(super) const DEBUG_FILES: &[Setting] = &[
    setting_of(
        "archive.debug_file_bytes",
        "1GiB",
        "maximum size of an uploaded or fetched debug file; it is in the folder debug-files of data_dir while it is indexed",
        &[MemberId::ArchiveIngest, MemberId::ArchiveQuery],
    ),
    setting_of(
        "archive.debuginfod_urls",
        "",
        "servers of debuginfod, separated by spaces, that are asked for builds without symbols which queries meet [default: DEBUGINFOD_URLS]",
        &[MemberId::ArchiveQuery],
    ),
];

/// The settings of `archive.scraper`.
pub(super) const SCRAPE: &[Setting] = &[setting_of(
    "archive.scrape_file",
    "",
    "YAML file that names the programs whose profiles are pulled [default: none; archive.scraper does nothing]",
    &[MemberId::ArchiveScraper],
)];

/// The settings of recording rules.
pub(super) const RECORDING: &[Setting] = &[
    setting_of(
        "archive.rules_file",
        "",
        "YAML file of recording rules: totals of profiles as counters on /metrics [default: none]",
        RULES,
    ),
    setting_of(
        "archive.rules_remote_write",
        "",
        "URL to which the counters of recording rules are sent by remote write of Prometheus [default: none; they are on /metrics only]",
        &[MemberId::ArchiveRules],
    ),
    setting_of(
        "archive.rules_api",
        "false",
        "whether recording rules can be changed by the API; they are in the bucket then",
        RULES,
    ),
];
