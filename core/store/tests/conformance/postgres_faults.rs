//! What can happen to a server that is somewhere else.

use crate::backend::{Database, on_postgres, server, until};
use crate::proxy::{Cable, Proxy};
use crate::toggles::change;
use davy_base::Clock;
use davy_store::{Action, Event, Kind, Options, Store, TOGGLES, WAKE};
use sqlx::{Connection, Executor, PgConnection};
use std::path::Path;
use std::time::Duration;

/// A store that reaches its database through a cable.
async fn through_a_cable(database: &Database) -> (Proxy, Store) {
    let rest = database.url.split_once('@').expect("a user").1;
    let (address, name) = rest.split_once('/').expect("a database");
    let proxy = Proxy::new(address).await;
    let url = format!("postgres://davy@{}/{name}", proxy.address);
    let store = Store::open(&url).await.expect("the cable carries");
    (proxy, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_cable_is_survived() {
    on_postgres(async |database: Database| {
        let (proxy, store) = through_a_cable(&database).await;
        let claim = store.claim("gc", "a", 0, 10, 1_000).await.unwrap();
        assert!(claim.is_some());
        proxy.set(Cable::Cut);
        for _ in 0..2 {
            let error = store.ticks().await.expect_err("the cable is cut");
            assert_eq!(error.kind(), Kind::Unreachable, "{error}");
            assert!(error.to_string().contains(store.name()), "{error}");
        }
        assert!(store.ping().await.is_err());
        proxy.set(Cable::Whole);
        until("it mends by itself", async || store.ping().await.is_ok()).await;
        assert_eq!(store.ticks().await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_cable_hangs_nobody() {
    on_postgres(async |database: Database| {
        let (proxy, store) = through_a_cable(&database).await;
        store.ticks().await.unwrap();
        proxy.set(Cable::Silent);
        let clock = Clock::system();
        let error = store.ping().await.expect_err("nobody answers");
        assert_eq!(error.kind(), Kind::Unreachable, "{error}");
        assert!(clock.monotonic() < Duration::from_secs(2));
        let many: Vec<_> = (0..20)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.ticks().await })
            })
            .collect();
        for answer in many {
            let error = answer.await.expect("it ended").expect_err("nobody answers");
            assert!(error.is_unreachable(), "{error}");
        }
        assert!(clock.monotonic() < Duration::from_secs(15));
        proxy.set(Cable::Whole);
        until("it mends by itself", async || store.ticks().await.is_ok()).await;
        assert_eq!(store.figures().budgets[0].in_use, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_hears_of_toggles_and_wakes_and_of_its_own_gaps() {
    on_postgres(async |database: Database| {
        let writer = database.store().await;
        let (proxy, store) = through_a_cable(&database).await;
        let mut toggles = store.listen(TOGGLES).expect("Postgres tells");
        let mut wakes = store.listen(WAKE).expect("Postgres tells");
        assert_eq!(toggles.next().await, Some(Event::Connected));
        assert_eq!(wakes.next().await, Some(Event::Connected));
        writer
            .set_toggle(&change("a", Action::Disable))
            .await
            .unwrap();
        assert_eq!(toggles.next().await, Some(Event::Notified("1".to_owned())));
        writer.wake("gc").await.unwrap();
        assert_eq!(wakes.next().await, Some(Event::Notified("gc".to_owned())));

        proxy.set(Cable::Cut);
        writer
            .set_toggle(&change("b", Action::Disable))
            .await
            .unwrap();
        proxy.set(Cable::Whole);
        assert_eq!(toggles.next().await, Some(Event::Connected));
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
async fn a_connection_killed_in_the_middle_of_a_change_leaves_nothing() {
    on_postgres(async |database: Database| {
        let store = database.store().await;
        let mut raw = PgConnection::connect(&database.url).await.unwrap();
        raw.execute("BEGIN").await.unwrap();
        // The toggle is written by then, its audit row is not.
        raw.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
            .await
            .unwrap();
        let changing = {
            let store = store.clone();
            tokio::spawn(async move { store.set_toggle(&change("a", Action::Disable)).await })
        };
        let mut killer = PgConnection::connect(&server()).await.unwrap();
        until("it was killed while it waited for the audit", async || {
            let killed = killer
                .execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO audit%'",
                )
                .await
                .unwrap();
            killed.rows_affected() > 0
        })
        .await;
        let error = changing
            .await
            .expect("it ended")
            .expect_err("it was killed");
        assert_eq!(error.kind(), Kind::Unreachable, "{error}");
        raw.execute("ROLLBACK").await.unwrap();
        assert_eq!(store.toggles().await.unwrap(), (0, Vec::new()));
        let next = store.set_toggle(&change("a", Action::Disable)).await;
        assert_eq!(next.unwrap().revision, 1);
    })
    .await;
}

/// A server of this test's own, gone when it is dropped.
struct Server(tempfile::TempDir);

impl Server {
    fn script(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops/dev/postgres");
        let output = std::process::Command::new(script)
            .arg(arguments[0])
            .arg(self.0.path())
            .args(&arguments[1..])
            .output()
            .expect("the script runs");
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
        // A failure to stop it must not hide why the test failed; the script will stop it.
        if !std::thread::panicking() {
            self.script(&["stop", "immediate"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_and_comes_back_is_used_again() {
    // Says how to run this where there is no Postgres at all.
    server();
    // Where the script stops it even if this test is killed.
    let scratch = std::env::var_os("DEV_POSTGRES_SCRATCH").map(std::path::PathBuf::from);
    let server = Server(
        tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(scratch.unwrap_or_else(std::env::temp_dir))
            .expect("a scratch folder"),
    );
    let url = server.script(&["start"]);
    let store = Store::open(&url).await.expect("it was just started");
    let mut listener = store.listen(TOGGLES).expect("Postgres tells");
    assert_eq!(listener.next().await, Some(Event::Connected));
    store
        .set_toggle(&change("a", Action::Disable))
        .await
        .unwrap();
    assert_eq!(listener.next().await, Some(Event::Notified("1".to_owned())));

    server.script(&["stop", "immediate"]);
    let clock = Clock::system();
    let error = store.toggles().await.expect_err("it is gone");
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    let error = store.migrate().await.expect_err("it is gone");
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    assert!(store.ping().await.is_err());
    assert!(clock.monotonic() < Duration::from_secs(10));

    server.script(&["start"]);
    until("it is used again", async || store.ping().await.is_ok()).await;
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
async fn wrong_names_and_absent_servers_are_told_apart() {
    let url = server();
    let base = url.rsplit_once('/').expect("a database").0;
    let error = Store::open(&format!("{base}/davy_nowhere"))
        .await
        .expect_err("there is no such database");
    assert_eq!(error.kind(), Kind::Settings, "{error}");
    let absent = Store::new(Options::new("postgres://davy@127.0.0.1:1/davy")).unwrap();
    let error = absent.migrate().await.expect_err("nobody is there");
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    assert!(
        error
            .to_string()
            .starts_with("database postgres://davy@127.0.0.1:1/davy can't be reached"),
        "{error}"
    );
}
