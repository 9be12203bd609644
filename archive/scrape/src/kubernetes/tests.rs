use super::*;
use crate::config::ScrapeConfig;
use crate::target::Target;

/// What an API server responds, abridged: a pod of a deployment with a sidecar, one without a port, one that has not started.
const LIST: &str = r#"{
  "kind": "PodList", "apiVersion": "v1",
  "metadata": {"resourceVersion": "221", "continue": "abc", "remainingItemCount": 7},
  "items": [
    {"metadata": {"name": "shop-1", "namespace": "eu", "uid": "u-1",
        "labels": {"app": "shop", "app.kubernetes.io/part-of": "store"},
        "annotations": {"profiles.grafana.com/memory.scrape": "true", "profiles.grafana.com/memory.port": "6060"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-7d", "uid": "r", "controller": true}]},
     "spec": {"nodeName": "node-3", "initContainers": [{"name": "proxy", "image": "envoy:2", "restartPolicy": "Always"}],
        "containers": [{"name": "main", "image": "shop:1", "ports": [
            {"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 6060, "protocol": "TCP"}]}]},
     "status": {"phase": "Running", "podIP": "10.1.0.7", "hostIP": "192.168.0.3",
        "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "False"}]}},
    {"metadata": {"name": "v6", "namespace": "us", "uid": "u-2"},
     "spec": {"containers": [{"name": "main", "image": "db:1"}]},
     "status": {"phase": "Running", "podIP": "fd00::7"}},
    {"metadata": {"name": "waiting", "namespace": "us"},
     "spec": {"containers": [{"name": "main", "image": "db:1"}]}, "status": {"phase": "Pending"}}
  ]}"#;

fn found() -> Vec<Group> {
    let list: PodList = serde_json::from_str(LIST).expect("a list");
    assert_eq!(list.metadata.next, "abc");
    list.items.iter().flatten().flat_map(ports).collect()
}

#[test]
fn each_port_of_a_started_pod_is_found() {
    let found = found();
    let targets: Vec<&str> = found.iter().map(|group| &*group.targets[0]).collect();
    assert_eq!(
        targets,
        ["10.1.0.7:8080", "10.1.0.7:6060", "10.1.0.7", "[fd00::7]"]
    );
}

#[test]
fn labels_are_those_of_prometheus() {
    let found = found();
    let text: Vec<String> = found[0]
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        text,
        [
            "__meta_kubernetes_namespace=eu",
            "__meta_kubernetes_pod_annotation_profiles_grafana_com_memory_port=6060",
            "__meta_kubernetes_pod_annotation_profiles_grafana_com_memory_scrape=true",
            "__meta_kubernetes_pod_annotationpresent_profiles_grafana_com_memory_port=true",
            "__meta_kubernetes_pod_annotationpresent_profiles_grafana_com_memory_scrape=true",
            "__meta_kubernetes_pod_container_image=shop:1",
            "__meta_kubernetes_pod_container_init=false",
            "__meta_kubernetes_pod_container_name=main",
            "__meta_kubernetes_pod_container_port_name=http",
            "__meta_kubernetes_pod_container_port_number=8080",
            "__meta_kubernetes_pod_container_port_protocol=TCP",
            "__meta_kubernetes_pod_controller_kind=ReplicaSet",
            "__meta_kubernetes_pod_controller_name=shop-7d",
            "__meta_kubernetes_pod_host_ip=192.168.0.3",
            "__meta_kubernetes_pod_ip=10.1.0.7",
            "__meta_kubernetes_pod_label_app=shop",
            "__meta_kubernetes_pod_label_app_kubernetes_io_part_of=store",
            "__meta_kubernetes_pod_labelpresent_app=true",
            "__meta_kubernetes_pod_labelpresent_app_kubernetes_io_part_of=true",
            "__meta_kubernetes_pod_name=shop-1",
            "__meta_kubernetes_pod_node_name=node-3",
            "__meta_kubernetes_pod_phase=Running",
            "__meta_kubernetes_pod_ready=false",
            "__meta_kubernetes_pod_uid=u-1",
        ]
    );
    let init = &found[2].labels;
    assert_eq!(init["__meta_kubernetes_pod_container_init"], "true");
    assert_eq!(found[3].labels["__meta_kubernetes_pod_ready"], "unknown");
}

#[test]
fn job_of_the_documentation_keeps_one_target_of_an_annotated_pod() {
    let documentation = include_str!("../../../../ops/docs/scrape.md");
    let yaml = documentation.split("```yaml\n");
    let mut yaml = yaml.filter(|text| text.contains("kubernetes: {}"));
    let yaml = yaml.next().and_then(|text| text.split("```").next());
    let config = ScrapeConfig::read(yaml.expect("an example")).expect("valid");
    let job = &config.jobs[0];
    let mut kept = BTreeMap::new();
    for group in found() {
        if let Ok(target) = Target::new(job, &group.targets[0], &group.labels) {
            kept.insert(target.key(), target);
        }
    }
    let kept: Vec<Target> = kept.into_values().collect();
    let [target] = &*kept else {
        panic!("{kept:?}");
    };
    assert_eq!(target.url, "http://10.1.0.7:6060/debug/pprof");
    let label = |name: &str| target.labels.get(name).map(String::as_str);
    assert_eq!(
        ["service_name", "namespace", "pod", "instance"].map(label),
        ["shop", "eu", "shop-1", "10.1.0.7:6060"].map(Some)
    );
}
