//! What a process knows of itself and of its fleet, and the way by which it is toggled.

use crate::endpoints::Endpoints;
use crate::names::Names;
use crate::report::{Connections, Kernel, MemberReport, OperationReport, Report};
use crate::usage::{Meter, Usage};
use davy_base::{Clock, Timestamp};
use davy_profiler::Handle as Profiler;
use davy_runtime::{Handle as Runtime, Toggles};
use davy_store::{Store, Tick};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use ulid::Ulid;

/// Who this process is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// New at each start.
    pub id: Ulid,
    /// Its kind, or what the operator called it.
    pub process: String,
    /// The machine's name.
    pub host: String,
    /// The process that started it.
    pub parent: Option<String>,
    /// The version of the program.
    pub version: &'static str,
    /// The address of its debug port.
    pub debug: String,
}

/// What a process's control is made of.
pub struct Options {
    /// Who it is.
    pub identity: Identity,
    /// Time.
    pub clock: Clock,
    /// The database; its budget is that of the member `control`.
    pub store: Store,
    /// Its endpoints.
    pub endpoints: Arc<Endpoints>,
    /// Its toggles.
    pub toggles: Toggles,
    /// Its profiler.
    pub profiler: Option<Profiler>,
    /// Every member there is, in any process.
    pub members: Vec<String>,
    /// What a change must show as its bearer token; empty: changes only from this machine.
    pub token: String,
}

/// Whether the database answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// It was not reached yet, since then.
    Connecting(Timestamp, String),
    /// It answers.
    Up,
    /// It does not answer any more, since then.
    Lost(Timestamp, String),
}

/// A process's control. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Control(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) toggles: Toggles,
    pub(crate) names: Names,
    pub(crate) token: String,
    pub(crate) database: watch::Sender<Database>,
    pub(crate) runtime: OnceLock<Runtime>,
    pub(crate) meter: Meter,
    /// What members say of themselves.
    notes: Mutex<BTreeMap<String, String>>,
    /// Changes that were taken here and are not in the database yet.
    pub(crate) pending: Mutex<VecDeque<davy_store::ToggleChange>>,
    fleet: Mutex<Fleet>,
}

/// The reports of the other processes and the last runs of periodic members, as last read.
#[derive(Default)]
struct Fleet {
    read_at: Option<Duration>,
    reports: Vec<Report>,
    ticks: Vec<Tick>,
}

/// A process that has said nothing for so long is not counted any more.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// How old the other processes' reports may be before they are read again.
const FLEET_AGE: Duration = Duration::from_millis(500);

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    /// The control of a process whose members run when [`Control::attach`] is called.
    pub fn new(options: Options) -> Self {
        let Options {
            identity,
            clock,
            store,
            endpoints,
            toggles,
            profiler,
            members,
            token,
        } = options;
        let connecting = Database::Connecting(clock.now(), "not tried yet".to_owned());
        Self(Arc::new(Inner {
            meter: Meter::new(clock.clone(), endpoints.clone(), store.clone(), profiler),
            names: Names::new(members, endpoints.operations()),
            identity,
            clock,
            store,
            endpoints,
            toggles,
            token,
            database: watch::Sender::new(connecting),
            runtime: OnceLock::new(),
            notes: Mutex::default(),
            pending: Mutex::default(),
            fleet: Mutex::default(),
        }))
    }

    /// Hands over the members of this process.
    pub fn attach(&self, runtime: Runtime) {
        // A second call would be a second process in this one, which nothing makes.
        let _ = self.0.runtime.set(runtime);
        // What the configuration disables is not even started.
        self.apply();
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// What a member says of itself from now on, such as what it waits for; nothing with `None`.
    pub(crate) fn note(&self, member: &str, note: Option<String>) {
        let mut notes = locked(&self.0.notes);
        match note {
            Some(note) => notes.insert(member.to_owned(), note),
            None => notes.remove(member),
        };
    }

    /// Whether the database answers.
    pub(crate) fn database(&self) -> Database {
        self.0.database.borrow().clone()
    }

    /// Notes what a call of the database came to.
    pub(crate) fn database_said<T>(&self, result: &Result<T, davy_store::Error>) {
        let now = self.0.clock.now();
        self.0.database.send_if_modified(|state| {
            let next = match (&*state, result) {
                (Database::Up, Err(error)) if error.is_unreachable() => {
                    tracing::warn!(%error, "the database is lost; members that need it pause");
                    Database::Lost(now, error.to_string())
                }
                (Database::Connecting(since, _), Err(error)) => {
                    Database::Connecting(*since, error.to_string())
                }
                (Database::Lost(since, _), Ok(_)) => {
                    let seconds = now.since(*since).as_secs();
                    tracing::info!(seconds, "the database is back");
                    Database::Up
                }
                (Database::Connecting(..), Ok(_)) => Database::Up,
                _ => return false,
            };
            *state = next;
            true
        });
    }

    /// The report of this process, now.
    pub fn report(&self) -> Report {
        let inner = &self.0;
        let mut usages = inner.meter.read();
        let states = inner.runtime.get().map(|runtime| runtime.states().all());
        let connections = inner.store.figures().budgets;
        let notes = locked(&inner.notes).clone();
        let mut members: Vec<MemberReport> = states
            .unwrap_or_default()
            .into_iter()
            .map(|state| MemberReport {
                state: state.state.as_str().to_owned(),
                since: state.since.millis(),
                restarts: state.restarts,
                leaked: state.leaked,
                child_pid: state.pid,
                error: state.error,
                note: notes.get(&state.name).cloned().or(state.why),
                usage: Usage::default(),
                operations: Vec::new(),
                connections: connections
                    .iter()
                    .find(|c| c.member == state.name)
                    .map(|c| Connections {
                        in_use: c.in_use,
                        budget: c.connections,
                        waiting: c.waiting,
                    }),
                name: state.name,
            })
            .collect();
        for member in &mut members {
            let own = usages.extract_if(.., |(name, _), _| *name == member.name);
            for ((_, op), usage) in own {
                member.usage.add(&usage);
                member.operations.push(OperationReport { op, usage });
            }
        }
        // What is tagged with no member of this process, and what is not tagged.
        let mut others: BTreeMap<String, Vec<OperationReport>> = BTreeMap::new();
        for ((member, op), usage) in usages {
            others
                .entry(member)
                .or_default()
                .push(OperationReport { op, usage });
        }
        for (name, operations) in others {
            let mut usage = Usage::default();
            for operation in &operations {
                usage.add(&operation.usage);
            }
            let name = if name.is_empty() {
                "(untagged)".to_owned()
            } else {
                name
            };
            members.push(MemberReport {
                name,
                state: "-".to_owned(),
                since: 0,
                restarts: 0,
                leaked: 0,
                child_pid: None,
                error: None,
                note: None,
                usage,
                operations,
                connections: None,
            });
        }
        Report {
            id: inner.identity.id.to_string(),
            process: inner.identity.process.clone(),
            host: inner.identity.host.clone(),
            pid: std::process::id(),
            debug: inner.identity.debug.clone(),
            at: inner.clock.now().millis(),
            kernel: Kernel::read(),
            members,
        }
    }

    /// The reports of every process that lives, this one's first and fresh, and the last runs of
    /// periodic members. While the database is down they are those read last.
    pub async fn fleet(&self) -> (Vec<Report>, Vec<Tick>) {
        self.refresh().await;
        let mut reports = vec![self.report()];
        let fleet = locked(&self.0.fleet);
        let others = fleet
            .reports
            .iter()
            .filter(|report| report.id != reports[0].id);
        reports.extend(others.cloned().collect::<Vec<_>>());
        (reports, fleet.ticks.clone())
    }

    async fn refresh(&self) {
        let now = self.0.clock.monotonic();
        let is_fresh = locked(&self.0.fleet)
            .read_at
            .is_some_and(|at| now.saturating_sub(at) < FLEET_AGE);
        if is_fresh || self.database() != Database::Up {
            return;
        }
        let since = self.0.clock.now().minus(SILENCE).millis();
        let rows = self.0.store.live_processes(since).await;
        self.database_said(&rows);
        let ticks = self.0.store.ticks().await;
        let mut fleet = locked(&self.0.fleet);
        fleet.read_at = Some(now);
        match rows {
            Ok(rows) => {
                let texts = rows.iter().filter_map(|row| row.report.as_deref());
                // A report of another version may have another shape; it is then left out.
                fleet.reports = texts
                    .filter_map(|text| serde_json::from_str(text).ok())
                    .collect();
            }
            Err(error) => tracing::warn!(%error, "the other processes' reports can't be read"),
        }
        if let Ok(ticks) = ticks {
            fleet.ticks = ticks;
        }
    }
}
