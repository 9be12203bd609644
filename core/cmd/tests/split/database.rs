//! A database for one test. It is removed when the test ends.

use davy_base::{Clock, Random};
use davy_store::Store;
use std::path::{Path, PathBuf};
use std::process::Command;
use ulid::Ulid;

/// A database that only one test uses.
pub(crate) enum Database {
    /// A file in the fleet's folder.
    Sqlite,
    /// A database on the server that `ops/dev/postgres` started.
    Postgres { server: String, name: String },
    /// A server that only this test uses, so that it can be stopped.
    Server { folder: PathBuf, url: String },
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("this test needs {name}: run it by `ops/dev/postgres run cargo nextest run -p davy`")
    })
}

fn unique() -> String {
    let id = Ulid::from_parts(
        Clock::system().now().millis() as u64,
        Random::system().next_u128(),
    );
    format!("davy_{id}").to_lowercase()
}

fn script(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let root = root.expect("the workspace is two folders up");
    let mut command = Command::new(root.join("ops/dev/postgres"));
    command.args(arguments);
    command
}

fn psql(server: &str, sql: &str) -> String {
    run(Command::new("psql").args([
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        server,
        "-c",
        sql,
    ]))
}

impl Database {
    pub(crate) fn postgres() -> Self {
        let (server, name) = (variable("DEV_POSTGRES"), unique());
        psql(&server, &format!("CREATE DATABASE {name}"));
        Self::Postgres { server, name }
    }

    /// Starts a server.
    pub(crate) fn server() -> Self {
        let folder = Path::new(&variable("DEV_POSTGRES_SCRATCH")).join(unique());
        let url = run(script(&["start"]).arg(&folder));
        Self::Server { folder, url }
    }

    /// Stops the server immediately, like a crash.
    pub(crate) fn crash(&self) {
        let Self::Server { folder, .. } = self else {
            panic!("a shared server must not be stopped");
        };
        run(script(&["stop"]).arg(folder).arg("immediate"));
    }

    pub(crate) fn start_again(&self) {
        let Self::Server { folder, .. } = self else {
            panic!("a shared server must not be started");
        };
        run(script(&["start"]).arg(folder));
    }

    /// The URL for a fleet in a folder.
    pub(crate) fn url(&self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", folder.join("davy.db").display()),
            Self::Postgres { server, name } => {
                let base = server.rsplit_once('/').expect("it ends in a database").0;
                format!("{base}/{name}")
            }
            Self::Server { url, .. } => url.clone(),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match self {
            Self::Sqlite => {}
            Self::Postgres { server, name } => {
                let drop = format!("DROP DATABASE {name} WITH (FORCE)");
                let _ = Command::new("psql").args([&*server, "-c", &drop]).output();
            }
            Self::Server { folder, .. } => {
                let _ = script(&["stop"]).arg(folder).arg("immediate").output();
            }
        }
    }
}

/// Accesses the database directly.
pub(crate) fn with_store<T>(url: &str, work: impl AsyncFnOnce(&Store) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("start a runtime");
    runtime.block_on(async {
        let store = Store::open(url).await.expect("open the database");
        let result = work(&store).await;
        store.close().await;
        result
    })
}
