//! Spans, traces and single profiles, from exemplars to flame graphs.

use crate::support::{CPU, World, int};
use serde_json::{Value, json};

const SPAN: &str = "00f067aa0ba902b7";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The exemplars of the points of a series.
async fn exemplars(world: &World, kind: &str, by: Value) -> Vec<Value> {
    let request = json!({
        "profileTypeID": CPU, "labelSelector": "{service_name=\"web\"}", "step": 60, "groupBy": by,
        "exemplarType": kind,
    });
    let found = world.ask("SelectSeries", world.over(request)).await;
    let series = found["series"].as_array().expect("series").iter();
    let points = series.flat_map(|of| of["points"].as_array().expect("points"));
    let exemplars = points.filter_map(|of| of["exemplars"].as_array());
    exemplars.flatten().cloned().collect()
}

async fn total(world: &World, more: Value) -> i64 {
    let mut request = json!({ "profileTypeID": CPU, "labelSelector": "{}" });
    let fields = request.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    let found = world
        .ask("SelectMergeStacktraces", world.over(request))
        .await;
    int(&found["flamegraph"]["total"])
}

#[tokio::test]
async fn exemplar_of_a_point_leads_to_its_profile() {
    let world = World::filled().await;
    assert_eq!(
        exemplars(&world, "EXEMPLAR_TYPE_NONE", json!([])).await,
        [] as [Value; 0]
    );
    let found = exemplars(&world, "EXEMPLAR_TYPE_INDIVIDUAL", json!(["instance"])).await;
    assert_eq!(found.len(), 4, "{found:?}");
    for exemplar in found {
        assert_eq!(int(&exemplar["value"]), 4_750, "{exemplar}");
        let labels = exemplar["labels"].as_array().expect("labels").iter();
        let names: Vec<&str> = labels.filter_map(|of| of["name"].as_str()).collect();
        assert_eq!(names, ["__name__", "service_name"], "{exemplar}");
        let id = exemplar["profileId"].as_str().expect("an id");
        assert_eq!(id.len(), 36, "{exemplar}");
        let of_profile = json!({ "profileIdSelector": [id] });
        assert_eq!(total(&world, of_profile.clone()).await, 4_750, "{id}");
        let both = json!({ "profileIdSelector": [id], "spanSelector": [SPAN] });
        assert_eq!(total(&world, both).await, 500, "{id}");
        let mut request = json!({ "profileTypeID": CPU, "labelSelector": "{}" });
        request["profileIdSelector"] = of_profile["profileIdSelector"].clone();
        let profile = world.ask("SelectMergeProfile", world.over(request)).await;
        let samples = profile["sample"].as_array().expect("samples").iter();
        assert_eq!(samples.map(|of| int(&of["value"][0])).sum::<i64>(), 4_750);
    }
    let unknown = json!({ "profileIdSelector": ["7c9e6679-7425-40de-944b-e07fc1f90ae7"] });
    assert_eq!(total(&world, unknown).await, 0);
}

#[tokio::test]
async fn exemplar_of_a_span_is_the_one_with_the_largest_value() {
    let world = World::filled().await;
    let linked: &[(&str, &str)] = &[("span_id", "b7"), ("trace_id", TRACE)];
    let labels = [("service_name", "web"), ("instance", "c")];
    let samples = [
        (&["main", "slow"] as &[&str], 90_000, linked),
        (&["main"], 1, &[]),
    ];
    world.push("anonymous", &labels, CPU, 5, &samples).await;
    let found = exemplars(&world, "EXEMPLAR_TYPE_SPAN", json!([])).await;
    let found: Vec<(i64, &str, &str)> = found
        .iter()
        .map(|of| {
            let text = |name: &str| of[name].as_str().unwrap_or("");
            (int(&of["value"]), text("spanId"), text("traceId"))
        })
        .collect();
    assert_eq!(
        found,
        [(500, SPAN, ""), (90_000, "00000000000000b7", TRACE)]
    );
    let of_trace = json!({ "traceIdSelector": [TRACE] });
    assert_eq!(total(&world, of_trace).await, 90_000);
    // A window in the heatmap, and the span in it.
    let request = json!({ "profileTypeID": CPU, "step": 3_600, "queryType": 2, "exemplarType": 3 });
    let heatmap = world.ask("SelectHeatmap", world.over(request)).await;
    let slot = &heatmap["series"][0]["slots"][0];
    assert_eq!(slot["exemplars"][0]["traceId"], TRACE, "{slot}");
}
