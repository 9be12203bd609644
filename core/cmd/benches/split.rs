//! What toggling costs: an endpoint that is off against one that does next to nothing, and the time
//! from a toggle until every process obeys.

use davy_base::Clock;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Requests of one kind.
const REQUESTS: usize = 2_000;
/// Toggles thrown.
const TOGGLES: usize = 60;

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
    let mut davy = Davy(command.spawn().expect("the binary can be run"));
    let mut first = String::new();
    let stdout = davy.0.stdout.take().expect("stdout is a pipe");
    BufReader::new(stdout)
        .read_line(&mut first)
        .expect("stdout is text");
    let page = first
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    let page = page.expect("an address").trim_end_matches('/').to_owned();
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
            .and_then(|mut answer| answer.body_mut().read_to_string().ok())
    };

    // Every process, by the address of its debug port.
    let debugs = loop {
        let rows = get(&format!("{page}/api/v1/members")).unwrap_or_default();
        let rows: serde_json::Value = serde_json::from_str(&rows).unwrap_or_default();
        let ready = |row: &&serde_json::Value| row["name"] == "control" && row["state"] == "ready";
        let debugs: Vec<String> = rows
            .as_array()
            .map(|rows| {
                rows.iter()
                    .filter(ready)
                    .map(|row| row["debug"].as_str().unwrap_or("").to_owned())
                    .collect()
            })
            .unwrap_or_default();
        if debugs.len() == 4 {
            break debugs;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    };

    let debug = format!(
        "http://{}",
        debugs
            .iter()
            .find(|at| serves_jobs(&agent, at))
            .expect("a frontend")
    );
    let times = |url: &str| {
        let mut taken: Vec<Duration> = (0..REQUESTS)
            .map(|_| {
                let start = clock.monotonic();
                get(url);
                clock.monotonic().saturating_sub(start)
            })
            .collect();
        taken.sort_unstable();
        (taken[REQUESTS / 2], taken[REQUESTS * 99 / 100])
    };
    toggle(&agent, &page, "GetHealth", false);
    // Both over the same door and the same hop to the child.
    let off = times(&format!("{page}/api/v1/health"));
    let on = times(&format!("{page}/api/v1/openapi.json"));
    let live = times(&format!("{debug}/livez"));
    println!("| figure | median | 99th of 100 |");
    println!("|---|---|---|");
    println!(
        "| a toggled-off endpoint, through its parent | {:?} | {:?} |",
        off.0, off.1
    );
    println!(
        "| a small endpoint that is on, the same way | {:?} | {:?} |",
        on.0, on.1
    );
    println!("| /livez, without the hop | {:?} | {:?} |", live.0, live.1);

    let mut obeyed: Vec<Duration> = Vec::new();
    for turn in 0..TOGGLES {
        let enabled = turn % 2 == 1;
        let start = clock.monotonic();
        toggle(&agent, &page, "ListAllJobs", enabled);
        for debug in &debugs {
            let url = format!("http://{debug}/api/v1/endpoints");
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
        obeyed.push(clock.monotonic().saturating_sub(start));
    }
    obeyed.sort_unstable();
    let (median, worst) = (obeyed[TOGGLES / 2], obeyed[TOGGLES * 99 / 100]);
    println!("| from a toggle until 4 processes obey, SQLite | {median:?} | {worst:?} |");
}

fn serves_jobs(agent: &ureq::Agent, debug: &str) -> bool {
    let answer = agent.get(format!("http://{debug}/metrics")).call();
    let text = answer
        .ok()
        .and_then(|mut answer| answer.body_mut().read_to_string().ok());
    text.is_some_and(|text| text.contains("davy_member_up{member=\"api\""))
}

fn toggle(agent: &ureq::Agent, page: &str, operation: &str, enabled: bool) {
    let body = serde_json::json!({"enabled": enabled, "why": "bench"}).to_string();
    let answer = agent
        .put(format!("{page}/api/v1/endpoints/{operation}"))
        .header("davy-user", "bench")
        .send(body.as_bytes());
    assert_eq!(answer.expect("an answer").status(), 200);
}
