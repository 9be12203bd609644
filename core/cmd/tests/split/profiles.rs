//! Child processes profile themselves and push to the archiver of their parent.

use crate::database::Database;
use crate::fleet::{Fleet, Placement};
use crate::http;

fn check_profiles_of(placement: Placement, processes: &[&str]) {
    let mut fleet = Fleet::prepare(placement, Database::Sqlite, "");
    fleet.change_file("[profiler]\nenabled = false", "[profiler]\nwindow = \"1s\"");
    fleet.start_processes();
    fleet.until_ready();
    let frontend = fleet.frontends()[0];
    let url = format!("{frontend}/api/v1/profiles/labels?name=process&from=now-5m");
    for process in processes {
        fleet.until(&format!("profiles of {process}"), || {
            let names = http::try_get(&url)
                .filter(|response| response.status == 200)?
                .json();
            let names = names.as_array()?.clone();
            names.iter().any(|name| name == process).then_some(())
        });
    }
    // The archiver still accepts the last windows during the stop.
    fleet.stop();
}

#[test]
fn every_process_of_a_split_quickstart_is_profiled() {
    check_profiles_of(
        Placement::Split,
        &["quickstart", "frontend", "backend", "archiver"],
    );
}

#[test]
fn every_isolated_member_is_profiled() {
    check_profiles_of(
        Placement::Isolated,
        &[
            "quickstart",
            "quickstart/api",
            "quickstart/gc.audit",
            "quickstart/archive.ingest",
        ],
    );
}
