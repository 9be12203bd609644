//! Listens to the channels in one process of the fleet, and pushes what it hears to an archiver.
//!
//! Redis does not number what is published, and equal lines are legitimate, so two listeners would count every sample
//! twice. One process listens, under a lease that it keeps each second. If that process dies, another takes the lease
//! after [`HOLD`] at most. What was published in between is lost, as it would be with Arc Lamp; the gap is counted.
//!
//! A process that cannot keep the lease, because it cannot reach the database, drops and counts what it hears from shortly
//! before the end of the lease on: another one may count it by then.

mod connection;
mod coverage;

use crate::channel::Channel;
use crate::collector::Collector;
use crate::line::Fault;
use crate::metrics::Metrics;
use crate::push::{Pusher, Target};
use crate::settings::RedisSettings;
use connection::{Connection, Lost};
use coverage::Coverage;
pub use coverage::HOLD;
use davy_base::{Clock, Random};
use futures_util::future::BoxFuture;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder panics.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Called with what the operator should know about the state of the stream.
pub type Notify<'a> = &'a (dyn Fn(String) + Send + Sync);

/// The stream of one fleet.
pub struct Stream {
    options: StreamOptions,
    metrics: Metrics,
    pusher: Pusher,
    collectors: Mutex<Vec<Collector>>,
    coverage: Coverage,
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
            coverage: Coverage::new(options.clock.clone(), metrics.clone()),
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
            self.take_windows();
            self.coverage.leave(Duration::ZERO);
            end.cancel();
            let released = self.options.clock.timeout(HOLD, lease.release()).await;
            if released.is_err() {
                tracing::debug!("cannot give the lease back in time; it expires");
            }
        };
        tokio::join!(listen, self.pusher.run(end.clone()));
    }

    /// Takes the lease and listens, again and again.
    async fn hold(&self, lease: &dyn Lease, notify: Notify<'_>) {
        let clock = &self.options.clock;
        loop {
            match self.take(lease).await {
                Ok(true) => {
                    // What is said while this process listens.
                    let place = Mutex::new(String::new());
                    tokio::select! {
                        () = self.listen(&place, notify) => {}
                        () = self.keep(lease, &place, notify) => {}
                    }
                    self.take_windows();
                    self.stand_by();
                    tracing::warn!("another process listens to the channels of Arc Lamp now");
                }
                Ok(false) => {
                    notify("standby: another process listens".to_owned());
                    self.stand_by();
                }
                Err(error) => notify(format!("not listening: cannot take the lease: {error}")),
            }
            clock.sleep(KEEP).await;
        }
    }

    /// Another process has the lease. It may have stopped to listen right after it took it.
    fn stand_by(&self) {
        let now = self.options.clock.monotonic();
        self.coverage.leave(now.saturating_sub(HOLD));
    }

    /// Takes the lease, or keeps it.
    async fn take(&self, lease: &dyn Lease) -> Result<bool, String> {
        let clock = &self.options.clock;
        let asked = clock.monotonic();
        let late = |_| Err(format!("no answer within {} s", HOLD.as_secs()));
        let taken = clock.timeout(HOLD, lease.take()).await.unwrap_or_else(late);
        if taken == Ok(true) {
            self.coverage.extend(asked);
        }
        taken
    }

    /// Keeps the lease, and returns when another process has it.
    async fn keep(&self, lease: &dyn Lease, place: &Mutex<String>, notify: Notify<'_>) {
        let fault = Mutex::new("it was not kept in time".to_owned());
        let keep = async {
            loop {
                self.options.clock.sleep(KEEP).await;
                match self.take(lease).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => *lock(&fault) = error,
                }
            }
        };
        let watch = async {
            loop {
                self.coverage.end().await;
                if self.coverage.has_lease() {
                    continue;
                }
                self.take_windows();
                let reason = lock(&fault).clone();
                tracing::warn!(
                    reason,
                    "the lease of Arc Lamp's stream ended; lines are dropped until it is kept again"
                );
                notify(format!(
                    "not listening: the lease ended: {reason}; retrying"
                ));
                let is_connected = self.coverage.begin().await;
                self.restart();
                tracing::info!("the lease of Arc Lamp's stream is kept again");
                if is_connected {
                    notify(lock(place).clone());
                }
            }
        };
        tokio::select! {
            () = keep => {}
            () = watch => {}
        }
    }

    /// Listens, and connects again whenever the connection is lost.
    async fn listen(&self, place: &Mutex<String>, notify: Notify<'_>) {
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
                    self.metrics.connects.inc();
                    let gap = self.coverage.connect().unwrap_or_default();
                    let text = format!(
                        "listening to {} on {}",
                        names.join(", "),
                        connection.address()
                    );
                    tracing::info!(gap_seconds = gap.as_secs_f64(), "{text}");
                    lock(place).clone_from(&text);
                    if self.coverage.has_lease() {
                        notify(text);
                    }
                    (backoff, last_reason) = (BACKOFF.0, String::new());
                    let lost = self.receive(connection).await;
                    self.coverage.disconnect(lost.alive_at);
                    lost.reason
                }
                Err(reason) => reason,
            };
            if failed != last_reason {
                tracing::warn!(reason = failed, "not connected to Redis; retrying");
                notify(format!("not listening: {failed}; retrying"));
                last_reason = failed;
            }
            let jitter = lock(&self.random).unit();
            clock.sleep(backoff.mul_f64(0.5 + jitter / 2.0)).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    /// Collects lines until the connection is lost.
    async fn receive(&self, mut connection: Connection) -> Lost {
        self.restart();
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

    /// Windows begin now.
    fn restart(&self) {
        let now = self.options.clock.now();
        for collector in lock(&self.collectors).iter_mut() {
            collector.restart(now);
        }
    }

    fn add(&self, channel: &str, line: &[u8]) {
        let mut collectors = lock(&self.collectors);
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
        if !self.coverage.has_lease() {
            self.metrics
                .dropped
                .with_label_values(&[channel, "no_lease"])
                .inc();
            return;
        }
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

    /// Ends the window of each channel. While nothing is received, it shows that a process with the lease listened.
    fn take_windows(&self) {
        let now = self.options.clock.now();
        let has_lease = self.coverage.has_lease();
        for collector in lock(&self.collectors).iter_mut() {
            let window = collector.take(now);
            if has_lease || window.lines > 0 {
                self.pusher.add(window);
            }
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
