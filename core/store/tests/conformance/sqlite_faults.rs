//! Faults of SQLite files.

use crate::backend::{Database, on_sqlite};
use crate::toggles::change;
use davy_store::{Action, ErrorKind, Store};
use sqlx::migrate::Migrator;
use sqlx::{Connection, Executor, SqliteConnection};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};

/// The variable that passes the database's URL to the child.
const FILE: &str = "CONFORMANCE_FILE";

#[tokio::test]
async fn change_of_a_killed_process_is_rolled_back() {
    on_sqlite(async |database: Database| {
        let store = database.store().await;
        store
            .set_toggle(&change("a", Action::Disable))
            .await
            .unwrap();
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["sqlite_faults::child_killed_during_a_change", "--exact"])
            .args(["--ignored", "--nocapture"])
            .env(FILE, &database.url)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the test executable starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        while let Some(line) = lines.next_line().await.expect("the output is text") {
            if line.contains("in the middle") {
                break;
            }
        }
        child.kill().await.expect("the child can be killed");
        let toggle = store
            .set_toggle(&change("a", Action::Enable))
            .await
            .unwrap();
        assert_eq!((toggle.revision, toggle.enabled), (2, Some(true)));
        assert_eq!(store.audit(10, None).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
#[ignore = "the child process of the test above"]
async fn child_killed_during_a_change() {
    let Ok(url) = std::env::var(FILE) else {
        davy_test_support::skip("runs only as the child process of another test");
        return;
    };
    let mut raw = SqliteConnection::connect(&url).await.unwrap();
    raw.execute("BEGIN IMMEDIATE").await.unwrap();
    raw.execute("UPDATE counters SET value = 40").await.unwrap();
    raw.execute("UPDATE toggles SET enabled = TRUE, revision = 40")
        .await
        .unwrap();
    println!("in the middle");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_of_the_first_version_is_migrated() {
    on_sqlite(async |database: Database| {
        let first = tempfile::tempdir().expect("a temporary folder");
        let name = "0001_processes.sql";
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        std::fs::copy(migrations.join(name), first.path().join(name))
            .expect("the first migration exists");
        let path = database.url.strip_prefix("sqlite:").expect("a file");
        std::fs::File::create(path).expect("a new file");
        let mut raw = SqliteConnection::connect(&database.url).await.unwrap();
        let old = Migrator::new(first.path())
            .await
            .expect("a valid migration");
        old.run(&mut raw).await.expect("the migration succeeds");
        raw.execute(
            "INSERT INTO processes VALUES
                ('p1', 'quickstart', 'h', 7, '0.1.0', 10, 20, 'drained'),
                ('p2', 'quickstart', 'h', 8, '0.1.0', 30, NULL, NULL)",
        )
        .await
        .unwrap();
        raw.close().await.unwrap();

        // Several processes of the new version start concurrently.
        let migrating: Vec<_> = (0..8)
            .map(|_| {
                let store = database.unmigrated();
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for migrated in migrating {
            migrated
                .await
                .expect("no panic")
                .expect("the migration succeeds");
        }
        let store = database.store().await;
        let processes = store.processes(10).await.unwrap();
        let seen: Vec<_> = processes
            .iter()
            .map(|row| (&*row.id, row.seen_at))
            .collect();
        assert_eq!(seen, [("p2", 30), ("p1", 20)]);
        assert_eq!(store.live_processes(Duration::MAX).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn error_names_the_file_that_is_not_a_database() {
    let check = async |url: &str, expected: &str| {
        let error = Store::open(url).await.expect_err("not a database");
        assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check(
        "mysql://x",
        "unsupported database URL \"mysql://x\": expected sqlite:PATH",
    )
    .await;
    check(
        "sqlite:/nowhere/at/all.db",
        "cannot open database sqlite:/nowhere/at/all.db: ",
    )
    .await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "Dear diary, this is not a database. ".repeat(100)).unwrap();
    let url = format!("sqlite:{}", path.display());
    check(&url, &format!("cannot open database {url}: ")).await;
}
