//! Two archivers on one bucket, which are killed at any time and start again without anything but the bucket.

use crate::http;
use crate::process::{Process, davy, within};
use davy_base::{Clock, Random};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Number of archivers that are killed; `REPLICA_KILLS` overrides it.
const KILLS: u64 = 50;
/// Clients that push all the time.
const CLIENTS: u64 = 4;
/// The value of one sample at the default rate of 100 Hz, in nanoseconds.
const SAMPLE: u64 = 10_000_000;
/// How long a client tries to push one window, or to get an answer.
const PATIENCE: Duration = Duration::from_mins(4);

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The settings of a bucket that no other test uses.
struct Bucket {
    name: &'static str,
    toml: String,
}

fn file(folder: &TempDir) -> Bucket {
    Bucket {
        name: "file",
        toml: format!("url = \"file://{}/bucket\"\n", folder.path().display()),
    }
}

fn swift() -> Option<Bucket> {
    let (address, user) = (variable("DEV_SWIFT")?, variable("DEV_SWIFT_USER")?);
    let password = variable("DEV_SWIFT_PASSWORD")?;
    Some(Bucket {
        name: "Swift",
        toml: format!(
            "url = \"swift://davy/replicas-{}\"\nauth_url = \"{address}/auth/v1.0\"\nuser = \"{user}\"\n\
             password = \"{password}\"\n",
            std::process::id()
        ),
    })
}

/// Starts an archiver with a folder and a database of its own, which nothing has used before.
fn archiver(folder: &TempDir, bucket: &Bucket, number: u64) -> Process {
    let data = folder.path().join(format!("data-{number}"));
    let file = folder.path().join(format!("davy-{number}.toml"));
    let toml = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[debug]\nlisten = \"127.0.0.1:0\"\n[profiler]\nenabled = false\n\
         [archive]\nlisten = \"127.0.0.1:0\"\nflush_interval = \"100ms\"\ncompact_interval = \"1s\"\n\
         [bucket]\n{}",
        bucket.toml
    );
    std::fs::write(&file, toml).expect("write the configuration");
    let mut command = davy(folder.path());
    command.arg("archiver").arg("--config").arg(&file);
    command.arg("--data-dir").arg(&data);
    Process::start(command, "archiver")
}

/// The addresses of the archivers.
type Addresses = Arc<Mutex<[String; 2]>>;

/// Pushes a window until an archiver acknowledges it.
fn push(addresses: &Addresses, window: u64, second: i64) {
    let mut at = window as usize;
    let pushed = within_patience(|| {
        at += 1;
        let address = addresses.lock().expect("the addresses")[at % 2].clone();
        let url = format!(
            "{address}/ingest?name=replicated&format=folded&from={second}&until={}",
            second + 10
        );
        let body = format!("main;window_{window} 1\n");
        let response = http::ask("POST", &url, &[], body.as_bytes())?;
        (response.status == 200).then_some(())
    });
    assert!(pushed, "window {window} was not acknowledged");
}

fn within_patience(ask: impl FnMut() -> Option<()>) -> bool {
    within(PATIENCE, ask).is_some()
}

/// The value of each window, as an archiver answers. After many kills the first answer can take longer than a client waits,
/// because no archiver lived long enough to merge the segments.
fn counted(address: &str, from: i64, until: i64) -> BTreeMap<String, u64> {
    let url = format!(
        "{address}/api/v1/profiles/folded?type=cpu&selector=%7Bservice_name%3D%22replicated%22%7D&from={from}&until={until}"
    );
    let response = within(PATIENCE, || http::try_get(&url))
        .expect("an answer")
        .0;
    let text = response.text();
    assert_eq!(response.status, 200, "{text}");
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let counted = lines.map(|(stack, value)| (stack.to_owned(), value.parse().expect("a number")));
    counted.collect()
}

fn kill_and_replace(bucket: &Bucket, folder: &TempDir) {
    let kills = variable("REPLICA_KILLS").and_then(|text| text.parse().ok());
    let kills: u64 = kills.unwrap_or(KILLS);
    let clock = Clock::system();
    // The hour before the last one, so that it is compacted all the time.
    let hour = clock.now().floor(Duration::from_hours(1));
    let from = hour.minus(Duration::from_hours(1)).millis() / 1_000;
    let mut processes = [0, 1].map(|number| archiver(folder, bucket, number));
    let address = |process: &Process| process.archive.clone().expect("an archive listener");
    let addresses: Addresses =
        Arc::new(Mutex::new([address(&processes[0]), address(&processes[1])]));
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (addresses, stop, acknowledged) = (&addresses, &stop, &acknowledged);
            scope.spawn(move || {
                for nth in 0u64.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let window = nth * CLIENTS + client;
                    push(addresses, window, from + (window % 3_500) as i64);
                    acknowledged.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        let mut random = Random::seeded(5);
        let (_open, nothing) = std::sync::mpsc::channel::<()>();
        for kill in 0..kills {
            let before = acknowledged.load(Ordering::Acquire);
            let progress = || (acknowledged.load(Ordering::Acquire) > before).then_some(());
            assert!(within_patience(progress), "no window was acknowledged");
            let pause = Duration::from_millis(random.below(400));
            let _ = nothing.recv_timeout(pause);
            let at = (kill % 2) as usize;
            // Killed with SIGKILL when it is dropped.
            processes[at].signal(libc::SIGKILL);
            processes[at] = archiver(folder, bucket, kill + 2);
            addresses.lock().expect("the addresses")[at] = address(&processes[at]);
        }
        stop.store(true, Ordering::Release);
    });
    let pushed = acknowledged.load(Ordering::Acquire);
    assert!(pushed >= kills, "{pushed} windows");
    let until = from + 7_200;
    for process in &processes {
        let all = counted(&address(process), from - 3_600, until);
        let wrong: Vec<_> = all.iter().filter(|(_, value)| **value != SAMPLE).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", bucket.name);
        assert_eq!(all.len() as u64, pushed, "{}: windows", bucket.name);
    }
    println!("{}: {kills} kills, {pushed} windows", bucket.name);
}

#[test]
fn killed_archivers_on_a_file_bucket_lose_and_double_count_nothing() {
    let folder = TempDir::new().expect("create a temporary folder");
    kill_and_replace(&file(&folder), &folder);
}

#[test]
fn killed_archivers_on_swift_lose_and_double_count_nothing() {
    let folder = TempDir::new().expect("create a temporary folder");
    match swift() {
        Some(bucket) => kill_and_replace(&bucket, &folder),
        None => davy_test_support::skip(
            "the server of Swift does not run; start the tests with `ops/dev/swift run`",
        ),
    }
}
