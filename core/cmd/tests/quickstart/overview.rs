//! The overview of the archive, as the page and scripts get it.

use crate::running::Sandbox;
use serde_json::Value;
use std::collections::BTreeSet;

/// A value has exactly the fields of its schema, and so have the values in it.
fn check(described: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let schema = described.pointer(pointer).expect(reference);
        return check(described, schema, value, place);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let of = choices.iter().find(|choice| choice["type"] != "null");
        if !value.is_null() {
            check(described, of.expect("a schema"), value, place);
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object().expect(place);
            let known: BTreeSet<_> = properties.keys().collect();
            assert_eq!(fields.keys().collect::<BTreeSet<_>>(), known, "{place}");
            for (name, value) in fields {
                check(
                    described,
                    &properties[name],
                    value,
                    &format!("{place}.{name}"),
                );
            }
        }
        Value::Array(items) => {
            for item in items {
                check(described, &schema["items"], item, place);
            }
        }
        _ => {}
    }
}

#[test]
fn overview_has_the_fields_of_its_schema_on_both_listeners_and_rules_are_reloaded() {
    let sandbox = Sandbox::new();
    let file = sandbox.path().join("davy.toml");
    let configure = |text: &str| std::fs::write(&file, text).expect("write the file");
    let prices = "[bucket.prices]\ncurrency = \"EUR\"\nput_per_1000 = 0.005\n";
    let rule = "[[archive.retention_rules]]\nselector = '{service_name=\"x\"}'\n";
    configure(&format!("{prices}{rule}days_retention = \"7d\"\n"));
    let running = sandbox.start(&[]);
    // The overview is kept for a minute, so it is requested when there is something to see.
    running.until("a segment and an archiver", || {
        let has_any = |folder: &str| {
            let entries = std::fs::read_dir(sandbox.bucket().join(folder));
            entries.is_ok_and(|mut entries| entries.next().is_some())
        };
        (has_any("anonymous/segments") && has_any(".archivers")).then_some(())
    });
    let overview = running.json("/api/v1/archive");
    assert!(
        overview["levels"][0]["pieces"].as_u64() > Some(0),
        "{overview}"
    );
    assert_eq!(overview["archivers"]["present"], 1);
    let described = running.json("/api/v1/openapi.json");
    let responses = &described["paths"]["/api/v1/archive"]["get"]["responses"];
    let schema = &responses["200"]["content"]["application/json"]["schema"];
    check(&described, schema, &overview, "overview");
    assert_eq!(overview["charges"]["currency"], "EUR");
    assert_eq!(overview["retention"]["rules"][0]["seconds"], 7 * 86_400);
    let of_archiver = crate::http::get(&format!("{}/api/v1/archive", running.archive));
    assert_eq!(of_archiver.status, 200);

    configure(&format!("{prices}{rule}days_retention = \"0s\"\n"));
    running.signal(libc::SIGHUP);
    running.until("the reason in the log", || {
        let log = running.log();
        log.contains("archive.retention_rules.1.days_retention")
            .then_some(())
    });
    configure(&format!("{prices}{rule}days_retention = \"9d\"\n"));
    running.signal(libc::SIGHUP);
    running.until("the new rules", || {
        running
            .log()
            .contains("limits, rules and scraped targets are in effect")
            .then_some(())
    });
}
