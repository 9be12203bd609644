//! Names of profile types, and which types are gauges.

use davy_profile::Profile;

/// Types of text formats: the suffix of the name that selects the type, the name of the profile, the
/// rest of the type id, and whether values are sample counts that the sample rate converts to
/// nanoseconds.
const TEXT: [(&str, &str, &str, bool); 11] = [
    (
        "cpu",
        "process_cpu",
        "cpu:nanoseconds:cpu:nanoseconds",
        true,
    ),
    ("wall", "wall", "wall:nanoseconds:wall:nanoseconds", true),
    (
        "inuse_space",
        "memory",
        "inuse_space:bytes:space:bytes",
        false,
    ),
    (
        "inuse_objects",
        "memory",
        "inuse_objects:count:space:bytes",
        false,
    ),
    (
        "alloc_space",
        "memory",
        "alloc_space:bytes:space:bytes",
        false,
    ),
    (
        "alloc_objects",
        "memory",
        "alloc_objects:count:space:bytes",
        false,
    ),
    (
        "goroutines",
        "goroutines",
        "goroutine:count:goroutine:count",
        false,
    ),
    (
        "mutex_count",
        "mutex",
        "contentions:count:contentions:count",
        false,
    ),
    (
        "mutex_duration",
        "mutex",
        "delay:nanoseconds:contentions:count",
        false,
    ),
    (
        "block_count",
        "block",
        "contentions:count:contentions:count",
        false,
    ),
    (
        "block_duration",
        "block",
        "delay:nanoseconds:contentions:count",
        false,
    ),
];

/// The profile type of a text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextKind {
    /// The profile's name.
    pub(crate) name: &'static str,
    /// The rest of the type id.
    pub(crate) rest: &'static str,
    /// Whether the values are samples of a rate.
    pub(crate) sampled: bool,
}

/// Whether a name is only the suffix of a type, such as `.cpu`, without a service.
pub(crate) fn is_suffix(name: &str) -> bool {
    let suffix = name.strip_prefix('.');
    suffix.is_some_and(|suffix| TEXT.iter().any(|row| row.0 == suffix))
}

/// Splits `app.cpu` into the service and the type. The type is CPU where the suffix is unknown.
pub(crate) fn of_text(name: &str) -> (&str, TextKind) {
    let kind = |(_, name, rest, sampled): (&str, &'static str, &'static str, bool)| TextKind {
        name,
        rest,
        sampled,
    };
    if let Some((service, suffix)) = name.rsplit_once('.')
        && let Some(found) = TEXT.into_iter().find(|row| row.0 == suffix)
        && !service.is_empty()
    {
        return (service, kind(found));
    }
    (name, kind(TEXT[0]))
}

/// The name of a pprof profile whose push has none, derived from its sample types. `config` is the
/// agent's description of them, which distinguishes block profiles from mutex profiles.
pub(crate) fn of_pprof(profile: &Profile, config: Option<&serde_json::Value>) -> String {
    let types: Vec<&str> = profile
        .sample_types
        .iter()
        .map(|of| profile.text(of.kind))
        .collect();
    let has = |kind: &str| types.contains(&kind);
    let shown_as = |what: &str| config.is_some_and(|config| config.to_string().contains(what));
    let period = profile.text(profile.period_type.kind);
    if has("inuse_space") || has("alloc_space") || has("inuse_objects") || has("alloc_objects") {
        "memory".to_owned()
    } else if has("contentions") || has("delay") {
        if shown_as("block") {
            "block".to_owned()
        } else {
            "mutex".to_owned()
        }
    } else if has("goroutine") || has("goroutines") {
        "goroutines".to_owned()
    } else if has("wall") || period == "wall" {
        "wall".to_owned()
    } else if has("cpu") || period == "cpu" || types.first().is_none_or(|first| first.is_empty()) {
        "process_cpu".to_owned()
    } else {
        types[0].to_owned()
    }
}

/// Whether values of this type are gauges, such as live heap or running tasks. A sum of gauges over
/// time is meaningless, so queries average them over the windows of each source.
pub fn is_gauge(kind: &str) -> bool {
    let mut parts = kind.split(':');
    let (name, what) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    what.starts_with("inuse_")
        || matches!(what, "tasks" | "goroutine" | "goroutines")
        || name == "tasks"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_type_comes_from_the_last_suffix() {
        let check = |name: &str, service: &str, kind: &str| {
            let (got, of) = of_text(name);
            assert_eq!(
                (got, format!("{}:{}", of.name, of.rest).as_str()),
                (service, kind)
            );
        };
        check(
            "shop.cpu",
            "shop",
            "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
        );
        check(
            "shop.eu.wall",
            "shop.eu",
            "wall:wall:nanoseconds:wall:nanoseconds",
        );
        check(
            "shop.eu",
            "shop.eu",
            "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
        );
        check(
            ".cpu",
            ".cpu",
            "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
        );
    }

    #[test]
    fn live_heap_and_tasks_are_gauges_and_allocations_are_not() {
        assert!(is_gauge("memory:inuse_space:bytes:space:bytes"));
        assert!(is_gauge("tasks:tasks:count::"));
        assert!(!is_gauge("memory:alloc_space:bytes:space:bytes"));
        assert!(!is_gauge("process_cpu:cpu:nanoseconds:cpu:nanoseconds"));
    }
}
