//! Finds the pods of a Kubernetes cluster. Targets have the labels of Prometheus's discovery with the role `pod`.

use crate::source::{Group, TIMEOUT, body};
use davy_base::Clock;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The folder of the credentials of a pod.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Pods of a page of the list.
const PAGE: usize = 250;
/// Maximum size of a page, in bytes.
const PAGE_BYTES: usize = 32 << 20;
/// Maximum number of ports, before relabeling.
const PORTS: usize = 50_000;
/// Bytes of a refusal that are reported.
const REASON: usize = 300;

/// A cluster, and which of its pods are listed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kubernetes {
    /// The address of the API server; that of the cluster of this pod if it is empty.
    #[serde(default)]
    api: String,
    /// All if it is empty.
    #[serde(default)]
    namespaces: Vec<String>,
    /// A selector of labels.
    #[serde(default)]
    selector: String,
    #[serde(default = "token_file")]
    token_file: PathBuf,
    #[serde(default = "ca_file")]
    ca_file: PathBuf,
}

fn token_file() -> PathBuf {
    Path::new(ACCOUNT).join("token")
}

fn ca_file() -> PathBuf {
    Path::new(ACCOUNT).join("ca.crt")
}

impl Kubernetes {
    /// Checks the address and the namespaces.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_url = |text: &str| reqwest::Url::parse(text).is_ok_and(|url| url.has_host());
        // The token is not sent in the clear.
        let is_safe = self.api.starts_with("https://") && is_url(&self.api);
        if !(self.api.is_empty() || is_safe) {
            return Err(format!(
                "invalid kubernetes.api {:?}; expected https://HOST:PORT",
                self.api
            ));
        }
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        match self.namespaces.iter().find(|name| !is_name(name)) {
            Some(name) => Err(format!("invalid namespace {name:?} in kubernetes")),
            None => Ok(()),
        }
    }

    fn address(&self) -> Result<String, String> {
        if !self.api.is_empty() {
            return Ok(self.api.trim_end_matches('/').to_owned());
        }
        let variable = |name: &str| {
            std::env::var(name)
                .map_err(|_| format!("{name} is not set, so this is no pod; set kubernetes.api"))
        };
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        Ok(match host.parse() {
            Ok(IpAddr::V6(address)) => format!("https://[{address}]:{port}"),
            _ => format!("https://{host}:{port}"),
        })
    }
}

/// The ports of the pods that have an address and did not end.
pub(crate) async fn pods(cluster: &Kubernetes, clock: &Clock) -> Result<Vec<Group>, String> {
    let address = cluster.address()?;
    let client = davy_bucket::private_client("kubernetes.ca_file", Some(&cluster.ca_file));
    let client = client.map_err(|error| error.to_string())?;
    // Kubelets replace the token from time to time.
    let token = std::fs::read_to_string(&cluster.token_file).map_err(|error| {
        format!(
            "cannot read kubernetes.token_file {}: {error}",
            cluster.token_file.display()
        )
    })?;
    let folders: Vec<String> = match &*cluster.namespaces {
        [] => vec!["pods".to_owned()],
        some => some
            .iter()
            .map(|name| format!("namespaces/{name}/pods"))
            .collect(),
    };
    let mut groups = Vec::new();
    for folder in folders {
        let url = format!("{address}/api/v1/{folder}");
        let mut next = String::new();
        loop {
            let size = PAGE.to_string();
            let parameters = [
                ("limit", &*size),
                (
                    "fieldSelector",
                    "status.phase!=Succeeded,status.phase!=Failed",
                ),
                ("labelSelector", &cluster.selector),
                ("continue", &next),
            ];
            let some = parameters.into_iter().filter(|of| !of.1.is_empty());
            let url = reqwest::Url::parse_with_params(&url, some)
                .map_err(|error| format!("invalid address {url}: {error}"))?;
            let request = client.get(url).bearer_auth(token.trim());
            let page = clock.timeout(TIMEOUT, page(request)).await;
            let page = page.unwrap_or_else(|_| Err(format!("no response for {TIMEOUT:?}")))?;
            groups.extend(page.items.iter().flatten().flat_map(ports));
            if groups.len() > PORTS {
                return Err(format!(
                    "more than {PORTS} ports of pods; set kubernetes.namespaces or kubernetes.selector"
                ));
            }
            next = page.metadata.next;
            if next.is_empty() {
                break;
            }
        }
    }
    Ok(groups)
}

async fn page(request: reqwest::RequestBuilder) -> Result<PodList, String> {
    let mut response = request.send().await.map_err(|error| sources(&error))?;
    let status = response.status();
    let body = body(&mut response, PAGE_BYTES).await?;
    if !status.is_success() {
        // The API server says which permission is missing.
        let reason: Status = serde_json::from_slice(&body).unwrap_or_default();
        let reason: String = reason.message.chars().take(REASON).collect();
        return Err(format!("the API server responded with {status} {reason}"));
    }
    serde_json::from_slice(&body)
        .map_err(|error| format!("the response is not a list of pods: {error}"))
}

/// An error and its causes: that of reqwest alone does not say what failed.
fn sources(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct PodList {
    #[serde(default)]
    metadata: ListMeta,
    // Null, not [], in some answers.
    #[serde(default)]
    items: Option<Vec<Pod>>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
struct Pod {
    metadata: ObjectMeta,
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectMeta {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

#[derive(Deserialize)]
struct OwnerReference {
    kind: String,
    name: String,
    #[serde(default)]
    controller: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    #[serde(default)]
    node_name: String,
    #[serde(default)]
    init_containers: Vec<Container>,
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    ports: Vec<ContainerPort>,
}

#[derive(Deserialize)]
struct ContainerPort {
    #[serde(default)]
    name: String,
    #[serde(rename = "containerPort")]
    number: u16,
    #[serde(default)]
    protocol: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStatus {
    #[serde(default)]
    phase: String,
    #[serde(default, rename = "podIP")]
    pod_ip: String,
    #[serde(default, rename = "hostIP")]
    host_ip: String,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// One group for each port of the containers of a pod, and for each container without ports.
fn ports(pod: &Pod) -> Vec<Group> {
    // Not started yet.
    let Ok(address) = pod.status.pod_ip.parse::<IpAddr>() else {
        return Vec::new();
    };
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let of_pod = labels_of_pod(pod);
    let containers = pod.spec.containers.iter().map(|of| (of, "false"));
    let all = containers.chain(pod.spec.init_containers.iter().map(|of| (of, "true")));
    let mut groups = Vec::new();
    for (container, is_init) in all {
        let mut labels = of_pod.clone();
        set(
            &mut labels,
            [
                ("container_name", &*container.name),
                ("container_image", &container.image),
                ("container_init", is_init),
            ],
        );
        if container.ports.is_empty() {
            groups.push(Group {
                targets: vec![host.clone()],
                labels,
            });
            continue;
        }
        for port in &container.ports {
            let mut labels = labels.clone();
            let number = port.number.to_string();
            set(
                &mut labels,
                [
                    ("container_port_name", &*port.name),
                    ("container_port_number", &number),
                    ("container_port_protocol", &port.protocol),
                ],
            );
            groups.push(Group {
                targets: vec![format!("{host}:{number}")],
                labels,
            });
        }
    }
    groups
}

fn labels_of_pod(pod: &Pod) -> BTreeMap<String, String> {
    let (meta, status) = (&pod.metadata, &pod.status);
    let ready = status.conditions.iter().find(|of| of.kind == "Ready");
    let ready = ready.map_or_else(|| "unknown".to_owned(), |of| of.status.to_lowercase());
    let mut labels = BTreeMap::new();
    set(
        &mut labels,
        [
            ("name", &*meta.name),
            ("uid", &meta.uid),
            ("ip", &status.pod_ip),
            ("host_ip", &status.host_ip),
            ("node_name", &pod.spec.node_name),
            ("phase", &status.phase),
            ("ready", &ready),
        ],
    );
    if let Some(owner) = meta.owner_references.iter().find(|of| of.controller) {
        set(
            &mut labels,
            [
                ("controller_kind", &*owner.kind),
                ("controller_name", &owner.name),
            ],
        );
    }
    for (kind, pairs) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
        for (name, value) in pairs {
            let name: String = name
                .chars()
                .map(|letter| {
                    if letter.is_ascii_alphanumeric() {
                        letter
                    } else {
                        '_'
                    }
                })
                .collect();
            set(
                &mut labels,
                [
                    (&*format!("{kind}_{name}"), &**value),
                    (&*format!("{kind}present_{name}"), "true"),
                ],
            );
        }
    }
    let namespace = "__meta_kubernetes_namespace".to_owned();
    labels.insert(namespace, meta.namespace.clone());
    labels
}

fn set<'a>(
    labels: &mut BTreeMap<String, String>,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    for (name, value) in pairs {
        labels.insert(format!("__meta_kubernetes_pod_{name}"), value.to_owned());
    }
}

#[cfg(test)]
mod tests;
