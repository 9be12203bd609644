//! Two replicas listen to one Redis, and one of them is cut off from the database.

use crate::database::Database;
use crate::fleet::members;
use crate::http;
use crate::process::{PATIENCE, Process, davy, within};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;

/// A cable to a server. While it is cut, what is sent is lost and nothing is answered.
struct Cable {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
}

impl Cable {
    fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let is_cut = Arc::new(AtomicBool::new(false));
        let (server, cut) = (server.to_owned(), is_cut.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(&server) else {
                    continue;
                };
                let copy = |of: &TcpStream| of.try_clone().expect("a copy");
                let (there, back) = ((copy(&client), copy(&upstream)), (upstream, client));
                for (from, to) in [there, back] {
                    let cut = cut.clone();
                    std::thread::spawn(move || forward(&from, &to, &cut));
                }
            }
        });
        Self { address, is_cut }
    }

    fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

/// Copies bytes until a side ends, or bytes come after some were lost.
fn forward(mut from: &TcpStream, mut to: &TcpStream, is_cut: &AtomicBool) {
    let (mut buffer, mut has_lost) = ([0; 16 << 10], false);
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if is_cut.load(Ordering::SeqCst) {
            has_lost = true;
        } else if has_lost || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    for side in [from, to] {
        let _ = side.shutdown(Shutdown::Both);
    }
}

struct Redis {
    server: Child,
    address: String,
}

impl Redis {
    fn start(folder: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("bound");
        drop(free);
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]);
        command.arg(address.port().to_string()).arg("--dir");
        let Ok(server) = command.arg(folder).stdout(Stdio::null()).spawn() else {
            davy_test_support::skip("redis-server is not installed");
            return None;
        };
        let address = address.to_string();
        let connected = || TcpStream::connect(&address).ok();
        within(PATIENCE, connected).expect("a Redis that answers");
        Some(Self { server, address })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Publishes `i.php;line_N 1` with a new N each time, until `stop`.
fn publish(address: &str, next: &AtomicUsize, stop: &AtomicBool) {
    let mut to = TcpStream::connect(address).expect("connected");
    let mut answer = [0; 64];
    while !stop.load(Ordering::SeqCst) {
        let line = format!("i.php;line_{} 1", next.fetch_add(1, Ordering::SeqCst));
        let command = format!(
            "*3\r\n$7\r\nPUBLISH\r\n$7\r\nexcimer\r\n${}\r\n{line}\r\n",
            line.len()
        );
        to.write_all(command.as_bytes()).expect("published");
        assert!(to.read(&mut answer).expect("an answer") > 0);
        // A few hundred lines per second.
        let (_open, nothing) = std::sync::mpsc::channel::<()>();
        let _ = nothing.recv_timeout(std::time::Duration::from_millis(2));
    }
}

fn archiver(folder: &Path, database: &str, redis: &str, number: u64) -> Process {
    let file = folder.join(format!("davy-{number}.toml"));
    let toml = format!(
        "database = \"{database}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[debug]\nlisten = \"127.0.0.1:0\"\n\
         [profiler]\nenabled = false\n[archive]\nlisten = \"127.0.0.1:0\"\nflush_interval = \"100ms\"\n\
         [arclamp]\nredis = \"redis://{redis}\"\nservice = \"site\"\nwindow = \"500ms\"\n\
         [bucket]\nurl = \"file://{}/bucket\"\n",
        folder.display()
    );
    std::fs::write(&file, toml).expect("write the configuration");
    let mut command = davy(folder);
    command.arg("archiver").arg("--config").arg(&file);
    command
        .arg("--data-dir")
        .arg(folder.join(format!("data-{number}")));
    Process::start(command, "archiver")
}

/// Waits until the member says this.
fn says(process: &Process, text: &str) {
    let note = || -> Option<String> {
        let rows = members(&process.debug)?;
        let row = rows.iter().find(|row| row["name"] == "archive.arclamp")?;
        row["note"].as_str().map(str::to_owned)
    };
    let said = within(PATIENCE, || note().filter(|note| note.contains(text)));
    assert!(said.is_some(), "{:?}: {}", note(), process.log());
}

/// The value of each line in the archive.
fn counted(process: &Process) -> BTreeMap<usize, u64> {
    let address = process.archive.as_deref().expect("an archive listener");
    let url = format!(
        "{address}/api/v1/profiles/folded?type=cpu_samples&selector=%7Bservice_name%3D%22site%22%7D&from=now-1h&until=now"
    );
    let response = http::get(&url);
    let text = response.text();
    assert_eq!(response.status, 200, "{text}");
    let of_line = |line: &str| {
        let (stack, value) = line.rsplit_once(' ')?;
        let number = stack.strip_prefix("i.php;line_")?.parse().ok()?;
        Some((number, value.parse().ok()?))
    };
    text.lines().filter_map(of_line).collect()
}

#[test]
fn replica_without_its_database_stops_counting_before_another_one_begins() {
    let folder = TempDir::new().expect("create a temporary folder");
    let Some(redis) = Redis::start(folder.path()) else {
        return;
    };
    let database = Database::server();
    let url = database.url(folder.path());
    let (_, rest) = url.split_once('@').expect("a user");
    let (server, _) = rest.split_once('/').expect("a database");
    let cable = Cable::to(server);
    let by_cable = url.replace(server, &cable.address.to_string());

    let first = archiver(folder.path(), &by_cable, &redis.address, 1);
    says(&first, "listening to excimer");
    let second = archiver(folder.path(), &url, &redis.address, 2);
    says(&second, "standby");

    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let now = || next.load(Ordering::SeqCst);
    let more = || {
        let from = now();
        within(PATIENCE, || (now() >= from + 200).then_some(())).expect("200 lines");
    };
    let (cut, taken, mended) = std::thread::scope(|scope| {
        scope.spawn(|| publish(&redis.address, &next, &stop));
        more();
        let cut = now();
        cable.cut(true);
        says(&first, "not listening: the lease ended");
        says(&second, "listening to excimer");
        let taken = now();
        more();
        cable.cut(false);
        says(&first, "standby");
        let mended = now();
        more();
        stop.store(true, Ordering::SeqCst);
        (cut, taken, mended)
    });
    let published = now();
    let last = || {
        let all = counted(&second);
        all.contains_key(&(published - 1)).then_some(all)
    };
    let (all, _) = within(PATIENCE, last).expect("the last line in the archive");
    let twice: Vec<_> = all.iter().filter(|(_, value)| **value != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let is_lost = |line: &usize| !all.contains_key(line);
    let lost: Vec<usize> = (0..published).filter(is_lost).collect();
    let (from, until) = (lost.first(), lost.last());
    assert!(from.is_some_and(|line| *line >= cut), "{from:?} of {cut}");
    assert!(
        until.is_some_and(|line| *line <= taken),
        "{until:?} of {taken}, {mended}"
    );

    let metrics = http::get(&format!("{}/metrics", first.debug)).text();
    let is_dropped = |line: &&str| {
        line.starts_with("davy_archive_arclamp_dropped_lines_total{")
            && line.contains("reason=\"no_lease\"")
    };
    let dropped = metrics.lines().find(is_dropped).expect("counted");
    let (_, dropped) = dropped.rsplit_once(' ').expect("a value");
    assert!(dropped.parse::<u64>().expect("a number") > 0, "{dropped}");
}
