//! Query parameters.

use crate::error::{Error, ErrorKind, Result};
use crate::key::Tenant;
use crate::labels::SERVICE;
use crate::rule::day::Detail;
use crate::selector::Selector;
use crate::spans::{Only, span_id, trace_id};
use crate::suggest::{hint, nearest};
use crate::types::{SHORT, TypeFilter};
use davy_base::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// A parsed query.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Tenant.
    pub tenant: Tenant,
    /// Profile type; `None` for all types.
    pub kind: Option<TypeFilter>,
    /// Selects series.
    pub selector: Selector,
    /// Start of the range, inclusive.
    pub from: Timestamp,
    /// End of the range, exclusive.
    pub until: Timestamp,
    /// Labels to group by.
    pub by: Vec<String>,
}

/// The query parameters of an operation.
#[derive(Clone)]
pub(super) struct Parameters {
    /// The last value of each.
    values: BTreeMap<String, String>,
    /// The values of `path`, which can be repeated.
    path: Vec<String>,
}

/// The parameter that names the frames of a call path, one after the other.
const PATH: &str = "path";

/// Length of the range whose usage is compared with earlier ranges.
const CHANGES: Duration = Duration::from_mins(10);

/// The labels by which changes are grouped.
const CHANGES_BY: [&str; 2] = [SERVICE, "member"];

/// Maximum number of labels to group by.
const BY: usize = 8;

/// Names of the query parameters of an operation, such as `QueryTop`.
pub fn parameters(operation: &str) -> &'static [&'static str] {
    match operation {
        "ListProfileTypes" => &["type", "selector", "from", "until"],
        "ListProfileLabels" => &["name", "type", "selector", "from", "until"],
        "QuerySeries" => &[
            "type",
            "selector",
            "from",
            "until",
            "all_services",
            "by",
            "trace",
            "span",
            "step",
            "focus",
        ],
        "QueryTop" => &[
            "type",
            "selector",
            "from",
            "until",
            "all_services",
            "by",
            "trace",
            "span",
            "limit",
            "focus",
            "ignore",
            "hide",
            "show",
            PATH,
        ],
        "QueryChanges" => &["selector", "from", "until", "by", "against", "limit"],
        "QueryPprof" | "QueryFolded" => &[
            "type",
            "selector",
            "from",
            "until",
            "all_services",
            "by",
            "trace",
            "span",
            "focus",
            "ignore",
            "hide",
            "show",
            PATH,
        ],
        "QueryFlamegraph" => &[
            "type",
            "selector",
            "from",
            "until",
            "all_services",
            "by",
            "trace",
            "span",
            "defaults",
            "max_nodes",
            "width",
            "function",
            "side",
            "focus",
            "ignore",
            "hide",
            "show",
            PATH,
        ],
        "QuerySvg" => &[
            "type",
            "selector",
            "from",
            "until",
            "all_services",
            "by",
            "trace",
            "span",
            "max_nodes",
            "focus",
            "ignore",
            "hide",
            "show",
            PATH,
        ],
        "QueryDiff" => &[
            "type",
            "selector",
            "from",
            "until",
            "base_selector",
            "base_from",
            "base_until",
            "all_services",
            "by",
            "trace",
            "span",
            "max_nodes",
            "focus",
            "ignore",
            "hide",
            "show",
            PATH,
        ],
        _ => &[],
    }
}

impl Parameters {
    /// Checks the names of the parameters of an operation.
    pub(super) fn checked(pairs: Vec<(String, String)>, operation: &str) -> Result<Self> {
        let known = parameters(operation);
        let unknown = pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()));
        let Some((unknown, _)) = unknown else {
            let (path, values): (Vec<_>, Vec<_>) =
                pairs.into_iter().partition(|(name, _)| name == PATH);
            return Ok(Self {
                values: values.into_iter().collect(),
                path: path
                    .into_iter()
                    .map(|(_, frame)| frame)
                    .filter(|frame| !frame.is_empty())
                    .collect(),
            });
        };
        let hint = hint(unknown, known.iter().copied(), "parameters");
        Err(Error::invalid(format!(
            "unknown parameter {unknown:?}; {hint}"
        )))
    }

    /// The value of `all_services`.
    pub(super) fn all_services(&self) -> Result<bool> {
        self.flag("all_services")
    }

    /// Whether the server chooses what the query leaves out.
    pub(super) fn has_defaults(&self) -> Result<bool> {
        self.flag("defaults")
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Error::invalid(format!(
                "invalid {name} {other:?}; expected true or false"
            ))),
        }
    }

    /// The value of a parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The frames of the parameter `path`, from the root.
    pub(super) fn path(&self) -> &[String] {
        &self.path
    }

    fn time(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match crate::time::parse(text, now) {
            Ok(time) => Ok(Some(time)),
            Err(error) => Err(Error::caused(ErrorKind::Invalid, name, error)),
        }
    }

    /// A number from 1 to `max`.
    pub(super) fn number(&self, name: &str, default: usize, max: usize) -> Result<usize> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| {
            Error::invalid(format!(
                "invalid {name} {text:?}; expected a number from 1 to {max}"
            ))
        })
    }

    /// Start and end. The parameters of the base of a diff have a prefix.
    fn times(&self, now: Timestamp, prefix: &str) -> Result<(Timestamp, Timestamp)> {
        let name = |name: &str| format!("{prefix}{name}");
        let until = self.time(&name("until"), now)?.unwrap_or(now);
        let from = self
            .time(&name("from"), now)?
            .unwrap_or_else(|| until.minus(Duration::from_hours(1)));
        if from >= until {
            return Err(Error::invalid(format!(
                "invalid range: {} {from} is not before {} {until}",
                name("from"),
                name("until")
            )));
        }
        Ok((from, until))
    }

    /// Length of the range as limits count it; of a diff, that of the longer one.
    pub(super) fn length(
        &self,
        operation: &str,
        now: Timestamp,
        counted: impl Fn(Timestamp, Timestamp) -> Duration,
    ) -> Result<Duration> {
        let length = |prefix: &str| -> Result<Duration> {
            let (from, until) = self.times(now, prefix)?;
            Ok(counted(from, until))
        };
        let base = match operation {
            "QueryDiff" if self.has_base_range() => length("base_")?,
            _ => Duration::ZERO,
        };
        Ok(length("")?.max(base))
    }

    fn has_base_range(&self) -> bool {
        self.get("base_from").is_some() || self.get("base_until").is_some()
    }

    /// The trace and the span whose values are selected.
    fn only(&self) -> Result<Only> {
        let invalid = |name: &str, text: &str, digits: u32| {
            Error::invalid(format!(
                "invalid {name} {text:?}; expected an id of at most {digits} hexadecimal digits"
            ))
        };
        let trace = self.get("trace");
        let trace = trace.map(|text| trace_id(text).ok_or_else(|| invalid("trace", text, 32)));
        let span = self.get("span");
        let span = span.map(|text| span_id(text).ok_or_else(|| invalid("span", text, 16)));
        Ok(Only {
            traces: trace.transpose()?.into_iter().collect(),
            spans: span.transpose()?.into_iter().collect(),
            ..Only::default()
        })
    }

    /// Range, selector and grouping. The parameters of the base of a diff have a prefix.
    fn range(&self, tenant: &Tenant, now: Timestamp, prefix: &str) -> Result<Ask> {
        let name = |name: &str| format!("{prefix}{name}");
        let (from, until) = self.times(now, prefix)?;
        let selector = Selector::of_query(self.get(&name("selector")).unwrap_or(""))
            .map_err(Error::invalid)?;
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
                "by has {} labels, the limit is {BY}",
                by.len()
            )));
        }
        Ok(Ask {
            tenant: tenant.clone(),
            kind: None,
            selector: selector.with_only(self.only()?),
            from,
            until,
            by,
        })
    }

    /// A query of all types, or of one if the parameter `type` is set.
    pub(super) fn any_type(&self, tenant: &Tenant, now: Timestamp) -> Result<Ask> {
        let mut ask = self.range(tenant, now, "")?;
        ask.kind = self.get("type").map(type_filter).transpose()?;
        Ok(ask)
    }

    /// A query of all types, by service and member and of the last ten minutes by default.
    pub(super) fn changes(&self, tenant: &Tenant, now: Timestamp) -> Result<Ask> {
        let mut ask = self.range(tenant, now, "")?;
        if self.get("from").is_none() {
            ask.from = ask.until.minus(CHANGES);
        }
        if ask.by.is_empty() {
            ask.by = CHANGES_BY.map(str::to_owned).to_vec();
        }
        Ok(ask)
    }

    /// A query of one type.
    pub(super) fn one_type(&self, tenant: &Tenant, now: Timestamp) -> Result<Ask> {
        let mut ask = self.range(tenant, now, "")?;
        ask.kind = Some(self.kind()?);
        Ok(ask)
    }

    /// The base of a diff. By default its selector is that of the other side, and its range has the
    /// same length and ends where the other begins.
    pub(super) fn base(&self, ask: &Ask, now: Timestamp) -> Result<Ask> {
        let mut base = self.range(&ask.tenant, now, "base_")?;
        if self.get("base_selector").is_none() {
            base.selector = ask.selector.clone();
        }
        if !self.has_base_range() {
            let span = ask.until.since(ask.from);
            (base.from, base.until) = (ask.from.minus(span), ask.from);
        }
        base.kind.clone_from(&ask.kind);
        Ok(base)
    }

    fn kind(&self) -> Result<TypeFilter> {
        let kind = self.get("type").ok_or_else(|| {
            Error::invalid(
                "missing parameter `type`; example: cpu; /api/v1/profiles/types lists the types of a range",
            )
        })?;
        type_filter(kind)
    }
}

fn type_filter(text: &str) -> Result<TypeFilter> {
    TypeFilter::parse(text).ok_or_else(|| {
        let names = SHORT.iter().flat_map(|short| short.names.iter().copied());
        if let Some(near) = nearest(text, names) {
            return Error::invalid(format!("invalid type {text:?}; did you mean {near}?"));
        }
        let names = SHORT.iter().map(|short| short.names[0]);
        Error::invalid(format!(
            "invalid type {text:?}; expected name:type:unit:periodtype:periodunit or one of {}",
            names.collect::<Vec<_>>().join(", ")
        ))
    })
}

impl Ask {
    /// The detail of what is read for a visitor that needs this one: only windows have spans and ids.
    pub(super) fn detail(&self, detail: Detail) -> Detail {
        if self.selector.only().is_all() {
            detail
        } else {
            Detail::Windows
        }
    }

    /// Whether a group with these services, whose windows begin in `from_ms..=last_ms`, can hold what
    /// the query selects.
    pub(super) fn may_be_in(&self, services: &[String], from_ms: i64, last_ms: i64) -> bool {
        from_ms < self.until.millis() && last_ms >= self.from.millis() && self.may_select(services)
    }

    /// Whether the query can select series of one of these services.
    pub(super) fn may_select(&self, services: &[String]) -> bool {
        services
            .iter()
            .any(|service| self.selector.selects_service(service))
    }

    /// The id of the type that is asked for.
    pub(super) fn type_id(&self) -> String {
        self.kind.as_ref().map_or_else(String::new, TypeFilter::id)
    }

    /// The sample type and its unit.
    pub(super) fn kind_and_unit(&self) -> (String, String) {
        let parts = self.kind.as_ref().map(TypeFilter::sample_and_unit);
        parts.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
