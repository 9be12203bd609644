//! Queries that are invalid, ambiguous, or select nothing are explained.

use crate::support::{CPU, WEB, World, cpu};
use axum::body::Body;
use axum::http::Request;

#[tokio::test]
async fn invalid_query_names_the_fault() {
    let world = World::new();
    let check = async |path: &str, named: &str| {
        let (status, body) = world
            .get_as("anonymous", &format!("/api/v1/profiles/{path}"))
            .await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 400, "{path}: {body}");
        assert!(
            body.contains(named) && body.contains("\"detail\""),
            "{path}: {body}"
        );
    };
    check("flamegraph", "missing parameter `type`").await;
    check("flamegraph?type=cpus", "did you mean cpu?").await;
    check(
        "flamegraph?type=nothing-like-it",
        "expected name:type:unit:periodtype:periodunit or one of cpu, wall",
    )
    .await;
    check(
        &format!("top?type={CPU}&selector=%7Bx"),
        "expected =, !=, =~ or !~ at column 3",
    )
    .await;
    check(
        &format!("top?type={CPU}&from=yesterday"),
        r#"from: invalid time \"yesterday\"; examples: now"#,
    )
    .await;
    check(
        &format!("top?type={CPU}&from=now&until=now-1h"),
        "is not before",
    )
    .await;
    check(
        &format!("series?type={CPU}&from=now-14d&step=1"),
        "use a longer step",
    )
    .await;
    check(&format!("flamegraph?type={CPU}&max_nodes=0"), "max_nodes").await;
    check(
        &format!("flamegraph?type={CPU}&focus=("),
        r#"focus: invalid regular expression \"(\": unclosed group at column 1"#,
    )
    .await;
    check(
        &format!("top?type={CPU}&selctor=%7B%7D"),
        r#"unknown parameter \"selctor\"; did you mean selector?"#,
    )
    .await;
    check(
        "types?zzzzzzzzzz=1",
        "parameters: from, selector, type, until",
    )
    .await;
    check(
        &format!("top?type={CPU}&step=60"),
        r#"unknown parameter \"step\""#,
    )
    .await;
    check(
        &format!("top?type={CPU}&all_services=yes"),
        "expected true or false",
    )
    .await;
}

/// The status of a response, its header `davy-hint` and its body.
async fn hinted(world: &World, rest: &str) -> (u16, String, String) {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let path = format!(
        "/api/v1/profiles/{}",
        rest.replace('?', &format!("?{}&", world.range("")))
    );
    let request = Request::get(path.trim_end_matches('&'))
        .body(Body::empty())
        .expect("a request");
    let router = world.archive.query_router();
    let response = router.oneshot(request).await.expect("a response");
    let (status, hint) = (
        response.status(),
        response.headers().get("davy-hint").cloned(),
    );
    let hint = hint.map_or(String::new(), |hint| {
        hint.to_str().expect("text").to_owned()
    });
    let body = response
        .into_body()
        .collect()
        .await
        .expect("whole")
        .to_bytes();
    (
        status.as_u16(),
        hint,
        String::from_utf8_lossy(&body).into_owned(),
    )
}

#[tokio::test]
async fn query_that_would_merge_several_services_lists_them() {
    let world = World::new();
    for service in ["web", "api"] {
        let raw = cpu(&world.clock, &[(&[service], 5, &[])]);
        let labels = [("service_name", service), ("__name__", "process_cpu")];
        assert_eq!(world.push("", &labels, service, &raw).await.0, 200);
    }
    for operation in ["top", "flamegraph", "folded", "pprof", "svg", "series"] {
        let (status, _, body) = hinted(&world, &format!("{operation}?type=cpu")).await;
        assert_eq!(status, 400, "{operation}: {body}");
        assert!(
            body.contains("2 services: api, web; choose one with selector="),
            "{body}"
        );
        for chosen in [
            "all_services=true",
            "by=service_name",
            "selector=%7Bservice_name=%22web%22%7D",
            "selector=%7Bservice_name=~%22.*%22%7D",
        ] {
            let (status, hint, body) =
                hinted(&world, &format!("{operation}?type=cpu&{chosen}")).await;
            assert_eq!(
                (status, hint.as_str()),
                (200, ""),
                "{operation} {chosen}: {body}"
            );
        }
    }
    let (status, _, body) = hinted(&world, "diff?type=cpu&base_from=now-1h&base_until=now").await;
    assert_eq!(status, 400, "{body}");
}

#[tokio::test]
async fn unknown_label_in_by_is_refused_with_the_known_labels() {
    let world = World::new();
    let raw = cpu(&world.clock, &[(&["main"], 5, &[("member", "api")])]);
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    let other = cpu(&world.clock, &[(&["main"], 5, &[("op", "List")])]);
    let labels = [("service_name", "other")];
    assert_eq!(world.push("", &labels, "2", &other).await.0, 200);
    let selector = "selector=%7Bservice_name=%22web%22%7D";
    for operation in ["folded", "series"] {
        let path = format!("{operation}?type=cpu&{selector}&by=service_name,membr");
        let (status, _, body) = hinted(&world, &path).await;
        assert_eq!(status, 400, "{body}");
        assert!(
            body.contains(r#"unknown label \"membr\" in by; did you mean member?"#),
            "{body}"
        );
        // Another service has the label, so it is known.
        let (status, ..) = hinted(&world, &format!("{operation}?type=cpu&{selector}&by=op")).await;
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn response_without_samples_explains_why() {
    let world = World::new();
    let check = async |rest: &str, expected: &str| {
        for operation in ["folded", "series"] {
            let (status, hint, body) = hinted(&world, &format!("{operation}?{rest}")).await;
            assert_eq!((status, hint.as_str()), (200, expected), "{rest}: {body}");
        }
    };
    check("type=cpu", "no profiles were stored in this range").await;
    let raw = cpu(&world.clock, &[(&["main"], 5, &[("member", "api")])]);
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    check("type=cpu", "").await;
    check(
        "type=cpu&selector=%7Bservice_name=%22wep%22%7D",
        "unknown service \"wep\" in this range; did you mean web?",
    )
    .await;
    check(
        "type=cpu&selector=%7Bservice_name=~%22shop.*%22%7D",
        "no service of this range matches the selector; services: web",
    )
    .await;
    check(
        "type=wall",
        "no profiles of type wall in this range; types: cpu",
    )
    .await;
    check(
        "type=cpu&selector=%7Bmembr=%22api%22%7D",
        "unknown label \"membr\" in this range; did you mean member?",
    )
    .await;
    check(
        "type=cpu&selector=%7Bmember=%22web%22%7D",
        "no series of this range matches both the selector and the type",
    )
    .await;
    let (_, _, svg) = hinted(&world, "svg?type=wall").await;
    assert!(
        svg.contains("no profiles of type wall in this range"),
        "{svg}"
    );
}
