//! Notifications from Postgres, so that changes arrive sooner than by polling.

use crate::args::args;
use crate::session::Session;
use crate::url::Target;
use crate::{Error, Store};
use davy_base::Clock;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The channel to which [`Store::set_toggle`] sends the new revision.
pub const TOGGLES: &str = "davy_toggles";
/// The channel to which [`Store::wake`] sends the tick's name.
pub const WAKE: &str = "davy_wake";

/// Time limit for connecting, and for a response.
const RESPONSE_MAX: Duration = Duration::from_secs(3);
/// A connection that was silent for this time is checked.
const QUIET_MAX: Duration = Duration::from_secs(10);
/// The first and the longest back-off between attempts to connect.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Events queued in this process. Beyond that, notifications wait at the server.
const QUEUE: usize = 64;

/// An event of a [`Listener`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A notification with this payload.
    Notified(String),
    /// The listener has connected. Notifications sent before that may be lost: poll once.
    Connected,
}

/// Receives the notifications of one channel. Reconnects whenever its connection is lost.
#[derive(Debug)]
pub struct Listener {
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Listener {
    /// The next event, or `None` after the store was closed. The first event is [`Event::Connected`].
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Store {
    /// Listens on a channel, over a connection of its own outside all budgets. Returns `None` on
    /// SQLite, which has no notifications: poll instead.
    pub fn listen(&self, channel: &str) -> Option<Listener> {
        let (Target::Postgres(options), crate::pool::Pool::Postgres(pool)) =
            (&self.inner.target, &self.inner.pool)
        else {
            return None;
        };
        let (sender, events) = mpsc::channel(QUEUE);
        let (options, channel) = (options.clone(), channel.to_owned());
        let clock = self.inner.clock.clone();
        let mut closing = pool.close_event();
        let task = davy_tag::spawn(async move {
            // Boxed because the state of a TLS handshake is large. The only error is that the store
            // was closed.
            let _ = closing
                .do_until(Box::pin(listen(clock, options, channel, sender)))
                .await;
        });
        Some(Listener { events, task })
    }
}

impl Session {
    /// Notifies the listeners of a channel when the transaction is committed. Does nothing on SQLite.
    pub(crate) async fn notify(&mut self, channel: &str, text: &str) -> Result<(), Error> {
        if self.is_postgres() {
            self.execute("SELECT pg_notify($1, $2)", args![channel, text])
                .await?;
        }
        Ok(())
    }
}

/// Listens until the receiver is dropped.
async fn listen(
    clock: Clock,
    options: PgConnectOptions,
    channel: String,
    sender: mpsc::Sender<Event>,
) {
    let mut backoff = BACKOFF_MIN;
    loop {
        if let Ok(listener) = connect(&clock, &options, &channel).await {
            backoff = BACKOFF_MIN;
            if sender.send(Event::Connected).await.is_err() {
                return;
            }
            if forward(&clock, listener, &sender).await.is_err() {
                return;
            }
        }
        clock.sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Connects over a pool of its own, so that the listener takes no connection from a budget. A lost
/// connection is dropped without waiting for the server to confirm.
async fn connect(
    clock: &Clock,
    options: &PgConnectOptions,
    channel: &str,
) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(RESPONSE_MAX)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    match clock.timeout(RESPONSE_MAX, listener.listen(channel)).await {
        Ok(result) => result.map(|()| listener),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// The receiver of the events was dropped.
struct Closed;

/// Forwards notifications until the connection is lost.
async fn forward(
    clock: &Clock,
    mut listener: PgListener,
    sender: &mpsc::Sender<Event>,
) -> Result<(), Closed> {
    loop {
        match clock.timeout(QUIET_MAX, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                let event = Event::Notified(notification.payload().to_owned());
                sender.send(event).await.map_err(|_| Closed)?;
            }
            Ok(Ok(None) | Err(_)) => return Ok(()),
            Err(_) => {
                let ping = clock.timeout(RESPONSE_MAX, async {
                    use sqlx::Executor;
                    (&mut listener).execute("SELECT 1").await
                });
                if !matches!(ping.await, Ok(Ok(_))) {
                    return Ok(());
                }
            }
        }
    }
}
