//! Redis servers on free ports.

use super::Certificates;
use davy_test_support::skip;
use redis::Client;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A server, which ends with this value.
pub(crate) struct Redis {
    process: Option<Child>,
    port: u16,
    config: PathBuf,
    is_sentinel: bool,
    certificates: Option<Arc<Certificates>>,
    _folder: tempfile::TempDir,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

impl Redis {
    /// A server; `None` if Redis is not installed, and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::with(|port| format!("port {port}\n"), false, None)
    }

    /// A server with TLS, which asks for a certificate of the client.
    pub(crate) fn with_tls(certificates: &Arc<Certificates>) -> Option<Self> {
        let config = certificates.config();
        let config = |port| format!("port 0\ntls-port {port}\n{config}");
        Self::with(config, false, Some(certificates))
    }

    /// A Sentinel with TLS that watches a server with TLS as `site`.
    pub(crate) fn sentinel_with_tls(
        master: &Self,
        certificates: &Arc<Certificates>,
    ) -> Option<Self> {
        let (of, config) = (master.port, certificates.config());
        let config = |port| {
            format!(
                "port 0\ntls-port {port}\ntls-replication yes\n{config}sentinel monitor site 127.0.0.1 {of} 1\n"
            )
        };
        Self::with(config, true, Some(certificates))
    }

    /// A replica of a server.
    pub(crate) fn replica_of(master: &Self) -> Option<Self> {
        let of = master.port;
        let replica = Self::with(
            |port| format!("port {port}\nreplicaof 127.0.0.1 {of}\n"),
            false,
            None,
        )?;
        let mut to = replica.connect();
        wait("a replica that is in sync", || {
            let info: String = redis::cmd("INFO")
                .arg("replication")
                .query(&mut to)
                .expect("info");
            info.contains("master_link_status:up")
        });
        Some(replica)
    }

    /// A Sentinel that watches a server as `site`.
    pub(crate) fn sentinel(master: &Self) -> Option<Self> {
        let of = master.port;
        let sentinel = Self::with(
            |port| {
                format!(
                    "port {port}\nsentinel monitor site 127.0.0.1 {of} 1\nsentinel down-after-milliseconds site 500\nsentinel failover-timeout site 3000\n"
                )
            },
            true,
            None,
        )?;
        let mut to = sentinel.connect();
        wait("a Sentinel that knows the replica", || {
            let mut replicas = redis::cmd("SENTINEL");
            let replicas: Vec<redis::Value> = replicas
                .arg("replicas")
                .arg("site")
                .query(&mut to)
                .expect("replicas");
            !replicas.is_empty()
        });
        Some(sentinel)
    }

    fn with(
        config: impl Fn(u16) -> String,
        is_sentinel: bool,
        certificates: Option<&Arc<Certificates>>,
    ) -> Option<Self> {
        if Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
        {
            skip("redis-server is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let path = folder.path().join("redis.conf");
        let dir = folder.path().display();
        let common = format!("bind 127.0.0.1\ndir {dir}\nsave \"\"\nappendonly no\n");
        let common = if is_sentinel {
            format!("bind 127.0.0.1\ndir {dir}\n")
        } else {
            common
        };
        std::fs::write(&path, format!("{}{common}", config(port))).expect("written");
        let mut server = Self {
            process: None,
            port,
            config: path,
            is_sentinel,
            certificates: certificates.cloned(),
            _folder: folder,
        };
        server.restart();
        Some(server)
    }

    /// Starts the server, on the same port.
    pub(crate) fn restart(&mut self) {
        let mut command = Command::new("redis-server");
        command.arg(&self.config).stdout(Stdio::null());
        if self.is_sentinel {
            command.arg("--sentinel");
        }
        self.process = Some(command.spawn().expect("redis-server starts"));
        let client = self.client();
        wait("a server that answers", || client.get_connection().is_ok());
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("killed");
            process.wait().expect("ended");
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        let scheme = match self.certificates {
            None => "redis",
            Some(_) => "rediss",
        };
        format!("{scheme}://{}", self.address())
    }

    fn client(&self) -> Client {
        let client = match &self.certificates {
            None => Client::open(self.url()),
            Some(of) => Client::build_with_tls(self.url(), of.of_client()),
        };
        client.expect("a URL")
    }

    pub(crate) fn connect(&self) -> redis::Connection {
        self.client().get_connection().expect("connected")
    }

    /// Waits until this Sentinel names a master.
    pub(crate) async fn has_master(&self, port: u16) {
        let mut to = self.connect();
        super::until("the failover", || {
            let mut master = redis::cmd("SENTINEL");
            let master = master
                .arg("get-master-addr-by-name")
                .arg("site")
                .query::<(String, u16)>(&mut to);
            master.is_ok_and(|(_, of)| of == port)
        })
        .await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for a server, outside of a runtime.
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = davy_base::Clock::system();
    let start = clock.monotonic();
    while !holds() {
        let waited = clock.monotonic().saturating_sub(start);
        assert!(
            waited < Duration::from_mins(1),
            "not within a minute: {what}"
        );
        std::thread::yield_now();
    }
}
