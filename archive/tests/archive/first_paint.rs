//! The first flame graph of a page: chosen by the server, and no larger than the page can draw.

use crate::support::{CPU, WEB, World, cpu};
use axum::body::Body;
use axum::http::Request;
use davy_profile::view;
use serde_json::Value;

async fn push(world: &World, service: &str, id: &str, raw: &[u8]) {
    let labels = [("service_name", service), ("__name__", "process_cpu")];
    let (status, body) = world.push("", &labels, id, raw).await;
    assert_eq!(status, 200, "{body}");
}

/// The meta data of a flame graph in the binary form.
async fn meta(world: &World, rest: &str) -> Value {
    let path = format!("/api/v1/profiles/flamegraph?{}", world.range(rest));
    let request = Request::get(path)
        .header("accept", view::MEDIA_TYPE)
        .body(Body::empty())
        .expect("a request");
    let (status, bytes) = world.call(request).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    let length = u32::from_le_bytes(bytes[28..32].try_into().expect("4 bytes")) as usize;
    let start = bytes.len() - length.next_multiple_of(8);
    serde_json::from_slice(&bytes[start..start + length]).expect("JSON")
}

#[tokio::test]
async fn defaults_are_the_own_service_cpu_time_and_members() {
    let world = World::new();
    let of_member: &[(&str, &str)] = &[("member", "api")];
    let tagged = cpu(&world.clock, &[(&["main", "poll"], 10, of_member)]);
    let plain = cpu(&world.clock, &[(&["main", "parse"], 5, &[])]);
    push(&world, "aardvark", "1", &plain).await;
    let first = meta(&world, "defaults=true").await;
    assert_eq!(first["selector"], "{service_name=\"aardvark\"}");
    assert_eq!(
        (&first["type"], &first["by"]),
        (&CPU.into(), &Value::Array(Vec::new()))
    );
    push(&world, "davy", "2", &tagged).await;
    let own = meta(&world, "defaults=true").await;
    assert_eq!(own["selector"], "{service_name=\"davy\"}");
    assert_eq!(
        (&own["type"], &own["by"][0]),
        (&CPU.into(), &"member".into())
    );
    // What is named is kept.
    let selector = "selector=%7Bservice_name%3D%22aardvark%22%7D";
    let named = meta(&world, &format!("defaults=true&{selector}&by=service_name")).await;
    assert_eq!(named["selector"], "{service_name=\"aardvark\"}");
    assert_eq!(named["by"][0], "service_name");
    assert_eq!(named["windows"], 1);
    let (status, body) = world.get_as("", "/api/v1/profiles/flamegraph").await;
    assert_eq!(status, 400, "{}", String::from_utf8_lossy(&body));
}

#[tokio::test]
async fn default_label_of_a_trace_without_a_service_is_the_service() {
    let world = World::new();
    let labels: &[(&str, &str)] = &[
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("member", "api"),
    ];
    let raw = cpu(&world.clock, &[(&["main", "poll"], 10, labels)]);
    push(&world, "shop", "1", &raw).await;
    push(&world, "davy", "2", &raw).await;
    let trace = "trace_id%3D%224bf92f3577b34da6a3ce929d0e0e4736%22";
    let both = meta(&world, &format!("defaults=true&selector=%7B{trace}%7D")).await;
    assert_eq!(
        (&both["by"][0], &both["windows"]),
        (&"service_name".into(), &2.into())
    );
    let selector = format!("selector=%7Bservice_name%3D%22shop%22,{trace}%7D");
    let one = meta(&world, &format!("defaults=true&{selector}")).await;
    assert_eq!(
        (&one["by"][0], &one["windows"]),
        (&"member".into(), &1.into())
    );
}

#[tokio::test]
async fn range_without_profiles_has_no_default_service() {
    let world = World::new();
    let none = meta(&world, "defaults=true").await;
    assert_eq!(
        (&none["selector"], &none["windows"]),
        (&"".into(), &0.into())
    );
}

#[tokio::test]
async fn nodes_of_less_than_half_a_pixel_are_left_out_with_their_exact_sum() {
    let world = World::new();
    let raw = cpu(
        &world.clock,
        &[
            (&["main", "wide"], 990, &[]),
            (&["main", "half"], 5, &[]),
            (&["main", "thin"], 4, &[]),
            (&["main", "thin", "below"], 1, &[]),
        ],
    );
    let (status, body) = world.push("", WEB, "1", &raw).await;
    assert_eq!(status, 200, "{body}");
    let main = async |rest: &str| {
        let path = format!(
            "/api/v1/profiles/flamegraph?{}",
            world.range(&format!("type=cpu{rest}"))
        );
        world.json(&path).await["children"][0].clone()
    };
    let names = |node: &Value| -> Vec<String> {
        let children = node["children"].as_array().expect("a list");
        children
            .iter()
            .map(|child| child["name"].to_string())
            .collect()
    };
    // Of 1,000 units, 5 are half a pixel of 100.
    let drawn = main("&width=100").await;
    assert_eq!(names(&drawn), ["\"wide\"", "\"half\"", "\"thin\""]);
    assert_eq!(drawn["children"][2]["hidden"], 1);
    let fewer = main("&width=99").await;
    assert_eq!(names(&fewer), ["\"wide\""]);
    assert_eq!(
        (&fewer["hidden"], &fewer["hidden_children"]),
        (&10.into(), &2.into())
    );
    assert_eq!(main("&width=100000").await, main("").await);
}

#[tokio::test]
async fn callers_and_callees_are_those_of_the_whole_profile() {
    let world = World::new();
    let raw = cpu(
        &world.clock,
        &[
            (&["main", "wide"], 990, &[]),
            (&["main", "thin", "parse", "lex"], 3, &[]),
            (&["other", "parse"], 2, &[]),
        ],
    );
    let (status, body) = world.push("", WEB, "1", &raw).await;
    assert_eq!(status, 200, "{body}");
    let get = async |rest: &str| {
        let path = format!(
            "/api/v1/profiles/flamegraph?{}",
            world.range(&format!("type=cpu&width=100{rest}"))
        );
        world.json(&path).await
    };
    // The drawn part has no trace of the function.
    assert!(!get("").await.to_string().contains("parse"));
    let callers = get("&function=parse&side=callers").await;
    assert_eq!(callers["total"], 5);
    assert_eq!(callers["children"][0]["name"], "thin");
    assert_eq!(callers["children"][0]["children"][0]["name"], "main");
    assert_eq!(callers["children"][1]["name"], "other");
    let callees = get("&function=parse").await;
    assert_eq!(
        (&callees["self"], &callees["children"][0]["name"]),
        (&2.into(), &"lex".into())
    );
    let about = &callees["function"];
    assert_eq!(
        (
            &about["whole"],
            &about["total"],
            &about["self"],
            &about["paths"]
        ),
        (&995.into(), &5.into(), &2.into(), &2.into())
    );
    for wrong in ["&side=callers", "&function=parse&side=above"] {
        let path = format!(
            "/api/v1/profiles/flamegraph?{}",
            world.range(&format!("type=cpu{wrong}"))
        );
        let (status, _) = world.get_as("", &path).await;
        assert_eq!(status, 400, "{wrong}");
    }
}
