//! The totals of a rule.

use davy_base::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Length of a slot.
pub(super) const SLOT: Duration = Duration::from_mins(1);
/// How long after its end a slot is evaluated: agents push windows after they are over.
pub(super) const DELAY: Duration = Duration::from_mins(1);
/// How many slots are caught up; earlier ones are skipped and counted.
pub(super) const SLOTS: i64 = 60;
/// Maximum number of label sets of a rule; further ones are added to none, and counted.
pub(super) const LABEL_SETS: usize = 200;

/// Label names and values, sorted.
pub(super) type LabelSet = Vec<(String, String)>;

/// The totals of a rule, and the last slot that is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RuleState {
    /// What the totals are of; if it changes, they begin at 0.
    pub(super) of: String,
    /// Number of the last slot.
    pub(super) slot: i64,
    pub(super) totals: Vec<(LabelSet, i64)>,
}

/// The last slot that is over long enough.
pub(super) fn last_slot(now: Timestamp) -> i64 {
    now.minus(DELAY)
        .millis()
        .div_euclid(SLOT.as_millis() as i64)
        - 1
}

/// When a slot begins.
pub(super) fn start(slot: i64) -> Timestamp {
    Timestamp::from_millis(slot * SLOT.as_millis() as i64)
}

/// What is due of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// The rule is new: it counts from now on.
    Begin,
    /// These slots, first and last; before them, `skipped` were not evaluated in time.
    Slots { first: i64, last: i64, skipped: i64 },
}

impl RuleState {
    /// What is due at a time. `state` is what the bucket has.
    pub(super) fn due(state: Option<&Self>, of: &str, last: i64) -> Due {
        match state.filter(|state| state.of == of) {
            None => Due::Begin,
            Some(state) if state.slot >= last => Due::Nothing,
            Some(state) => {
                let first = (state.slot + 1).max(last - SLOTS + 1);
                Due::Slots {
                    first,
                    last,
                    skipped: first - state.slot - 1,
                }
            }
        }
    }

    /// The state after further slots. Returns how many label sets there was no place for.
    pub(super) fn add(&mut self, last: i64, values: BTreeMap<LabelSet, i64>) -> usize {
        let mut totals: BTreeMap<LabelSet, i64> =
            std::mem::take(&mut self.totals).into_iter().collect();
        let mut refused = 0;
        for (labels, value) in values {
            // A counter does not fall.
            let value = value.max(0);
            let has_place = totals.len() < LABEL_SETS;
            match totals.get_mut(&labels) {
                Some(total) => *total = total.saturating_add(value),
                None if has_place => {
                    totals.insert(labels, value);
                }
                None => refused += 1,
            }
        }
        self.totals = totals.into_iter().collect();
        self.slot = last;
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(slot: i64) -> RuleState {
        RuleState {
            of: "x".to_owned(),
            slot,
            totals: Vec::new(),
        }
    }

    #[test]
    fn slots_are_due_once_and_a_new_rule_begins_now() {
        assert_eq!(RuleState::due(None, "x", 100), Due::Begin);
        assert_eq!(RuleState::due(Some(&state(90)), "y", 100), Due::Begin);
        assert_eq!(RuleState::due(Some(&state(100)), "x", 100), Due::Nothing);
        assert_eq!(
            RuleState::due(Some(&state(101)), "x", 100),
            Due::Nothing,
            "the clock of another replica is ahead"
        );
        let slots = |first, last, skipped| Due::Slots {
            first,
            last,
            skipped,
        };
        assert_eq!(
            RuleState::due(Some(&state(98)), "x", 100),
            slots(99, 100, 0)
        );
        assert_eq!(
            RuleState::due(Some(&state(0)), "x", 100),
            slots(41, 100, 40)
        );
    }

    #[test]
    fn counters_never_fall_and_label_sets_are_bounded() {
        let mut state = state(1);
        let set = |name: usize| vec![("a".to_owned(), name.to_string())];
        assert_eq!(state.add(2, [(set(0), 5)].into()), 0);
        assert_eq!(state.add(3, [(set(0), -7)].into()), 0);
        assert_eq!((state.slot, &state.totals[0].1), (3, &5));
        assert_eq!(state.add(4, (0..300).map(|at| (set(at), 1)).collect()), 100);
        assert_eq!(state.totals.len(), LABEL_SETS);
    }

    #[test]
    fn last_slot_is_over_for_a_minute() {
        let at = Timestamp::from_seconds;
        assert_eq!(last_slot(at(600)), 8);
        assert_eq!(last_slot(at(659)), 8);
        assert_eq!(last_slot(at(660)), 9);
        assert_eq!(start(9), at(540));
    }
}
