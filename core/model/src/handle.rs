//! Containers and volumes of workers.

use crate::illegal::Illegal;
use crate::illegal::check_due;
use crate::millis::Millis;
use crate::states::states;

/// How long a container or volume may be in creation.
pub const CREATING_MAX: Millis = 10 * 60_000;
/// How long a created container or volume may be missing in the reports of its worker.
pub const MISSING_MAX: Millis = 5 * 60_000;
/// How long a container is kept after a person used its terminal.
pub const TERMINAL_KEPT: Millis = 5 * 60_000;

states! {
    /// What a handle names.
    HandleKind {
        /// A container.
        Container = "container",
        /// A volume.
        Volume = "volume",
    }
}

states! {
    /// The state of a container or volume.
    HandleState {
        /// The worker has to create it.
        Creating = "creating",
        /// The worker has created it.
        Created = "created",
        /// The worker has to destroy it.
        Destroying = "destroying",
        /// The worker could not create it.
        Failed = "failed",
    }
}

/// A container or volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// What it is.
    pub kind: HandleKind,
    /// Its state.
    pub state: HandleState,
    /// When it entered the state.
    pub since: Millis,
    /// The first report without it, since the last one with it.
    pub missing_since: Option<Millis>,
    /// The last use of its terminal.
    pub terminal_at: Option<Millis>,
}

/// What happens to a container or volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleEvent {
    /// The worker has created it.
    Created,
    /// The worker could not create it.
    CreationFailed,
    /// The worker has neither created it nor failed in time.
    CreationTimedOut,
    /// No build, container or volume needs it.
    Unused,
    /// Its failure has been recorded.
    Discarded,
    /// It is absent from a report of its worker.
    Destroyed,
    /// Reports up to this time lacked it for too long.
    Expired {
        /// The last report of the worker.
        synced_at: Millis,
    },
}

impl HandleEvent {
    /// Its name in errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "creation",
            Self::CreationFailed => "failure of the creation",
            Self::CreationTimedOut => "timeout of the creation",
            Self::Unused => "end of use",
            Self::Discarded => "discard",
            Self::Destroyed => "destruction",
            Self::Expired { .. } => "expiry",
        }
    }
}

/// What else decides whether a handle is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandleFacts {
    /// Whether a build that is not over, or a container that is not destroyed, needs it.
    pub is_used: bool,
    /// Volumes that are copies of it.
    pub children: u64,
    /// Whether its worker is stalled.
    pub is_worker_stalled: bool,
    /// The last report of its worker.
    pub worker_synced_at: Millis,
}

impl Handle {
    /// A container that entered a state at `since`.
    pub const fn new(state: HandleState, since: Millis) -> Self {
        Self {
            kind: HandleKind::Container,
            state,
            since,
            missing_since: None,
            terminal_at: None,
        }
    }

    /// The handle after an event; `None` if it is removed.
    pub fn apply(self, event: HandleEvent, at: Millis) -> Result<Option<Self>, Illegal> {
        use {HandleEvent as E, HandleState as S};
        let to = |state| {
            Ok(Some(Self {
                state,
                since: at,
                missing_since: None,
                ..self
            }))
        };
        match (self.state, event) {
            (S::Creating, E::Created) => to(S::Created),
            (S::Creating, E::CreationFailed) => to(S::Failed),
            (S::Creating, E::CreationTimedOut) => {
                self.check_due(event, self.since.saturating_add(CREATING_MAX), at)?;
                to(S::Failed)
            }
            (S::Creating | S::Created, E::Unused) => {
                if let Some(used) = self.terminal_at {
                    self.check_due(event, used.saturating_add(TERMINAL_KEPT), at)?;
                }
                to(S::Destroying)
            }
            (S::Failed, E::Discarded) => to(S::Destroying),
            (S::Destroying, E::Destroyed) => Ok(None),
            (S::Created, E::Expired { synced_at }) if self.missing_since.is_some() => {
                let missing = self.missing_since.unwrap_or(Millis::MAX);
                self.check_due(event, missing.saturating_add(MISSING_MAX), synced_at)?;
                Ok(None)
            }
            _ => Err(Illegal::State {
                kind: self.kind.as_str(),
                state: self.state.as_str(),
                event: event.as_str(),
            }),
        }
    }

    /// The event with which its collector moves it on at this time, if there is one.
    pub fn due(self, facts: HandleFacts, at: Millis) -> Option<HandleEvent> {
        let unused = Self::unused(facts);
        let expired = (!facts.is_worker_stalled).then_some(HandleEvent::Expired {
            synced_at: facts.worker_synced_at,
        });
        let events = match self.state {
            // Its worker removes the row with a report.
            HandleState::Destroying => [None, None],
            HandleState::Failed => [Some(HandleEvent::Discarded), None],
            HandleState::Created => [expired, unused],
            HandleState::Creating => [unused, Some(HandleEvent::CreationTimedOut)],
        };
        let mut events = events.into_iter().flatten();
        events.find(|event| self.apply(*event, at).is_ok())
    }

    fn unused(facts: HandleFacts) -> Option<HandleEvent> {
        (!facts.is_used && facts.children == 0).then_some(HandleEvent::Unused)
    }

    fn check_due(self, event: HandleEvent, due: Millis, at: Millis) -> Result<(), Illegal> {
        check_due(self.kind.as_str(), event.as_str(), due, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [HandleEvent; 7] = [
        HandleEvent::Created,
        HandleEvent::CreationFailed,
        HandleEvent::CreationTimedOut,
        HandleEvent::Unused,
        HandleEvent::Discarded,
        HandleEvent::Destroyed,
        HandleEvent::Expired {
            synced_at: CREATING_MAX,
        },
    ];

    #[test]
    fn only_the_drawn_transitions_are_legal() {
        let mut legal = Vec::new();
        for state in HandleState::ALL {
            for event in EVENTS {
                let mut handle = Handle::new(*state, 0);
                handle.missing_since = Some(0);
                if let Ok(next) = handle.apply(event, CREATING_MAX) {
                    let next = next.map_or("removed", |next| next.state.as_str());
                    legal.push(format!("{state} -> {next}: {}", event.as_str()));
                }
            }
        }
        assert_eq!(
            legal,
            [
                "creating -> created: creation",
                "creating -> failed: failure of the creation",
                "creating -> failed: timeout of the creation",
                "creating -> destroying: end of use",
                "created -> destroying: end of use",
                "created -> removed: expiry",
                "destroying -> removed: destruction",
                "failed -> destroying: discard",
            ]
        );
    }

    #[test]
    fn missing_container_expires_only_after_five_minutes_of_reports() {
        let mut handle = Handle::new(HandleState::Created, 0);
        handle.missing_since = Some(1_000);
        let facts = |synced_at: Millis, is_worker_stalled: bool| HandleFacts {
            is_used: true,
            worker_synced_at: synced_at,
            is_worker_stalled,
            ..HandleFacts::default()
        };
        let far = 1_000 * MISSING_MAX;
        // However late it is, without reports nothing expires.
        assert_eq!(handle.due(facts(1_000 + MISSING_MAX - 1, false), far), None);
        let synced_at = 1_000 + MISSING_MAX;
        assert_eq!(
            handle.due(facts(synced_at, false), synced_at),
            Some(HandleEvent::Expired { synced_at })
        );
        assert_eq!(handle.due(facts(synced_at, true), far), None, "stalled");
    }

    #[test]
    fn volume_with_children_and_container_in_use_are_kept() {
        let handle = Handle::new(HandleState::Created, 0);
        let used = HandleFacts {
            is_used: true,
            ..HandleFacts::default()
        };
        let parent = HandleFacts {
            children: 1,
            ..HandleFacts::default()
        };
        assert_eq!(handle.due(used, Millis::MAX), None);
        assert_eq!(handle.due(parent, Millis::MAX), None);
        let unused = handle.due(HandleFacts::default(), 0);
        assert_eq!(unused, Some(HandleEvent::Unused));
    }

    #[test]
    fn container_with_a_terminal_is_kept_for_five_minutes() {
        let mut handle = Handle::new(HandleState::Created, 0);
        handle.terminal_at = Some(10);
        let facts = HandleFacts::default();
        assert_eq!(handle.due(facts, 10 + TERMINAL_KEPT - 1), None);
        let unused = handle.due(facts, 10 + TERMINAL_KEPT);
        assert_eq!(unused, Some(HandleEvent::Unused));
    }
}
