//! Names of stripped programs of C++ and Go: uploaded by an agent, and fetched from a real debuginfod.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::{Clock, Random};
use davy_profile::{LabelSetId, Mapping, Profile, pprof};
use davy_symbols::{DebugFileOptions, DebugFiles};
use object_store::memory::InMemory;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

const SOURCE: &str = "
namespace shape {
struct Circle { double r; __attribute__((noinline)) double area(int n) const { return r * r * n; } };
}
int main(int argc, char**) { shape::Circle c{2}; return (int)c.area(argc); }
";
const AREA: &str = "shape::Circle::area(int) const";

const SOURCE_OF_GO: &str = "package main

//go:noinline
func work(n int) int { return n * n * n }

func main() { println(work(3)) }
";

/// A program with debug information, its stripped copy, and its debug file.
struct Program {
    folder: TempDir,
    build_id: String,
    /// The offset of `area` in the file.
    offset: u64,
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

impl Program {
    /// Compiles it; `None` if there is no compiler.
    fn new() -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("circle.cpp"), SOURCE).expect("written");
        let built = output(
            Command::new("g++")
                .args([
                    "-g",
                    "-O1",
                    "-Wl,--build-id=sha1",
                    "-o",
                    "circle.full",
                    "circle.cpp",
                ])
                .current_dir(folder.path()),
        );
        let split = built.and_then(|_| {
            output(
                Command::new("objcopy")
                    .args(["--only-keep-debug", "circle.full", "circle.debug"])
                    .current_dir(folder.path()),
            )?;
            output(
                Command::new("objcopy")
                    .args(["--strip-all", "circle.full", "circle"])
                    .current_dir(folder.path()),
            )
        });
        if split.is_none() {
            davy_test_support::skip("no C++ compiler: apt-get install g++ binutils");
            return None;
        }
        let notes = output(Command::new("readelf").args(["-n"]).arg(path("circle")))?;
        let build_id = notes
            .split("Build ID: ")
            .nth(1)?
            .split_whitespace()
            .next()?
            .to_owned();
        let symbols = output(Command::new("nm").arg("-C").arg(path("circle.full")))?;
        let area = symbols.lines().find(|line| line.ends_with(AREA))?;
        let offset = u64::from_str_radix(area.split_whitespace().next()?, 16).ok()?;
        Some(Self {
            folder,
            build_id,
            offset,
        })
    }

    /// A stripped program of Go; `None` if there is no compiler.
    fn of_go() -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("main.go"), SOURCE_OF_GO).expect("written");
        let build = |name: &str, linker: &str| {
            let mut go = Command::new("go");
            go.args(["build", "-trimpath", "-o", name, linker, "main.go"]);
            go.env("GO111MODULE", "off").env("CGO_ENABLED", "0");
            output(go.current_dir(folder.path()))
        };
        let built = build("program", "-ldflags=-s -w -B 0xb5381a45");
        if built
            .and_then(|_| build("program.full", "-ldflags=-B 0xb5381a45"))
            .is_none()
        {
            davy_test_support::skip("no Go compiler: ops/dev/need go");
            return None;
        }
        // Both have the same code, which begins with a page of headers.
        let full = folder.path().join("program.full");
        let symbols = output(Command::new("go").args(["tool", "nm"]).arg(full));
        let symbols = symbols.expect("the symbols of the program");
        let work = symbols.lines().find(|line| line.ends_with(" T main.work"));
        let address = work.and_then(|line| line.split_whitespace().next());
        let address = u64::from_str_radix(address.expect("main.work"), 16).expect("an address");
        Some(Self {
            folder,
            build_id: "b5381a45".to_owned(),
            offset: address - 0x40_0000,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file")
    }
}

struct World {
    app: Router,
    files: DebugFiles,
    folder: TempDir,
}

impl World {
    async fn new(file_bytes: u64, urls: Vec<String>) -> Self {
        let options = ArchiveOptions {
            clock: Clock::system(),
            random: Random::seeded(1),
            flush_interval: Duration::ZERO,
            ..ArchiveOptions::new(Arc::new(InMemory::new()))
        };
        let registry = prometheus::Registry::new();
        let archive = Archive::new(options, &registry).expect("fresh registry");
        tokio::spawn(archive.ingest().run(CancellationToken::new()));
        while !archive.ingest().is_accepting() {
            tokio::task::yield_now().await;
        }
        let folder = TempDir::new().expect("a folder");
        let options = DebugFileOptions {
            folder: folder.path().to_owned(),
            file_bytes,
            debuginfod_urls: urls,
        };
        let files = DebugFiles::new(&archive, options, &registry).expect("fresh registry");
        let app = archive.ingest_router().merge(archive.query_router());
        Self {
            app: app.merge(files.router()),
            files,
            folder,
        }
    }

    async fn call(&self, request: Request<Body>) -> (u16, String, String) {
        let response = self.app.clone().oneshot(request).await.expect("infallible");
        let partial = response.headers().get("davy-partial");
        let partial = partial
            .map_or("", |text| text.to_str().expect("ASCII"))
            .to_owned();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned(), partial)
    }

    async fn upload(&self, build_id: &str, file: Vec<u8>) -> (u16, String) {
        let path = format!("/debuginfo.v1alpha1.DebuginfoService/Upload/{build_id}");
        let request = Request::post(path)
            .body(Body::from(file))
            .expect("a request");
        let (status, body, _) = self.call(request).await;
        (status, body)
    }

    /// Pushes a sample in `area`.
    async fn push(&self, program: &Program) {
        let mut profile = Profile::new();
        profile.add_sample_type("cpu", "nanoseconds");
        let mapping = Mapping {
            limit: 1 << 40,
            file: profile.strings.intern("/bin/circle"),
            build_id: profile.strings.intern(&program.build_id),
            ..Mapping::default()
        };
        profile.mappings.push(mapping);
        let area = profile.location(Some(0), program.offset + 4, &[]);
        let stack = profile.stack([area]);
        profile.add_sample(stack, LabelSetId(0), &[7]);
        let request = Request::post("/ingest?name=circle")
            .body(Body::from(pprof::encode(&profile)))
            .expect("a request");
        let (status, body, _) = self.call(request).await;
        assert_eq!(status, 200, "{body}");
    }

    /// The stacks, and what they lack.
    async fn stacks(&self) -> (String, String) {
        let request = Request::get("/api/v1/profiles/folded?type=cpu&from=now-1h");
        let (status, body, partial) = self
            .call(request.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(status, 200, "{body}");
        (body, partial)
    }

    fn spooled(&self) -> usize {
        let files = std::fs::read_dir(self.folder.path());
        files.map_or(0, Iterator::count)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stripped_program_shows_demangled_functions_after_the_upload_of_its_file() {
    let Some(program) = Program::new() else {
        return;
    };
    let (world, after) = named_by(&program, "circle.full").await;
    assert_eq!(after, format!("{AREA} 7\n"));
    assert_eq!(world.spooled(), 0, "files are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn stripped_go_program_names_its_own_functions() {
    let Some(program) = Program::of_go() else {
        return;
    };
    let (_, after) = named_by(&program, "program").await;
    assert_eq!(after, "main.work 7\n");
}

/// The stacks of a program without names after the upload of a file of it.
async fn named_by(program: &Program, file: &str) -> (World, String) {
    let world = World::new(100 << 20, Vec::new()).await;
    world.push(program).await;
    let (before, _) = world.stacks().await;
    assert!(before.starts_with("0x"), "{before}");
    let (status, body) = world.upload(&program.build_id, program.read(file)).await;
    assert_eq!(status, 200, "{body}");
    let (after, _) = world.stacks().await;
    (world, after)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_give_names_are_refused_with_the_reason() {
    let Some(program) = Program::new() else {
        return;
    };
    let world = World::new(1 << 20, Vec::new()).await;
    let check = async |build_id: &str, file: Vec<u8>, status: u16, reason: &str| {
        let (refused, body) = world.upload(build_id, file).await;
        assert_eq!(refused, status, "{body}");
        assert!(body.contains(reason), "{body}");
    };
    let id = &program.build_id;
    check(
        "c0ffee",
        program.read("circle.full"),
        422,
        "belongs to build",
    )
    .await;
    check(id, program.read("circle.debug"), 422, "it is a debug file").await;
    check(id, b"#!/bin/sh\n".to_vec(), 422, "cannot read the symbols").await;
    check(id, Vec::new(), 422, "cannot read the symbols").await;
    check(id, vec![0; (1 << 20) + 1], 413, "archive.debug_file_bytes").await;
    assert_eq!(world.spooled(), 0, "files are left");
}

/// A debuginfod that serves a folder, killed on drop.
struct Server(std::process::Child, String);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(folder: &Path, database: &Path) -> Option<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let server = Command::new("debuginfod")
            .args(["-p", &port.to_string(), "-F", "-t", "1", "-d"])
            .arg(database)
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(server) = server else {
            davy_test_support::skip("no debuginfod: ops/dev/need debuginfod");
            return None;
        };
        Some(Self(server, format!("http://127.0.0.1:{port}")))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_that_misses_a_build_gets_its_names_from_debuginfod() {
    let Some(program) = Program::new() else {
        return;
    };
    let files = TempDir::new().expect("a folder");
    for name in ["circle", "circle.debug"] {
        std::fs::copy(program.path(name), files.path().join(name)).expect("copied");
    }
    let Some(server) = Server::start(files.path(), &files.path().join("index.sqlite")) else {
        return;
    };
    let clock = Clock::system();
    // The server indexes the folder first.
    let client = davy_bucket::web_client().expect("a client");
    let url = format!("{}/buildid/{}/debuginfo", server.1, program.build_id);
    let indexed = clock.timeout(Duration::from_mins(1), async {
        loop {
            let response = client.get(&url).send().await;
            if response.is_ok_and(|of| of.status().is_success()) {
                return;
            }
            clock.sleep(Duration::from_millis(50)).await;
        }
    });
    indexed.await.expect("the server has the file");
    // The first server is down.
    let urls = vec!["http://127.0.0.1:1".to_owned(), server.1.clone()];
    let world = World::new(100 << 20, urls).await;
    tokio::spawn(world.files.clone().run(CancellationToken::new()));
    world.push(&program).await;
    let named = clock.timeout(Duration::from_mins(1), async {
        loop {
            let (stacks, partial) = world.stacks().await;
            if stacks == format!("{AREA} 7\n") {
                return;
            }
            assert!(stacks.starts_with("0x"), "{stacks}");
            assert!(
                partial.is_empty() || partial.contains("being fetched"),
                "{partial}"
            );
            clock.sleep(Duration::from_millis(20)).await;
        }
    });
    named.await.expect("names arrive");
    assert_eq!(world.spooled(), 0, "files are left");
}
