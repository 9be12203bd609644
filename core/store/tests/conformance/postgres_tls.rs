//! TLS connections to Postgres.

use crate::backend::server;
use davy_base::{Clock, Random};
use davy_store::{ErrorKind, Store, StoreOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use ulid::Ulid;

/// A Postgres server for this test, whose certificate is signed by a private CA.
struct Server {
    folder: PathBuf,
    /// `HOST:PORT/NAME`. The host is 127.0.0.1, for which the certificate is valid.
    address: String,
}

impl Server {
    fn start() -> Self {
        let scratch = std::env::var("DEV_POSTGRES_SCRATCH");
        let scratch = scratch.expect("`ops/dev/postgres run` sets it together with DEV_POSTGRES");
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
        .expect("the crate is two folders below the root")
        .join("ops/dev/postgres");
    let output = Command::new(script).arg(verb).arg(folder).output();
    let output = output.expect("the script starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{verb}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn error_of(url: &str) -> String {
    let store = Store::new(StoreOptions::new(url)).expect("a valid URL");
    let error = store
        .migrate()
        .await
        .expect_err("no trusted TLS connection");
    assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_connection_requires_a_trusted_certificate() {
    let Some(plain) = server() else {
        return;
    };
    let server = Server::start();
    for mode in ["verify-full", "verify-ca"] {
        let store = Store::open(&server.url(mode, Some("ca.crt"))).await;
        let store = store.expect("the CA signed the certificate");
        store.ping().await.expect("the server responds");
        store.close().await;
    }
    let unknown_ca = error_of(&server.url("verify-full", None)).await;
    assert!(unknown_ca.contains("UnknownIssuer"), "{unknown_ca}");
    assert!(unknown_ca.contains("?sslrootcert=FILE"), "{unknown_ca}");
    let wrong_host = server
        .url("verify-full", Some("ca.crt"))
        .replace("127.0.0.1", "localhost");
    let wrong_host = error_of(&wrong_host).await;
    assert!(wrong_host.contains("not valid for name"), "{wrong_host}");
    let without_tls = error_of(&format!("{plain}?sslmode=require")).await;
    assert!(
        without_tls.starts_with("TLS connection to "),
        "{without_tls}"
    );
}
