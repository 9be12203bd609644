//! What the configuration says of toggles.

use crate::catalogue::{MEMBERS, OWN_MEMBERS};
use crate::config::{Error, Loaded, Source};
use davy_base::Timestamp;
use davy_runtime::{Setting, Target};

/// Every toggle that some source of the configuration speaks of.
pub(crate) fn configured(loaded: &Loaded) -> Result<Vec<(Target, Setting)>, Error> {
    let mut settings = Vec::new();
    for entry in MEMBERS {
        let key = |name: &str| format!("member.{}.{name}", entry.name);
        if let Some(source) = said(loaded, &key("enabled")) {
            let enabled = truth(loaded, &key("enabled"))?;
            let target = Target::Member(entry.name.to_owned());
            settings.push((target, setting(Some(enabled), &source)));
        }
    }
    for operation in davy_control::operations() {
        let key = |name: &str| format!("endpoint.{}.{name}", operation.id);
        let target = Target::Endpoint(operation.id.to_owned());
        if settings.iter().any(|(known, _)| *known == target) {
            continue;
        }
        let sources = ["enabled", "limit", "slot"].map(|name| said(loaded, &key(name)));
        let Some(source) = sources.into_iter().flatten().next() else {
            continue;
        };
        let limit = loaded.parse(
            &key("limit"),
            "a whole number above 0, or nothing",
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
        let mut setting = setting(Some(truth(loaded, &key("enabled"))?), &source);
        setting.limit = limit;
        setting.slot = Some(slot);
        settings.push((target, setting));
    }
    Ok(settings)
}

/// Every member that there is, placed or a process's own.
pub(crate) fn member_names() -> Vec<String> {
    let placed = MEMBERS.iter().map(|entry| entry.name);
    placed.chain(OWN_MEMBERS).map(str::to_owned).collect()
}

/// Where a setting was said, if not only built in.
fn said(loaded: &Loaded, key: &str) -> Option<String> {
    let (_, source) = loaded.sourced(key)?;
    (*source != Source::Default).then(|| source.to_string())
}

fn truth(loaded: &Loaded, key: &str) -> Result<bool, Error> {
    loaded.parse(key, "true or false", |text| text.parse().ok())
}

fn setting(enabled: Option<bool>, source: &str) -> Setting {
    Setting {
        enabled,
        limit: None,
        slot: None,
        who: String::new(),
        why: String::new(),
        at: Timestamp::EPOCH,
        source: source.to_owned(),
    }
}
