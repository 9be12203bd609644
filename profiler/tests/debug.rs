//! `/debug/pprof/*`, read by `go tool pprof` itself.

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

/// A server of the debug routes, and two members that are busy until it is dropped.
struct Server {
    address: SocketAddr,
    profiler: Profiler,
    runtime: tokio::runtime::Runtime,
    stop: &'static AtomicBool,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let profiler = Builder::new("debug").hz(1_000).start().expect("started");
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
            std::thread::spawn(move || {
                let _guard = Tag::new(member, "burn").enter();
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

    /// Status, head and body of an answer.
    fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .expect("sent");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("an answer");
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

/// What `go tool pprof` prints.
fn go_tool_pprof(arguments: &[&str]) -> String {
    let output = Command::new("go")
        .args(["tool", "pprof"])
        .args(arguments)
        .env("PPROF_TMPDIR", std::env::temp_dir())
        .output()
        .expect("Go is installed, as the tests need it");
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
fn a_member_and_an_operation_can_be_asked_for_alone() {
    let _turn = turn();
    let server = Server::start();
    let (status, head, body) = server.get("/debug/pprof/profile?seconds=1&member=red&op=burn");
    assert_eq!(status, 200);
    assert!(
        head.contains("content-disposition: attachment; filename=\"profile.pb.gz\""),
        "{head}"
    );
    let profile = unpack(&body);
    assert!(
        sum(&profile, "cpu", |member, op| member == "red"
            && op == "burn")
            > 100_000_000
    );
    assert_eq!(sum(&profile, "cpu", |member, _| member != "red"), 0);
    assert!((900_000_000..2_000_000_000).contains(&profile.duration_nanos));
    assert!(
        (0..profile.sample_count())
            .any(|s| stack(&profile, s).contains(&"debug::work::burn".to_owned()))
    );
    server.finish();
}

#[test]
fn profiles_may_be_taken_at_the_same_time() {
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
fn errors_are_sentences_with_a_status() {
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
    check("/debug/pprof/profile?seconds=0", 400, "above 0");
    check("/debug/pprof/profile?seconds=many", 400, "seconds");
    check("/debug/pprof/wall", 501, "/debug/pprof/profile");
    check("/debug/pprof/tasks", 501, "/debug/pprof/heap");
    check("/debug/pprof/", 200, "allocs");
    check("/debug/pprof/cmdline", 200, "debug");
    server.finish();
}
