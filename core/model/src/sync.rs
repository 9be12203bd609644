//! The report of a worker against the rows of the database.

use crate::handle::{Handle, HandleEvent, HandleKind, HandleState};
use crate::millis::Millis;
use crate::name::{self, InvalidName};
use std::collections::{BTreeMap, BTreeSet};

/// Handles in one report, at most.
pub const HANDLES_MAX: usize = 100_000;

/// The bits of a generation that count the reports since a registration.
const SEQUENCE_BITS: u32 = 32;

/// The generation of a report: the registration in the upper bits, the report in the lower ones.
pub const fn generation(registration: i64, sequence: u32) -> i64 {
    (registration << SEQUENCE_BITS) | sequence as i64
}

/// The registration of a generation.
pub const fn registration(generation: i64) -> i64 {
    generation >> SEQUENCE_BITS
}

/// What a worker has.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Grows with every report. The worker lists its handles after it has chosen the number.
    pub generation: i64,
    /// All containers and volumes that it has.
    pub handles: BTreeMap<String, HandleKind>,
}

/// A report that is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReport {
    /// A handle is not a valid name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// It has too many handles.
    #[error("the report has {count} handles; at most {HANDLES_MAX} are allowed")]
    TooMany {
        /// The number of handles.
        count: usize,
    },
}

impl Report {
    /// Checks what comes from a worker.
    pub fn check(&self) -> Result<(), InvalidReport> {
        let count = self.handles.len();
        if count > HANDLES_MAX {
            return Err(InvalidReport::TooMany { count });
        }
        for handle in self.handles.keys() {
            name::check("handle", handle)?;
        }
        Ok(())
    }
}

/// A row of a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The worker that it belongs to.
    pub worker: String,
    /// Kind and state.
    pub handle: Handle,
}

/// The rows of all workers, by handle.
pub type Rows = BTreeMap<String, Row>;

/// What a report means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The generation is not above that of the last report: nothing changes.
    Stale {
        /// The generation of the last report.
        current: i64,
    },
    /// The report counts.
    Accepted(Changes),
}

/// The changes that an accepted report causes. All lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows to remove: the worker has destroyed what they name.
    pub removed: Vec<String>,
    /// Rows to insert in state `destroying`: no row names them.
    pub unknown: Vec<(String, HandleKind)>,
    /// Rows that the report lacks and the last one had.
    pub missing: Vec<String>,
    /// Rows that the report has and the last one lacked.
    pub found: Vec<String>,
    /// What the worker has to destroy, with the unknown.
    pub doomed: Vec<(String, HandleKind)>,
    /// Reported handles of other workers, which nothing happens to.
    pub foreign: Vec<String>,
}

/// Compares a report of `worker` with the rows. `current` is the generation of its last report.
pub fn reconcile(worker: &str, current: i64, rows: &Rows, report: &Report) -> Decision {
    if report.generation <= current {
        return Decision::Stale { current };
    }
    let mut changes = Changes::default();
    for (handle, kind) in &report.handles {
        match rows.get(handle) {
            None => {
                changes.unknown.push((handle.clone(), *kind));
                changes.doomed.push((handle.clone(), *kind));
            }
            Some(row) if row.worker != worker => changes.foreign.push(handle.clone()),
            Some(row) => {
                if row.handle.missing_since.is_some() {
                    changes.found.push(handle.clone());
                }
                if row.handle.state == HandleState::Destroying {
                    changes.doomed.push((handle.clone(), row.handle.kind));
                }
            }
        }
    }
    for (handle, row) in rows {
        if row.worker != worker || report.handles.contains_key(handle) {
            continue;
        }
        match row.handle.state {
            HandleState::Destroying => changes.removed.push(handle.clone()),
            HandleState::Created if row.handle.missing_since.is_none() => {
                changes.missing.push(handle.clone());
            }
            // The worker has not created it yet, or never will.
            HandleState::Created | HandleState::Creating | HandleState::Failed => {}
        }
    }
    Decision::Accepted(changes)
}

impl Changes {
    /// Applies the changes to the rows of `worker`.
    pub fn apply(&self, worker: &str, rows: &mut Rows, at: Millis) {
        for handle in &self.removed {
            let row = rows.get(handle).map(|row| row.handle);
            if row.is_some_and(|row| row.apply(HandleEvent::Destroyed, at) == Ok(None)) {
                rows.remove(handle);
            }
        }
        for (handle, kind) in &self.unknown {
            let handle_row = Handle {
                kind: *kind,
                ..Handle::new(HandleState::Destroying, at)
            };
            rows.entry(handle.clone()).or_insert_with(|| Row {
                worker: worker.to_owned(),
                handle: handle_row,
            });
        }
        for handle in &self.missing {
            if let Some(row) = rows.get_mut(handle) {
                row.handle.missing_since = Some(at);
            }
        }
        for handle in &self.found {
            if let Some(row) = rows.get_mut(handle) {
                row.handle.missing_since = None;
            }
        }
    }
}

/// Orders what a worker has to destroy into rounds, children before parents: containers first, then volumes that
/// no remaining volume is a copy of. `parent` names the volume that a volume is a copy of. Volumes whose
/// ancestors form a cycle, which no worker creates, come last.
pub fn rounds(
    doomed: &[(String, HandleKind)],
    parent: impl Fn(&str) -> Option<String>,
) -> Vec<Vec<String>> {
    let of_kind = |kind: HandleKind| {
        let handles = doomed.iter().filter(move |(_, k)| *k == kind);
        handles.map(|(handle, _)| handle.clone())
    };
    let mut rounds = vec![of_kind(HandleKind::Container).collect::<Vec<_>>()];
    let mut left: BTreeSet<String> = of_kind(HandleKind::Volume).collect();
    while !left.is_empty() {
        let parents: BTreeSet<String> = left.iter().filter_map(|handle| parent(handle)).collect();
        let mut round: Vec<String> = left.difference(&parents).cloned().collect();
        if round.is_empty() {
            round = left.iter().cloned().collect();
        }
        for handle in &round {
            left.remove(handle);
        }
        rounds.push(round);
    }
    rounds.retain(|round| !round.is_empty());
    rounds
}

#[cfg(test)]
mod tests;
