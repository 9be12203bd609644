//! One setting. Its key in `davy.toml` determines its environment variable, its flag, and the type of its value.

use crate::catalogue::MemberId;

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

pub(super) const fn setting(
    key: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    setting_of(key, default, help, &[])
}

pub(super) const fn setting_of(
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

impl Setting {
    /// The type and unit of its value, by the last part of its key.
    pub(crate) fn value_type(&self) -> &'static str {
        let name = self.key.rsplit('.').next().unwrap_or_default();
        match name {
            "enabled" | "kernel_stacks" | "require_token" | "path_style" | "allow_http"
            | "hedge" | "render_operations" | "rules_api" => "true or false",
            "hosts" | "trusted_proxies" | "channels" | "sentinels" => "list",
            "hz" => "samples/s",
            "attempts" | "connections" | "limit" | "queries" | "queued_queries" | "query_nodes"
            | "query_series" | "cpu_weight" | "pids_max" | "series" | "render_members"
            | "render_nodes" => "count",
            "listen" => "address:port",
            "members" => "list of names",
            "isolate" => "task or process",
            "url" | "database" | "endpoint" | "auth_url" | "page_url" | "redis"
            | "rules_remote_write" => "URL",
            "archive" => "list of URLs",
            "data_dir" | "cache_dir" => "path",
            "yaml" => "list of paths",
            "interval" | "slot" | "window" | "retention" | "timeout" | "query_range" => "duration",
            _ if ["_interval", "_lead", "_retention", "_timeout"]
                .iter()
                .any(|end| name.ends_with(end)) =>
            {
                "duration"
            }
            "memory_max" => "size",
            _ if name.ends_with("_bytes") => "size",
            _ if name.contains("_per_") => "price",
            _ if name.ends_with("_file") => "path",
            _ => "text",
        }
    }

    /// Whether its value must not be shown.
    pub(crate) fn is_secret(&self) -> bool {
        let name = self.key.rsplit('.').next().unwrap_or_default();
        matches!(name, "token" | "secret_key" | "session_token" | "password")
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
