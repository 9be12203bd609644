//! Invalid configurations and changes are refused with a hint.

use crate::database::Database;
use crate::fleet::{Fleet, Placement, jobs, metrics};
use crate::http::{self, Response};
use crate::process::{PATIENCE, davy, within};
use std::process::Stdio;
use tempfile::TempDir;

/// Asserts that the command exits with 2 and one sentence.
fn refused(file: &str, arguments: &[&str], expected: &[&str]) {
    let folder = TempDir::new().expect("create a temporary folder");
    std::fs::write(folder.path().join("davy.toml"), file).expect("write the file");
    let mut child = davy(folder.path())
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run the binary");
    let ended = within(PATIENCE / 6, || {
        child.try_wait().expect("a child of this process")
    });
    let _ = child.kill();
    let output = child.wait_with_output().expect("wait for the process");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(ended.is_some(), "{arguments:?} was not refused: {error}");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
    for part in expected {
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn unknown_process_is_refused_with_the_nearest_name() {
    refused(
        "",
        &["run", "frontent"],
        &["unknown process frontent", "did you mean frontend?"],
    );
    refused("", &["run", "nosuch"], &["unknown process nosuch"]);
    let two = "[process.edge]\nmembers = [\"api\", \"ui\"]\n";
    refused(two, &["run", "edgy"], &["did you mean edge?"]);
}

#[test]
fn invalid_member_list_is_refused_with_its_source() {
    let check = |file: &str, expected: &[&str]| {
        refused(file, &["backend"], expected);
        refused(file, &["config", "check"], expected);
    };
    check(
        "[process.backend]\nmembers = [\"gc.processes\"]\n",
        &[
            "member gc.audit is in no process",
            "backend = gc.processes (davy.toml)",
            "enabled = false",
        ],
    );
    check(
        "[process.backend]\nmembers = [\"gc.*\", \"gd.*\"]\n",
        &["unknown member gd.*", "process.backend.members (davy.toml)"],
    );
    check(
        "[process.backend]\nmembers = [\"gc.*\", \"gc.*\"]\n",
        &[
            "duplicate pattern gc.*",
            "process.backend.members (davy.toml)",
        ],
    );
    check(
        "[process.backend]\nmembers = [\"gc.adit\"]\n",
        &["unknown member gc.adit", "did you mean gc.audit?"],
    );
}

#[test]
fn unknown_key_is_refused_with_the_nearest_one() {
    let check = |file: &str, expected: &[&str]| {
        refused(file, &["config", "check"], expected);
        let listen =
            ["http", "archive", "debug"].map(|name| format!("--{name}-listen=127.0.0.1:0"));
        let mut start = vec!["quickstart"];
        start.extend(listen.iter().map(String::as_str));
        refused(file, &start, expected);
    };
    check(
        "[member.\"gc.audit\"]\nenable = false\n",
        &[
            "member.gc.audit.enable",
            "did you mean member.gc.audit.enabled?",
        ],
    );
    check(
        "[member.\"gc.adit\"]\nenabled = false\n",
        &["did you mean member.gc.audit"],
    );
    check(
        "[endpoint.ListAlJobs]\nlimit = 1\n",
        &["did you mean endpoint.ListAllJobs"],
    );
    check(
        "[endpoint.ListAllJobs]\nlimits = 1\n",
        &["did you mean endpoint.ListAllJobs.limit?"],
    );
    check(
        "[process.edge]\nmember = [\"api\"]\n",
        &["process.edge.member", "did you mean process.edge.members?"],
    );
    check(
        "[endpoint.ListAllJobs]\nlimit = 0\n",
        &["endpoint.ListAllJobs.limit", "a whole number above 0"],
    );
    check(
        "[member.\"gc.audit\"]\nisolate = \"thread\"\n",
        &["member.gc.audit.isolate", "task or process"],
    );
    check(
        "[member.api]\nconnections = 0\n",
        &["member.api.connections", "a whole number from 1 to 1000"],
    );
    check(
        "[profiler]\nenabled = true\narchive = \"http://127.0.0.1:4040, ftp://x\"\n",
        &["profiler.archive", "ftp://x"],
    );
}

#[test]
fn flag_of_another_process_kind_is_refused_with_that_kind() {
    refused(
        "",
        &["frontend", "--archive-flush-interval", "5s"],
        &[
            "flag --archive-flush-interval does not apply to frontend",
            "archiver",
        ],
    );
    refused(
        "",
        &["archiver", "--http-listen", "127.0.0.1:0"],
        &["frontend"],
    );
    refused(
        "",
        &["frontend", "--member-gc-audit-interval", "5s"],
        &["backend"],
    );
}

#[test]
fn unknown_name_exits_with_2_and_the_nearest_one() {
    let fleet = Fleet::start(Placement::One, Database::Sqlite);
    let check = |arguments: &[&str], expected: &str| {
        let output = fleet.davy(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    };
    check(&["member", "disable", "gc.adit"], "did you mean gc.audit?");
    check(&["member", "restart", "gc.adit"], "did you mean gc.audit?");
    check(&["member", "wake", "gc.adit"], "did you mean gc.audit?");
    check(
        &["endpoint", "disable", "ListAlJobs"],
        "did you mean ListAllJobs?",
    );
    check(
        &["endpoint", "enable", "zzz"],
        "`davy endpoints` lists all endpoints",
    );
    check(&["endpoint", "disable", "a/b"], "invalid name \"a/b\"");
    check(&["endpoint", "limit", "ListAllJobs", "0"], "0");
    assert_eq!(
        fleet.json(&["audit"]),
        serde_json::json!([]),
        "nothing was changed"
    );
}

fn put(address: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let url = format!("{address}/api/v1/{path}");
    let response = http::ask("PUT", &url, headers, body.as_bytes());
    response.unwrap_or_else(|| panic!("no response from {url}"))
}

const OPERATOR: (&str, &str) = ("davy-user", "tester");

#[test]
fn invalid_change_is_refused_with_a_hint() {
    let fleet = Fleet::start(Placement::One, Database::Sqlite);
    let (frontend, debug) = (fleet.frontends()[0], &fleet.processes[0].debug);
    let off = "{\"enabled\": false}";
    for address in [frontend, debug] {
        let check = |path: &str, headers: &[_], body: &str, status: u16, expected: &str| {
            let response = put(address, path, headers, body);
            assert_eq!(
                response.status,
                status,
                "{path} {body}: {}",
                response.text()
            );
            assert_eq!(response.content_type, "application/problem+json");
            assert!(response.text().contains(expected), "{}", response.text());
        };
        let job = "endpoints/ListAllJobs";
        check(job, &[], off, 400, "Davy-User");
        check(job, &[OPERATOR], "nonsense", 400, "expected JSON such as");
        check(job, &[OPERATOR], "{}", 400, "true or false");
        check(
            job,
            &[OPERATOR],
            "{\"enable\": false}",
            400,
            "unknown field",
        );
        check(
            job,
            &[OPERATOR],
            "{\"limit\": 0}",
            400,
            "expected at least 1",
        );
        check(
            job,
            &[OPERATOR],
            "{\"enabled\": false, \"limit\": 2}",
            400,
            "mutually exclusive",
        );
        check(
            job,
            &[OPERATOR],
            "{\"limit\": 2, \"slot\": \"soon\"}",
            400,
            "duration",
        );
        check(
            "endpoints/ListAlJobs",
            &[OPERATOR],
            off,
            404,
            "ListAllJobs?",
        );
        check("members/gc.adit", &[OPERATOR], off, 404, "gc.audit?");
        check(
            "members/gc.audit",
            &[OPERATOR],
            "{\"limit\": 2}",
            400,
            "unknown field `limit`",
        );
        for needed in ["control", "debug", "database", "listener.http"] {
            let path = format!("members/{needed}");
            check(&path, &[OPERATOR], off, 409, "cannot be disabled");
        }
    }
    let why = format!("{{\"enabled\": false, \"why\": \"{}\"}}", "x".repeat(3_000));
    assert_eq!(
        put(frontend, "endpoints/ListAllJobs", &[OPERATOR], &why).status,
        400
    );
    let foreign = [OPERATOR, ("host", "davy.example.org")];
    assert_eq!(
        put(frontend, "endpoints/ListAllJobs", &foreign, off).status,
        421
    );
    assert_eq!(jobs(frontend).map(|response| response.status), Some(200));
}

#[test]
fn change_requires_the_token_if_one_is_set() {
    let mut fleet = Fleet::prepare(Placement::Isolated, Database::Sqlite, "");
    fleet.change_file("[http]\n", "[http]\ntoken = \"s3cret\"\n");
    fleet.start_processes();
    fleet.until_ready();
    let (frontend, debug) = (fleet.frontends()[0], &fleet.processes[0].debug);
    for address in [frontend, debug] {
        for (token, status) in [
            (None, 401),
            (Some("Bearer wrong"), 401),
            (Some("Bearer s3cre"), 401),
            (Some("s3cret"), 401),
            (Some("Bearer s3cret"), 200),
        ] {
            let mut headers = vec![OPERATOR];
            headers.extend(token.map(|token| ("authorization", token)));
            let body = "{\"enabled\": true}";
            let response = put(address, "endpoints/QueryTop", &headers, body);
            assert_eq!(response.status, status, "{token:?}: {}", response.text());
        }
    }
    let refused = fleet.davy(&["endpoint", "enable", "QueryTop"]);
    assert_eq!(refused.status.code(), Some(1));
    let accepted = fleet.davy(&["endpoint", "enable", "QueryTop", "--token", "s3cret"]);
    assert!(accepted.status.success());
    assert_eq!(
        jobs(frontend).map(|response| response.status),
        Some(200),
        "reading needs no token"
    );
}

#[test]
fn every_path_of_every_listener_is_an_operation() {
    let mut fleet = Fleet::prepare(Placement::One, Database::Sqlite, "");
    fleet.change_file("enabled = false", "enabled = true");
    fleet.start_processes();
    fleet.until_ready();
    let process = &fleet.processes[0];
    let rows = http::get(&format!("{}/api/v1/endpoints", process.debug)).json();
    for row in rows.as_array().expect("a list") {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        let path = text("path").replace("{*path}", "favicon.svg");
        let path = path
            .replace("{name}", "nosuch")
            .replace("{operation}", "nosuch");
        let listener = match text("member").as_str() {
            "debug" => &process.debug,
            "archive.ingest" => process.archive.as_ref().expect("an archiver"),
            _ => process.page.as_ref().expect("a page"),
        };
        let query = if path.starts_with("/debug/pprof/") {
            "?seconds=1"
        } else {
            ""
        };
        let url = format!("{listener}{path}{query}");
        let response = http::ask(&text("method"), &url, &[], b"{}");
        let response = response.unwrap_or_else(|| panic!("no response from {url}"));
        assert_ne!(response.status, 405, "{url}");
        assert!(
            !response.text().contains(" not found; /api/v1/openapi.json"),
            "{url}: {}",
            response.text()
        );
    }
    let unknown: Vec<_> = metrics(&process.debug)
        .into_iter()
        .filter(|line| line.contains("op=\"(unknown)\""))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn head_request_is_subject_to_the_toggle() {
    let fleet = Fleet::start(Placement::One, Database::Sqlite);
    let frontend = fleet.frontends()[0];
    let url = format!("{frontend}/api/v1/jobs");
    let head = || http::ask("HEAD", &url, &[], b"").map(|response| response.status);
    assert_eq!(head(), Some(200));
    let off = "{\"enabled\": false}";
    assert_eq!(
        put(frontend, "endpoints/ListAllJobs", &[OPERATOR], off).status,
        200
    );
    assert_eq!(head(), Some(503));
}
