//! `/debug/pprof/*`, read by `go tool pprof`.

mod archiver;
mod work;

use archiver::unpack;
use davy_profiler::{Builder, Filter, Profiler, debug_router};
use davy_tag::Tag;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use work::{burn, stack, sum, turn};

davy_profiler::use_jemalloc!();

/// A server with the debug routes, and two members that are busy until it is finished.
struct Server {
    address: SocketAddr,
    profiler: Profiler,
    runtime: tokio::runtime::Runtime,
    stop: &'static AtomicBool,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let profiler = Builder::new("debug")
            .hz(1_000)
            .start()
            .expect("profiler started");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = debug_router(profiler.handle());
        runtime.spawn(async move { axum::serve(listener, router).await });
        let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let threads = ["red", "blue"].map(|member| {
            // Registered before it is requested.
            let tag = Tag::new(member, "burn");
            std::thread::spawn(move || {
                let _guard = tag.enter();
                let _held: Vec<u8> = Vec::with_capacity(24 << 20);
                while !stop.load(Ordering::Relaxed) {
                    burn(Duration::from_millis(5));
                }
            })
        });
        Self {
            address,
            profiler,
            runtime,
            stop,
            threads: threads.into(),
        }
    }

    /// Status, head and body of a response.
    fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .expect("sent");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("a response");
        let end = all
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a head");
        let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
        let status = head[9..12].parse().expect("a status");
        (status, head, all[end + 4..].to_vec())
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no panic");
        }
        drop(self.profiler);
        self.runtime.shutdown_background();
    }
}

/// The output of `go tool pprof`.
fn go_tool_pprof(arguments: &[&str]) -> String {
    let output = Command::new("go")
        .args(["tool", "pprof"])
        .args(arguments)
        .env("PPROF_TMPDIR", std::env::temp_dir())
        .output()
        .expect("Go is installed");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{err}");
    out.into_owned()
}

#[test]
fn go_tool_pprof_opens_the_live_cpu_profile_with_names_and_members() {
    let _turn = turn();
    let server = Server::start();
    let url = format!("http://{}/debug/pprof/profile", server.address);
    let raw = go_tool_pprof(&["-raw", "-seconds", "1", &url]);
    assert!(raw.contains("cpu/nanoseconds"), "{raw}");
    assert!(
        raw.contains("work::burn") && raw.contains("tests/work/mod.rs"),
        "{raw}"
    );
    assert!(
        raw.contains("member:[red]") && raw.contains("member:[blue]"),
        "{raw}"
    );
    let top = go_tool_pprof(&["-top", "-seconds", "1", "-tagfocus", "member=red", &url]);
    assert!(
        top.contains("File: debug-"),
        "the first mapping is the executable: {top}"
    );
    assert!(top.contains("work::burn"), "{top}");
    server.finish();
}

#[test]
fn go_tool_pprof_opens_the_heap() {
    let _turn = turn();
    let server = Server::start();
    let top = go_tool_pprof(&[
        "-top",
        &format!("http://{}/debug/pprof/heap", server.address),
    ]);
    assert!(top.contains("Type: inuse_space"), "{top}");
    let allocs = go_tool_pprof(&[
        "-top",
        &format!("http://{}/debug/pprof/allocs", server.address),
    ]);
    assert!(allocs.contains("Type: alloc_space"), "{allocs}");
    server.finish();
}

#[test]
fn profile_can_be_filtered_by_member_and_operation() {
    let _turn = turn();
    let server = Server::start();
    let (status, head, body) = server.get("/debug/pprof/profile?seconds=1&member=red&op=burn");
    assert_eq!(status, 200);
    assert!(
        head.contains("content-disposition: attachment; filename=\"profile.pb.gz\""),
        "{head}"
    );
    let profile = unpack(&body);
    // How much CPU time the member gets in a second depends on the machine.
    assert!(
        sum(&profile, "cpu", |member, op| member == "red"
            && op == "burn")
            > 0
    );
    assert_eq!(sum(&profile, "cpu", |member, _| member != "red"), 0);
    assert!(profile.duration_nanos >= 1_000_000_000);
    assert!(
        (0..profile.sample_count())
            .any(|s| stack(&profile, s).contains(&"debug::work::burn".to_owned()))
    );
    server.finish();
}

#[test]
fn profiles_can_be_taken_concurrently() {
    let _turn = turn();
    let server = Server::start();
    let handle = server.profiler.handle();
    std::thread::scope(|scope| {
        for (member, millis) in [("red", 400), ("blue", 700), ("red", 900)] {
            let handle = handle.clone();
            scope.spawn(move || {
                let filter = Filter {
                    member: Some(member.to_owned()),
                    op: None,
                };
                let profile = handle.cpu_profile(Duration::from_millis(millis), &filter);
                let profile = profile.expect("a profile");
                assert!(sum(&profile, "cpu", |m, _| m == member) > 0);
                assert_eq!(sum(&profile, "cpu", |m, _| m != member), 0);
            });
        }
    });
    server.finish();
}

#[test]
fn invalid_requests_are_rejected_with_status_and_reason() {
    let _turn = turn();
    let server = Server::start();
    let check = |path: &str, status: u16, words: &str| {
        let (got, _, body) = server.get(path);
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(
            got == status && body.contains(words),
            "{path}: {got} {body}"
        );
    };
    check("/debug/pprof/profile?seconds=601", 400, "at most 600 s");
    check("/debug/pprof/profile?seconds=0", 400, "more than 0 s");
    check("/debug/pprof/profile?seconds=many", 400, "seconds");
    check("/debug/pprof/profile?hz=1001", 400, "expected 1 to 1000");
    check(
        "/debug/pprof/profile?second=5",
        400,
        "unknown parameter `second`",
    );
    check(
        "/debug/pprof/wall?hz=10",
        400,
        "`hz` applies to /debug/pprof/profile only",
    );
    check(
        "/debug/pprof/heap?member=unknown",
        404,
        "unknown member \"unknown\"; known in this process: blue",
    );
    check("/debug/pprof/heap?op=nothing", 404, "unknown operation");
    check(
        "/debug/pprof/heap?base=86400",
        404,
        "no heap reading from 86400 s ago",
    );
    check(
        "/debug/pprof/heap?base=60&seconds=5",
        400,
        "cannot be combined",
    );
    check("/debug/pprof/profile?hz=0", 400, "expected 1 to 1000");
    check("/debug/pprof/heap?base=60", 404, "first window");
    check("/debug/pprof/", 200, "allocs");
    check("/debug/pprof/cmdline", 200, "debug");
    server.finish();
}

#[test]
fn go_tool_pprof_opens_wall_tasks_and_threads() {
    let _turn = turn();
    let server = Server::start();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
    let tag = Tag::new("green", "waits");
    server
        .runtime
        .spawn(tag.task(async move { receiver.recv().await }));
    let open = |path: &str| {
        let url = format!("http://{}/debug/pprof/{path}", server.address);
        go_tool_pprof(&["-raw", &url])
    };
    let wall = open("wall?seconds=1");
    assert!(wall.contains("wall/nanoseconds"), "{wall}");
    assert!(
        wall.contains("member:[red]") && wall.contains("(running)"),
        "{wall}"
    );
    assert!(
        wall.contains("davy-push") && wall.contains("(waiting)"),
        "{wall}"
    );
    let tasks = open("tasks");
    assert!(tasks.contains("tasks/count"), "{tasks}");
    assert!(tasks.contains("member:[green]"), "{tasks}");
    let threads = open("threads");
    assert!(threads.contains("threads/count[dflt]"), "{threads}");
    assert!(threads.contains("tokio-rt-worker"), "{threads}");
    drop(sender);
    server.finish();
}

async fn inner_wait(gate: &tokio::sync::Notify) {
    gate.notified().await;
}

async fn outer_wait(gate: std::sync::Arc<tokio::sync::Notify>) {
    inner_wait(&gate).await;
}

#[test]
fn task_stack_ends_at_the_future_that_it_waits_for() {
    let _turn = turn();
    let server = Server::start();
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let tag = Tag::new("green", "gate");
    for _ in 0..3 {
        let gate = gate.clone();
        server.runtime.spawn(tag.task(outer_wait(gate)));
    }
    let handle = server.profiler.handle();
    let filter = Filter {
        member: Some("green".to_owned()),
        op: Some("gate".to_owned()),
    };
    let polled = |profile: &davy_profile::Profile| sum(profile, "polls", |_, op| op == "gate");
    let mut profile = handle.tasks_profile(&filter).expect("tasks");
    while polled(&profile) < 3 {
        profile = handle.tasks_profile(&filter).expect("tasks");
    }
    assert_eq!(sum(&profile, "tasks", |_, _| true), 3);
    assert!(sum(&profile, "age", |_, _| true) > 0);
    let stack = stack(&profile, 0);
    let at = |needle: &str| stack.iter().position(|name| name.contains(needle));
    let (leaf, inner, outer) = (at("Notified"), at("debug.rs::{async fn}"), at("outer_wait"));
    assert!(leaf < inner && inner < outer && leaf.is_some(), "{stack:?}");
    let noise = ["davy_tag::task::watch", "davy_profiler", "wake::Waker"];
    let is_noise = |name: &&String| noise.iter().any(|noise| name.contains(noise));
    assert_eq!(stack.iter().find(is_noise), None, "{stack:?}");

    let (status, _, listed) = server.get("/debug/pprof/tasks?debug=1&member=green");
    let listed = String::from_utf8_lossy(&listed).into_owned();
    assert_eq!((status, listed.lines().count()), (200, 1 + 3), "{listed}");
    assert!(
        listed.contains("green\tgate\t") && listed.contains("outer_wait"),
        "{listed}"
    );
    gate.notify_waiters();
    while sum(
        &handle.tasks_profile(&filter).expect("tasks"),
        "tasks",
        |_, _| true,
    ) > 0
    {}
    server.finish();
}

#[test]
fn heap_growth_is_measured_since_the_last_window_and_over_a_future_span() {
    let _turn = turn();
    let server = Server::start();
    let handle = server.profiler.handle();
    let filter = Filter {
        member: Some("grows".to_owned()),
        op: None,
    };
    // A reading is kept at the end of each window; the first one ends within seconds.
    while handle.heap_growth(Duration::ZERO, &filter).is_err() {}
    let grow = || {
        let _guard = Tag::new("grows", "op").enter();
        (0..64).map(|_| vec![1u8; 1 << 20]).collect::<Vec<_>>()
    };
    let first = grow();
    let growth = handle.heap_growth(Duration::from_mins(10), &filter);
    let grown = sum(&growth.expect("a reading"), "inuse_space", |_, _| true);
    assert!((40 << 20..90 << 20).contains(&grown), "{grown}");
    std::thread::scope(|scope| {
        let requested = scope.spawn(|| server.get("/debug/pprof/heap?seconds=4&member=grows"));
        burn(Duration::from_millis(200));
        drop(first);
        let (status, _, body) = requested.join().expect("no panic");
        assert_eq!(status, 200);
        let shrunk = sum(&unpack(&body), "inuse_space", |_, _| true);
        assert!((-(90 << 20)..-(40 << 20)).contains(&shrunk), "{shrunk}");
    });
    server.finish();
}

#[test]
fn profile_can_have_a_higher_rate_than_the_windows() {
    let _turn = turn();
    let profiler = Builder::new("rate")
        .hz(10)
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    drop(profiler);
    assert!(
        handle
            .cpu_profile(Duration::from_secs(1), &Filter::default())
            .is_err()
    );
    let server = Server::start();
    server
        .profiler
        .handle()
        .set_hz(20)
        .expect("the profiler is running");
    let (_, _, body) = server.get("/debug/pprof/profile?seconds=1&hz=500");
    assert_eq!(unpack(&body).period, 2_000_000);
    let (_, _, body) = server.get("/debug/pprof/profile?seconds=1");
    assert_eq!(unpack(&body).period, 50_000_000);
    server.finish();
}
