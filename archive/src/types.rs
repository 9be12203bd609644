//! Profile types: their ids, the short names of common ones, and how each is added up over time.

use std::fmt;

/// The id of a profile type: `name:type:unit:period type:period unit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeId {
    /// Name of the profile, such as `process_cpu`.
    pub name: String,
    /// Sample type, such as `cpu`.
    pub sample: String,
    /// Unit of the values.
    pub unit: String,
    /// Type of the period, or "".
    pub period: String,
    /// Unit of the period, or "".
    pub period_unit: String,
}

impl TypeId {
    /// Parses an id. Missing parts are empty, and parts beyond the fifth are ignored: some clients append
    /// `delta`.
    pub fn parse(id: &str) -> Self {
        let mut parts = id.split(':').map(unescape);
        let mut next = || parts.next().unwrap_or_default();
        Self {
            name: next(),
            sample: next(),
            unit: next(),
            period: next(),
            period_unit: next(),
        }
    }
}

/// Writes the id. In its parts, `:` is written as `%3A` and `%` as `%25`.
impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            &self.name,
            &self.sample,
            &self.unit,
            &self.period,
            &self.period_unit,
        ];
        let parts = parts.map(|part| part.replace('%', "%25").replace(':', "%3A"));
        f.write_str(&parts.join(":"))
    }
}

fn unescape(part: &str) -> String {
    part.replace("%3A", ":")
        .replace("%3a", ":")
        .replace("%25", "%")
}

/// Labels that every series has because of its type: the id and its parts. Selectors, groups and lists of values know
/// them; lists of names leave them out.
pub const LABELS: [&str; 6] = [
    "__name__",
    "__period_type__",
    "__period_unit__",
    "__profile_type__",
    "__type__",
    "__unit__",
];

/// The value of one of [`LABELS`] for the type `id`, as the id writes it; "" for other names.
pub fn label<'a>(name: &str, id: &'a str) -> &'a str {
    let part = |at: usize| id.split(':').nth(at).unwrap_or("");
    match name {
        "__profile_type__" => id,
        "__name__" => part(0),
        "__type__" => part(1),
        "__unit__" => part(2),
        "__period_type__" => part(3),
        "__period_unit__" => part(4),
        _ => "",
    }
}

/// How values of a type are added up over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// A flow, such as CPU time and allocations: windows are summed.
    Sum,
    /// A state, such as live heap and goroutines: windows of a source are averaged.
    Average,
}

impl Aggregation {
    /// The name in responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Average => "average",
        }
    }
}

/// Sample types that are states.
const STATES: [&str; 14] = [
    "inuse_space",
    "inuse_objects",
    "goroutine",
    "goroutines",
    "goroutineleak",
    "threadcreate",
    "thread",
    "threads",
    "tasks",
    "live",
    "live_bytes",
    "live_objects",
    "heap_live_objects",
    "heap_live_size",
];

/// Sample types that are flows.
const FLOWS: [&str; 29] = [
    "cpu",
    "wall",
    "samples",
    "sample",
    "events",
    "cycles",
    "instructions",
    "alloc_space",
    "alloc_objects",
    "alloc_samples",
    "alloc_size",
    "alloc_in_new_tlab_bytes",
    "alloc_in_new_tlab_objects",
    "alloc_outside_tlab_bytes",
    "alloc_outside_tlab_objects",
    "alloc_sample_bytes",
    "alloc_sample_objects",
    "malloc_bytes",
    "malloc_objects",
    "contentions",
    "delay",
    "lock_count",
    "lock_duration",
    "exceptions",
    "exception",
    "off_cpu",
    "requests",
    "errors",
    "duration",
];

/// Prefixes of the sample types of states that are not in the table.
const STATE_PREFIXES: [&str; 3] = ["inuse_", "live_", "current_"];

/// How values of a sample type are added up; `None` if its name does not tell. This table is the only place
/// that decides it: responses name the result.
pub fn aggregation(sample: &str) -> Option<Aggregation> {
    if STATES.contains(&sample)
        || STATE_PREFIXES
            .iter()
            .any(|prefix| sample.starts_with(prefix))
    {
        Some(Aggregation::Average)
    } else if FLOWS.contains(&sample) {
        Some(Aggregation::Sum)
    } else {
        None
    }
}

/// A short name of common types.
#[derive(Debug, PartialEq, Eq)]
pub struct Short {
    /// The names.
    pub names: &'static [&'static str],
    /// The id that Davy's own profilers use.
    pub id: &'static str,
    /// Whether the name of the profile must match, because others have the same sample types.
    is_of_profile: bool,
}

/// Short names, matched by sample type and unit: other profilers leave out the period or name the profile
/// differently.
pub const SHORT: [Short; 18] = [
    short(&["cpu"], "process_cpu:cpu:nanoseconds:cpu:nanoseconds"),
    short(&["wall"], "wall:wall:nanoseconds:wall:nanoseconds"),
    of_profile(
        &["cpu_samples"],
        "process_cpu:samples:count:cpu:nanoseconds",
    ),
    of_profile(&["wall_samples"], "wall:samples:count:wall:nanoseconds"),
    short(
        &["heap", "inuse", "inuse_space"],
        "memory:inuse_space:bytes:space:bytes",
    ),
    short(&["inuse_objects"], "memory:inuse_objects:count:space:bytes"),
    short(
        &["allocs", "alloc", "alloc_space"],
        "memory:alloc_space:bytes:space:bytes",
    ),
    short(&["alloc_objects"], "memory:alloc_objects:count:space:bytes"),
    short(&["tasks"], "tasks:tasks:count::"),
    short(
        &["goroutines", "goroutine"],
        "goroutines:goroutine:count:goroutine:count",
    ),
    short(&["exceptions"], "exceptions:exceptions:count::"),
    of_profile(&["mutex"], "mutex:delay:nanoseconds:contentions:count"),
    of_profile(
        &["mutex_count"],
        "mutex:contentions:count:contentions:count",
    ),
    of_profile(&["block"], "block:delay:nanoseconds:contentions:count"),
    of_profile(
        &["block_count"],
        "block:contentions:count:contentions:count",
    ),
    of_profile(&["requests"], "requests:requests:count::"),
    of_profile(&["errors"], "requests:errors:count::"),
    of_profile(&["request_time"], "requests:duration:nanoseconds::"),
];

const fn short(names: &'static [&'static str], id: &'static str) -> Short {
    Short {
        names,
        id,
        is_of_profile: false,
    }
}

const fn of_profile(names: &'static [&'static str], id: &'static str) -> Short {
    Short {
        names,
        id,
        is_of_profile: true,
    }
}

/// The types that a query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeFilter {
    /// One type.
    Exact(String),
    /// All types with a sample type and unit.
    Short(&'static Short),
    /// All types of a profile: `memory:*`.
    Family(String),
}

impl TypeFilter {
    /// Parses a short name, an id, or `name:*`. `None` if it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(short) = SHORT.iter().find(|short| short.names.contains(&text)) {
            return Some(Self::Short(short));
        }
        if let Some(name) = text.strip_suffix(":*") {
            return Some(Self::Family(unescape(name)));
        }
        let is_id = (5..=6).contains(&text.split(':').count());
        is_id.then(|| Self::Exact(text.to_owned()))
    }

    /// Whether a type is asked for.
    pub fn matches(&self, id: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == id || TypeId::parse(exact) == TypeId::parse(id),
            Self::Short(short) => {
                let (wanted, of) = (TypeId::parse(short.id), TypeId::parse(id));
                let is_right = !short.is_of_profile || of.name == wanted.name;
                is_right && (&of.sample, &of.unit) == (&wanted.sample, &wanted.unit)
            }
            Self::Family(name) => TypeId::parse(id).name == *name,
        }
    }

    /// The id that responses state.
    pub fn id(&self) -> String {
        match self {
            Self::Exact(id) => id.clone(),
            Self::Short(short) => short.id.to_owned(),
            Self::Family(name) => format!("{name}:*"),
        }
    }

    /// The name that a person writes for the type `id`: a short name, if there is one.
    pub fn short_name(id: &str) -> &str {
        let short = SHORT.iter().find(|short| Self::Short(short).matches(id));
        short.map_or(id, |short| short.names[0])
    }

    /// Sample type and unit of the values.
    pub fn sample_and_unit(&self) -> (String, String) {
        let id = TypeId::parse(&self.id());
        (id.sample, id.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_survives_a_round_trip_whatever_its_parts_contain() {
        let id = TypeId {
            name: "cpu_core/cycles:Pu/".to_owned(),
            sample: "cycles:u_sample".to_owned(),
            unit: "100%3A".to_owned(),
            ..TypeId::default()
        };
        let text = id.to_string();
        assert_eq!(text, "cpu_core/cycles%3APu/:cycles%3Au_sample:100%253A::");
        assert_eq!(TypeId::parse(&text), id);
    }

    #[test]
    fn short_names_match_by_sample_type_and_unit() {
        let check = |name: &str, id: &str, expected: bool| {
            let filter = TypeFilter::parse(name).expect(name);
            assert_eq!(filter.matches(id), expected, "{name} {id}");
        };
        check("cpu", "process_cpu:cpu:nanoseconds:cpu:nanoseconds", true);
        check("cpu", "cpu:cpu:nanoseconds::", true);
        check("cpu", "process_cpu:samples:count:cpu:nanoseconds", false);
        check("cpu", "process_cpu:cpu:microseconds::", false);
        check(
            "cpu_samples",
            "process_cpu:samples:count:cpu:nanoseconds",
            true,
        );
        check("wall_samples", "process_cpu:samples:count::", false);
        check("wall", "wall:wall:nanoseconds::", true);
        check("heap", "memory:inuse_space:bytes::", true);
        check("mutex", "mutex:delay:nanoseconds:mutex:count", true);
        check("mutex", "block:delay:nanoseconds:contentions:count", false);
        check("mutex_count", "mutex:contentions:count::", true);
        check("memory:*", "memory:alloc_space:bytes:space:bytes", true);
        check("memory:*", "memory2:alloc_space:bytes:space:bytes", false);
        check("a:b%3Ac:d::", "a:b%3ac:d::", true);
        assert_eq!(TypeFilter::parse("cp"), None);
    }

    #[test]
    fn parts_of_an_id_are_labels() {
        let id = "process_cpu:cpu:nanoseconds:cycles:count";
        let values = LABELS.map(|name| label(name, id));
        let expected = ["process_cpu", "cycles", "count", id, "cpu", "nanoseconds"];
        assert_eq!(values, expected);
        assert_eq!(label("__other__", id), "");
        assert_eq!(label("__unit__", "short"), "");
    }

    #[test]
    fn states_are_averaged_and_flows_are_summed() {
        let check = |expected, samples: &[&str]| {
            for sample in samples {
                assert_eq!(aggregation(sample), expected, "{sample}");
            }
        };
        check(
            Some(Aggregation::Average),
            &[
                "inuse_space",
                "goroutineleak",
                "threadcreate",
                "live",
                "tasks",
                "inuse_widgets",
            ],
        );
        check(
            Some(Aggregation::Sum),
            &[
                "cpu",
                "wall",
                "alloc_space",
                "contentions",
                "alloc_in_new_tlab_bytes",
            ],
        );
        check(None, &["widgets", "space", ""]);
    }
}
