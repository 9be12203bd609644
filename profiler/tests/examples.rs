//! Examples as their readers run them.
#![cfg(target_os = "linux")]

mod archiver;
mod work;

use archiver::Archiver;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::codegen::http::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use work::sum;

/// A running example, killed on drop.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Example {
    /// Starts an example that serves an address and pushes to an archiver.
    fn start(name: &str, address: SocketAddr, archiver: &Archiver) -> Self {
        let test = std::env::current_exe().expect("an executable");
        let built = test.ancestors().nth(2).expect("the build folder");
        let mut command = Command::new(built.join("examples").join(name));
        command.arg(address.to_string()).stdout(Stdio::null());
        command.env("DAVY_ARCHIVER", archiver.url());
        Self(command.spawn().expect("examples are built with the tests"))
    }

    /// Interrupts it, and returns whether it ended well.
    fn interrupt(mut self) -> bool {
        // SAFETY: sends a signal to a child that was not waited for.
        unsafe { libc::kill(self.0.id() as libc::pid_t, libc::SIGINT) };
        self.0.wait().is_ok_and(|status| status.success())
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound")
}

/// Connects, once the server listens.
async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    for _ in 0..1_000_000 {
        if let Ok(channel) = endpoint.connect().await {
            return channel;
        }
        tokio::task::yield_now().await;
    }
    panic!("{address} does not listen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tonic_example_tags_each_call_by_its_method() {
    let archiver = Archiver::start();
    let address = free_address();
    let example = Example::start("tonic", address, &archiver);
    let mut channel = connect(address).await;
    let mut client = HealthClient::new(channel.clone());
    // Enough for some samples of each operation.
    for round in 0..12_000 {
        let answer = client.check(HealthCheckRequest::default()).await;
        assert_eq!(answer.expect("an answer").into_inner().status, 1, "serving");
        // Clients can make up any number of methods.
        let request = Request::post(format!("/grpc.health.v1.Health/Unknown{round}"));
        let request = request.header("content-type", "application/grpc");
        let request = request.body(Body::empty()).expect("a request");
        let ready = std::future::poll_fn(|context| channel.poll_ready(context)).await;
        ready.expect("connected");
        let refused = channel.call(request).await.expect("a response");
        assert_eq!(refused.headers()["grpc-status"], "12", "no such method");
    }
    assert!(example.interrupt());
    let pushes = archiver.all();
    let is_cpu = |push: &&archiver::Push| push.label("__name__") == "process_cpu";
    let cpu: Vec<_> = pushes.iter().filter(is_cpu).collect();
    let millis = |wanted: &str| -> i64 {
        let of = |member: &str, op: &str| (member, op) == ("grpc", wanted);
        let nanos = cpu.iter().map(|push| sum(&push.profile, "cpu", of));
        nanos.sum::<i64>() / 1_000_000
    };
    let (checks, unknown) = (millis("/grpc.health.v1.Health/Check"), millis("(unknown)"));
    assert!(checks > 10 && unknown > 0, "{checks} ms, {unknown} ms");
    let mut operations = cpu.iter().flat_map(|push| {
        let samples = 0..push.profile.sample_count();
        samples.map(|sample| push.profile.label(sample, "op").to_owned())
    });
    assert!(operations.all(|op| !op.contains("Unknown")));
}
