//! The members `database` and `control`: the schema and this process's row in it; the toggles of
//! the fleet in, the report of this process out.

use crate::control::{Control, Database, locked};
use davy_runtime::{Context, Kind, Member, Target};
use davy_store::{ProcessRow, TOGGLES, Toggle, ToggleKind};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// Longer than any process runs.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);
/// How long after a failed attempt to reach the database the next one is made.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);
/// How often toggles are looked for where the database can't call: three times within the second in
/// which each is obeyed.
const POLL: Duration = Duration::from_millis(300);
/// How often they are looked for all the same where it can.
const SAFETY_POLL: Duration = Duration::from_secs(3);
/// How often a process reports, besides at each change of a state.
const REPORT: Duration = Duration::from_secs(2);

/// The member `database`: ready when the schema is there and this process is written into it. Where
/// the process can do its work without, it is ready at once.
pub fn database(control: &Control, optional: bool) -> Member {
    let control = control.clone();
    Member::new("database", Kind::Loop, move |context: Context| {
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
            // Everything that uses the database has stopped by now.
            control.say_goodbye().await;
            Ok(())
        }
    })
    // A process waits for its database for as long as it takes.
    .ready_deadline(FOR_EVER)
}

async fn connect(control: &Control) {
    let inner = &control.0;
    let mut said = String::new();
    loop {
        let result = async {
            inner.store.migrate().await?;
            control.say_hello().await
        };
        let result = result.await;
        control.database_said(&result);
        let Err(error) = result else { return };
        let text = error.to_string();
        if text != said {
            tracing::warn!(error = text, "the database can't be used yet; trying again");
            said = text;
        }
        control.note("database", Some(error.to_string()));
        tokio::time::sleep(CONNECT_PAUSE).await;
    }
}

impl Control {
    async fn say_hello(&self) -> Result<(), davy_store::Error> {
        let inner = &self.0;
        let identity = &inner.identity;
        let mut row = ProcessRow::new(
            identity.id,
            &identity.process,
            &identity.host,
            std::process::id(),
            identity.version,
            inner.clock.now(),
        );
        row.parent.clone_from(&identity.parent);
        row.debug = Some(identity.debug.clone());
        let before = inner.store.process_started(&row).await?;
        // Of a child its parent knows better how it ended. One that lives is another process of
        // this kind, not the one before; in a container the one before had this one's pid.
        let is_gone = |pid: i64| {
            pid == i64::from(std::process::id())
                || !std::path::Path::new(&format!("/proc/{pid}")).exists()
        };
        let before = before.filter(|before| identity.parent.is_none() && is_gone(before.pid));
        if let Some(before) = before {
            let started = davy_base::Timestamp::from_millis(before.started_at);
            tracing::warn!(pid = before.pid, %started, "the process before this one was killed");
        }
        self.note("database", None);
        Ok(())
    }

    async fn say_goodbye(&self) {
        let id = self.0.identity.id.to_string();
        if self.database() != Database::Up {
            return;
        }
        let said = self
            .0
            .store
            .process_stopped(&id, self.0.clock.now(), "drained")
            .await;
        if let Err(error) = said {
            tracing::warn!(%error, "the end of this process could not be remembered");
        }
    }
}

/// The member `control`: obeys the toggles of the fleet, and reports.
pub fn control(control: &Control) -> Member {
    let control = control.clone();
    Member::new("control", Kind::Loop, move |context: Context| {
        let control = control.clone();
        async move {
            let drain = context.drain();
            let mut sync = Sync::new(control);
            sync.obey().await;
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

/// Ends at the next change; never where nothing can change any more.
async fn news(changes: &mut Option<watch::Receiver<u64>>) {
    let changed = match changes {
        Some(changes) => changes.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending::<()>().await;
    }
}

fn ticker(period: Duration) -> Interval {
    let mut ticker = tokio::time::interval(period);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

struct Sync {
    control: Control,
    /// The last revision of toggles that was obeyed.
    revision: i64,
    /// Whether the toggles from before this process began have been read.
    is_awake: bool,
    /// The last wish for a restart of each member that was obeyed.
    restarts: HashMap<String, i64>,
}

impl Sync {
    fn new(control: Control) -> Self {
        Self {
            control,
            revision: 0,
            is_awake: false,
            restarts: HashMap::new(),
        }
    }

    async fn run(&mut self) {
        let inner = self.control.0.clone();
        let mut listener = inner.store.listen(TOGGLES);
        let mut look = ticker(if listener.is_some() {
            SAFETY_POLL
        } else {
            POLL
        });
        let mut report = ticker(REPORT);
        let mut toggled = inner.toggles.changed();
        let mut states = inner
            .runtime
            .get()
            .map(|runtime| runtime.states().changed());
        loop {
            let called = async {
                match &mut listener {
                    Some(listener) => listener.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A new line, too, is a reason to look: the old one may have swallowed a call.
                called = called => {
                    if called.is_none() {
                        listener = None;
                    }
                    self.obey().await;
                }
                _ = look.tick() => self.obey().await,
                _ = toggled.changed() => self.control.apply(),
                () = news(&mut states) => self.report().await,
                _ = report.tick() => self.report().await,
            }
        }
    }

    /// Looks for new toggles and obeys them; brings those that were taken without the database.
    async fn obey(&mut self) {
        // Until the schema is there, nothing can be asked.
        if matches!(self.control.database(), Database::Connecting(..)) {
            return;
        }
        self.control.flush_pending().await;
        let changes = self.control.0.store.toggles_since(self.revision).await;
        self.control.database_said(&changes);
        let Ok((revision, changes)) = changes else {
            return;
        };
        self.revision = revision;
        for toggle in changes {
            self.take(&toggle);
        }
        self.is_awake = true;
        self.control.apply();
    }

    fn take(&mut self, toggle: &Toggle) {
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
            tracing::debug!(name = toggle.name, %error, "a live toggle has no effect here");
        }
        if toggle.kind == ToggleKind::Member {
            let before = self
                .restarts
                .insert(toggle.name.clone(), toggle.restart_revision);
            // A wish from before this process began is fulfilled by its beginning.
            let is_new = toggle.restart_revision > before.unwrap_or(0);
            if is_new && self.is_awake {
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
                tracing::error!(%error, "this process's report can't be written");
                return;
            }
        };
        let id = control.0.identity.id.to_string();
        let said = control
            .0
            .store
            .process_report(&id, control.0.clock.now().millis(), &report)
            .await;
        control.database_said(&said);
    }
}

impl Control {
    /// Makes the members of this process run or stop as the toggles say.
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
                let who = if by.who.is_empty() {
                    &by.source
                } else {
                    &by.who
                };
                format!("{who}: {}", by.why)
            });
            tracing::info!(
                member = member.name,
                enabled = effective.enabled,
                why,
                "toggled"
            );
            if let Err(error) = runtime.set_enabled(&member.name, effective.enabled, &why) {
                tracing::warn!(member = member.name, %error, "a toggle can't be obeyed");
            }
        }
    }

    pub(crate) fn restart_here(&self, name: &str) {
        let here = self
            .0
            .runtime
            .get()
            .filter(|runtime| runtime.is_known(name));
        let Some(runtime) = here else { return };
        match runtime.restart(name, "asked for by an operator") {
            Ok(()) => tracing::info!(member = name, "restarting, as asked"),
            Err(error) => tracing::warn!(member = name, %error, "it can't be restarted"),
        }
    }

    /// Writes the changes that were taken while the database was down.
    async fn flush_pending(&self) {
        loop {
            let Some(change) = locked(&self.0.pending).front().cloned() else {
                return;
            };
            let written = self.0.store.set_toggle(&change).await;
            self.database_said(&written);
            match written {
                Ok(_) => tracing::info!(name = change.name, "a toggle reached the database"),
                Err(error) if error.is_unreachable() => return,
                Err(error) => {
                    tracing::error!(name = change.name, %error, "a toggle can't be written; it holds until this process ends");
                }
            }
            locked(&self.0.pending).pop_front();
        }
    }
}
