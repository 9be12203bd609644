//! Acknowledged windows survive a kill and count once.

use crate::http;
use crate::profiles::{cpu, push_request};
use crate::running::{Running, Sandbox};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

/// Pushes a window of one second of CPU time, labelled with a unique number.
fn push(archive: &str, number: usize) -> u16 {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let labels = [
        ("__name__", "process_cpu"),
        ("service_name", "durable"),
        ("number", &format!("n{number}")),
    ];
    let body = push_request(&labels, &id, &cpu(&["main", "work"], 1_000_000_000));
    http::post(
        &format!("{archive}/push.v1.PusherService/Push"),
        "application/proto",
        &body,
    )
    .status
}

/// The numbers whose windows are in the archive, with their CPU seconds.
fn stored(running: &Running) -> Vec<(String, i64)> {
    let path = format!(
        "/api/v1/profiles/series?type={CPU}&selector={{service_name=\"durable\"}}&by=number&step=3600&from=now-2h&until=now-0s"
    );
    let response = running.json(&path);
    assert_eq!(response["partial"], serde_json::json!([]));
    let mut rows: Vec<(String, i64)> = response["series"]
        .as_array()
        .expect("series")
        .iter()
        .map(|series| {
            let points = series["points"].as_array().expect("points");
            let sum: f64 = points.iter().filter_map(|point| point[1].as_f64()).sum();
            (
                series["labels"]["number"].as_str().unwrap_or("").to_owned(),
                (sum / 1e9).round() as i64,
            )
        })
        .collect();
    rows.sort();
    rows
}

fn once(mut numbers: Vec<usize>) -> Vec<(String, i64)> {
    numbers.sort_unstable();
    let mut rows: Vec<_> = numbers
        .iter()
        .map(|number| (format!("n{number}"), 1))
        .collect();
    rows.sort();
    rows
}

#[test]
fn acknowledged_windows_survive_sigkill_and_count_once() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let (acknowledged, stop) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(AtomicBool::new(false)),
    );
    let pushers: Vec<_> = (0..4)
        .map(|pusher| {
            let (archive, acknowledged, stop) =
                (running.archive.clone(), acknowledged.clone(), stop.clone());
            std::thread::spawn(move || {
                for turn in 0..50 {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let number = pusher * 1_000 + turn;
                    // The kill closes the connections of pushes that are not acknowledged yet.
                    let response = std::panic::catch_unwind(|| push(&archive, number));
                    if matches!(response, Ok(200)) {
                        acknowledged.lock().expect("the list").push(number);
                    }
                }
            })
        })
        .collect();
    running.until("some acknowledged windows", || {
        (acknowledged.lock().expect("the list").len() >= 12).then_some(())
    });
    running.kill();
    stop.store(true, Ordering::Relaxed);
    for pusher in pushers {
        pusher.join().expect("join the thread");
    }
    let acknowledged = acknowledged.lock().expect("the list").clone();
    let running = sandbox.start_quiet(&[]);
    let stored = stored(&running);
    for row in once(acknowledged) {
        assert!(
            stored.contains(&row),
            "{row:?} was acknowledged, but the archive has {stored:?}"
        );
    }
    // A window stored just before the kill may be in the archive without having been acknowledged, but
    // no window may be counted twice.
    assert!(stored.iter().all(|(_, count)| *count == 1), "{stored:?}");
}

#[test]
fn window_pushed_repeatedly_counts_once() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    for _ in 0..3 {
        assert_eq!(push(&running.archive, 7), 200);
    }
    assert_eq!(stored(&running), once(vec![7]));
    running.kill();
    let running = sandbox.start_quiet(&[]);
    assert_eq!(
        push(&running.archive, 7),
        200,
        "another archiver accepts it again"
    );
    assert_eq!(stored(&running), once(vec![7]));
}

#[test]
fn sigterm_exits_with_0_and_loses_nothing() {
    let sandbox = Sandbox::new();
    // With a long interval, pushed windows are still in memory when the signal arrives.
    let running = sandbox.start_quiet(&["--archive-flush-interval", "1h"]);
    let archive = running.archive.clone();
    let pushers: Vec<_> = (0..3)
        .map(|number| {
            let archive = archive.clone();
            std::thread::spawn(move || push(&archive, number))
        })
        .collect();
    running.until("three windows in memory", || {
        running
            .get("/metrics")
            .text()
            .contains("davy_endpoint_in_flight{member=\"archive.ingest\",op=\"Push\",process=\"quickstart\"} 3")
            .then_some(())
    });
    let status = running.stop();
    assert_eq!(status.code(), Some(0), "{status}");
    for pusher in pushers {
        assert_eq!(
            pusher.join().expect("join the thread"),
            200,
            "a drain acknowledges waiting pushes"
        );
    }
    let running = sandbox.start_quiet(&[]);
    assert_eq!(stored(&running), once(vec![0, 1, 2]));
}

#[test]
fn killed_process_is_reported_by_the_next_one() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    running.kill();
    let running = sandbox.start_quiet(&[]);
    running.until("the warning", || {
        running.log().contains("was killed").then_some(())
    });
    assert_eq!(
        running.json("/api/v1/processes")[1]["stopped_at"],
        serde_json::Value::Null
    );
    assert_eq!(running.stop().code(), Some(0));
    let running = sandbox.start_quiet(&[]);
    assert_eq!(running.json("/api/v1/processes")[1]["ending"], "drained");
}
