//! The toggles that the configuration sets.

use crate::catalogue::{BuiltinMember, MemberId};
use crate::config::{Error, Loaded, Source};
use davy_base::Timestamp;
use davy_runtime::{Setting, Target};

/// Every toggle that a source other than the defaults sets.
pub(super) fn configured(loaded: &Loaded) -> Result<Vec<(Target, Setting)>, Error> {
    let mut settings = Vec::new();
    for member in MemberId::all() {
        let key = format!("member.{member}.enabled");
        if let Some(source) = configured_source(loaded, &key) {
            let enabled = boolean(loaded, &key)?;
            let target = Target::Member(member.name().to_owned());
            settings.push((target, setting(Some(enabled), &source)));
        }
    }
    for operation in davy_control::operations() {
        let key = |name: &str| format!("endpoint.{}.{name}", operation.id);
        let target = Target::Endpoint(operation.id.to_owned());
        // An operation with several routes has one toggle.
        if settings.iter().any(|(known, _)| *known == target) {
            continue;
        }
        let sources =
            ["enabled", "limit", "slot"].map(|name| configured_source(loaded, &key(name)));
        let Some(source) = sources.into_iter().flatten().next() else {
            continue;
        };
        let limit = loaded.parse(
            &key("limit"),
            "a whole number above 0, or empty for no limit",
            |text| {
                if text.is_empty() {
                    return Some(None);
                }
                text.parse().ok().filter(|limit| *limit > 0).map(Some)
            },
        )?;
        let slot = loaded.parse(&key("slot"), "a duration such as 30s", |text| {
            humantime::parse_duration(text)
                .ok()
                .filter(|span| !span.is_zero())
        })?;
        let mut setting = setting(Some(boolean(loaded, &key("enabled"))?), &source);
        setting.limit = limit;
        setting.slot = Some(slot);
        settings.push((target, setting));
    }
    Ok(settings)
}

/// Names of all members, placed and built-in.
pub(super) fn member_names() -> Vec<String> {
    let placed = MemberId::all().map(MemberId::name);
    let builtin = BuiltinMember::all().map(BuiltinMember::name);
    placed.chain(builtin).map(str::to_owned).collect()
}

/// The source of a setting, unless it has its default.
fn configured_source(loaded: &Loaded, key: &str) -> Option<String> {
    let (_, source) = loaded.sourced(key)?;
    (*source != Source::Default).then(|| source.to_string())
}

fn boolean(loaded: &Loaded, key: &str) -> Result<bool, Error> {
    loaded.parse(key, "true or false", |text| text.parse().ok())
}

fn setting(enabled: Option<bool>, source: &str) -> Setting {
    Setting {
        enabled,
        limit: None,
        slot: None,
        operator: String::new(),
        why: String::new(),
        at: Timestamp::EPOCH,
        source: source.to_owned(),
    }
}
