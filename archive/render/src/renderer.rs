//! The renderer, and how it is run.

use crate::due::{Due, Shown};
use crate::metrics::Metrics;
use crate::options::RenderOptions;
use crate::presence::{self, Share};
use davy_archive::Archive;
use davy_archive::key::{Day, Tenant};
use davy_archive::query::Query;
use davy_base::Timestamp;
use prometheus::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

/// Renders flame graphs. Any number of renderers can work on the same bucket. Cheap to clone.
#[derive(Clone)]
pub struct Renderer {
    pub(crate) archive: Archive,
    pub(crate) query: Query,
    pub(crate) options: RenderOptions,
    pub(crate) metrics: Metrics,
    /// When this renderer was created.
    pub(crate) started: Timestamp,
    known: Arc<Mutex<Known>>,
}

/// What this process has seen. It saves requests and decides nothing: a renderer that knows nothing writes the same.
#[derive(Default)]
pub(crate) struct Known {
    /// Days whose artefacts show everything, by what was listed of them, and until when that holds.
    pub(crate) days: BTreeMap<(Tenant, Day), (u128, Timestamp)>,
    /// Days without artefacts that have expired.
    pub(crate) expired: BTreeMap<Tenant, BTreeSet<Day>>,
    /// When the calendar of each tenant was written or compared.
    pub(crate) calendars: BTreeMap<Tenant, Timestamp>,
}

/// An hour or a day that was rendered, or would be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rendered {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// `YYYY-MM-DD/HH` or `YYYY-MM-DD`.
    pub period: String,
    /// Why it was rendered or not.
    pub due: Due,
    /// Number of objects written.
    pub objects: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Why it failed.
    pub error: Option<String>,
    /// What it shows.
    #[serde(skip)]
    pub shown: Shown,
}

impl Renderer {
    /// A renderer of an archive. Fails if `registry` already has its metrics.
    pub fn new(
        archive: &Archive,
        options: RenderOptions,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        for focus in &options.focus {
            // Shown as 0 until one is lost.
            metrics.focus_lost.with_label_values(&[focus.name()]);
        }
        Ok(Self {
            query: archive.query().with_nodes(options.nodes),
            archive: archive.clone(),
            metrics,
            started: options.clock.now(),
            options,
            known: Arc::default(),
        })
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs rounds until `drain` is cancelled. A round in progress is dropped, which is safe: each object is written by one
    /// PUT, and the page that states what the artefacts of a period show is written last.
    pub async fn run(self, drain: CancellationToken) {
        let clock = self.options.clock.clone();
        let own = Ulid::from_parts(
            clock.now().millis().unsigned_abs(),
            u128::from(self.options.random.clone().next_u64()),
        );
        let own = own.to_string();
        let work = async {
            loop {
                let share = presence::share(self.archive.bucket(), &own).await;
                self.log(&share).await;
                clock.sleep(self.options.interval).await;
            }
        };
        tokio::select! {
            biased;
            () = drain.cancelled() => {}
            () = work => {}
        }
        presence::leave(self.archive.bucket(), &own, &clock).await;
    }

    /// Runs a round and logs what it did.
    async fn log(&self, share: &Share) {
        match self.round(share).await {
            Ok(all) => {
                let done: Vec<&Rendered> = all.iter().filter(|of| of.error.is_none()).collect();
                if !done.is_empty() {
                    tracing::info!(
                        periods = done.len(),
                        objects = done.iter().map(|of| of.objects).sum::<u64>(),
                        bytes = done.iter().map(|of| of.bytes).sum::<u64>(),
                        "rendered flame graphs"
                    );
                }
                for of in &all {
                    if let Some(error) = &of.error {
                        tracing::warn!(
                            tenant = of.tenant,
                            period = of.period,
                            error,
                            "rendering failed"
                        );
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "rendering failed"),
        }
    }

    /// Runs one round over all tenants, whatever other renderers do. Returns what it rendered.
    pub async fn once(&self) -> crate::Result<Vec<Rendered>> {
        self.round(&Share::All).await
    }
}
