//! Types of profiles in text formats, which do not state one: by the suffix of the name, and by `units`.

use crate::error::{Error, Result};

/// The profile type of a text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextType {
    /// The profile's name.
    pub(crate) name: &'static str,
    /// The rest of the type id.
    pub(crate) rest: &'static str,
    /// Whether the values are samples of a rate.
    pub(crate) is_sampled: bool,
}

const fn sampled(name: &'static str, rest: &'static str) -> TextType {
    TextType {
        name,
        rest,
        is_sampled: true,
    }
}

const fn exact(name: &'static str, rest: &'static str) -> TextType {
    TextType {
        name,
        rest,
        is_sampled: false,
    }
}

const CPU: TextType = sampled("process_cpu", "cpu:nanoseconds:cpu:nanoseconds");
const CONTENTIONS: TextType = exact("mutex", "contentions:count:contentions:count");
const DELAY: TextType = exact("mutex", "delay:nanoseconds:contentions:count");

/// Suffixes of names, as agents send them.
const SUFFIXES: [(&str, TextType); 23] = [
    ("cpu", CPU),
    ("itimer", CPU),
    ("ctimer", CPU),
    ("wall", sampled("wall", "wall:nanoseconds:wall:nanoseconds")),
    (
        "inuse_space",
        exact("memory", "inuse_space:bytes:space:bytes"),
    ),
    (
        "inuse_objects",
        exact("memory", "inuse_objects:count:space:bytes"),
    ),
    (
        "alloc_space",
        exact("memory", "alloc_space:bytes:space:bytes"),
    ),
    (
        "alloc_objects",
        exact("memory", "alloc_objects:count:space:bytes"),
    ),
    (
        "alloc_in_new_tlab_bytes",
        exact("memory", "alloc_in_new_tlab_bytes:bytes:space:bytes"),
    ),
    (
        "alloc_in_new_tlab_objects",
        exact("memory", "alloc_in_new_tlab_objects:count:space:bytes"),
    ),
    (
        "alloc_outside_tlab_bytes",
        exact("memory", "alloc_outside_tlab_bytes:bytes:space:bytes"),
    ),
    (
        "alloc_outside_tlab_objects",
        exact("memory", "alloc_outside_tlab_objects:count:space:bytes"),
    ),
    ("live", exact("memory", "live:count:objects:count")),
    (
        "goroutines",
        exact("goroutines", "goroutine:count:goroutine:count"),
    ),
    ("mutex_count", CONTENTIONS),
    ("lock_count", CONTENTIONS),
    ("mutex_duration", DELAY),
    ("lock_duration", DELAY),
    (
        "block_count",
        exact("block", "contentions:count:contentions:count"),
    ),
    (
        "block_duration",
        exact("block", "delay:nanoseconds:contentions:count"),
    ),
    ("exceptions", exact("exceptions", "exceptions:count::")),
    ("exception", exact("exceptions", "exceptions:count::")),
    ("samples", CPU),
];

/// Values of `units`, with the type of names without a suffix: of flows, and of states
/// (`aggregationType=average`).
const UNITS: [(&str, TextType, TextType); 8] = [
    ("samples", CPU, CPU),
    (
        "nanoseconds",
        exact("process_cpu", "cpu:nanoseconds:cpu:nanoseconds"),
        exact("process_cpu", "cpu:nanoseconds:cpu:nanoseconds"),
    ),
    (
        "bytes",
        exact("memory", "alloc_space:bytes:space:bytes"),
        exact("memory", "inuse_space:bytes:space:bytes"),
    ),
    (
        "objects",
        exact("memory", "alloc_objects:count:space:bytes"),
        exact("memory", "inuse_objects:count:space:bytes"),
    ),
    (
        "goroutines",
        exact("goroutines", "goroutine:count:goroutine:count"),
        exact("goroutines", "goroutine:count:goroutine:count"),
    ),
    ("lock_samples", CONTENTIONS, CONTENTIONS),
    ("lock_nanoseconds", DELAY, DELAY),
    (
        "exceptions",
        exact("exceptions", "exceptions:count::"),
        exact("exceptions", "exceptions:count::"),
    ),
];

/// Whether a name is only the suffix of a type, such as `.cpu`, without a service.
pub(crate) fn is_suffix(name: &str) -> bool {
    let suffix = name.strip_prefix('.');
    suffix.is_some_and(|suffix| SUFFIXES.iter().any(|row| row.0 == suffix))
}

/// What the request says about the values: the parameters `units` and `aggregationType`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextUnits {
    /// `units`, or "".
    pub(crate) units: String,
    /// Whether `aggregationType` is `average`.
    pub(crate) is_average: bool,
}

/// Splits `app.cpu` into the service and the type. Without a known suffix `units` decides, and without that
/// the type is CPU.
pub(crate) fn of_text<'a>(name: &'a str, given: &TextUnits) -> Result<(&'a str, TextType)> {
    let units = match given.units.as_str() {
        "" => None,
        units => Some(UNITS.iter().find(|row| row.0 == units).ok_or_else(|| {
            let known: Vec<&str> = UNITS.iter().map(|row| row.0).collect();
            Error::invalid(format!(
                "unknown units {units:?}; expected one of {}",
                known.join(", ")
            ))
        })?),
    };
    let by_suffix = name
        .rsplit_once('.')
        .filter(|(service, _)| !service.is_empty())
        .and_then(|(service, suffix)| {
            let found = SUFFIXES.iter().find(|row| row.0 == suffix)?;
            Some((service, found.1))
        });
    let Some((service, of)) = by_suffix else {
        let of = units.map_or(CPU, |row| if given.is_average { row.2 } else { row.1 });
        return Ok((name, of));
    };
    // The unit that the suffix implies must not be another one.
    let unit_of = |of: &TextType| of.rest.split(':').nth(1).unwrap_or_default();
    match units {
        Some((units, flow, _)) if unit_of(flow) != unit_of(&of) => Err(Error::invalid(format!(
            "units {units:?} contradict the name {name:?}, whose values are {}; leave out one of them",
            unit_of(&of)
        ))),
        Some((_, flow, _)) => Ok((
            service,
            TextType {
                is_sampled: of.is_sampled && flow.is_sampled,
                ..of
            },
        )),
        None => Ok((service, of)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_comes_from_the_suffix_and_then_from_the_units() {
        let check = |name: &str, units: &str, service: &str, expected: &str| {
            let (units, is_average) = match units.strip_suffix(" average") {
                Some(units) => (units, true),
                None => (units, false),
            };
            let given = TextUnits {
                units: units.to_owned(),
                is_average,
            };
            let got = of_text(name, &given).map(|(got, of)| {
                let rate = if of.is_sampled { " sampled" } else { "" };
                (got.to_owned(), format!("{}:{}{rate}", of.name, of.rest))
            });
            let got = got.unwrap_or_else(|error| (String::new(), error.message));
            assert_eq!((got.0.as_str(), got.1.as_str()), (service, expected));
        };
        let cpu = "process_cpu:cpu:nanoseconds:cpu:nanoseconds sampled";
        check("shop.cpu", "", "shop", cpu);
        check("shop.eu", "", "shop.eu", cpu);
        check(".cpu", "", ".cpu", cpu);
        check("shop.itimer", "samples", "shop", cpu);
        check(
            "shop.eu.wall",
            "",
            "shop.eu",
            "wall:wall:nanoseconds:wall:nanoseconds sampled",
        );
        check(
            "shop.cpu",
            "nanoseconds",
            "shop",
            "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
        );
        check(
            "shop.lock_count",
            "",
            "shop",
            "mutex:contentions:count:contentions:count",
        );
        check(
            "shop",
            "bytes",
            "shop",
            "memory:alloc_space:bytes:space:bytes",
        );
        check(
            "shop",
            "bytes average",
            "shop",
            "memory:inuse_space:bytes:space:bytes",
        );
        check(
            "shop.cpu",
            "bytes",
            "",
            "units \"bytes\" contradict the name \"shop.cpu\", whose values are nanoseconds; leave out one of them",
        );
        check(
            "shop",
            "parsecs",
            "",
            "unknown units \"parsecs\"; expected one of samples, nanoseconds, bytes, objects, goroutines, \
             lock_samples, lock_nanoseconds, exceptions",
        );
    }
}
