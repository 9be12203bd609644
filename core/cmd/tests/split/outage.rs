//! The database goes, and comes back.

use crate::database::Database;
use crate::fleet::{Fleet, Placement, jobs, members};
use crate::http::{self, Answer};
use crate::process::text;
use serde_json::{Value, json};

fn health(address: &str) -> Option<Answer> {
    http::try_get(&format!("{address}/api/v1/health"))
}

/// What a process names as degraded.
fn degraded(address: &str, path: &str) -> Option<Vec<Value>> {
    let answer = http::try_get(&format!("{address}{path}"))?.json();
    answer["degraded"].as_array().cloned()
}

fn names_the_database(address: &str, path: &str) -> Option<()> {
    let complaints = degraded(address, path)?;
    let is_named = complaints.iter().any(|c| c["member"] == "database");
    is_named.then_some(())
}

fn note(address: &str, member: &str) -> Option<String> {
    let rows = members(address)?;
    let row = rows.iter().find(|row| row["name"] == member)?;
    row["note"].as_str().map(str::to_owned)
}

/// enables an endpoint a process's own debug port.
fn toggle(address: &str, body: &Value) -> Value {
    let url = format!("{address}/api/v1/endpoints/ListAllJobs");
    let headers = [
        ("davy-user", "night watch"),
        ("content-type", "application/json"),
    ];
    let answer = http::ask("PUT", &url, &headers, body.to_string().as_bytes());
    let answer = answer.expect("the debug port answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_lost_database_pauses_the_fleet_which_resumes_by_itself() {
    let fleet = Fleet::start(Placement::Fleet, Database::server());
    let backend = fleet.processes.last().expect("a backend").debug.clone();
    fleet.until("a first run", || {
        let rows = members(&backend)?;
        let row = rows.into_iter().find(|row| row["name"] == "gc.audit")?;
        (row["last_run"]["outcome"] == "done").then_some(())
    });
    fleet.database.crash();

    for process in &fleet.processes {
        let needs_it = process.kind != "archiver";
        for path in ["/api/v1/health", "/readyz"] {
            fleet.until("the loss to be known", || {
                names_the_database(&process.debug, path)
            });
        }
        if needs_it {
            let answer = health(&process.debug).expect("it answers");
            assert_eq!(answer.json()["status"], "degraded", "{}", answer.text());
        }
        assert_eq!(http::get(&format!("{}/livez", process.debug)).status, 200);
    }
    for member in ["gc.audit", "gc.processes"] {
        let said = fleet.until("the pause to be told", || note(&backend, member));
        assert!(said.starts_with("paused since"), "{said}");
    }
    let refused = jobs(fleet.frontends()[0]).expect("it answers");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.retry_after.is_some(), "{}", refused.text());

    let (first, second) = (&fleet.processes[1], &fleet.processes[2]);
    let taken = toggle(&first.debug, &json!({"enabled": false, "why": "dark"}));
    assert_eq!(taken["obeyed_by"], "this process", "{taken}");
    let detail = taken["detail"].as_str().unwrap_or("");
    assert!(detail.contains("in this process only"), "{detail}");
    let off = |address: &str| {
        jobs(address).is_some_and(|answer| answer.text().contains("was disabled by night watch"))
    };
    let (first, second) = (first.page.as_deref(), second.page.as_deref());
    let (first, second) = first.zip(second).expect("two frontends");
    assert!(off(first), "obeyed at once where it was said");
    assert!(!off(second), "nobody else has heard of it");

    fleet.database.start_again();
    fleet.until("the toggle to reach the other", || {
        off(second).then_some(())
    });
    assert!(off(first));
    for process in &fleet.processes {
        fleet.until("all to be well", || {
            let answer = health(&process.debug)?;
            (answer.status == 200 && answer.json()["status"] == "ok").then_some(())
        });
    }
    for member in ["gc.audit", "gc.processes"] {
        fleet.until("the pause to be over", || {
            note(&backend, member).is_none().then_some(())
        });
    }
    let rows = fleet.json(&["audit"]);
    let mut changes = rows.as_array().expect("a list").iter();
    let row = changes.find(|row| row["what"] == "endpoint.disable");
    let row = row.unwrap_or_else(|| panic!("it is not in the audit: {rows}"));
    assert_eq!(
        (&row["who"], &row["why"]),
        (&json!("night watch"), &json!("dark"))
    );
    text(&fleet.davy(&["endpoint", "enable", "ListAllJobs"]));
    for frontend in [first, second] {
        fleet.until("an answer", || {
            (jobs(frontend)?.status == 200).then_some(())
        });
    }
}

#[test]
fn a_fleet_that_finds_no_database_waits_for_it_and_says_so() {
    let database = Database::server();
    database.crash();
    let mut fleet = Fleet::prepare(Placement::Kinds, database, "");
    fleet.start_processes();
    for process in &fleet.processes {
        let name_of_kind = process.kind.as_str();
        let url = format!("{}/readyz", process.debug);
        let said = fleet.until("the reason", || {
            let answer = http::try_get(&url)?;
            let is_named = answer.text().contains("\"database\"");
            is_named.then_some(answer)
        });
        // An archiver does its work without.
        let expected = if name_of_kind == "archiver" { 200 } else { 503 };
        let status = || http::get(&url).status;
        fleet.until("the status", || (status() == expected).then_some(()));
        assert!(said.text().contains("unreachable"), "{}", said.text());
        assert!(
            process.log().contains("database unavailable; retrying"),
            "{}",
            process.log()
        );
    }
    fleet.database.start_again();
    fleet.until_ready();
    assert_eq!(jobs(fleet.frontends()[0]).map(|a| a.status), Some(200));
}
