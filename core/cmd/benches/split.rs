//! The cost of toggles: the latency of a disabled endpoint against that of a small enabled one, and the
//! time from a change until every process has applied it.

use davy_base::Clock;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Requests for each row of the table.
const REQUESTS: usize = 2_000;
/// Changes that are timed.
const TOGGLES: usize = 60;
/// Processes of `davy quickstart --split`: a parent and three children.
const PROCESSES: usize = 4;

struct Davy(Child);

impl Drop for Davy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    command
        .args([
            "quickstart",
            "--split",
            "--log-level",
            "error",
            "--data-dir",
        ])
        .arg(folder.path())
        .args([
            "--http-listen",
            "127.0.0.1:0",
            "--archive-listen",
            "127.0.0.1:0",
        ])
        .args(["--debug-listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .stdout(Stdio::piped());
    let mut davy = Davy(command.spawn().expect("the binary runs"));
    let mut announcement = String::new();
    let stdout = davy.0.stdout.take().expect("stdout is a pipe");
    BufReader::new(stdout)
        .read_line(&mut announcement)
        .expect("stdout is text");
    let page = announcement
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    let page = page
        .expect("an address in the first line")
        .trim_end_matches('/')
        .to_owned();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let clock = Clock::system();
    let get = |url: &str| {
        agent
            .get(url)
            .call()
            .ok()
            .and_then(|mut response| response.body_mut().read_to_string().ok())
    };

    let debug_ports = loop {
        let rows = get(&format!("{page}/api/v1/members")).unwrap_or_default();
        let rows: serde_json::Value = serde_json::from_str(&rows).unwrap_or_default();
        let is_ready =
            |row: &&serde_json::Value| row["name"] == "control" && row["state"] == "ready";
        let debug_ports: Vec<String> = rows
            .as_array()
            .map(|rows| {
                rows.iter()
                    .filter(is_ready)
                    .map(|row| row["debug"].as_str().unwrap_or("").to_owned())
                    .collect()
            })
            .unwrap_or_default();
        if debug_ports.len() == PROCESSES {
            break debug_ports;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    };

    let frontend = debug_ports.iter().find(|port| hosts_api(&agent, port));
    let frontend = format!("http://{}", frontend.expect("a process that hosts api"));
    let latency = |url: &str| {
        let mut durations: Vec<Duration> = (0..REQUESTS)
            .map(|_| {
                let start = clock.monotonic();
                get(url);
                clock.monotonic().saturating_sub(start)
            })
            .collect();
        durations.sort_unstable();
        (durations[REQUESTS / 2], durations[REQUESTS * 99 / 100])
    };
    toggle(&agent, &page, "GetHealth", false);
    // Both through the same listener and the same hop to the child.
    let disabled = latency(&format!("{page}/api/v1/health"));
    let enabled = latency(&format!("{page}/api/v1/openapi.json"));
    let direct = latency(&format!("{frontend}/livez"));
    println!("| measurement | median | p99 |");
    println!("|---|---|---|");
    println!(
        "| disabled endpoint in a child process | {:?} | {:?} |",
        disabled.0, disabled.1
    );
    println!(
        "| small enabled endpoint in a child process | {:?} | {:?} |",
        enabled.0, enabled.1
    );
    println!(
        "| /livez, without the hop | {:?} | {:?} |",
        direct.0, direct.1
    );

    let mut applied: Vec<Duration> = Vec::new();
    for turn in 0..TOGGLES {
        let enabled = turn % 2 == 1;
        let start = clock.monotonic();
        toggle(&agent, &page, "ListAllJobs", enabled);
        for port in &debug_ports {
            let url = format!("http://{port}/api/v1/endpoints");
            loop {
                let rows = get(&url).unwrap_or_default();
                let rows: serde_json::Value = serde_json::from_str(&rows).unwrap_or_default();
                let rows = rows.as_array().cloned().unwrap_or_default();
                let row = rows.iter().find(|row| row["operation"] == "ListAllJobs");
                if row.is_some_and(|row| row["toggle"]["enabled"] == enabled) {
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
        applied.push(clock.monotonic().saturating_sub(start));
    }
    applied.sort_unstable();
    let (median, p99) = (applied[TOGGLES / 2], applied[TOGGLES * 99 / 100]);
    println!(
        "| change until {PROCESSES} processes have applied it, SQLite | {median:?} | {p99:?} |"
    );
}

fn hosts_api(agent: &ureq::Agent, port: &str) -> bool {
    let response = agent.get(format!("http://{port}/metrics")).call();
    let text = response
        .ok()
        .and_then(|mut response| response.body_mut().read_to_string().ok());
    text.is_some_and(|text| text.contains("davy_member_up{member=\"api\""))
}

fn toggle(agent: &ureq::Agent, page: &str, operation: &str, enabled: bool) {
    let body = serde_json::json!({"enabled": enabled, "why": "bench"}).to_string();
    let response = agent
        .put(format!("{page}/api/v1/endpoints/{operation}"))
        .header("davy-user", "bench")
        .send(body.as_bytes());
    assert_eq!(response.expect("a response").status(), 200);
}
