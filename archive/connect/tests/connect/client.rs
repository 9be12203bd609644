//! The published client of the query API, in Go, over every protocol.

use crate::support::{CPU, World};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use tokio::net::TcpListener;
use tokio::process::Command;

/// Serves the archive over HTTP/1 and HTTP/2 without TLS.
pub(crate) async fn serve(world: &World) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = world.app();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(app.clone());
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                // The client ends its connections as it likes.
                let _ = connection.await;
            });
        }
    });
    format!("http://{address}")
}

/// The output of one of the programs in `tests/client`; `None` if it cannot be built here.
pub(crate) async fn run(program: &str, args: &[&str]) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client");
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program);
    let build = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg(format!("./{program}"))
        .current_dir(&folder)
        .stderr(Stdio::piped())
        .output()
        .await;
    match build {
        Ok(build) if build.status.success() => {}
        Ok(build) => {
            let error = String::from_utf8_lossy(&build.stderr).into_owned();
            let is_offline = error.contains("dial tcp") || error.contains("no such host");
            assert!(is_offline, "{error}");
            davy_test_support::skip("Go modules cannot be downloaded");
            return None;
        }
        Err(_) => {
            davy_test_support::skip("Go is not installed: ops/dev/need go");
            return None;
        }
    }
    let output = Command::new(binary).args(args).output().await;
    let output = output.expect("the client runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

#[tokio::test(flavor = "multi_thread")]
async fn published_client_gets_the_same_answers_over_every_protocol() {
    let world = World::filled().await;
    let url = serve(&world).await;
    let now = world.clock.now().millis();
    let range = [(now - 7_200_000).to_string(), now.to_string()];
    let Some(text) = run("query", &[&url, &range[0], &range[1]]).await else {
        return;
    };
    // Protocol, call, and answer or error.
    let lines = text.lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |protocol: &str| -> Vec<(Value, Value)> {
        let lines = lines.iter().filter(|line| line["protocol"] == protocol);
        lines
            .map(|line| (line["call"].clone(), line["answer"].clone()))
            .collect()
    };
    let expected = of("connect+proto");
    assert_eq!(expected.len(), 18, "{expected:?}");
    for protocol in [
        "connect+json",
        "connect+get",
        "grpc",
        "grpc+json",
        "grpc+gzip",
        "grpc-web",
    ] {
        assert_eq!(of(protocol), expected, "{protocol}");
    }
    let answer = |call: &str| {
        let found = expected.iter().find(|(name, _)| name == call);
        found
            .unwrap_or_else(|| panic!("{call}: {expected:?}"))
            .1
            .clone()
    };
    assert_eq!(answer("ProfileTypes")["profileTypes"][1]["ID"], CPU);
    assert_eq!(
        answer("LabelValues")["names"],
        serde_json::json!(["api", "web"])
    );
    assert_eq!(
        answer("SelectMergeStacktraces")["flamegraph"]["total"],
        "19000"
    );
    assert_eq!(
        answer("SelectMergeSpanProfile")["flamegraph"]["total"],
        "2000"
    );
    assert_eq!(answer("Diff")["flamegraph"]["leftTicks"], "19000");
    assert_eq!(answer("GetProfileStats")["dataIngested"], true);
    let error = answer("invalid selector");
    assert_eq!(error["code"], "invalid_argument");
    let message = error["message"].as_str().expect("a text");
    assert!(
        message.contains("invalid selector \"{ä=\": expected a quoted value"),
        "{message}"
    );
    assert_eq!(answer("max_nodes 10^9")["code"], "invalid_argument");
    assert_eq!(answer("10 MB selector")["code"], "resource_exhausted");
}
