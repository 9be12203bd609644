//! Loading, listing and deleting jobs.

use crate::backend::Database;
use davy_store::NewJob;

fn job(team: &str, pipeline: &str, name: &str) -> NewJob {
    NewJob {
        team: team.to_owned(),
        pipeline: pipeline.to_owned(),
        name: name.to_owned(),
        paused: false,
        config: "{}".to_owned(),
        last_build: None,
        next_build: None,
    }
}

pub(crate) async fn thirty_six_thousand_jobs_load_and_read_back(database: Database) {
    let store = database.store().await;
    let config = format!("{{\"plan\":\"{}\"}}", "x".repeat(1_500));
    let jobs = (0..36_000).map(|number| NewJob {
        config: config.clone(),
        last_build: Some("{\"status\":\"succeeded\"}".to_owned()),
        ..job("main", &format!("p{}", number / 12), &number.to_string())
    });
    assert_eq!(store.load_jobs(jobs).await.unwrap(), 36_000);
    assert_eq!(store.jobs_count().await.unwrap(), 36_000);
    let jobs = store.jobs().await.unwrap();
    assert_eq!(jobs.len(), 36_000);
    assert_eq!(jobs[0].config, config);
}

pub(crate) async fn jobs_are_replaced_by_name_and_keep_their_ids(database: Database) {
    let store = database.store().await;
    let first = [job("t", "p", "a"), job("t", "p", "b")];
    store.load_jobs(first).await.unwrap();
    let before = store.jobs().await.unwrap();
    let twice = NewJob {
        config: "{\"first\":1}".to_owned(),
        ..job("t", "p", "b")
    };
    let last = NewJob {
        paused: true,
        next_build: Some("{\"name\":\"2\"}".to_owned()),
        ..job("t", "p", "b")
    };
    assert_eq!(store.load_jobs([twice, last]).await.unwrap(), 1);
    let after = store.jobs().await.unwrap();
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1].id, before[1].id);
    assert_eq!((after[1].paused, &*after[1].config), (true, "{}"));
    assert_eq!(after[1].next_build.as_deref(), Some("{\"name\":\"2\"}"));
    assert_eq!(after.len(), 2);
}

pub(crate) async fn jobs_are_sorted_alike_on_every_database(database: Database) {
    let store = database.store().await;
    let teams = ["b", "B", "ä", "a-1", "a1", "a 1", "_"];
    store
        .load_jobs(teams.map(|team| job(team, "p", "j")))
        .await
        .unwrap();
    store
        .load_jobs(["z", "Z", "y"].map(|pipeline| job("a1", pipeline, "j")))
        .await
        .unwrap();
    let order: Vec<String> = store
        .jobs()
        .await
        .unwrap()
        .into_iter()
        .map(|job| format!("{}/{}", job.team, job.pipeline))
        .collect();
    assert_eq!(
        order,
        [
            "B/p", "_/p", "a 1/p", "a-1/p", "a1/Z", "a1/p", "a1/y", "a1/z", "b/p", "ä/p"
        ]
    );
}

pub(crate) async fn deleting_the_jobs_of_a_team_leaves_others(database: Database) {
    let store = database.store().await;
    let jobs = [job("a", "p", "1"), job("a", "q", "1"), job("b", "p", "1")];
    store.load_jobs(jobs).await.unwrap();
    assert_eq!(store.delete_jobs("a").await.unwrap(), 2);
    assert_eq!(store.jobs_count().await.unwrap(), 1);
    assert_eq!(store.delete_jobs("unknown").await.unwrap(), 0);
}
