//! The report of a worker against the rows of the database.

use crate::handle::{Handle, HandleEvent, HandleKind, HandleState};
use crate::millis::Millis;
use crate::name::{self, InvalidName};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

/// Handles in one report, at most. A worker with more reports them in parts.
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
    /// The containers and volumes that it has: all of them, or those of a part.
    pub handles: BTreeMap<String, HandleKind>,
    /// The part that it covers; `None` if it covers everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// The part of a report of a worker that has more than [`HANDLES_MAX`]: the handles between two of them, in the order of
/// their bytes. Nothing is concluded from the absence of any other handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// It begins after this handle; empty for the first part.
    pub after: String,
    /// Its last handle; `None` for the last part.
    pub until: Option<String>,
    /// All containers of the worker.
    pub containers: u64,
    /// All volumes of the worker.
    pub volumes: u64,
}

impl Part {
    /// Whether a handle belongs to it.
    pub fn covers(&self, handle: &str) -> bool {
        handle > &*self.after && self.until.as_deref().is_none_or(|until| handle <= until)
    }
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
    /// A handle does not belong to the part that the report covers.
    #[error("handle {handle:?} is outside of the part that the report covers")]
    Outside {
        /// The handle.
        handle: String,
    },
}

/// The numbers of containers and of volumes.
fn counts(handles: &BTreeMap<String, HandleKind>) -> [u64; 2] {
    let of_kind = |kind| handles.values().filter(|of| **of == kind).count() as u64;
    [HandleKind::Container, HandleKind::Volume].map(of_kind)
}

impl Report {
    /// The report of a worker that has these handles. If they are too many for one report, it has the first ones after
    /// `after`, and the next reports have the others.
    pub fn of(generation: i64, mut handles: BTreeMap<String, HandleKind>, after: &str) -> Self {
        if handles.len() <= HANDLES_MAX {
            return Self {
                generation,
                handles,
                part: None,
            };
        }
        let [containers, volumes] = counts(&handles);
        let mut later = handles.range::<str, _>((Excluded(after), Unbounded));
        let until = later.nth(HANDLES_MAX - 1).map(|(last, _)| last.clone());
        let has_more = later.next().is_some();
        let part = Part {
            after: after.to_owned(),
            until: until.filter(|_| has_more),
            containers,
            volumes,
        };
        handles.retain(|handle, _| part.covers(handle));
        Self {
            generation,
            handles,
            part: Some(part),
        }
    }

    /// Where the report after this one begins, if it is accepted.
    pub fn next(&self) -> &str {
        let until = self.part.as_ref().and_then(|part| part.until.as_deref());
        until.unwrap_or_default()
    }

    /// All containers and all volumes of the worker.
    pub fn totals(&self) -> [u64; 2] {
        match &self.part {
            Some(part) => [part.containers, part.volumes],
            None => counts(&self.handles),
        }
    }

    /// Whether the absence of a handle means that the worker does not have it.
    fn covers(&self, handle: &str) -> bool {
        self.part.as_ref().is_none_or(|part| part.covers(handle))
    }

    /// Checks what comes from a worker.
    pub fn check(&self) -> Result<(), InvalidReport> {
        let count = self.handles.len();
        if count > HANDLES_MAX {
            return Err(InvalidReport::TooMany { count });
        }
        for handle in self.handles.keys() {
            name::check("handle", handle)?;
            if !self.covers(handle) {
                let handle = handle.clone();
                return Err(InvalidReport::Outside { handle });
            }
        }
        if let Some(Part { after, until, .. }) = &self.part {
            let ends = [
                Some(after).filter(|after| !after.is_empty()),
                until.as_ref(),
            ];
            for end in ends.into_iter().flatten() {
                name::check("end of a part", end)?;
            }
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
        if !report.covers(handle) {
            if row.handle.state == HandleState::Destroying {
                changes.doomed.push((handle.clone(), row.handle.kind));
            }
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
    changes.doomed.sort();
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
