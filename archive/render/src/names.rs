//! Names of artefacts. Different artefacts have different names, whatever the names of services and members contain.
//!
//! A name is `<YYYY-MM-DD>[_HH].<type>.<service>.<target>`, whose parts are encoded as in all keys of the archive. Dots
//! separate the parts, so a dot is kept only in the last one, and not where it would begin a suffix.

use crate::span::Span;
use davy_archive::key::encode;
use davy_archive::types::{SHORT, TypeFilter, TypeId};
use xxhash_rust::xxh3::xxh3_128;

/// Maximum length of a part, in bytes: file systems allow names of 255.
const PART_BYTES: usize = 64;
/// Length of a hash at the end of a part that was cut.
const HASH_BYTES: usize = 33;

/// What an artefact shows of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Everything.
    All,
    /// A member, by the label `member`.
    Member(String),
    /// An operation of any member, by the label `op`.
    Operation(String),
    /// The stacks that a focus selects.
    Focus(String),
}

impl Target {
    /// What people read.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::All => "all members".to_owned(),
            Self::Member(name) => format!("member {name}"),
            Self::Operation(name) => format!("operation {name}"),
            Self::Focus(name) => format!("focus {name}"),
        }
    }

    /// The last part of a name.
    fn part(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Member(name) => member_part(name),
            Self::Operation(name) => format!("all.op-{}", short(encode_dots(name))),
            Self::Focus(name) => format!("all.fn-{}", short(encode_dots(name))),
        }
    }
}

/// A member as a part of a name. What could be read as something else is encoded.
fn member_part(name: &str) -> String {
    let part = encode(name);
    let is_ambiguous = part == "all" || part.starts_with("all.") || part.ends_with(".reversed");
    let part = if part == "all" {
        "=61ll".to_owned()
    } else if is_ambiguous {
        encode_dots(name)
    } else {
        part
    };
    short(part)
}

/// Encodes a text without dots.
fn encode_dots(text: &str) -> String {
    encode(text).replace('.', "=2e")
}

/// Cuts a long part, which ends with a hash of the whole then.
fn short(part: String) -> String {
    if part.len() <= PART_BYTES {
        return part;
    }
    let hash = xxh3_128(part.as_bytes());
    format!("{}={hash:032x}", &part[..PART_BYTES - HASH_BYTES])
}

/// The name of a profile type in names of artefacts: the short name that queries use, or the parts of the id, joined by `-`:
/// `php-requests-count`, or `age-count` if the name of the profile and of its samples are the same. What the period
/// measures and its unit follow if the id has them. It depends on nothing else, so it is the same in all hours. How many
/// parts there are tells which, so different types have different names.
pub fn type_name(id: &str) -> String {
    for known in &SHORT {
        if TypeFilter::Short(known).matches(id) {
            return known.names[0].to_owned();
        }
    }
    // The same type can be written in two ways.
    let of = TypeId::parse(id);
    let mut parts = vec![&of.sample, &of.unit];
    if of.name != of.sample {
        parts.insert(0, &of.name);
    }
    if !of.period.is_empty() || !of.period_unit.is_empty() {
        parts.extend([&of.period, &of.period_unit]);
    }
    let parts = parts
        .into_iter()
        .map(|part| encode_dots(part).replace('-', "=2d"));
    short(parts.collect::<Vec<_>>().join("-"))
}

/// The types of a service that have one name.
pub(crate) fn type_filter(id: &str) -> TypeFilter {
    let known = SHORT.iter().map(TypeFilter::Short);
    let mut known = known.filter(|filter| filter.matches(id));
    known
        .next()
        .unwrap_or_else(|| TypeFilter::Exact(id.to_owned()))
}

/// `YYYY-MM-DD` or `YYYY-MM-DD_HH`.
pub(crate) fn period_name(period: Span) -> String {
    period.to_string().replace('/', "_")
}

/// The name of an artefact without its extension.
pub fn artefact_name(period: Span, kind: &str, service: &str, target: &Target) -> String {
    format!(
        "{}.{}.{}.{}",
        period_name(period),
        type_name(kind),
        short(encode_dots(service)),
        target.part()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_archive::key::Hour;
    use std::collections::BTreeSet;

    const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

    fn name(service: &str, target: &Target) -> String {
        artefact_name(Hour(498_706).into(), CPU, service, target)
    }

    #[test]
    fn names_say_what_they_show() {
        assert_eq!(name("web", &Target::All), "2026-11-22_10.cpu.web.all");
        let member = Target::Member("archive.ingest".to_owned());
        assert_eq!(name("web", &member), "2026-11-22_10.cpu.web.archive.ingest");
        let focus = Target::Focus("parser".to_owned());
        assert_eq!(name("web", &focus), "2026-11-22_10.cpu.web.all.fn-parser");
        let day = artefact_name(
            davy_archive::key::Day(20_779).into(),
            CPU,
            "web",
            &Target::All,
        );
        assert_eq!(day, "2026-11-22.cpu.web.all");
    }

    #[test]
    fn different_artefacts_have_different_names_whatever_they_are_called() {
        let odd = [
            "",
            "all",
            "=61ll",
            "a",
            "a.b",
            "a.b.reversed",
            "a.reversed",
            "all.fn-x",
            "all.op-x",
            "x",
            "../x",
            "a\0b",
            "a/b",
            "all.reversed",
            "a=2eb",
            "(untagged)",
            ".",
            "..",
        ];
        let long = ["y".repeat(300), "y".repeat(301), "/".repeat(90)];
        let texts: Vec<&str> = odd
            .into_iter()
            .chain(long.iter().map(String::as_str))
            .collect();
        let mut names = BTreeSet::new();
        let mut count = 0;
        for service in &texts {
            let mut targets = vec![Target::All];
            for text in &texts {
                targets.push(Target::Member((*text).to_owned()));
                targets.push(Target::Operation((*text).to_owned()));
                targets.push(Target::Focus((*text).to_owned()));
            }
            for target in targets {
                for suffix in ["", ".reversed"] {
                    let name = format!("{}{suffix}.svgz", name(service, &target));
                    assert!(name.len() <= 255 && !name.contains(['/', '\0']), "{name}");
                    assert!(names.insert(name.clone()), "{name} {service:?} {target:?}");
                    count += 1;
                }
            }
        }
        assert_eq!(names.len(), count);
    }

    #[test]
    fn type_has_the_same_short_name_in_every_form() {
        assert_eq!(type_name(CPU), "cpu");
        assert_eq!(type_name("cpu:cpu:nanoseconds::"), "cpu");
        let pairs = [
            ("age:age:count::", "age-count"),
            ("php:requests:count::", "php-requests-count"),
            ("php:php:requests:count:", "php-requests-count-"),
            (
                "php:requests:count:wall:nanoseconds:delta",
                "php-requests-count-wall-nanoseconds",
            ),
            (
                "visits:visits:count:wall:nanoseconds",
                "visits-count-wall-nanoseconds",
            ),
            ("a-b:c:d::", "a=2db-c-d"),
            ("a:b-c:d::", "a-b=2dc-d"),
            ("a.b:../c:d/s::", "a=2eb-=2e=2e=2fc-d=2fs"),
            ("odd", "odd--"),
        ];
        for (id, expected) in pairs {
            assert_eq!(type_name(id), expected);
        }
        let long = |end: &str| type_name(&format!("{}{end}:s:u::", "x".repeat(80)));
        assert!(long("a").len() <= PART_BYTES && long("a") != long("b"));
    }

    #[test]
    fn no_other_type_has_a_short_name() {
        // A name that is made of parts has a hyphen.
        let all = SHORT.iter().flat_map(|known| known.names);
        assert_eq!(all.filter(|name| name.contains('-')).count(), 0);
    }
}
