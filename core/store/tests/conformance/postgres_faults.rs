//! Faults of the network and of Postgres servers.

use crate::backend::{Database, on_postgres, server, until};
use crate::proxy::{Network, Proxy};
use crate::toggles::change;
use davy_base::{Clock, Timestamp};
use davy_store::{Action, Error, ErrorKind, Event, Store, StoreOptions, TOGGLES, WAKE};
use sqlx::{Connection, Executor, PgConnection};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

/// A store that reaches its database through a proxy, and controls its timers by `clock`.
async fn through_a_proxy(database: &Database, clock: Clock) -> (Proxy, Store) {
    let rest = database.url.split_once('@').expect("a user").1;
    let (address, name) = rest.split_once('/').expect("a database");
    let proxy = Proxy::new(address).await;
    let url = format!("postgres://davy@{}/{name}", proxy.address);
    let store = Store::new(StoreOptions {
        clock,
        ..StoreOptions::new(url)
    })
    .expect("a valid URL");
    store.migrate().await.expect("the proxy forwards");
    (proxy, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_recovers_from_a_cut_network() {
    on_postgres(async |database: Database| {
        let (proxy, store) = through_a_proxy(&database, Clock::system()).await;
        let claim = store.claim("gc", "a", 0, 10, 1_000).await.unwrap();
        assert!(claim.is_some());
        proxy.set(Network::Cut);
        for _ in 0..2 {
            let error = store.ticks().await.expect_err("the network is cut");
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert!(error.to_string().contains(store.name()), "{error}");
        }
        assert!(store.ping().await.is_err());
        proxy.set(Network::Up);
        until("the database is reachable", async || {
            store.ping().await.is_ok()
        })
        .await;
        assert_eq!(store.ticks().await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ping_of_a_silent_server_times_out_after_a_second() {
    on_postgres(async |database: Database| {
        let clock = Clock::manual(Timestamp::EPOCH);
        let (proxy, store) = through_a_proxy(&database, clock.clone()).await;
        store.ticks().await.unwrap();
        proxy.set(Network::Silent);
        let mut ping = pin!(store.ping());
        let mut context = Context::from_waker(Waker::noop());
        assert!(ping.as_mut().poll(&mut context).is_pending());
        clock.advance(Duration::from_secs(1));
        let error = ping.await.expect_err("no response");
        assert!(
            matches!(error, Error::Timeout { seconds: 1, .. }),
            "{error}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_of_a_silent_server_fail_and_release_their_budget() {
    on_postgres(async |database: Database| {
        let (proxy, store) = through_a_proxy(&database, Clock::system()).await;
        store.ticks().await.unwrap();
        proxy.set(Network::Silent);
        let many: Vec<_> = (0..20)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.ticks().await })
            })
            .collect();
        for answer in many {
            let error = answer.await.expect("no panic").expect_err("no response");
            assert!(error.is_transient(), "{error}");
        }
        proxy.set(Network::Up);
        until("the database is reachable", async || {
            store.ticks().await.is_ok()
        })
        .await;
        assert_eq!(store.stats().budgets[0].in_use, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listener_receives_notifications_and_reconnects() {
    on_postgres(async |database: Database| {
        let writer = database.store().await;
        let (proxy, store) = through_a_proxy(&database, Clock::system()).await;
        let mut toggles = store.listen(TOGGLES).expect("Postgres notifies");
        let mut wakes = store.listen(WAKE).expect("Postgres notifies");
        assert_eq!(toggles.next().await, Some(Event::Connected));
        assert_eq!(wakes.next().await, Some(Event::Connected));
        writer
            .set_toggle(&change("a", Action::Disable))
            .await
            .unwrap();
        assert_eq!(toggles.next().await, Some(Event::Notified("1".to_owned())));
        writer.wake("gc").await.unwrap();
        assert_eq!(wakes.next().await, Some(Event::Notified("gc".to_owned())));

        proxy.set(Network::Cut);
        writer
            .set_toggle(&change("b", Action::Disable))
            .await
            .unwrap();
        proxy.set(Network::Up);
        let mut next = toggles.next().await;
        // What was sent before the connection was cut can still arrive.
        if next == Some(Event::Notified("2".to_owned())) {
            next = toggles.next().await;
        }
        assert_eq!(next, Some(Event::Connected));
        let (revision, missed) = store.toggles_since(1).await.unwrap();
        assert_eq!((revision, &*missed[0].name), (2, "b"));
        writer
            .set_toggle(&change("c", Action::Disable))
            .await
            .unwrap();
        assert_eq!(toggles.next().await, Some(Event::Notified("3".to_owned())));

        store.close().await;
        assert_eq!(toggles.next().await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_of_a_killed_connection_is_rolled_back() {
    on_postgres(async |database: Database| {
        let store = database.store().await;
        let mut raw = PgConnection::connect(&database.url).await.unwrap();
        raw.execute("BEGIN").await.unwrap();
        // Stops the change after it wrote the toggle and before it writes the audit row.
        raw.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
            .await
            .unwrap();
        let changing = {
            let store = store.clone();
            tokio::spawn(async move { store.set_toggle(&change("a", Action::Disable)).await })
        };
        let mut killer = PgConnection::connect(&database.url).await.unwrap();
        until(
            "the connection was killed while it waited for the lock",
            async || {
                let killed = killer
                    .execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO audit%'",
                    )
                    .await
                    .unwrap();
                killed.rows_affected() > 0
            },
        )
        .await;
        let error = changing
            .await
            .expect("no panic")
            .expect_err("the connection was killed");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        raw.execute("ROLLBACK").await.unwrap();
        assert_eq!(store.toggles().await.unwrap(), (0, Vec::new()));
        let next = store.set_toggle(&change("a", Action::Disable)).await;
        assert_eq!(next.unwrap().revision, 1);
    })
    .await;
}

/// A Postgres server for one test, stopped when it is dropped.
struct Server(tempfile::TempDir);

impl Server {
    fn script(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops/dev/postgres");
        let output = std::process::Command::new(script)
            .arg(arguments[0])
            .arg(self.0.path())
            .args(&arguments[1..])
            .output()
            .expect("the script starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failure of the test, a failure to stop the server would hide it. `ops/dev/postgres`
        // stops the server later.
        if !std::thread::panicking() {
            self.script(&["stop", "immediate"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_and_listener_recover_from_a_crash_of_the_server() {
    if server().is_none() {
        return;
    }
    // A folder in which `ops/dev/postgres` stops the server even if this test is killed.
    let scratch = std::env::var_os("DEV_POSTGRES_SCRATCH").map(std::path::PathBuf::from);
    let server = Server(
        tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(scratch.unwrap_or_else(std::env::temp_dir))
            .expect("a temporary folder"),
    );
    let url = server.script(&["start"]);
    let store = Store::open(&url)
        .await
        .expect("the server was just started");
    let mut listener = store.listen(TOGGLES).expect("Postgres notifies");
    assert_eq!(listener.next().await, Some(Event::Connected));
    store
        .set_toggle(&change("a", Action::Disable))
        .await
        .unwrap();
    assert_eq!(listener.next().await, Some(Event::Notified("1".to_owned())));

    server.script(&["stop", "immediate"]);
    let error = store.toggles().await.expect_err("the server is down");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let error = store.migrate().await.expect_err("the server is down");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(store.ping().await.is_err());

    server.script(&["start"]);
    until("the database is reachable", async || {
        store.ping().await.is_ok()
    })
    .await;
    assert_eq!(listener.next().await, Some(Event::Connected));
    let (revision, toggles) = store.toggles().await.unwrap();
    assert_eq!((revision, toggles.len()), (1, 1));
    store
        .set_toggle(&change("a", Action::Enable))
        .await
        .unwrap();
    assert_eq!(listener.next().await, Some(Event::Notified("2".to_owned())));
}

#[tokio::test]
async fn unknown_database_is_a_settings_error_and_absent_server_is_unreachable() {
    let Some(url) = server() else {
        return;
    };
    let base = url.rsplit_once('/').expect("a database").0;
    let error = Store::open(&format!("{base}/davy_nowhere"))
        .await
        .expect_err("no such database");
    assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    let absent = Store::new(StoreOptions::new("postgres://davy@127.0.0.1:1/davy")).unwrap();
    let error = absent.migrate().await.expect_err("no server on this port");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(
        error.to_string(),
        "database postgres://davy@127.0.0.1:1/davy is unreachable: connection refused"
    );
}
