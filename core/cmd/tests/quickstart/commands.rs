//! The command line against a running Davy.

use crate::profiles::cpu;
use crate::running::{Place, Running, davy};
use std::process::Output;

fn run(running: &Running, place: &Place, arguments: &[&str]) -> Output {
    let mut command = davy();
    command
        .args(arguments)
        .env("DAVY_SERVER", &running.page)
        .current_dir(place.path());
    command.output().expect("the binary can be run")
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
fn files_go_in_and_come_out_in_every_format() {
    let place = Place::new();
    let running = place.start_quiet(&[]);
    std::fs::write(
        place.path().join("shop.pb.gz"),
        cpu(&["main", "serve", "pay"], 3_000_000_000),
    )
    .expect("a file");
    std::fs::write(place.path().join("shop.folded"), "main;serve;list 100\n").expect("a file");
    let pushed = run(
        &running,
        &place,
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
        "shop.pb.gz: 1 samples pushed as shop\nshop.folded: 1 samples pushed as shop\n"
    );

    let query = |format: &str| {
        run(
            &running,
            &place,
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
    assert_eq!(
        text(&query("folded")),
        "main;serve;pay 3000000000\nmain;serve;list 1000000000\n"
    );
    insta::assert_snapshot!(text(&query("top")), @r"
    total 4.00 s
          SELF              TOTAL          FUNCTION
        3.00 s  75.0 %     3.00 s  75.0 %  pay
        1.00 s  25.0 %     1.00 s  25.0 %  list
        0.0 us   0.0 %     4.00 s 100.0 %  main
        0.0 us   0.0 %     4.00 s 100.0 %  serve
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
        &place,
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
fn the_api_takes_the_short_names_of_types() {
    let place = Place::new();
    let running = place.start_quiet(&[]);
    std::fs::write(place.path().join("shop.folded"), "main;list 100\n").expect("a file");
    text(&run(&running, &place, &["push", "shop.folded"]));
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
fn an_average_is_called_one() {
    let place = Place::new();
    let running = place.start_quiet(&[]);
    std::fs::write(place.path().join("heap.folded"), "main;list 7340032\n").expect("a file");
    let push = ["push", "heap.folded", "--type", "inuse_space"];
    text(&run(&running, &place, &push));
    let check = |arguments: &[&str], expected: &str| {
        let said = text(&run(
            &running,
            &place,
            &[&["query", "heap"], arguments].concat(),
        ));
        assert_eq!(said.lines().next(), Some(expected), "{said}");
    };
    let hint = "total 7.0 MiB on average of the range; --from now-1m shows that of the last minute";
    check(&[], hint);
    check(&["--format", "top"], hint);
    check(
        &["--from", "now-1m"],
        "total 7.0 MiB on average of the range",
    );
}

#[test]
fn a_command_that_fails_says_what_and_the_way_out() {
    let place = Place::new();
    let running = place.start_quiet(&[]);
    std::fs::write(place.path().join("notes.txt"), "not a profile at all\n").expect("a file");
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = run(&running, &place, arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    };
    check(&["push", "notes.txt"], 1, "notes.txt: neither pprof");
    check(&["push", "/dev/zero"], 1, "larger than 64.0 MiB");
    check(&["push", "nowhere.pb"], 1, "nowhere.pb: No such file");
    check(&["query", "cpu", "--selector", "{x"], 1, "selector");
    check(&["query", "nonsense"], 1, "type");
    check(
        &["query", "cpu", "--server", "ftp://x"],
        2,
        "must be a http:// address",
    );
    check(
        &["query", "cpu", "--server", "http://127.0.0.1:1"],
        1,
        "is `davy quickstart` running there?",
    );
    let empty = run(&running, &place, &["query", "cpu"]);
    assert!(
        text(&empty).starts_with("no samples in this range"),
        "{}",
        text(&empty)
    );
}

#[test]
fn members_are_listed() {
    let place = Place::new();
    let running = place.start_quiet(&[]);
    let table = text(&run(&running, &place, &["members"]));
    assert!(table.starts_with("MEMBER"), "{table}");
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("archive.query") && line.contains("ready")),
        "{table}"
    );
}

#[test]
fn configuration_shows_the_source_of_every_value() {
    let place = Place::new();
    std::fs::write(place.path().join("davy.toml"), "[profiler]\nhz = 50\n").expect("a file");
    let output = davy()
        .args(["config", "show", "--http-listen", "127.0.0.1:1"])
        .current_dir(place.path())
        .output();
    let shown = text(&output.expect("the binary can be run"));
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
fn a_reader_that_has_seen_enough_is_no_fault() {
    let place = Place::new();
    let running = place.start_quiet(&[]);
    for arguments in [
        &["members"][..],
        &["config", "show"],
        &["completions", "bash"],
    ] {
        let mut command = davy();
        command
            .args(arguments)
            .env("DAVY_SERVER", &running.page)
            .current_dir(place.path());
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command
            .stdout(writer)
            .output()
            .expect("the binary can be run");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), error.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}
