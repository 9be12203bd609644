//! News from Postgres, for those who would else only poll.

use crate::args::args;
use crate::session::Session;
use crate::url::Target;
use crate::{Error, Store};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The channel on which [`Store::set_toggle`] tells the revision.
pub const TOGGLES: &str = "davy_toggles";
/// The channel on which [`Store::wake`] tells the name.
pub const WAKE: &str = "davy_wake";

/// How long a connection, or an answer, may take.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// After so long without news the connection is asked whether it is still one.
const QUIET_MAX: Duration = Duration::from_secs(10);
/// Between attempts to connect, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// News that nobody has taken yet; what is beyond waits at the server.
const QUEUE: usize = 64;

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody sent this text.
    Notified(String),
    /// From now on it listens. What was sent before, since the connection was lost or before there
    /// was one, may have been missed: poll.
    Connected,
}

/// Listens on one channel, and connects anew by itself whenever its connection is lost.
#[derive(Debug)]
pub struct Listener {
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Listener {
    /// What happens next; none after the store was closed. The first event is
    /// [`Event::Connected`]. Nothing is lost if this future is dropped.
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
    /// Listens on a channel, over a connection of its own beside all budgets. None with SQLite,
    /// which can't tell: poll.
    pub fn listen(&self, channel: &str) -> Option<Listener> {
        let (Target::Postgres(options), crate::pool::Pool::Postgres(pool)) =
            (&self.inner.target, &self.inner.pool)
        else {
            return None;
        };
        let (sender, events) = mpsc::channel(QUEUE);
        let (options, channel) = (options.clone(), channel.to_owned());
        let mut closing = pool.close_event();
        let task = davy_tag::spawn(async move {
            // The only outcome is that the store was closed.
            // Opening a connection by TLS is a large state.
            let _ = closing
                .do_until(Box::pin(listen(options, channel, sender)))
                .await;
        });
        Some(Listener { events, task })
    }
}

impl Session {
    /// Tells the listeners of a channel, once the transaction is committed. SQLite has none.
    pub(crate) async fn notify(&mut self, channel: &str, text: &str) -> Result<(), Error> {
        if self.is_postgres() {
            self.execute("SELECT pg_notify($1, $2)", args![channel, text])
                .await?;
        }
        Ok(())
    }
}

/// Listens until nobody wants to hear it any more.
async fn listen(options: PgConnectOptions, channel: String, sender: mpsc::Sender<Event>) {
    let mut pause = PAUSE_MIN;
    loop {
        if let Ok(listener) = connect(&options, &channel).await {
            pause = PAUSE_MIN;
            if sender.send(Event::Connected).await.is_err() {
                return;
            }
            if forward(listener, &sender).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Over a pool of one, so that the listener can't take a connection from anybody, and a lost one is
/// not asked for its last words.
async fn connect(options: &PgConnectOptions, channel: &str) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ANSWER_MAX)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    match tokio::time::timeout(ANSWER_MAX, listener.listen(channel)).await {
        Ok(result) => result.map(|()| listener),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Nobody listens to the listener.
struct Unheard;

/// Hands on what comes until the connection is lost.
async fn forward(mut listener: PgListener, sender: &mpsc::Sender<Event>) -> Result<(), Unheard> {
    loop {
        match tokio::time::timeout(QUIET_MAX, listener.try_recv()).await {
            Ok(Ok(Some(news))) => {
                let event = Event::Notified(news.payload().to_owned());
                sender.send(event).await.map_err(|_| Unheard)?;
            }
            Ok(Ok(None) | Err(_)) => return Ok(()),
            Err(_) => {
                let asked = tokio::time::timeout(ANSWER_MAX, async {
                    use sqlx::Executor;
                    (&mut listener).execute("SELECT 1").await
                });
                if !matches!(asked.await, Ok(Ok(_))) {
                    return Ok(());
                }
            }
        }
    }
}
