//! Every setting.

use super::archive_settings::{DEBUG_FILES, RECORDING, SCRAPE};
use super::arclamp_settings::ARCLAMP;
use super::general::GENERAL;
use super::setting::Setting;
use crate::catalogue::{MemberId, ProcessKind};
use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The section of focus graphs, whose keys are their names.
pub(super) const FOCUS: &str = "archive.focus";

/// All settings: the general ones, then those of each process, member and endpoint.
pub(crate) static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let mut all: Vec<Setting> = Vec::new();
    for general in GENERAL
        .iter()
        .chain(DEBUG_FILES)
        .chain(SCRAPE)
        .chain(RECORDING)
        .chain(ARCLAMP)
    {
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
        add(
            "memory_max",
            "",
            "maximum memory of the isolated member's process [default: no limit]",
        );
        add(
            "cpu_weight",
            "",
            "share of the CPU of the isolated member's process while others want it too, from 1 to 10000 [default: 100]",
        );
        add(
            "pids_max",
            "",
            "maximum number of processes and threads of the isolated member [default: no limit]",
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

/// The key `tenants.NAME.LIMIT` of a limit in the section `[limits]`; `None` if there is no such limit.
pub(super) fn of_tenant(tenant: &str, limit: &str) -> Option<&'static str> {
    find_setting(&format!("limits.{limit}"))?;
    Some(leaked(format!("tenants.{tenant}.{limit}")))
}

/// The key `archive.focus.NAME`.
pub(super) fn of_focus(name: &str) -> &'static str {
    leaked(format!("{FOCUS}.{name}"))
}

/// A key that is leaked once, however often the file is read again.
fn leaked(key: String) -> &'static str {
    static KEYS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = keys.get(key.as_str()) {
        return known;
    }
    let key: &'static str = String::leak(key);
    keys.insert(key);
    key
}

/// A section of the file that is a list of tables, such as `[[archive.retention_rules]]`.
pub(super) struct TableList {
    pub(super) section: &'static str,
    /// The keys of a table. The first one makes it an entry: it is empty where it is missing.
    pub(super) keys: &'static [&'static str],
}

/// The rules of retention.
pub(super) const RULES: TableList = TableList {
    section: "archive.retention_rules",
    keys: &["selector", "tenant", "days_retention"],
};

/// What the page knows about the code of services.
pub(super) const VIEWER: TableList = TableList {
    section: "viewer.services",
    keys: &["service", "source", "strip", "own"],
};

/// All lists of tables.
pub(super) const TABLE_LISTS: [TableList; 2] = [RULES, VIEWER];

impl TableList {
    /// The key `SECTION.NUMBER.NAME` of a part of an entry, counted from 1; `None` if entries have no such part.
    pub(super) fn key(&self, number: usize, name: &str) -> Option<&'static str> {
        let is_known = self.keys.contains(&name);
        is_known.then(|| leaked(format!("{}.{number}.{name}", self.section)))
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

/// The setting with a key.
pub(crate) fn find_setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
