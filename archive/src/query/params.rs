//! Parameters of queries.

use crate::error::{Error, Result};
use crate::ingest::is_gauge;
use crate::key::Tenant;
use crate::selector::Selector;
use davy_base::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a query asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Whose data.
    pub tenant: Tenant,
    /// Profile type id; `None` for all.
    pub kind: Option<String>,
    /// Series.
    pub selector: Selector,
    /// Windows that begin at or after this.
    pub from: Timestamp,
    /// Windows that begin before this.
    pub until: Timestamp,
    /// Labels to group by.
    pub by: Vec<String>,
}

/// The parameters of a request's URL.
#[derive(Clone)]
pub(super) struct Parameters(pub(super) BTreeMap<String, String>);

/// Labels to group by, at most.
const BY: usize = 8;

impl Parameters {
    /// A parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn time(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match crate::time::parse(text, now) {
            Ok(time) => Ok(Some(time)),
            Err(error) => Err(Error::invalid(format!("{name}: {error}"))),
        }
    }

    /// A number within bounds.
    pub(super) fn number(&self, name: &str, default: usize, max: usize) -> Result<usize> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| {
            Error::invalid(format!("{name}: `{text}` is not a number from 1 to {max}"))
        })
    }

    /// The range and selector; `prefix` is that of the other side of a comparison.
    fn range(&self, tenant: &Tenant, now: Timestamp, prefix: &str) -> Result<Ask> {
        let name = |name: &str| format!("{prefix}{name}");
        let until = self.time(&name("until"), now)?.unwrap_or(now);
        let from = self
            .time(&name("from"), now)?
            .unwrap_or_else(|| until.minus(Duration::from_hours(1)));
        if from >= until {
            return Err(Error::invalid(format!(
                "{}: {from} is not before {until}",
                name("from")
            )));
        }
        let selector =
            Selector::parse(self.get(&name("selector")).unwrap_or("")).map_err(Error::invalid)?;
        let by: Vec<String> = self
            .get("by")
            .unwrap_or("")
            .split(',')
            .map(str::trim)
            .filter(|by| !by.is_empty())
            .map(str::to_owned)
            .collect();
        if by.len() > BY {
            return Err(Error::invalid(format!(
                "by: {} labels, the limit is {BY}",
                by.len()
            )));
        }
        Ok(Ask {
            tenant: tenant.clone(),
            kind: None,
            selector,
            from,
            until,
            by,
        })
    }

    /// A query of any type, or of the one that is named.
    pub(super) fn any_type(&self, tenant: &Tenant, now: Timestamp) -> Result<Ask> {
        let mut ask = self.range(tenant, now, "")?;
        ask.kind = self.get("type").map(|name| type_id(name).to_owned());
        Ok(ask)
    }

    /// A query of one type.
    pub(super) fn one_type(&self, tenant: &Tenant, now: Timestamp) -> Result<Ask> {
        let mut ask = self.range(tenant, now, "")?;
        ask.kind = Some(self.kind()?);
        Ok(ask)
    }

    /// The base of a comparison: what it does not say is as on the other side.
    pub(super) fn base(&self, ask: &Ask, now: Timestamp) -> Result<Ask> {
        let mut base = self.range(&ask.tenant, now, "base_")?;
        if self.get("base_selector").is_none() {
            base.selector = ask.selector.clone();
        }
        if self.get("base_from").is_none() && self.get("base_until").is_none() {
            let span = ask.until.since(ask.from);
            (base.from, base.until) = (ask.from.minus(span), ask.from);
        }
        base.kind.clone_from(&ask.kind);
        Ok(base)
    }

    fn kind(&self) -> Result<String> {
        let kind = self.get("type").map(type_id).ok_or_else(|| {
            Error::invalid(
                "the parameter `type` is missing, for example cpu or process_cpu:cpu:nanoseconds:cpu:nanoseconds; /api/v1/profiles/types lists them",
            )
        })?;
        if !(5..=6).contains(&kind.split(':').count()) {
            return Err(Error::invalid(format!(
                "type: `{kind}` is not name:type:unit:periodtype:periodunit, nor one of {}",
                SHORT.map(|(name, _)| name).join(", ")
            )));
        }
        Ok(kind.to_owned())
    }
}

/// What people call the types that are asked for most.
const SHORT: [(&str, &str); 7] = [
    ("cpu", "process_cpu:cpu:nanoseconds:cpu:nanoseconds"),
    ("wall", "wall:wall:nanoseconds:wall:nanoseconds"),
    ("heap", "memory:inuse_space:bytes:space:bytes"),
    ("inuse_objects", "memory:inuse_objects:count:space:bytes"),
    ("allocs", "memory:alloc_space:bytes:space:bytes"),
    ("alloc_objects", "memory:alloc_objects:count:space:bytes"),
    ("tasks", "tasks:tasks:count::"),
];

/// The full id of a type that is called by a short name; any other name as it is.
pub fn type_id(name: &str) -> &str {
    let name = match name {
        "inuse" | "inuse_space" => "heap",
        "alloc" | "alloc_space" => "allocs",
        name => name,
    };
    let known = SHORT.iter().find(|(short, _)| *short == name);
    known.map_or(name, |(_, id)| id)
}

impl Ask {
    /// Whether a piece with these services and starts of windows may hold what is asked for.
    pub(super) fn may_be_in(&self, services: &[String], from_ms: i64, last_ms: i64) -> bool {
        from_ms < self.until.millis()
            && last_ms >= self.from.millis()
            && services
                .iter()
                .any(|service| self.selector.selects_service(service))
    }

    /// Whether values are averaged over windows and not summed.
    pub(super) fn gauge(&self) -> bool {
        self.kind.as_deref().is_some_and(is_gauge)
    }

    /// The second and third part of the type id.
    pub(super) fn kind_and_unit(&self) -> (&str, &str) {
        let mut parts = self.kind.as_deref().unwrap_or("").split(':').skip(1);
        (parts.next().unwrap_or(""), parts.next().unwrap_or(""))
    }
}
