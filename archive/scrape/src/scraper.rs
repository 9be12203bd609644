//! The scraper: discovers targets and scrapes those that it owns.

use crate::config::ScrapeConfig;
use crate::discovery::Discovery;
use crate::metrics::Metrics;
use crate::push::Archivers;
use crate::scrape::{Memory, Tools, scrape};
use crate::slot::Slots;
use crate::target::Target;
use davy_archive::Archive;
use davy_archive::presence::{Presence, REFRESH};
use davy_base::{Clock, Timestamp};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use prometheus::Registry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The folder of presence objects.
const FOLDER: &str = ".scrapers";
/// Time between two looks at the sources of targets.
const DISCOVERY: Duration = Duration::from_secs(30);
/// The longest sleep.
const SLEEP: Duration = Duration::from_secs(1);

/// Options of a scraper.
#[derive(Clone, Debug)]
pub struct ScrapeOptions {
    /// What is scraped.
    pub config: ScrapeConfig,
    /// Archivers that profiles are pushed to, which are tried one after another.
    pub archives: Vec<String>,
    /// Bearer token for the archivers.
    pub token: Option<String>,
    /// Source of time and timers.
    pub clock: Clock,
}

/// Pulls profiles. Cheap to clone.
#[derive(Clone)]
pub struct Scraper {
    /// What is scraped, and what tells the loop that it was replaced.
    config: Arc<watch::Sender<Arc<ScrapeConfig>>>,
    tools: Arc<Tools>,
    presence: Presence,
}

/// A target, and what is kept of it between scrapes.
struct Owned {
    target: Target,
    slots: Slots,
    /// The last slot that was scraped, or that the target was found in.
    last: i64,
    /// None during a scrape.
    memory: Option<Memory>,
}

impl Scraper {
    /// A scraper whose replicas see each other in the bucket of `archive`.
    ///
    /// # Errors
    ///
    /// If the metrics are registered already, or TLS cannot be configured.
    pub fn new(
        archive: &Archive,
        options: ScrapeOptions,
        registry: &Registry,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let tools = Tools {
            client: davy_bucket::web_client()?,
            archivers: Archivers {
                urls: options.archives,
                token: options.token,
            },
            clock: options.clock,
            metrics: Metrics::new(registry)?,
        };
        Ok(Self {
            config: Arc::new(watch::Sender::new(Arc::new(options.config))),
            tools: Arc::new(tools),
            presence: archive.presence(FOLDER),
        })
    }

    /// Replaces what is scraped. Targets that remain keep what is known of them, so nothing counts twice.
    pub fn set_config(&self, config: ScrapeConfig) {
        self.config.send_replace(Arc::new(config));
    }

    /// Scrapes until `drain` is cancelled. Scrapes that are running are dropped then; their slots are lost, unless another
    /// replica takes over in time.
    pub async fn run(self, drain: CancellationToken) {
        tokio::select! {
            () = self.presence() => {}
            () = self.scrapes() => {}
            () = drain.cancelled() => {}
        }
        self.presence.leave().await;
    }

    async fn presence(&self) {
        loop {
            self.presence.refresh().await;
            self.tools
                .metrics
                .scrapers
                .set(self.presence.count() as i64);
            self.tools.clock.sleep(REFRESH).await;
        }
    }

    async fn scrapes(&self) {
        let (tools, clock) = (&self.tools, &self.tools.clock);
        let mut discovery = Discovery::default();
        let mut owned: BTreeMap<String, Owned> = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        let mut due = Duration::ZERO;
        let mut changes = self.config.subscribe();
        let mut config = Arc::clone(&changes.borrow_and_update());
        loop {
            if clock.monotonic() >= due {
                let targets = discovery.targets(&config, &tools.client, clock).await;
                tools
                    .metrics
                    .sources_failing
                    .set(discovery.failing() as i64);
                self.replace(&mut owned, targets, clock.now());
                due = clock.monotonic() + DISCOVERY;
            }
            let now = clock.now();
            let mut is_owned = 0;
            let mut next = now.plus(SLEEP);
            for (key, of) in &mut owned {
                if !self.presence.owns(key) {
                    let (job, instance) = (&of.target.job, &of.target.instance);
                    let _ = tools.metrics.up.remove_label_values(&[job, instance]);
                    continue;
                }
                is_owned += 1;
                let slot = of.slots.at(now);
                if slot > of.last {
                    if of.memory.is_none() || running.len() >= config.concurrency {
                        // It is tried again until the slot is over.
                        if of.slots.at(now.plus(SLEEP)) > slot {
                            of.last = slot;
                            let late = &tools.metrics.scrapes;
                            late.with_label_values(&[of.target.job.as_str(), "late"])
                                .inc();
                        }
                        continue;
                    }
                    of.last = slot;
                    let memory = of.memory.take().unwrap_or_default();
                    let (key, target) = (key.clone(), of.target.clone());
                    let start = of.slots.start(slot);
                    running.push(async move {
                        let memory = scrape(tools, &target, (slot, start), memory).await;
                        (key, memory)
                    });
                }
                next = next.min(of.slots.start(of.last + 1));
            }
            let targets = &tools.metrics.targets;
            targets.with_label_values(&["all"]).set(owned.len() as i64);
            targets.with_label_values(&["own"]).set(is_owned);
            let pause = next.since(clock.now()).max(Duration::from_millis(10));
            tokio::select! {
                Some((key, memory)) = running.next() => {
                    if let Some(of) = owned.get_mut(&key) {
                        of.memory = Some(memory);
                    }
                }
                () = clock.sleep(pause) => {}
                Ok(()) = changes.changed() => {
                    config = Arc::clone(&changes.borrow_and_update());
                    discovery.forget_failures();
                    due = Duration::ZERO;
                }
            }
        }
    }

    /// Replaces the targets by those that were discovered, and keeps what is known of those that remain.
    fn replace(
        &self,
        owned: &mut BTreeMap<String, Owned>,
        targets: BTreeMap<String, Target>,
        now: Timestamp,
    ) {
        owned.retain(|key, of| {
            let remains = targets.contains_key(key);
            if !remains {
                let (job, instance) = (&of.target.job, &of.target.instance);
                let _ = self.tools.metrics.up.remove_label_values(&[job, instance]);
            }
            remains
        });
        for (key, target) in targets {
            if let Some(of) = owned.get_mut(&key) {
                if of.target.every != target.every {
                    of.slots = Slots::new(&key, target.every);
                    of.last = of.slots.at(now);
                }
                of.target = target;
                continue;
            }
            let slots = Slots::new(&key, target.every);
            let new = Owned {
                // The slot that has begun already is not scraped: less than a whole one is left of it.
                last: slots.at(now),
                slots,
                memory: Some(Memory::default()),
                target,
            };
            owned.insert(key, new);
        }
    }
}
