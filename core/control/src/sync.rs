//! The members `database` and `control`. `database` migrates the schema and registers the process;
//! `control` applies the toggles of the fleet and writes the report of this process.

use crate::control::{Control, Database, locked};
use davy_runtime::{Context, Member, MemberKind, Target};
use davy_store::{NewProcess, TOGGLES, Toggle, ToggleKind};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;

/// Longer than any process runs.
const NEVER: Duration = Duration::from_hours(24 * 365);
/// The pause between two attempts to reach the database.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);
/// How often toggles are read if the database has no notifications: three times within the second in
/// which every process has to apply them.
const POLL: Duration = Duration::from_millis(300);
/// How often they are read in addition to notifications, which can be lost.
const SAFETY_POLL: Duration = Duration::from_secs(3);
/// How often a process reports. It also reports at each change of a member's state.
const REPORT: Duration = Duration::from_secs(2);

/// The member `database`: ready when the schema is migrated and the process registered; ready
/// immediately if it is `optional` for the process.
pub fn database(control: &Control, optional: bool) -> Member {
    let control = control.clone();
    Member::new("database", MemberKind::Loop, move |context: Context| {
        let control = control.clone();
        async move {
            let drain = context.drain();
            if optional {
                context.ready();
            }
            tokio::select! {
                () = drain.cancelled() => return Ok(()),
                () = connect(&control) => {}
            }
            context.ready();
            context.draining().await;
            // The members that use the database have stopped before.
            control.deregister().await;
            Ok(())
        }
    })
    // A process waits for its database without a time limit.
    .ready_deadline(NEVER)
}

async fn connect(control: &Control) {
    let inner = &control.0;
    let mut logged = String::new();
    loop {
        let result = async {
            inner.store.migrate().await?;
            control.register().await
        };
        let result = result.await;
        control.observe_database(&result);
        let Err(error) = result else { return };
        let text = error.to_string();
        // Once for each different error, not once a second.
        if text != logged {
            tracing::warn!(error = text, "database unavailable; retrying");
            logged = text;
        }
        control.note("database", Some(error.to_string()));
        inner.clock.sleep(CONNECT_PAUSE).await;
    }
}

impl Control {
    /// Writes the row of this process, and logs if the process before it was killed.
    async fn register(&self) -> Result<(), davy_store::Error> {
        let inner = &self.0;
        let identity = &inner.identity;
        let process = NewProcess {
            id: identity.id,
            kind: identity.process.clone(),
            host: identity.host.clone(),
            pid: std::process::id(),
            version: identity.version.to_owned(),
            parent: identity.parent.clone(),
            debug: Some(identity.debug.clone()),
        };
        let before = inner.store.process_started(&process).await?;
        // The end of a child is logged by its parent. A row whose pid is still in use belongs to another
        // live process of this kind, unless it is our own pid: in a container every run has the same.
        let is_gone = |pid: i64| {
            pid == i64::from(std::process::id())
                || !std::path::Path::new(&format!("/proc/{pid}")).exists()
        };
        let before = before.filter(|before| identity.parent.is_none() && is_gone(before.pid));
        if let Some(before) = before {
            let started = davy_base::Timestamp::from_millis(before.started_at);
            tracing::warn!(pid = before.pid, %started, "the previous process was killed");
        }
        self.note("database", None);
        Ok(())
    }

    /// Records a clean stop.
    async fn deregister(&self) {
        let id = self.0.identity.id.to_string();
        if self.database() != Database::Up {
            return;
        }
        let written = self.0.store.process_stopped(&id, "drained").await;
        if let Err(error) = written {
            tracing::warn!(%error, "cannot record the end of this process");
        }
    }
}

/// The member `control`: applies the toggles of the fleet, and reports.
pub fn control(control: &Control) -> Member {
    let control = control.clone();
    Member::new("control", MemberKind::Loop, move |context: Context| {
        let control = control.clone();
        async move {
            let drain = context.drain();
            let mut sync = Sync::new(control);
            sync.read_toggles().await;
            context.ready();
            tokio::select! {
                () = drain.cancelled() => {}
                () = sync.run() => {}
            }
            sync.report().await;
            Ok(())
        }
    })
    .after(["database"])
}

/// Completes at the next change. Never completes after the sender was dropped.
async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    let changed = match changes {
        Some(changes) => changes.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending::<()>().await;
    }
}

struct Sync {
    control: Control,
    /// The last toggle revision that was applied.
    revision: i64,
    /// Whether the toggles from before the start of this process have been read.
    has_read: bool,
    /// By member: the revision of the last restart command.
    restarts: HashMap<String, i64>,
}

impl Sync {
    fn new(control: Control) -> Self {
        Self {
            control,
            revision: 0,
            has_read: false,
            restarts: HashMap::new(),
        }
    }

    async fn run(&mut self) {
        let inner = self.control.0.clone();
        let mut listener = inner.store.listen(TOGGLES);
        let poll = if listener.is_some() {
            SAFETY_POLL
        } else {
            POLL
        };
        let mut poll = inner.clock.interval(poll);
        let mut report = inner.clock.interval(REPORT);
        let mut toggled = inner.toggles.changed();
        let mut states = inner
            .runtime
            .get()
            .map(|runtime| runtime.states().changed());
        loop {
            let notified = async {
                match &mut listener {
                    Some(listener) => listener.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Also after a reconnect, which may have lost a notification.
                notification = notified => {
                    if notification.is_none() {
                        listener = None;
                    }
                    self.read_toggles().await;
                }
                () = poll.tick() => self.read_toggles().await,
                _ = toggled.changed() => self.control.apply(),
                () = changed(&mut states) => self.report().await,
                () = report.tick() => self.report().await,
            }
        }
    }

    /// Writes pending changes, then reads and applies new toggles.
    async fn read_toggles(&mut self) {
        // Before the migration there may be no tables.
        if matches!(self.control.database(), Database::Connecting(..)) {
            return;
        }
        self.control.flush_pending().await;
        let changes = self.control.0.store.toggles_since(self.revision).await;
        self.control.observe_database(&changes);
        let Ok((revision, changes)) = changes else {
            return;
        };
        self.revision = revision;
        for toggle in changes {
            self.apply_toggle(&toggle);
        }
        self.has_read = true;
        self.control.apply();
    }

    fn apply_toggle(&mut self, toggle: &Toggle) {
        let control = &self.control;
        let target = match toggle.kind {
            ToggleKind::Member => Target::Member(toggle.name.clone()),
            ToggleKind::Endpoint => Target::Endpoint(toggle.name.clone()),
        };
        if let Err(error) = control
            .0
            .toggles
            .set_live(target, crate::toggling::setting_of(toggle))
        {
            tracing::debug!(name = toggle.name, %error, "live toggle ignored: the configuration is more restrictive");
        }
        if toggle.kind == ToggleKind::Member {
            let before = self
                .restarts
                .insert(toggle.name.clone(), toggle.restart_revision);
            // A command from before the start of this process was fulfilled by that start.
            let is_new = toggle.restart_revision > before.unwrap_or(0);
            if is_new && self.has_read {
                control.restart_here(&toggle.name);
            }
        }
    }

    async fn report(&self) {
        let control = &self.control;
        if control.database() != Database::Up {
            return;
        }
        let report = match serde_json::to_string(&control.report()) {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(%error, "cannot serialize the report of this process");
                return;
            }
        };
        let id = control.0.identity.id.to_string();
        let written = control.0.store.process_report(&id, &report).await;
        control.observe_database(&written);
    }
}

impl Control {
    /// Runs or stops the members of this process according to the toggles.
    pub(crate) fn apply(&self) {
        let Some(runtime) = self.0.runtime.get() else {
            return;
        };
        for member in runtime.states().all() {
            let effective = self
                .0
                .toggles
                .effective(&Target::Member(member.name.clone()));
            if effective.enabled == member.enabled {
                continue;
            }
            let why = effective.by.map_or_else(String::new, |by| {
                let operator = if by.operator.is_empty() {
                    &by.source
                } else {
                    &by.operator
                };
                match by.why.as_str() {
                    "" => operator.clone(),
                    why => format!("{operator}: {why}"),
                }
            });
            if let Err(error) = runtime.set_enabled(&member.name, effective.enabled, &why) {
                tracing::warn!(member = member.name, %error, "cannot apply a toggle");
            }
        }
    }

    pub(crate) fn restart_here(&self, name: &str) {
        let here = self
            .0
            .runtime
            .get()
            .filter(|runtime| runtime.contains(name));
        let Some(runtime) = here else { return };
        if let Err(error) = runtime.restart(name, "restarted by an operator") {
            tracing::warn!(member = name, %error, "cannot restart a member");
        }
    }

    /// Writes the changes that were made while the database was unreachable.
    async fn flush_pending(&self) {
        loop {
            let Some(pending) = locked(&self.0.pending).front().cloned() else {
                return;
            };
            let change = pending.change(self.0.clock.monotonic());
            let written = self.0.store.set_toggle(&change).await;
            self.observe_database(&written);
            match written {
                Ok(_) => tracing::info!(name = change.name, "pending toggle written"),
                Err(error) if error.is_transient() => return,
                Err(error) => {
                    tracing::error!(name = change.name, %error, "cannot write a toggle; it is in effect until this process stops");
                }
            }
            locked(&self.0.pending).pop_front();
        }
    }
}
