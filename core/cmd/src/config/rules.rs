//! The rules of retention.

use super::error::Error;
use super::load::Loaded;
use super::settings::RULES;
use davy_archive::key::Tenant;
use davy_archive::plan::rules::RetentionRule;
use davy_archive::selector::Selector;

/// Reads `[[archive.retention_rules]]`.
pub(crate) fn configured(loaded: &Loaded) -> Result<Vec<RetentionRule>, Error> {
    let numbers = loaded.numbers(&RULES).into_iter();
    numbers.map(|number| rule(loaded, number)).collect()
}

fn rule(loaded: &Loaded, number: usize) -> Result<RetentionRule, Error> {
    let section = RULES.section;
    let key = |name: &str| format!("{section}.{number}.{name}");
    let text = loaded.value(&key("selector"));
    let selector = Selector::parse(text)
        .map_err(|error| Error(format!("invalid rule {number} of {section}: {error}")))?;
    if selector.is_empty() {
        return Err(Error(format!(
            "invalid rule {number} of {section}: its selector selects everything; set archive.days_retention for all series, or a selector such as {{service_name=\"api\"}}"
        )));
    }
    let tenant = match loaded.sourced(&key("tenant")) {
        None => None,
        Some((name, _)) => Some(Tenant::new(name).ok_or_else(|| {
            Error(format!(
                "invalid tenant {name:?} of rule {number} of {section}: expected a name of 1 to 128 bytes, as in the header X-Scope-OrgID"
            ))
        })?),
    };
    let expected = "a duration above 0 such as 7d or 1095d";
    let days = loaded.parse(&key("days_retention"), expected, |text| {
        humantime::parse_duration(text)
            .ok()
            .filter(|span| !span.is_zero())
    })?;
    Ok(RetentionRule {
        tenant,
        selector,
        days,
    })
}
