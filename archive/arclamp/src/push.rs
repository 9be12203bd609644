//! Pushes windows to an archiver, which acknowledges them once they are in the bucket.

use crate::collector::Window;
use crate::metrics::Metrics;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use davy_base::Clock;
use davy_profile::{gzip, pprof};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Time limit of a push. The archiver acknowledges after a flush interval and a PUT.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The shortest and the longest pause before a push is repeated.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How long the last windows may take at the end.
const LAST: Duration = Duration::from_secs(10);

/// Where windows are pushed to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Addresses of archivers, which are tried one after another.
    pub(crate) archives: Vec<String>,
    pub(crate) token: Option<String>,
    pub(crate) service: String,
    /// Part of the ids of windows, unique to this process.
    pub(crate) instance: String,
}

/// The outcome of a push that was not acknowledged.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// It can succeed later.
    Later(String),
    /// The archiver will never accept the window.
    Refused(String),
}

/// Windows that wait to be pushed.
pub(crate) struct Pusher {
    target: Target,
    agent: ureq::Agent,
    waiting: Mutex<Waiting>,
    added: Notify,
    metrics: Metrics,
    clock: Clock,
    /// Maximum memory of the windows that wait, in bytes.
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    windows: VecDeque<Window>,
    /// Memory of these and of the window that is being pushed, in bytes.
    bytes: usize,
}

impl Pusher {
    pub(crate) fn new(target: Target, limit: usize, metrics: Metrics, clock: Clock) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("davy/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            target,
            agent,
            waiting: Mutex::default(),
            added: Notify::new(),
            metrics,
            clock,
            limit,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No holder panics.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a window. If they take too much memory, the oldest are dropped.
    pub(crate) fn add(&self, window: Window) {
        let mut waiting = self.waiting();
        waiting.bytes += window.bytes;
        waiting.windows.push_back(window);
        while waiting.bytes > self.limit && waiting.windows.len() > 1 {
            let Some(oldest) = waiting.windows.pop_front() else {
                break;
            };
            waiting.bytes -= oldest.bytes;
            self.drop_lines(&oldest.channel.name, oldest.lines, "backlog");
        }
        drop(waiting);
        self.added.notify_one();
    }

    fn drop_lines(&self, channel: &str, lines: u64, reason: &str) {
        let dropped = self.metrics.dropped.with_label_values(&[channel, reason]);
        dropped.inc_by(lines);
    }

    fn next(&self) -> Option<Window> {
        self.waiting().windows.pop_front()
    }

    /// Counts the windows that still wait as dropped.
    fn drop_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        for window in waiting.windows {
            self.drop_lines(&window.channel.name, window.lines, "backlog");
        }
    }

    /// Pushes windows until `end` is cancelled, and then those that wait, for at most [`LAST`].
    pub(crate) async fn run(&self, end: CancellationToken) {
        loop {
            while let Some(window) = self.next() {
                let bytes = window.bytes;
                let is_delivered = self.deliver(window, &end).await;
                self.waiting().bytes -= bytes;
                if !is_delivered {
                    self.drop_waiting();
                    return;
                }
            }
            if end.is_cancelled() {
                return;
            }
            tokio::select! {
                () = self.added.notified() => {}
                () = end.cancelled() => {}
            }
        }
    }

    /// Pushes a window until it is acknowledged or refused. Returns false if the time was up before.
    async fn deliver(&self, window: Window, end: &CancellationToken) -> bool {
        let (channel, lines) = (window.channel.clone(), window.lines);
        let id = format!(
            "arclamp:{}:{}:{}",
            channel.name,
            self.target.instance,
            window.start.millis()
        );
        let labels = [
            ("service_name", self.target.service.clone()),
            ("__name__", channel.profile_name().to_owned()),
        ];
        let encode = move || request(&labels, &id, &pprof::encode(&window.profile()));
        let Ok(body) = davy_tag::spawn_blocking(encode).await else {
            tracing::error!(
                channel = channel.name,
                "cannot encode a window because of a bug; report it"
            );
            return true;
        };
        let (mut backoff, mut attempt, mut is_reported) = (BACKOFF.0, 0, false);
        let mut deadline: Option<Duration> = None;
        loop {
            if end.is_cancelled() {
                let now = self.clock.monotonic();
                if now > *deadline.get_or_insert(now + LAST) {
                    self.drop_lines(&channel.name, lines, "backlog");
                    return false;
                }
            }
            match self.post(attempt, &body).await {
                Ok(()) => {
                    self.metrics.windows.inc();
                    return true;
                }
                Err(Failure::Refused(reason)) => {
                    tracing::warn!(
                        channel = channel.name,
                        reason,
                        "the archiver refused a window; its lines are dropped"
                    );
                    self.drop_lines(&channel.name, lines, "refused");
                    return true;
                }
                Err(Failure::Later(reason)) if !is_reported => {
                    tracing::warn!(
                        channel = channel.name,
                        reason,
                        "cannot push a window; retrying"
                    );
                    is_reported = true;
                }
                Err(Failure::Later(_)) => {}
            }
            attempt += 1;
            self.clock.sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    async fn post(&self, attempt: usize, body: &str) -> Result<(), Failure> {
        let archives = &self.target.archives;
        let archive = &archives[attempt % archives.len()];
        let url = format!(
            "{}/push.v1.PusherService/Push",
            archive.trim_end_matches('/')
        );
        let mut request = self
            .agent
            .post(&url)
            .header("content-type", "application/json");
        if let Some(token) = &self.target.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.to_owned();
        let send = move || {
            let mut response = request
                .send(body)
                .map_err(|error| Failure::Later(format!("{url}: {error}")))?;
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let text = response
                .body_mut()
                .with_config()
                .limit(4 << 10)
                .read_to_string();
            let reason = format!("{url}: {status}: {}", text.unwrap_or_default().trim());
            // 429 and 408 ask to try again; other client errors will not change.
            match status.as_u16() {
                408 | 429 => Err(Failure::Later(reason)),
                400..=499 => Err(Failure::Refused(reason)),
                _ => Err(Failure::Later(reason)),
            }
        };
        let sent = davy_tag::spawn_blocking(send).await;
        sent.unwrap_or_else(|error| Err(Failure::Later(error.to_string())))
    }
}

/// The body of a request with one profile.
fn request(labels: &[(&str, String)], id: &str, profile: &[u8]) -> String {
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
        .collect();
    let profile = STANDARD.encode(gzip::compress(profile));
    let sample = serde_json::json!({ "rawProfile": profile, "ID": id });
    serde_json::json!({ "series": [{ "labels": labels, "samples": [sample] }] }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;
    use crate::collector::Collector;
    use davy_base::Timestamp;
    use prometheus::Registry;

    fn pusher(limit: usize) -> Pusher {
        let target = Target {
            // Nothing listens there.
            archives: vec!["http://127.0.0.1:1".to_owned()],
            token: None,
            service: "site".to_owned(),
            instance: "test".to_owned(),
        };
        let metrics = Metrics::new(&Registry::new()).expect("new");
        Pusher::new(target, limit, metrics, Clock::tokio(Timestamp::EPOCH))
    }

    fn window(lines: u64) -> Window {
        let mut collector = Collector::new(Channel::named("excimer"), Timestamp::EPOCH);
        for line in 0..lines {
            let added = collector.add(format!("i.php;f{line} 1").as_bytes());
            assert_eq!(added, Ok(1));
        }
        collector.take(Timestamp::EPOCH)
    }

    fn dropped(pusher: &Pusher) -> u64 {
        let dropped = &pusher.metrics.dropped;
        dropped.with_label_values(&["excimer", "backlog"]).get()
    }

    #[tokio::test(start_paused = true)]
    async fn every_window_that_is_left_at_the_end_is_counted_as_dropped() {
        let pusher = pusher(1 << 20);
        for lines in [1, 2, 4] {
            pusher.add(window(lines));
        }
        let end = CancellationToken::new();
        end.cancel();
        pusher.run(end).await;
        assert_eq!(dropped(&pusher), 7);
        assert_eq!(pusher.waiting().bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn window_that_is_being_pushed_counts_toward_the_limit() {
        let size = window(1).bytes;
        let pusher = pusher(2 * size);
        pusher.add(window(1));
        let end = CancellationToken::new();
        let push = async {
            // The first one is being pushed now, in vain.
            while !pusher.waiting().windows.is_empty() {
                tokio::task::yield_now().await;
            }
            pusher.add(window(1));
            assert_eq!(dropped(&pusher), 0);
            pusher.add(window(1));
            assert_eq!(dropped(&pusher), 1);
            end.cancel();
        };
        tokio::join!(pusher.run(end.clone()), push);
        assert_eq!(dropped(&pusher), 3);
    }
}
