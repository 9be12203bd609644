//! What can happen to a file.

use crate::backend::{Database, on_sqlite};
use crate::toggles::change;
use davy_store::{Action, Kind, Store};
use sqlx::migrate::Migrator;
use sqlx::{Connection, Executor, SqliteConnection};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Names the file to the child.
const FILE: &str = "CONFORMANCE_FILE";

#[tokio::test]
async fn a_process_killed_in_the_middle_of_a_change_leaves_nothing() {
    on_sqlite(async |database: Database| {
        let store = database.store().await;
        store
            .set_toggle(&change("a", Action::Disable))
            .await
            .unwrap();
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["sqlite_faults::the_child_that_is_killed", "--exact"])
            .args(["--ignored", "--nocapture"])
            .env(FILE, &database.url)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the test runs itself");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        while let Some(line) = lines.next_line().await.expect("it talks") {
            if line.contains("in the middle") {
                break;
            }
        }
        child.kill().await.expect("it is killed");
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
#[ignore = "a part of the test above"]
async fn the_child_that_is_killed() {
    let Ok(url) = std::env::var(FILE) else {
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
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    on_sqlite(async |database: Database| {
        let first = tempfile::tempdir().expect("a scratch folder");
        let name = "0001_processes.sql";
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        std::fs::copy(migrations.join(name), first.path().join(name)).expect("it is there");
        let path = database.url.strip_prefix("sqlite:").expect("a file");
        std::fs::File::create(path).expect("a new file");
        let mut raw = SqliteConnection::connect(&database.url).await.unwrap();
        let old = Migrator::new(first.path()).await.expect("one migration");
        old.run(&mut raw).await.expect("it migrates");
        raw.execute(
            "INSERT INTO processes VALUES
                ('p1', 'quickstart', 'h', 7, '0.1.0', 10, 20, 'drained'),
                ('p2', 'quickstart', 'h', 8, '0.1.0', 30, NULL, NULL)",
        )
        .await
        .unwrap();
        raw.close().await.unwrap();

        // Several processes of the new version start at once.
        let migrating: Vec<_> = (0..8)
            .map(|_| {
                let store = database.unmigrated();
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for migrated in migrating {
            migrated.await.expect("it ended").expect("it migrated");
        }
        let store = database.store().await;
        let processes = store.processes(10).await.unwrap();
        let seen: Vec<_> = processes
            .iter()
            .map(|row| (&*row.id, row.seen_at))
            .collect();
        assert_eq!(seen, [("p2", 30), ("p1", 20)]);
        assert_eq!(store.live_processes(30).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let check = async |url: &str, expected: &str| {
        let error = Store::open(url).await.expect_err("it can't be opened");
        assert_eq!(error.kind(), Kind::Settings, "{error}");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check(
        "mysql://x",
        "database \"mysql://x\" is not understood: write sqlite:PATH",
    )
    .await;
    check(
        "sqlite:/nowhere/at/all.db",
        "database sqlite:/nowhere/at/all.db can't be opened: ",
    )
    .await;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "Dear diary, this is not a database. ".repeat(100)).unwrap();
    let url = format!("sqlite:{}", path.display());
    check(&url, &format!("database {url} can't be opened: ")).await;
}
