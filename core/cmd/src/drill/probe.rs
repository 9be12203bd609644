//! Starts builds while something else is going on, and measures how long the database takes for each.

use super::placement::DrillFleet;
use crate::failure::Failure;
use davy_base::Clock;
use davy_store::{BuildEnd, ClaimHandles, NewWorker, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the start of a build may be delayed by, and how it is said.
pub(super) const LIMIT: Duration = Duration::from_millis(50);
pub(super) const REQUIRED: &str = "below 50 ms";
const NAME: &str = "probe";
const PAUSE: Duration = Duration::from_millis(100);
const TASK: &str = r#"{"platform":"probe","run":{"path":"true"}}"#;

/// A thread that creates, claims and ends builds.
pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    pub(super) fn start(fleet: &DrillFleet, clock: &Clock) -> Result<Self, Failure> {
        let stop = Arc::<AtomicBool>::default();
        let (stopped, url, clock) = (stop.clone(), fleet.database.clone(), clock.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::because("cannot start the runtime"))?;
        let thread = std::thread::spawn(move || {
            runtime
                .block_on(probe(&url, &clock, &stopped))
                .unwrap_or_default()
        });
        Ok(Self { stop, thread })
    }

    /// How long each start took.
    pub(super) fn stop(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

async fn probe(
    url: &str,
    clock: &Clock,
    stop: &AtomicBool,
) -> Result<Vec<Duration>, davy_store::Error> {
    let store = Store::open(url).await?;
    let fence = register(&store).await?;
    let mut starts = Vec::new();
    while let Some(fence) = fence
        && !stop.load(Ordering::Relaxed)
    {
        let number = starts.len();
        let (container, volume) = (format!("{NAME}-c{number}"), format!("{NAME}-v{number}"));
        let handles = ClaimHandles {
            container: &container,
            volume: &volume,
        };
        let started = clock.monotonic();
        let id = store.create_build("drill probe", TASK, NAME, true).await?;
        let claimed = store.claim_build(NAME, fence, handles).await?;
        let took = clock.monotonic().saturating_sub(started);
        if claimed.is_none_or(|build| build.id != id) {
            break;
        }
        starts.push(took);
        let end = BuildEnd::Exited { code: 0 };
        store.finish_build(id, NAME, fence, &end, None).await?;
        // It reports nothing, so its rows go as soon as they are marked.
        let report = davy_model::Report {
            generation: davy_model::sync::generation(fence, number as u32 + 1),
            ..davy_model::Report::default()
        };
        store.sync_worker(NAME, &report, None).await?;
        clock.sleep(PAUSE).await;
    }
    Ok(starts)
}

async fn register(store: &Store) -> Result<Option<i64>, davy_store::Error> {
    store.put_worker_key(NAME, "probe", "drill").await?;
    let fresh = format!("probe-{}", davy_base::Random::system().next_u64());
    let Some((challenge, public_key)) = store.worker_challenge(NAME, &fresh).await? else {
        return Ok(None);
    };
    let new = NewWorker {
        name: NAME.to_owned(),
        challenge,
        public_key,
        is_ephemeral: true,
        platform: NAME.to_owned(),
        tags: "[]".to_owned(),
        capacity: 250,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        builds: Vec::new(),
    };
    store.register_worker(&new).await
}
