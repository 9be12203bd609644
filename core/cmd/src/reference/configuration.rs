//! The reference of the configuration.

use crate::catalogue::{MemberId, ProcessKind};
use crate::config::{SETTINGS, Setting};
use std::collections::BTreeSet;

const INTRODUCTION: &str = "# Configuration

Generated from the table of settings; a test keeps it up to date. A setting can be in `davy.toml` (or the
file of `--config`), in the environment or in a flag; each overrides the one before. `davy config show` prints
every value with its source, `davy config check` checks them.

A key is `section.name` in the file, `DAVY_SECTION_NAME` in the environment and `--section-name` as a flag.
The last column lists the process kinds that read the setting. SIGHUP makes a process read the file again: toggles
(`enabled`, `limit`, `slot`) and the limits of tenants change immediately, everything else at the next start. If the file
is invalid, the process keeps what it has and logs the reason.

| key | default | value | meaning | environment variable, flag | read by |
|---|---|---|---|---|---|
";

/// The reference as Markdown.
pub(super) fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut families = BTreeSet::new();
    for setting in SETTINGS.iter() {
        if !setting.one_of_many {
            text.push_str(&row(
                setting.key,
                setting,
                setting.default,
                &format!("`{}`, `--{}`", setting.variable(), setting.flag()),
                &kinds(setting),
            ));
            continue;
        }
        let (section, name) = (
            setting.key.split('.').next().unwrap_or_default(),
            setting.key.rsplit('.').next().unwrap_or_default(),
        );
        let key = format!("{section}.NAME.{name}");
        if !families.insert(key.clone()) {
            continue;
        }
        let variable = format!(
            "DAVY_{}_NAME_{}",
            section.to_uppercase(),
            name.to_uppercase()
        );
        let flag = format!("--{section}-NAME-{name}");
        let default = match (section, name) {
            // Each member has its own default.
            ("member", "interval" | "connections") => "by member",
            _ => setting.default,
        };
        let read_by = match section {
            "process" => "the process",
            _ => "the hosts of the member",
        };
        let names = format!("`{variable}`, `{flag}`");
        text.push_str(&row(&key, setting, default, &names, read_by));
    }
    for setting in SETTINGS.iter() {
        let Some(limit) = setting.key.strip_prefix("limits.") else {
            continue;
        };
        let key = format!("tenants.NAME.{limit}");
        let own = Setting {
            help: "the limit of one tenant, named as in X-Scope-OrgID",
            ..*setting
        };
        let default = format!("limits.{limit}");
        text.push_str(&row(&key, &own, &default, "the file only", &kinds(setting)));
    }
    let focus = Setting {
        key: "archive.focus.NAME",
        default: "",
        help: "regular expression for the names of functions; the stacks that contain a match have a flame graph NAME of their own",
        members: &[MemberId::ArchiveRenderer],
        one_of_many: true,
    };
    let kinds = kinds(&focus);
    text.push_str(&row(focus.key, &focus, "", "the file only", &kinds));
    text
}

fn row(key: &str, setting: &Setting, default: &str, names: &str, read_by: &str) -> String {
    // A default that depends on another setting is in brackets at the end of the help.
    let (meaning, computed) = match setting.help.split_once(" [default: ") {
        Some((meaning, computed)) => (meaning, computed.trim_end_matches(']')),
        None => (setting.help, ""),
    };
    let default = match (default, computed) {
        ("by member", _) => default.to_owned(),
        ("", "") => "none".to_owned(),
        ("", computed) => computed.to_owned(),
        (default, _) => format!("`{default}`"),
    };
    let meaning = meaning.replace('|', "\\|");
    let value = setting.value_type();
    format!("| `{key}` | {default} | {value} | {meaning} | {names} | {read_by} |\n")
}

/// The process kinds that read a setting.
fn kinds(setting: &Setting) -> String {
    if setting.members.is_empty() {
        return "all".to_owned();
    }
    let reads = |kind: &ProcessKind| {
        let hosted = kind.members();
        setting.members.iter().any(|member| hosted.contains(member))
    };
    let kinds: Vec<&str> = ProcessKind::all()
        .filter(reads)
        .map(ProcessKind::name)
        .collect();
    kinds.join(", ")
}
