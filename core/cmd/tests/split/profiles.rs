//! Children profile themselves as their parent does, and push to where it takes windows.

use crate::database::Database;
use crate::fleet::{Fleet, Placement};
use crate::http;

fn are_in_the_archive(placement: Placement, processes: &[&str]) {
    let mut fleet = Fleet::prepare(placement, Database::Sqlite, "");
    fleet.change_file("[profiler]\nenabled = false", "[profiler]\nwindow = \"1s\"");
    fleet.start_processes();
    fleet.until_ready();
    let frontend = fleet.frontends()[0];
    let url = format!("{frontend}/api/v1/profiles/labels?name=process&from=now-5m");
    for process in processes {
        fleet.until(&format!("profiles of {process}"), || {
            let names = http::try_get(&url)
                .filter(|answer| answer.status == 200)?
                .json();
            let names = names.as_array()?.clone();
            names.iter().any(|name| name == process).then_some(())
        });
    }
    // Their last windows still find an archiver.
    fleet.stop();
}

#[test]
fn every_kind_of_a_split_quickstart_is_profiled() {
    are_in_the_archive(
        Placement::Split,
        &["quickstart", "frontend", "backend", "archiver"],
    );
}

#[test]
fn every_isolated_member_is_profiled() {
    are_in_the_archive(
        Placement::Isolated,
        &[
            "quickstart",
            "quickstart/api",
            "quickstart/gc.audit",
            "quickstart/archive.ingest",
        ],
    );
}
