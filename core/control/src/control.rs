//! The control of a process: its identity, its toggles, and its view of the fleet.

use crate::access::Access;
use crate::cgroup_report::CgroupReport;
use crate::endpoints::Endpoints;
use crate::fleet_cache::FleetCache;
use crate::meter::Meter;
use crate::names::Names;
use crate::objects::BuildObjects;
use crate::report::{Connections, KernelStatistics, MemberReport, OperationReport, Report};
use crate::usage::Usage;
use davy_base::{Clock, Timestamp};
use davy_profiler::Handle as Profiler;
use davy_runtime::{Handle as Runtime, Toggles};
use davy_store::Store;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;
use ulid::Ulid;

/// The identity of a process.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id, new at each start.
    pub id: Ulid,
    /// Its kind, or the name that the operator gave it.
    pub process: String,
    /// The machine's name.
    pub host: String,
    /// The id of the process that started it.
    pub parent: Option<String>,
    /// The version of the program.
    pub version: &'static str,
    /// The address of its debug port.
    pub debug: String,
}

/// The parts of a [`Control`].
pub struct ControlOptions {
    /// The identity of the process.
    pub identity: Identity,
    /// The clock of the process.
    pub clock: Clock,
    /// The database, on the budget of the member `control`.
    pub store: Store,
    /// The endpoints of the process.
    pub endpoints: Arc<Endpoints>,
    /// The toggles of the process.
    pub toggles: Toggles,
    /// The profiler of the process, if it runs.
    pub profiler: Option<Profiler>,
    /// The names of all members, wherever they run.
    pub members: Vec<String>,
    /// The access rules.
    pub access: Access,
}

/// The state of the connection to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// Not reached since the process started, with the time of the start and the last error.
    Connecting(Timestamp, String),
    /// Reachable.
    Up,
    /// Unreachable since that time, with the error.
    Lost(Timestamp, String),
}

/// The control of a process. Cheap to clone; all clones share their state.
#[derive(Clone)]
pub struct Control(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) toggles: Toggles,
    pub(crate) names: Names,
    pub(crate) access: Access,
    pub(crate) database: watch::Sender<Database>,
    pub(crate) runtime: OnceLock<Runtime>,
    /// Where logs and files of builds are; the database without it.
    pub(crate) objects: OnceLock<BuildObjects>,
    pub(crate) meter: Meter,
    /// Notes of members about themselves, by member.
    notes: Mutex<BTreeMap<String, String>>,
    /// Changes that are applied in this process and not in the database yet.
    pub(crate) pending: Mutex<VecDeque<crate::pending::Pending>>,
    pub(crate) fleet: Mutex<FleetCache>,
    checks: Mutex<Vec<(&'static str, Check)>>,
}

/// Returns why something that members share does not work, if it does not.
pub type Check = Box<dyn Fn() -> Option<String> + Send + Sync>;

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    /// A control whose members are handed over later, by [`Control::attach`].
    pub fn new(options: ControlOptions) -> Self {
        let ControlOptions {
            identity,
            clock,
            store,
            endpoints,
            toggles,
            profiler,
            members,
            access,
        } = options;
        let connecting = Database::Connecting(clock.now(), "no connection attempt yet".to_owned());
        Self(Arc::new(Inner {
            meter: Meter::new(
                clock.clone(),
                Some(endpoints.clone()),
                Some(store.clone()),
                profiler,
            ),
            names: Names::new(members, endpoints.operations()),
            identity,
            clock,
            store,
            endpoints,
            toggles,
            access,
            database: watch::Sender::new(connecting),
            runtime: OnceLock::new(),
            objects: OnceLock::new(),
            notes: Mutex::default(),
            pending: Mutex::default(),
            fleet: Mutex::default(),
            checks: Mutex::default(),
        }))
    }

    /// Adds something that members share, such as the bucket, to the health of this process. While the check returns a
    /// reason, the process is degraded.
    pub fn add_check(&self, name: &'static str, check: Check) {
        locked(&self.0.checks).push((name, check));
    }

    /// The checks that fail, with the reasons.
    pub(crate) fn failing_checks(&self) -> Vec<(&'static str, String)> {
        let checks = locked(&self.0.checks);
        checks
            .iter()
            .filter_map(|(name, check)| Some((*name, check()?)))
            .collect()
    }

    /// Stores logs and files of builds in a bucket that all processes share, instead of the database.
    pub fn set_build_objects(&self, objects: BuildObjects) {
        // Called once for each process; a second call would be ignored.
        let _ = self.0.objects.set(objects);
    }

    /// Hands over the members of this process.
    pub fn attach(&self, runtime: Runtime) {
        // Called once for each process; a second call would be ignored.
        let _ = self.0.runtime.set(runtime);
        // Members that the configuration disables never start.
        self.apply();
    }

    /// The identity of the process.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Sets or removes the note of a member about itself, such as what it waits for.
    pub fn note(&self, member: &str, note: Option<String>) {
        let mut notes = locked(&self.0.notes);
        match note {
            Some(note) => notes.insert(member.to_owned(), note),
            None => notes.remove(member),
        };
    }

    /// The state of the connection to the database.
    pub(crate) fn database(&self) -> Database {
        self.0.database.borrow().clone()
    }

    /// Derives the state of the connection from the result of a query.
    pub(crate) fn observe_database<T>(&self, result: &Result<T, davy_store::Error>) {
        let now = self.0.clock.now();
        self.0.database.send_if_modified(|state| {
            let next = match (&*state, result) {
                (Database::Up, Err(error)) if error.is_transient() => {
                    tracing::warn!(%error, "database lost; members that need it pause");
                    Database::Lost(now, error.to_string())
                }
                (Database::Connecting(since, _), Err(error)) => {
                    Database::Connecting(*since, error.to_string())
                }
                (Database::Lost(since, _), Ok(_)) => {
                    let seconds = now.since(*since).as_secs();
                    tracing::info!(seconds, "database reachable again");
                    Database::Up
                }
                (Database::Connecting(..), Ok(_)) => Database::Up,
                _ => return false,
            };
            *state = next;
            true
        });
    }

    /// The current report of this process.
    pub fn report(&self) -> Report {
        let inner = &self.0;
        let mut usages = inner.meter.read();
        let states = inner.runtime.get().map(|runtime| runtime.states().all());
        let connections = inner.store.stats().budgets;
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
                cgroup: state.cgroup.as_ref().map(CgroupReport::read),
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
        // Work tagged with a member of another process, and untagged work.
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
                cgroup: None,
            });
        }
        Report {
            id: inner.identity.id.to_string(),
            process: inner.identity.process.clone(),
            host: inner.identity.host.clone(),
            pid: std::process::id(),
            debug: inner.identity.debug.clone(),
            at: inner.clock.now().millis(),
            kernel: KernelStatistics::read(),
            members,
        }
    }
}
