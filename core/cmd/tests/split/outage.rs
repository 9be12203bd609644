//! Outages of the database.

use crate::database::Database;
use crate::fleet::{Fleet, Placement, jobs, members};
use crate::http::{self, Response};
use crate::process::text;
use serde_json::{Value, json};

fn health(address: &str) -> Option<Response> {
    http::try_get(&format!("{address}/api/v1/health"))
}

/// The members that a process reports as degraded.
fn degraded(address: &str, path: &str) -> Option<Vec<Value>> {
    let response = http::try_get(&format!("{address}{path}"))?.json();
    response["degraded"].as_array().cloned()
}

fn names_the_database(address: &str, path: &str) -> Option<()> {
    let complaints = degraded(address, path)?;
    let is_named = complaints.iter().any(|c| c["member"] == "database");
    is_named.then_some(())
}

fn note_of(address: &str, member: &str) -> Option<String> {
    let rows = members(address)?;
    let row = rows.iter().find(|row| row["name"] == member)?;
    row["note"].as_str().map(str::to_owned)
}

/// Changes a toggle through the debug port of a process.
fn toggle(address: &str, body: &Value) -> Value {
    let url = format!("{address}/api/v1/endpoints/ListAllJobs");
    let headers = [
        ("davy-user", "night watch"),
        ("content-type", "application/json"),
    ];
    let response = http::ask("PUT", &url, &headers, body.to_string().as_bytes());
    let response = response.expect("a response of the debug port");
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

#[test]
fn fleet_pauses_without_its_database_and_resumes() {
    let fleet = Fleet::start(Placement::Fleet, Database::server());
    let backend = fleet.processes.last().expect("a backend").debug.clone();
    fleet.until("a first tick", || {
        let rows = members(&backend)?;
        let row = rows.into_iter().find(|row| row["name"] == "gc.audit")?;
        (row["last_run"]["outcome"] == "done").then_some(())
    });
    fleet.database.crash();

    for process in &fleet.processes {
        let needs_it = process.kind != "archiver";
        for path in ["/api/v1/health", "/readyz"] {
            fleet.until("the outage to be reported", || {
                names_the_database(&process.debug, path)
            });
        }
        if needs_it {
            let response = health(&process.debug).expect("a response");
            assert_eq!(response.json()["status"], "degraded", "{}", response.text());
        }
        assert_eq!(http::get(&format!("{}/livez", process.debug)).status, 200);
    }
    for member in ["gc.audit", "gc.processes"] {
        let note = fleet.until("the pause to be reported", || note_of(&backend, member));
        assert!(note.starts_with("paused since"), "{note}");
    }
    let refused = jobs(fleet.frontends()[0]).expect("a response");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.retry_after.is_some(), "{}", refused.text());

    let (first, second) = (&fleet.processes[1], &fleet.processes[2]);
    let changed = toggle(&first.debug, &json!({"enabled": false, "why": "dark"}));
    assert_eq!(changed["obeyed_by"], "this process", "{changed}");
    let detail = changed["detail"].as_str().unwrap_or("");
    assert!(detail.contains("in this process only"), "{detail}");
    let is_disabled = |address: &str| {
        jobs(address)
            .is_some_and(|response| response.text().contains("was disabled by night watch"))
    };
    let (first, second) = (first.page.as_deref(), second.page.as_deref());
    let (first, second) = first.zip(second).expect("two frontends");
    assert!(
        is_disabled(first),
        "in effect in the process that was asked"
    );
    assert!(!is_disabled(second), "not in effect in other processes");

    fleet.database.start_again();
    fleet.until("the toggle to reach the other frontend", || {
        is_disabled(second).then_some(())
    });
    assert!(is_disabled(first));
    for process in &fleet.processes {
        fleet.until("a healthy fleet", || {
            let response = health(&process.debug)?;
            (response.status == 200 && response.json()["status"] == "ok").then_some(())
        });
    }
    for member in ["gc.audit", "gc.processes"] {
        fleet.until("the end of the pause", || {
            note_of(&backend, member).is_none().then_some(())
        });
    }
    let rows = fleet.json(&["audit"]);
    let mut changes = rows.as_array().expect("a list").iter();
    let row = changes.find(|row| row["what"] == "endpoint.disable");
    let row = row.unwrap_or_else(|| panic!("it is not in the audit: {rows}"));
    assert_eq!(
        (&row["operator"], &row["why"]),
        (&json!("night watch"), &json!("dark"))
    );
    text(&fleet.davy(&["endpoint", "enable", "ListAllJobs"]));
    for frontend in [first, second] {
        fleet.until("a response", || {
            (jobs(frontend)?.status == 200).then_some(())
        });
    }
}

#[test]
fn fleet_waits_for_an_unreachable_database() {
    let database = Database::server();
    database.crash();
    let mut fleet = Fleet::prepare(Placement::Kinds, database, "");
    fleet.start_processes();
    for process in &fleet.processes {
        let name_of_kind = process.kind.as_str();
        let url = format!("{}/readyz", process.debug);
        let response = fleet.until("the reason", || {
            let response = http::try_get(&url)?;
            let is_named = response.text().contains("\"database\"");
            is_named.then_some(response)
        });
        // An archiver does not need the database.
        let expected = if name_of_kind == "archiver" { 200 } else { 503 };
        let status = || http::get(&url).status;
        fleet.until("the status", || (status() == expected).then_some(()));
        assert!(
            response.text().contains("unreachable"),
            "{}",
            response.text()
        );
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
