//! Retention by rule: series that are kept shorter or longer than the others.
//!
//! A *rule* selects series and says how long these are kept at all. For each series the first rule that selects it
//! applies, and without one the retention of days, so the series of a block are in *classes*: one for each rule, and
//! one for the rest. The class expires as a whole, at the end of an hour or day plus its span.
//!
//! A block in which some classes have expired is replaced by a *successor*: a block with the same leaves and without
//! these series. Nothing is rewritten in place. When all classes that can be in a block have expired, it is deleted.
//!
//! **Which of two blocks with equal leaves is read.** The reader's rules order blocks by their leaves and then by their
//! names, and the name of a successor is chosen so that it sorts before that of its predecessor. Leaves that are equal
//! are not disjoint, so no reader reads both. A reader whose listing does not show the successor yet reads the
//! predecessor, which holds the same and the expired series besides: it counts what was counted before.
//!
//! **When the predecessor is deleted.** The successor covers it, as the result of a merge covers its inputs, so
//! compaction deletes it when the successor has been readable for the grace period (`plan`, `plan::day`). Readers with
//! an older listing find it until then. A block whose classes have all expired is deleted without a successor, like a
//! day after its retention.
//!
//! **Nothing that is kept is lost.** A successor is merged from its predecessor alone, and names it as its input, so the
//! same rules always produce the same successor, on any archiver. Archivers that disagree about the rules,
//! because one of them was not restarted, write different successors of one block. The one that sorts first is
//! preferred, and gets a successor of its own. None of them is without a series that no archiver's rules expire, but a
//! series that is kept longer must be so in the configuration of each archiver.
//!
//! **Nothing expires early.** A rule removes a series from all levels, so no level lacks what another one should have:
//! a day block that is merged again from hours with successors lacks expired series only. An expired series can come
//! back with a late window, or with a day that was merged before its hours had successors. Then the block that holds it
//! gets a successor in turn.

use crate::key::{BlockId, Tenant};
use crate::labels::SERVICE;
use crate::selector::Selector;
use davy_base::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// How long the series that a selector selects are kept, at all levels.
#[derive(Clone, Debug)]
pub struct RetentionRule {
    /// The tenant; all of them if it is not set.
    pub tenant: Option<Tenant>,
    /// Selects series.
    pub selector: Selector,
    /// How long they are kept, from the end of the hour or day.
    pub days: Duration,
}

/// The rules of one tenant, in their order, and how long all other series are kept.
#[derive(Clone, Debug)]
pub(crate) struct TenantRules {
    rules: Vec<RetentionRule>,
    default: Duration,
}

/// A class of series: the number of its rule, or that of all rules for the rest.
pub(crate) type Class = usize;

/// What retention does with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    Kept,
    /// A successor without the series of these classes.
    Successor(BTreeSet<Class>),
    /// All of its series have expired.
    Deleted,
}

/// What retention does with the blocks of a day.
#[derive(Clone, Debug, Default)]
pub struct Fates {
    /// The longest time for which any series is kept; without rules, the retention of days.
    pub(crate) longest: Option<Duration>,
    /// By the name of the block. Without rules it is empty.
    pub(crate) blocks: BTreeMap<BlockId, Fate>,
}

/// The beginning of an input of a successor that names a class.
const INPUT: &str = "retention ";

impl TenantRules {
    /// The rules that apply to a tenant.
    pub(crate) fn of(all: &[RetentionRule], tenant: &Tenant, default: Duration) -> Self {
        let applies = |rule: &&RetentionRule| rule.tenant.as_ref().is_none_or(|of| of == tenant);
        Self {
            rules: all.iter().filter(applies).cloned().collect(),
            default,
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Every rule with its class.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Class, &RetentionRule)> {
        self.rules.iter().enumerate()
    }

    /// The longest time for which any series is kept.
    pub(crate) fn longest(&self) -> Duration {
        let spans = self.rules.iter().map(|rule| rule.days);
        spans.fold(self.default, Duration::max)
    }

    /// The shortest time for which any series is kept.
    pub(crate) fn shortest(&self) -> Duration {
        let spans = self.rules.iter().map(|rule| rule.days);
        spans.fold(self.default, Duration::min)
    }

    fn span(&self, class: Class) -> Duration {
        self.rules.get(class).map_or(self.default, |rule| rule.days)
    }

    /// The class of a series; `value` returns the value of a label, "" if there is none.
    pub(crate) fn class<'a>(&self, value: impl Fn(&str) -> &'a str) -> Class {
        let selects = |rule: &RetentionRule| rule.selector.selects(&value);
        let found = self.rules.iter().position(selects);
        found.unwrap_or(self.rules.len())
    }

    /// The classes that series of a service can be in.
    pub(crate) fn classes(&self, service: &str) -> BTreeSet<Class> {
        let mut classes = BTreeSet::new();
        for (class, rule) in self.iter() {
            if !rule.selector.selects_service(service) {
                continue;
            }
            classes.insert(class);
            // It selects all series of the service.
            if rule.selector.labels().all(|label| label == SERVICE) {
                return classes;
            }
        }
        classes.insert(self.rules.len());
        classes
    }

    /// What names a class in the inputs of a successor: its selector, and those before it, which exclude series.
    pub(crate) fn input(&self, class: Class) -> String {
        let selector = self
            .rules
            .get(class)
            .map_or("(others)", |rule| rule.selector.text());
        let before = self
            .rules
            .iter()
            .take(class)
            .map(|rule| rule.selector.text());
        let before: Vec<&str> = before.collect();
        let before = xxh3_64(before.join("\n").as_bytes());
        format!("{INPUT}{selector} {before:016x}")
    }

    /// The selector of a class, for people.
    pub(crate) fn text(&self, class: Class) -> &str {
        self.rules
            .get(class)
            .map_or("all other series", |rule| rule.selector.text())
    }

    /// What to do at a time with a block of a period that ended at `end`. `services` and `inputs` are those of its meta
    /// object.
    pub(crate) fn fate<'a>(
        &self,
        end: Timestamp,
        now: Timestamp,
        services: impl IntoIterator<Item = &'a str>,
        inputs: &[String],
    ) -> Fate {
        let services = services.into_iter();
        let classes: BTreeSet<Class> = services.flat_map(|of| self.classes(of)).collect();
        if classes.is_empty() {
            // Without series, it holds nothing but the names of segments.
            let is_over = end.plus(self.longest()) <= now;
            return if is_over { Fate::Deleted } else { Fate::Kept };
        }
        let is_due = |class: &Class| end.plus(self.span(*class)) <= now;
        let due: BTreeSet<Class> = classes.iter().copied().filter(is_due).collect();
        if due.is_empty() {
            Fate::Kept
        } else if due == classes {
            Fate::Deleted
        } else if due.iter().all(|class| inputs.contains(&self.input(*class))) {
            Fate::Kept
        } else {
            Fate::Successor(due)
        }
    }
}

/// Whether a block with these inputs is the successor of another one, and so lacks series that have expired.
pub(crate) fn is_successor(inputs: &[String]) -> bool {
    inputs.iter().any(|input| input.starts_with(INPUT))
}

#[cfg(test)]
mod tests;
