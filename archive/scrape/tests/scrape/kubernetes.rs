//! Discovers the pods of a real API server.

use super::{archiver, asked, metric, scraper, target};
use davy_base::Clock;
use davy_scrape::ScrapeConfig;
use davy_test_support::skip;
use prometheus::Registry;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The example of the documentation.
const DOCUMENTATION: &str = include_str!("../../../../ops/docs/scrape.md");

/// An etcd and an API server without nodes, killed on drop.
struct Cluster {
    servers: Vec<Child>,
    folder: tempfile::TempDir,
    api: String,
    client: reqwest::Client,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

fn start(program: &str, folder: &Path, arguments: &[String]) -> Option<Child> {
    let log = std::fs::File::create(folder.join(format!("{program}.log"))).expect("a file");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    command.stdout(Stdio::null()).stderr(log).spawn().ok()
}

impl Cluster {
    /// Starts both; `None` if they are not installed, and the test is skipped.
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let [client, peer, api] = ports();
        let (client, peer) = (
            format!("http://127.0.0.1:{client}"),
            format!("http://127.0.0.1:{peer}"),
        );
        let arguments = [
            "--data-dir=etcd",
            "--name=one",
            "--unsafe-no-fsync",
            &format!("--listen-client-urls={client}"),
            &format!("--advertise-client-urls={client}"),
            &format!("--listen-peer-urls={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
            &format!("--initial-cluster=one={peer}"),
        ];
        let etcd = start("etcd", at, &arguments.map(str::to_owned));
        let key = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-out", "account.key"])
            .current_dir(at)
            .output();
        std::fs::write(
            at.join("tokens.csv"),
            "of-admin,admin,1,system:masters\nof-scraper,scraper,2\n",
        )
        .expect("written");
        std::fs::write(at.join("token"), "of-scraper\n").expect("written");
        let arguments = [
            &*format!("--etcd-servers={client}"),
            &format!("--secure-port={api}"),
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--cert-dir=certificates",
            "--token-auth-file=tokens.csv",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://tests",
            "--service-account-key-file=account.key",
            "--service-account-signing-key-file=account.key",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
        ];
        let server = start("kube-apiserver", at, &arguments.map(str::to_owned));
        let mut servers: Vec<Child> = Vec::new();
        let is_complete = etcd.is_some() && server.is_some() && key.is_ok();
        servers.extend(etcd.into_iter().chain(server));
        let client = davy_bucket::web_client().expect("a client");
        let mut of = Self {
            servers,
            api: format!("https://127.0.0.1:{api}"),
            folder,
            client,
        };
        if !is_complete {
            skip("etcd or kube-apiserver is not installed: ops/dev/need kube-apiserver");
            return None;
        }
        of.wait().await;
        Some(of)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The API server writes its own certificate, with the authority that signed it.
    async fn wait(&mut self) {
        let clock = Clock::system();
        let ca = self.folder.path().join("certificates/apiserver.crt");
        let is_ready = async {
            loop {
                if let Ok(client) = davy_bucket::private_client("ca", Some(&ca)) {
                    let url = format!("{}/api/v1/namespaces/default", self.api);
                    let sent = client.get(url).bearer_auth("of-admin").send().await;
                    if sent.is_ok_and(|response| response.status().is_success()) {
                        self.client = client;
                        return;
                    }
                }
                clock.sleep(Duration::from_millis(100)).await;
            }
        };
        let is_ready = clock.timeout(Duration::from_mins(2), is_ready).await;
        is_ready.unwrap_or_else(|_| {
            let log = std::fs::read_to_string(self.folder.path().join("kube-apiserver.log"));
            panic!("{}", log.unwrap_or_default())
        });
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: &Value) {
        let url = format!("{}{path}", self.api);
        let kind = match method {
            reqwest::Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = self.client.request(method, url).bearer_auth("of-admin");
        let request = request.header("content-type", kind).body(body.to_string());
        let response = request.send().await.expect("a response");
        let status = response.status();
        let text = response.text().await.expect("a text");
        assert!(status.is_success(), "{status} {text}");
    }

    /// A pod that has started on a node with the address 127.0.0.1.
    async fn pod(&self, name: &str, annotations: Value, port: u16) {
        let pods = "/api/v1/namespaces/default/pods";
        let pod = json!({
            "metadata": {"name": name, "annotations": annotations, "labels": {"app": "shop"}},
            "spec": {"containers": [{
                "name": "main",
                "image": "shop:1",
                "ports": [{"name": "pprof", "containerPort": port}],
            }]},
        });
        self.send(reqwest::Method::POST, pods, &pod).await;
        let status = json!({"status": {
            "phase": "Running",
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let path = format!("{pods}/{name}/status");
        self.send(reqwest::Method::PATCH, &path, &status).await;
    }

    /// Lets the scraper list pods, with the rule of the documentation.
    async fn permit(&self) {
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let role = json!({
            "metadata": {"name": "davy"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
        });
        let binding = json!({
            "metadata": {"name": "davy"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "davy"},
            "subjects": [{"kind": "User", "name": "scraper"}],
        });
        let post = reqwest::Method::POST;
        self.send(post.clone(), &format!("{rbac}/clusterroles"), &role)
            .await;
        self.send(post, &format!("{rbac}/clusterrolebindings"), &binding)
            .await;
    }
}

/// The job of the documentation, for this cluster.
fn documented(cluster: &Cluster) -> String {
    let yaml = DOCUMENTATION
        .split("```yaml\n")
        .find(|text| text.contains("kubernetes:"));
    let yaml = yaml
        .and_then(|text| text.split("```").next())
        .expect("an example");
    assert!(yaml.contains("kubernetes: {}"), "{yaml}");
    let settings = format!(
        "kubernetes: {{api: '{}', token_file: '{}', ca_file: '{}'}}",
        cluster.api,
        cluster.path("token"),
        cluster.path("certificates/apiserver.crt")
    );
    let yaml = yaml.replace("kubernetes: {}", &settings);
    format!("interval: 2s\n{yaml}")
}

#[tokio::test(flavor = "multi_thread")]
async fn annotated_pods_of_all_pages_are_scraped_once_they_may_be_listed() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let (url, _archive) = archiver().await;
    let (address, seen) = target().await;
    let (_, port) = address.rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a number");
    // More than a page. The annotated one is the last.
    for number in 0..260 {
        cluster.pod(&format!("pod-{number}"), json!({}), 9).await;
    }
    let annotations = json!({
        "profiles.grafana.com/memory.scrape": "true",
        "profiles.grafana.com/memory.port": port.to_string(),
    });
    cluster.pod("zzz", annotations, 1).await;

    let registry = Registry::new();
    let config = documented(&cluster);
    let scraper = scraper(&url, ScrapeConfig::read(&config).expect(&config), &registry);
    tokio::spawn(scraper.clone().run(CancellationToken::new()));
    let clock = Clock::system();
    let failing = || {
        let families = registry.gather();
        let is_named = |family: &&prometheus::proto::MetricFamily| {
            family.name() == "davy_archive_scrape_sources_failing"
        };
        let family = families.iter().find(is_named).expect("a metric");
        family.get_metric()[0].get_gauge().get_value() as i64
    };
    let refused = clock.timeout(Duration::from_secs(30), async {
        while failing() == 0 {
            clock.sleep(Duration::from_millis(20)).await;
        }
    });
    refused.await.expect("the scraper may not list pods");
    assert!(seen.lock().expect("no panic").is_empty());
    cluster.permit().await;
    scraper.set_config(ScrapeConfig::read(&config).expect(&config));
    asked(&seen, "/debug/pprof/heap").await;
    let targets = metric(&registry, "davy_archive_scrape_targets", "all");
    assert_eq!((targets as i64, failing()), (1, 0));
}
