//! What the database promises about processes.

use davy_base::{Timestamp, Ulid};
use davy_store::{Error, ProcessRow, Store};

fn row(id: u128, at: i64) -> ProcessRow {
    ProcessRow::new(
        Ulid(id),
        "quickstart",
        "host",
        7,
        "0.1.0",
        Timestamp::from_millis(at),
    )
}

#[tokio::test]
async fn a_start_survives_a_restart_of_the_database() -> Result<(), Error> {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let url = format!("sqlite:{}", folder.path().join("davy.db").display());
    let store = Store::open(&url).await?;
    assert_eq!(store.process_started(&row(1, 10)).await?, None);
    store.close().await;

    let store = Store::open(&url).await?;
    let before = store
        .process_started(&row(2, 20))
        .await?
        .expect("the first never said that it ended");
    assert_eq!(before, row(1, 10));
    store
        .process_stopped(&Ulid(2).to_string(), Timestamp::from_millis(30), "drained")
        .await?;
    assert_eq!(store.process_started(&row(3, 40)).await?, None);
    let ids: Vec<String> = store
        .processes(2)
        .await?
        .into_iter()
        .map(|process| process.id)
        .collect();
    assert_eq!(ids, [Ulid(3).to_string(), Ulid(2).to_string()]);
    Ok(())
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named() {
    let check = async |url: &str, expected: &str| {
        let error = Store::open(url)
            .await
            .expect_err("it can't be opened")
            .to_string();
        assert!(error.starts_with(expected), "{error}");
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
}
