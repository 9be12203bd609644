//! The command line against a running Davy.

use crate::profiles::cpu;
use crate::running::{Running, Sandbox, davy};
use std::process::Output;

fn run(running: &Running, sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = davy();
    command
        .args(arguments)
        .env("DAVY_SERVER", &running.page)
        .current_dir(sandbox.path());
    command.output().expect("run the binary")
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const SELECTOR: &[&str] = &["--selector", "{service_name=\"shop\"}"];

#[test]
fn pushed_files_are_returned_in_every_format() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    std::fs::write(
        sandbox.path().join("shop.pb.gz"),
        cpu(&["main", "serve", "pay"], 3_000_000_000),
    )
    .expect("write the file");
    std::fs::write(sandbox.path().join("shop.folded"), "main;serve;list 100\n")
        .expect("write the file");
    let pushed = run(
        &running,
        &sandbox,
        &[
            "push",
            "shop.pb.gz",
            "shop.folded",
            "--label",
            "version=1.2",
        ],
    );
    assert_eq!(
        text(&pushed),
        "shop.pb.gz: 1 sample pushed as shop\nshop.folded: 1 sample pushed as shop\n"
    );

    let query = |format: &str| {
        run(
            &running,
            &sandbox,
            &[&["query", "cpu", "--format", format], SELECTOR].concat(),
        )
    };
    insta::assert_snapshot!(text(&query("text")), @r"
    total 4.00 s
    100.0 %     4.00 s  main
    100.0 %     4.00 s  serve
     75.0 %     3.00 s  | pay
     25.0 %     1.00 s  | list
    ");
    // The order of stacks is that of the segments.
    let folded = text(&query("folded"));
    let mut lines: Vec<&str> = folded.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["main;serve;list 1000000000", "main;serve;pay 3000000000"]
    );
    insta::assert_snapshot!(text(&query("top")), @r"
    total 4.00 s
          SELF              TOTAL          FUNCTION
        3.00 s  75.0 %     3.00 s  75.0 %  pay
        1.00 s  25.0 %     1.00 s  25.0 %  list
           0 s   0.0 %     4.00 s 100.0 %  main
           0 s   0.0 %     4.00 s 100.0 %  serve
    ");
    assert!(text(&query("svg")).contains("<svg"));
    let json: serde_json::Value = serde_json::from_str(&text(&query("json"))).expect("JSON");
    assert_eq!(json["total"], 4_000_000_000i64);
    let pprof = query("pprof").stdout;
    let limits = davy_profile::Limits::default();
    let unpacked = davy_profile::gzip::unpack(&pprof, &limits).expect("gzip");
    assert_eq!(
        davy_profile::pprof::decode(&unpacked, &limits)
            .expect("pprof")
            .sample_count(),
        2
    );
    let grouped = run(
        &running,
        &sandbox,
        &[
            &["query", "cpu", "--by", "version", "--format", "folded"],
            SELECTOR,
        ]
        .concat(),
    );
    assert!(
        text(&grouped).starts_with("version=1.2;main;"),
        "{}",
        text(&grouped)
    );
}

#[test]
fn api_accepts_short_names_of_profile_types() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    std::fs::write(sandbox.path().join("shop.folded"), "main;list 100\n").expect("write the file");
    text(&run(&running, &sandbox, &["push", "shop.folded"]));
    let folded = |kind: &str| {
        let path = format!("/api/v1/profiles/folded?type={kind}&from=now-5m");
        running.get(&path).text()
    };
    assert_eq!(folded("cpu"), "main;list 1000000000\n");
    assert_eq!(
        folded("cpu"),
        folded("process_cpu:cpu:nanoseconds:cpu:nanoseconds")
    );
    let drawing = running.get("/api/v1/profiles/svg?type=cpu");
    assert!(drawing.text().contains("<svg"), "{}", drawing.text());
}

#[test]
fn total_of_a_gauge_is_marked_as_average() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    std::fs::write(sandbox.path().join("heap.folded"), "main;list 7340032\n")
        .expect("write the file");
    let push = ["push", "heap.folded", "--type", "inuse_space"];
    text(&run(&running, &sandbox, &push));
    let check = |arguments: &[&str], expected: &str| {
        let output = text(&run(
            &running,
            &sandbox,
            &[&["query", "heap"], arguments].concat(),
        ));
        assert_eq!(output.lines().next(), Some(expected), "{output}");
    };
    let hint = "total 7.00 MiB on average of the range; pass --from now-1m for the last minute";
    check(&[], hint);
    check(&["--format", "top"], hint);
    check(
        &["--from", "now-1m"],
        "total 7.00 MiB on average of the range",
    );
}

#[test]
fn failed_command_reports_the_cause_and_a_hint() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    std::fs::write(sandbox.path().join("notes.txt"), "not a profile at all\n")
        .expect("write the file");
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = run(&running, &sandbox, arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    };
    check(
        &["push", "notes.txt"],
        1,
        "cannot push notes.txt: invalid folded stacks: line 1: the count is not a number; expected lines such as",
    );
    check(&["push", "/dev/zero"], 1, "larger than 64.0 MiB");
    check(
        &["push", "nowhere.pb"],
        1,
        "cannot read nowhere.pb: no such file",
    );
    check(&["query", "cpu", "--selector", "{x"], 1, "selector");
    check(&["query", "nonsense"], 1, "type");
    check(
        &["query", "cpu", "--server", "ftp://x"],
        2,
        "expected an http:// URL",
    );
    check(
        &["query", "cpu", "--server", "http://127.0.0.1:1"],
        1,
        "cannot connect to http://127.0.0.1:1: connection refused; start Davy with `davy quickstart`, or pass another --server",
    );
    let check_usage = |arguments: &[&str], expected: &str| {
        let output = run(&running, &sandbox, arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    };
    check_usage(&["push", "a.pb", "--service", ""], "must not be empty");
    check_usage(
        &["push", "a.pb", "--label", "ver sion=1"],
        "letters, digits, `_`, `-`",
    );
    check_usage(&["query", "cpu", "--from", "yesterday"], "invalid time");
    let empty = run(&running, &sandbox, &["query", "cpu"]);
    assert_eq!(text(&empty), "");
    assert_eq!(
        String::from_utf8_lossy(&empty.stderr),
        "davy: no profiles were stored in this range; the default range is the last hour, pass --from for another one\n"
    );
    check(
        &["query", "cpv"],
        1,
        "invalid type \"cpv\"; did you mean cpu?",
    );
}

#[test]
fn query_with_an_unknown_name_fails_and_suggests_the_nearest_one() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    std::fs::write(sandbox.path().join("shop.folded"), "main;pay 100\n").expect("write the file");
    let push = ["push", "shop.folded", "--label", "version=1"];
    text(&run(&running, &sandbox, &push));
    let cases = [
        (
            "cpu",
            "{service_name=\"shp\"}",
            "unknown service \"shp\" in this range; did you mean shop?",
        ),
        (
            "cpu",
            "{service_name=\"shop\",versoin=\"1\"}",
            "unknown label \"versoin\" in this range; did you mean version?",
        ),
        (
            "wall",
            "{service_name=\"shop\"}",
            "no profiles of type wall in this range; types: cpu",
        ),
    ];
    for (kind, selector, expected) in cases {
        for format in ["text", "top", "folded", "svg"] {
            let query = ["query", kind, "--selector", selector, "--format", format];
            let output = run(&running, &sandbox, &query);
            assert_eq!(output.status.code(), Some(1), "{query:?}");
            assert!(output.stdout.is_empty(), "{query:?}");
            assert_eq!(
                String::from_utf8_lossy(&output.stderr),
                format!("davy: {expected}\n"),
                "{query:?}"
            );
        }
    }
    // The names exist, but nothing matches.
    let other = ["query", "cpu", "--selector", "{version=\"2\"}"];
    let output = run(&running, &sandbox, &other);
    assert_eq!(text(&output), "");
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        reason.contains("no series of this range matches"),
        "{reason}"
    );
}

#[test]
fn service_label_of_a_push_sets_the_service() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    std::fs::write(sandbox.path().join("a.folded"), "main;pay 100\n").expect("write the file");
    let push = ["push", "a.folded", "--label", "service_name=shop"];
    assert_eq!(
        text(&run(&running, &sandbox, &push)),
        "a.folded: 1 sample pushed as shop\n"
    );
    let services = running.json("/api/v1/profiles/labels?name=service_name&from=now-1h");
    assert_eq!(services, serde_json::json!(["shop"]));
    let conflict = run(
        &running,
        &sandbox,
        &[&push[..], &["--service", "bank"]].concat(),
    );
    let error = String::from_utf8_lossy(&conflict.stderr).into_owned();
    assert_eq!(conflict.status.code(), Some(2), "{error}");
    assert!(error.contains("conflicts with --service bank"), "{error}");
}

#[test]
fn files_are_pushed_concurrently() {
    let sandbox = Sandbox::new();
    // A push is acknowledged by the flush. With this interval none is, so that all of them have to be in
    // flight together.
    let running = sandbox.start_quiet(&["--archive-flush-interval", "1h"]);
    let names: Vec<String> = (0..6)
        .map(|number| format!("shop{number}.folded"))
        .collect();
    for name in &names {
        std::fs::write(sandbox.path().join(name), "main;pay 100\n").expect("write the file");
    }
    let mut push = davy()
        .arg("push")
        .args(&names)
        .env("DAVY_SERVER", &running.page)
        .current_dir(sandbox.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("run the binary");
    running.until("six pushes in flight", || {
        let metrics = running.get("/metrics").text();
        let mut lines = metrics.lines();
        lines
            .any(|line| {
                line.starts_with("davy_endpoint_in_flight{member=\"archive.ingest\"")
                    && line.ends_with(" 6")
            })
            .then_some(())
    });
    // The drain flushes and acknowledges them.
    assert_eq!(running.stop().code(), Some(0));
    assert!(push.wait().expect("wait for the process").success());
    let output = push.wait_with_output().expect("read the output");
    let lines: Vec<String> = text(&output).lines().map(str::to_owned).collect();
    let expected = [0, 1, 2, 3, 4, 5]
        .map(|number| format!("shop{number}.folded: 1 sample pushed as shop{number}"));
    assert_eq!(lines, expected);
    // There is no progress bar in a pipe.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn query_of_several_services_asks_for_one() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    for service in ["bank", "shop"] {
        let file = format!("{service}.folded");
        std::fs::write(sandbox.path().join(&file), "main;pay 100\n").expect("write the file");
        text(&run(&running, &sandbox, &["push", &file]));
    }
    let query = ["query", "cpu", "--format", "folded"];
    let refused = run(&running, &sandbox, &query);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{error}");
    for part in [
        "2 services (bank, shop)",
        "--selector '{service_name=\"bank\"}'",
        "--all-services",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let merged = run(
        &running,
        &sandbox,
        &[&query[..], &["--all-services"]].concat(),
    );
    assert_eq!(text(&merged), "main;pay 2000000000\n");
    for format in ["text", "top", "json", "folded", "pprof", "svg"] {
        let query = ["query", "cpu", "--all-services", "--format", format];
        text(&run(&running, &sandbox, &query));
        let grouped = [&query[..], &["--by", "service_name"]].concat();
        text(&run(&running, &sandbox, &grouped));
    }
    let selected = [&query[..], SELECTOR].concat();
    assert_eq!(
        text(&run(&running, &sandbox, &selected)),
        "main;pay 1000000000\n"
    );
    let grouped = [&selected[..], &["--by", "servce_name"]].concat();
    let refused = run(&running, &sandbox, &grouped);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{error}");
    assert!(error.contains("did you mean service_name?"), "{error}");
}

#[test]
fn second_process_on_a_data_folder_is_refused_with_the_pid_of_the_first() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let second = run(
        &running,
        &sandbox,
        &[
            "quickstart",
            "--http-listen",
            "127.0.0.1:0",
            "--data-dir",
            "data",
        ],
    );
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{error}");
    let owner = format!("process {} (quickstart)", running.pid());
    assert!(error.contains(&owner), "{error}");
}

#[test]
fn members_are_listed_below_their_process() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let table = text(&run(&running, &sandbox, &["members"]));
    assert!(table.starts_with("quickstart: pid "), "{table}");
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("archive.query") && line.contains("ready")),
        "{table}"
    );
}

#[test]
fn config_show_has_the_source_of_every_value() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("davy.toml"), "[profiler]\nhz = 50\n")
        .expect("write the file");
    let output = davy()
        .args(["config", "show", "--http-listen", "127.0.0.1:1"])
        .current_dir(sandbox.path())
        .output();
    let shown = text(&output.expect("run the binary"));
    assert!(
        shown.contains("profiler.hz = \"50\"  # davy.toml"),
        "{shown}"
    );
    assert!(
        shown.contains("http.listen = \"127.0.0.1:1\"  # flag --http-listen"),
        "{shown}"
    );
    assert!(
        shown.contains("archive.listen = \"127.0.0.1:4040\"  # default"),
        "{shown}"
    );
}

#[test]
fn closed_pipe_is_not_an_error() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    for arguments in [
        &["members"][..],
        &["config", "show"],
        &["completions", "bash"],
    ] {
        let mut command = davy();
        command
            .args(arguments)
            .env("DAVY_SERVER", &running.page)
            .current_dir(sandbox.path());
        let (reader, writer) = std::io::pipe().expect("create a pipe");
        drop(reader);
        let output = command.stdout(writer).output().expect("run the binary");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), error.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}
