use super::*;
use crate::operations::operations;
use davy_store::ProcessRow;
use std::collections::BTreeSet;

fn description() -> Value {
    let operations: Vec<Operation> = operations().collect();
    describe(&operations)
}

#[test]
fn every_operation_is_described_completely() {
    let description = description();
    let mut ids = BTreeSet::new();
    for operation in operations().filter(is_described) {
        let method = operation.method.to_lowercase();
        let described = &description["paths"][operation.path][method];
        let id = operation.id;
        let operation_id = described["operationId"].as_str().expect("an id");
        assert!(operation_id.starts_with(id), "{operation_id}");
        assert!(ids.insert(operation_id), "duplicate id {operation_id}");
        assert_eq!(described["summary"], operation.summary, "{id}");
        let responses = &described["responses"];
        if !responses["204"].is_object() {
            let success = &responses["200"]["content"];
            let bodies = success.as_object().expect("an object");
            assert!(!bodies.is_empty(), "{id} has no response schema");
            assert!(
                bodies.values().all(|body| body["schema"].is_object()),
                "{id}"
            );
        }
        let errors = &responses["default"]["content"];
        if is_api(&operation) {
            assert_eq!(
                errors[problem::MEDIA_TYPE]["schema"]["$ref"],
                "#/components/schemas/Problem",
                "{id}"
            );
        }
        assert!(errors.is_object(), "{id}");
        for parameter in described["parameters"].as_array().expect("a list") {
            for key in ["name", "in", "description", "schema", "example"] {
                assert!(!parameter[key].is_null(), "{id} {parameter} has no {key}");
            }
        }
    }
}

#[test]
fn every_schema_reference_resolves() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let description = description();
    let mut found = BTreeSet::new();
    references(&description, &mut found);
    assert!(found.len() > 10, "{found:?}");
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
}

/// The schema has the fields of the serialized value.
#[track_caller]
fn check_fields<T: JsonSchema>(serialized: Value) {
    let schema = schemars::schema_for!(T).to_value();
    let fields = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(fields(&schema["properties"]), fields(&serialized));
}

#[test]
fn schemas_of_database_rows_have_the_fields_of_the_rows() {
    let row = ProcessRow {
        id: ulid::Ulid(7).to_string(),
        kind: "web".to_owned(),
        host: "shop-1".to_owned(),
        pid: 1,
        version: "1.0.0".to_owned(),
        started_at: 0,
        stopped_at: None,
        ending: None,
        seen_at: 0,
        parent: None,
        debug: None,
        report: None,
    };
    check_fields::<rows::ProcessSummary>(json!(row));
    let row = davy_store::AuditRow {
        id: 1,
        at: 2,
        operator: "alice".to_owned(),
        what: "member.wake".to_owned(),
        name: "gc.audit".to_owned(),
        detail: None,
        why: None,
        process: None,
        source: "api".to_owned(),
    };
    check_fields::<rows::AuditEntry>(json!(row));

    let view = davy_store::ViewRow {
        id: String::new(),
        title: String::new(),
        note: String::new(),
        link: String::new(),
        operator: String::new(),
        at: 0,
    };
    check_fields::<views::SavedView>(json!(view));
}

#[test]
fn schemas_of_workers_and_builds_have_the_fields_of_the_rows() {
    let text = String::new;
    let worker = davy_store::WorkerRow {
        name: text(),
        state: text(),
        since: 0,
        heartbeat_at: 0,
        synced_at: 0,
        registration: 1,
        generation: 1,
        is_ephemeral: false,
        platform: text(),
        tags: text(),
        capacity: 8,
        version: text(),
        status: None,
        foreign_handles: text(),
        containers: 0,
        volumes: 0,
        doomed: 0,
        missing: 0,
        reported_containers: 0,
        reported_volumes: 0,
        unknown_handles: 0,
        unknown_at: None,
        disk_bytes: None,
        disk_free_bytes: None,
        process: None,
    };
    check_fields::<workload::WorkerSummary>(json!(worker));
    let build = davy_store::BuildRow {
        id: 1,
        state: text(),
        since: 0,
        created_at: 0,
        created_by: text(),
        task: text(),
        is_ready: true,
        worker: None,
        is_abort_requested: false,
        started_at: None,
        exit_code: None,
        error: None,
        log_bytes: 0,
        usage: None,
    };
    check_fields::<workload::BuildSummary>(json!(build));
}
