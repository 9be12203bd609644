//! Listens to the channels in one process of the fleet, and pushes what it hears to an archiver.
//!
//! Redis does not number what is published, and equal lines are legitimate, so two listeners would count every sample
//! twice. One process listens, under a lease that it keeps each second. If that process dies, another takes the lease
//! after [`HOLD`] at most. What was published in between is lost, as it would be with Arc Lamp; the gap is counted.
//!
//! While the database cannot be reached, nobody can take the lease, so the process that has it keeps listening.

mod connection;

use crate::channel::Channel;
use crate::collector::Collector;
use crate::line::Fault;
use crate::metrics::Metrics;
use crate::push::{Pusher, Target};
use crate::settings::RedisSettings;
use connection::{Connection, Lost};
use davy_base::{Clock, Random};
use futures_util::future::BoxFuture;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the lease lasts after it was taken or kept.
pub const HOLD: Duration = Duration::from_secs(3);
/// Time between two attempts to take or keep it.
const KEEP: Duration = Duration::from_millis(500);
/// The shortest and the longest pause before Redis is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The right to listen, which one process of the fleet has.
pub trait Lease: Send + Sync {
    /// Takes the lease, or keeps it, for [`HOLD`]. Returns whether this process has it, or why that is not known.
    fn take(&self) -> BoxFuture<'_, Result<bool, String>>;
    /// Gives it back.
    fn release(&self) -> BoxFuture<'_, ()>;
}

/// Options of a stream.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// Where Redis is.
    pub redis: RedisSettings,
    /// What to listen to.
    pub channels: Vec<Channel>,
    /// The service whose profiles they are.
    pub service: String,
    /// Addresses of archivers.
    pub archives: Vec<String>,
    /// Bearer token for pushes.
    pub token: Option<String>,
    /// Duration of a window.
    pub window: Duration,
    /// Maximum memory of stacks that wait to be pushed, in bytes.
    pub buffer_bytes: usize,
    /// Source of time and timers.
    pub clock: Clock,
    /// Source of randomness.
    pub random: Random,
    /// Name of this process, which no other has.
    pub instance: String,
}

/// Called with what the operator should know about the state of the stream.
pub type Notify<'a> = &'a (dyn Fn(String) + Send + Sync);

/// The stream of one fleet.
pub struct Stream {
    options: StreamOptions,
    metrics: Metrics,
    pusher: Pusher,
    collectors: Mutex<Vec<Collector>>,
    random: Mutex<Random>,
}

impl Stream {
    /// Creates a stream and registers its metrics.
    pub fn new(
        options: StreamOptions,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        let now = options.clock.now();
        let collectors = options.channels.iter().map(|channel| {
            for of in [&metrics.lines, &metrics.samples] {
                of.with_label_values(&[&channel.name]);
            }
            metrics
                .last_line
                .with_label_values(&[&channel.name])
                .set(0.0);
            Collector::new(channel.clone(), now)
        });
        let collectors = Mutex::new(collectors.collect());
        let target = Target {
            archives: options.archives.clone(),
            token: options.token.clone(),
            service: options.service.clone(),
            instance: options.instance.clone(),
        };
        let (bytes, clock) = (options.buffer_bytes / 2, options.clock.clone());
        let pusher = Pusher::new(target, bytes, metrics.clone(), clock);
        Ok(Self {
            random: Mutex::new(options.random.clone()),
            options,
            metrics,
            pusher,
            collectors,
        })
    }

    /// Listens whenever this process has the lease, until `drain` is cancelled. `notify` is called with each change of
    /// the state.
    pub async fn run(&self, lease: &dyn Lease, notify: Notify<'_>, drain: CancellationToken) {
        let end = CancellationToken::new();
        let listen = async {
            tokio::select! {
                () = self.hold(lease, notify) => {}
                () = drain.cancelled() => {}
            }
            self.metrics.listening.set(0);
            self.take_windows();
            end.cancel();
            lease.release().await;
        };
        tokio::join!(listen, self.pusher.run(end.clone()));
    }

    /// Takes the lease and listens, again and again.
    async fn hold(&self, lease: &dyn Lease, notify: Notify<'_>) {
        let clock = &self.options.clock;
        // Since when nobody has listened, as far as this process knows.
        let mut silent_since = clock.monotonic();
        loop {
            match lease.take().await {
                Ok(true) => {
                    tokio::select! {
                        () = self.listen(silent_since, notify) => {}
                        () = self.keep(lease) => {}
                    }
                    self.metrics.listening.set(0);
                    self.take_windows();
                    tracing::warn!("another process listens to the channels of Arc Lamp now");
                }
                Ok(false) => {
                    notify("standby: another process listens".to_owned());
                    // The other one may have stopped to listen right after it took the lease.
                    silent_since = clock.monotonic().saturating_sub(HOLD);
                }
                Err(error) => notify(format!("not listening: cannot take the lease: {error}")),
            }
            clock.sleep(KEEP).await;
        }
    }

    /// Keeps the lease, and returns when another process has it.
    async fn keep(&self, lease: &dyn Lease) {
        loop {
            self.options.clock.sleep(KEEP).await;
            if let Ok(false) = lease.take().await {
                return;
            }
        }
    }

    /// Listens, and connects again whenever the connection is lost.
    async fn listen(&self, mut silent_since: Duration, notify: Notify<'_>) {
        let clock = &self.options.clock;
        let mut backoff = BACKOFF.0;
        let mut last_reason = String::new();
        loop {
            let names: Vec<&str> = self
                .options
                .channels
                .iter()
                .map(|of| of.name.as_str())
                .collect();
            let failed = match Connection::open(&self.options.redis, &names, clock).await {
                Ok(connection) => {
                    let gap = clock.monotonic().saturating_sub(silent_since);
                    self.metrics.gap.inc_by(gap.as_secs_f64());
                    self.metrics.connects.inc();
                    self.metrics.listening.set(1);
                    let text = format!(
                        "listening to {} on {}",
                        names.join(", "),
                        connection.address()
                    );
                    tracing::info!(gap_seconds = gap.as_secs_f64(), "{text}");
                    notify(text);
                    (backoff, last_reason) = (BACKOFF.0, String::new());
                    let lost = self.receive(connection).await;
                    self.metrics.listening.set(0);
                    silent_since = lost.alive_at;
                    lost.reason
                }
                Err(reason) => reason,
            };
            if failed != last_reason {
                tracing::warn!(reason = failed, "not connected to Redis; retrying");
                notify(format!("not listening: {failed}; retrying"));
                last_reason = failed;
            }
            let jitter = self
                .random
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .unit();
            clock.sleep(backoff.mul_f64(0.5 + jitter / 2.0)).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    /// Collects lines until the connection is lost.
    async fn receive(&self, mut connection: Connection) -> Lost {
        let now = self.options.clock.now();
        for collector in self.collectors().iter_mut() {
            collector.restart(now);
        }
        let windows = async {
            loop {
                self.options.clock.sleep(self.options.window).await;
                self.take_windows();
            }
        };
        let lines = connection.receive(|channel, line| self.add(channel, line));
        tokio::select! {
            lost = lines => {
                self.take_windows();
                lost
            }
            () = windows => unreachable!("the loop does not end"),
        }
    }

    fn collectors(&self) -> MutexGuard<'_, Vec<Collector>> {
        // No holder panics.
        self.collectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, channel: &str, line: &[u8]) {
        let mut collectors = self.collectors();
        let Some(collector) = collectors
            .iter_mut()
            .find(|of| of.channel().name == channel)
        else {
            return;
        };
        let now = self.options.clock.now();
        self.metrics.lines.with_label_values(&[channel]).inc();
        let last = self.metrics.last_line.with_label_values(&[channel]);
        last.set(now.millis() as f64 / 1e3);
        match collector.add(line) {
            Ok(count) => self
                .metrics
                .samples
                .with_label_values(&[channel])
                .inc_by(count as u64),
            Err(fault) => {
                let reason = match fault {
                    Fault::Malformed => "malformed",
                    Fault::TooLong => "too_long",
                };
                self.metrics
                    .dropped
                    .with_label_values(&[channel, reason])
                    .inc();
            }
        }
        // A window that is full ends early.
        if collector.bytes() > self.options.buffer_bytes / 4 {
            self.pusher.add(collector.take(now));
        }
    }

    /// Ends the window of each channel. While nothing is received, it shows that somebody listened.
    fn take_windows(&self) {
        let now = self.options.clock.now();
        for collector in self.collectors().iter_mut() {
            self.pusher.add(collector.take(now));
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
