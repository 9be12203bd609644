//! The same selection has the same total in every view of both interfaces.

use crate::support::{CPU, HEAP, World, bars, int};
use serde_json::{Value, json};

fn sum(points: &Value) -> f64 {
    let points = points.as_array().expect("points").iter();
    points.filter_map(|point| point["value"].as_f64()).sum()
}

#[tokio::test]
async fn every_total_is_that_of_the_other_interface() {
    let world = World::filled().await;
    for kind in [CPU, HEAP] {
        for selector in [
            "{}",
            "{service_name=\"web\"}",
            "{service_name=\"web\",instance=\"b\"}",
            "{op=\"Get\"}",
            "{op!=\"Get\"}",
            "{service_name=~\"a.*\"}",
            "{__type__=~\"cpu|inuse_space\"}",
        ] {
            let encoded = selector
                .replace('"', "%22")
                .replace('{', "%7B")
                .replace('}', "%7D");
            let encoded = encoded.replace('|', "%7C");
            let rest = format!("type={kind}&selector={encoded}&all_services=true");
            let tree = world.api(&format!("flamegraph?{rest}")).await;
            let total = tree["total"].as_i64().expect("a total");
            let context = format!("{kind} {selector}");

            let request = |more: Value| {
                let mut request = json!({ "profileTypeID": kind, "labelSelector": selector });
                let fields = request.as_object_mut().expect("an object");
                fields.extend(more.as_object().expect("an object").clone());
                world.over(request)
            };
            let graph = world
                .ask("SelectMergeStacktraces", request(json!({})))
                .await;
            assert_eq!(int(&graph["flamegraph"]["total"]), total, "{context}");
            for max_nodes in [1, 2, 4] {
                let nodes = request(json!({ "maxNodes": max_nodes }));
                let graph = world.ask("SelectMergeStacktraces", nodes).await;
                let own: i64 = bars(&graph["flamegraph"], 1, 0)
                    .iter()
                    .map(|bar| bar.3)
                    .sum();
                assert_eq!(own, total, "{context} {max_nodes}");
            }
            let pprof = world.ask("SelectMergeProfile", request(json!({}))).await;
            let samples = pprof["sample"].as_array().expect("samples").iter();
            let of_samples: i64 = samples.map(|of| int(&of["value"][0])).sum();
            assert_eq!(of_samples, total, "{context}");

            // A step as long as the range has the total, of states, too.
            let series = world
                .ask("SelectSeries", request(json!({ "step": 7_200 })))
                .await;
            let of_series: f64 = series["series"]
                .as_array()
                .expect("series")
                .iter()
                .map(|of| sum(&of["points"]))
                .sum();
            assert_eq!(of_series as i64, total, "{context}");
            let same = world
                .api(&format!("series?{rest}&step=60&by=service_name"))
                .await;
            let by = json!({ "step": 60, "groupBy": ["service_name"] });
            let series = world.ask("SelectSeries", request(by)).await;
            let values = |series: &Value, of: fn(&Value) -> Option<f64>| -> Vec<f64> {
                let all = series["series"].as_array().expect("series").iter();
                let points = all.flat_map(|of| of["points"].as_array().expect("points"));
                points.filter_map(of).collect()
            };
            assert_eq!(
                values(&series, |point| point["value"].as_f64()),
                values(&same, |point| point[1].as_f64()),
                "{context}"
            );
        }
    }
}

#[tokio::test]
async fn no_method_shows_a_tenant_anything_of_another() {
    let world = World::filled().await;
    let range = |more: Value| world.over(more);
    let kind = json!({ "profileTypeID": CPU, "step": 60, "name": "secret_label", "query": CPU });
    for tenant in ["anonymous", "third", "OTHER"] {
        for method in [
            "ProfileTypes",
            "LabelNames",
            "LabelValues",
            "Series",
            "SelectMergeStacktraces",
            "SelectMergeProfile",
            "SelectSeries",
            "SelectHeatmap",
            "GetProfileStats",
            "AnalyzeQuery",
        ] {
            let (status, body) = world.call(tenant, method, &range(kind.clone())).await;
            assert_eq!(status, 200, "{tenant} {method}: {body}");
            assert!(
                !body.to_string().contains("secret"),
                "{tenant} {method}: {body}"
            );
        }
    }
    let own = world
        .call("other", "SelectMergeStacktraces", &range(kind))
        .await;
    assert!(own.1.to_string().contains("secret"), "{own:?}");
}
