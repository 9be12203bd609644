//! Limits of tenants from the file, and queries whose client leaves.

use crate::http;
use crate::profiles::{cpu, push_request};
use crate::running::{Running, Sandbox};
use std::net::TcpListener;

fn push(running: &Running, tenant: &str, id: &str) -> (u16, String) {
    let labels = [("service_name", "shop"), ("__name__", "process_cpu")];
    let body = push_request(&labels, id, &cpu(&["main", "work"], 1_000));
    let url = format!("{}/push.v1.PusherService/Push", running.archive);
    let response = http::post_as(&url, tenant, "application/proto", &body);
    (response.status, response.text())
}

#[test]
fn sighup_reloads_the_limits_of_tenants_and_an_invalid_file_keeps_them() {
    let sandbox = Sandbox::new();
    let file = sandbox.path().join("davy.toml");
    let configure = |text: &str| std::fs::write(&file, text).expect("write the file");
    configure("[limits]\nseries = 1000\n");
    let running = sandbox.start_quiet(&[]);
    assert_eq!(push(&running, "small", "1").0, 200);

    configure("[tenants.small]\nprofile_bytes = \"10B\"\n");
    running.signal(libc::SIGHUP);
    let refused = running.until("the new limit", || {
        Some(push(&running, "small", "2")).filter(|(status, _)| *status == 413)
    });
    assert!(refused.1.contains("limits.profile_bytes"), "{refused:?}");
    assert_eq!(push(&running, "other", "2").0, 200);

    configure("[tenants.small]\nprofile_byte = \"10B\"\n");
    running.signal(libc::SIGHUP);
    running.until("the reason in the log", || {
        let log = running.log();
        let is_kept = log.contains("keeping the previous one");
        (is_kept && log.contains("tenants.small.profile_byte")).then_some(())
    });
    assert_eq!(push(&running, "small", "3").0, 413);

    configure("");
    running.signal(libc::SIGHUP);
    running.until("the limit to be gone", || {
        (push(&running, "small", "4").0 == 200).then_some(())
    });
}

/// The sum of a metric over all processes.
fn metric(running: &Running, name: &str, label: &str) -> u64 {
    let text = http::get(&format!("{}/metrics", running.debug)).text();
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.starts_with(['{', ' ']) && rest.contains(label)
    });
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

fn check_leaving(arguments: &[&str]) {
    // A store that accepts connections and never answers.
    let store = TcpListener::bind("127.0.0.1:0").expect("bind");
    let endpoint = format!("http://{}", store.local_addr().expect("bound"));
    std::thread::spawn(move || {
        let accepted: Vec<_> = store.incoming().collect();
        drop(accepted);
    });
    let sandbox = Sandbox::new();
    let bucket = [
        "--bucket-url",
        "s3://davy/silent",
        "--bucket-endpoint",
        &endpoint,
        "--bucket-access-key",
        "a",
        "--bucket-secret-key",
        "b",
    ];
    let running = sandbox.start_quiet(&[&bucket, arguments].concat());
    let queries = || metric(&running, "davy_archive_queries", "state=\"running\"");
    assert_eq!(queries(), 0);
    let path = "/api/v1/profiles/flamegraph?type=cpu&from=now-731d";
    let connection = http::send_and_wait(&running.page, path);
    running.until("the query to run", || (queries() == 1).then_some(()));
    drop(connection);
    running.until("the query to end", || (queries() == 0).then_some(()));
    let cancelled = metric(&running, "davy_archive_queries_cancelled_total", "");
    assert_eq!(cancelled, 1);
}

#[test]
fn query_ends_when_its_client_disconnects() {
    check_leaving(&[]);
}

#[test]
fn query_of_a_child_process_ends_when_the_client_of_its_parent_disconnects() {
    check_leaving(&["--split"]);
}
