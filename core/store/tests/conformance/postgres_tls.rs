//! A server that is spoken to by TLS.

use davy_base::{Clock, Random};
use davy_store::{Kind, Options, Store};
use std::path::{Path, PathBuf};
use std::process::Command;
use ulid::Ulid;

/// A server of this test's own, with a certificate by a CA that nobody else trusts.
struct Server {
    folder: PathBuf,
    /// `HOST:PORT/NAME` of its address 127.0.0.1, for which its certificate is.
    address: String,
}

impl Server {
    fn start() -> Self {
        let scratch = std::env::var("DEV_POSTGRES_SCRATCH");
        let scratch = scratch.expect("run it by `ops/dev/postgres run`");
        let id = Ulid::from_parts(
            Clock::system().now().millis() as u64,
            Random::system().next_u128(),
        );
        let folder = Path::new(&scratch).join(format!("tls_{id}"));
        let url = script("start", &folder);
        script("tls", &folder);
        let address = url.trim().rsplit_once('@').expect("a user").1.to_owned();
        Self { folder, address }
    }

    fn url(&self, mode: &str, ca: Option<&str>) -> String {
        let mut url = format!("postgres://davy@{}?sslmode={mode}", self.address);
        if let Some(ca) = ca {
            url.push_str(&format!("&sslrootcert={}", self.folder.join(ca).display()));
        }
        url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script("stop", &self.folder);
    }
}

fn script(verb: &str, folder: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let script = root
        .expect("the workspace is two folders up")
        .join("ops/dev/postgres");
    let output = Command::new(script).arg(verb).arg(folder).output();
    let output = output.expect("the script can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{verb}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn refusal(url: &str) -> String {
    let store = Store::new(Options::new(url)).expect("the URL is understood");
    let error = store.migrate().await.expect_err("it must not be trusted");
    assert_eq!(error.kind(), Kind::Settings, "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_spoken_to_by_tls_and_only_if_its_certificate_is_trusted() {
    let server = Server::start();
    for mode in ["verify-full", "verify-ca"] {
        let store = Store::open(&server.url(mode, Some("ca.crt"))).await;
        let store = store.expect("the CA has signed its certificate");
        store.ping().await.expect("it answers");
        store.close().await;
    }
    let stranger = refusal(&server.url("verify-full", None)).await;
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");
    assert!(stranger.contains("?sslrootcert=FILE"), "{stranger}");
    let elsewhere = server
        .url("verify-full", Some("ca.crt"))
        .replace("127.0.0.1", "localhost");
    let elsewhere = refusal(&elsewhere).await;
    assert!(elsewhere.contains("not valid for name"), "{elsewhere}");
    let plain = std::env::var("DEV_POSTGRES").expect("run it by `ops/dev/postgres run`");
    let plain = refusal(&format!("{plain}?sslmode=require")).await;
    assert!(plain.contains("can't be spoken to by TLS"), "{plain}");
}
