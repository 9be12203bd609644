//! The OpenAPI description, made from the table of operations.

mod captures;
mod content;
mod overview;
mod rows;
mod views;
mod workload;

use crate::api;
use crate::control::Control;
use crate::operations::{Operation, ParameterKind, QUERY_PREFIX};
use crate::problem;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use content::Media;
use davy_store::Store;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The routes of the member `api`. `store` is on the budget of that member.
pub fn router(control: &Control, store: Store, options: api::ApiOptions) -> Router {
    let description = Router::new()
        .route("/api/v1/openapi.json", get(description))
        .with_state(control.clone());
    api::router(control, store, options).merge(description)
}

async fn description(State(control): State<Control>) -> Json<Value> {
    Json(describe(control.0.endpoints.operations()))
}

/// Whether the description includes an operation: all but those of the page.
pub(crate) fn is_described(operation: &Operation) -> bool {
    operation.member != "ui"
}

/// Whether errors of an operation are problem documents.
fn is_api(operation: &Operation) -> bool {
    operation.path.starts_with("/api/v1/")
}

/// The description of every operation except those of the page (OpenAPI 3.1).
pub(crate) fn describe(operations: &[Operation]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    let mut ids: BTreeMap<&str, u32> = BTreeMap::new();
    for operation in operations
        .iter()
        .filter(|operation| is_described(operation))
    {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        let mut described = describe_operation(operation, &mut generator);
        // Ids must be unique, also those of further routes of an operation.
        let routes = ids.entry(operation.id).or_insert(0);
        *routes += 1;
        if *routes > 1 {
            described["operationId"] = json!(format!("{}{routes}", operation.id));
        }
        path[operation.method.to_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Davy",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Members, endpoints and profiles of a Davy fleet. \
                Changes need the header Davy-User and, if http.token is set, a bearer token.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "The value of http.token"}},
        },
    })
}

fn describe_operation(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let is_change = operation.is_change();
    let mut parameters = path_parameters(operation.path);
    if is_change {
        parameters.push(json!({
            "name": "Davy-User",
            "in": "header",
            "required": true,
            "description": "The operator, for the audit log",
            "schema": {"type": "string"},
            "example": "alice@laptop",
        }));
    }
    if operation.member.starts_with("archive.") {
        parameters.push(json!({
            "name": "X-Scope-OrgID",
            "in": "header",
            "required": false,
            "description": "The tenant; `anonymous` by default",
            "schema": {"type": "string", "maxLength": 128},
            "example": "team-a",
        }));
    }
    parameters.extend(operation.parameters.iter().map(|parameter| {
        let example = match parameter.kind {
            ParameterKind::Integer => parameter
                .example
                .parse::<u64>()
                .map_or(Value::Null, Value::from),
            ParameterKind::Seconds => parameter
                .example
                .parse::<f64>()
                .map_or(Value::Null, Value::from),
            ParameterKind::Texts => json!([parameter.example]),
            _ => Value::from(parameter.example),
        };
        json!({
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.description,
            "schema": parameter_schema(parameter.kind),
            "example": example,
        })
    }));
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.member],
        "parameters": parameters,
        "responses": responses(operation, is_change, generator),
    });
    let has_body = operation.method != "GET";
    if let Some((media, required)) = content::request(operation.id).filter(|_| has_body) {
        described["requestBody"] =
            json!({"required": required, "content": content(&media, generator)});
    }
    if is_change {
        // Either the token, or none for local callers while no token is configured.
        described["security"] = json!([{"token": []}, {}]);
    }
    described
}

/// The parameters in `{braces}`.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (description, example) = match name {
                "operation" => ("The operation, as ListEndpoints lists it", "ListAllJobs"),
                "build_id" => (
                    "The build id of an executable or library, percent-encoded; at most 256 bytes",
                    "b5381a457906d279073822a5ceb24c4bfef94ddb",
                ),
                "method" => ("The method of the service", "ProfileTypes"),
                "worker" => ("The worker, as ListWorkers lists it", "worker-1"),
                "build" => ("The build, as ListBuilds lists it", "17"),
                "terminal" => (
                    "The terminal, as CreateTerminal returns it",
                    "01jd8q2m5v0000000000000000",
                ),
                "handle" => ("The container or volume", "01jd8q2m5v0000000000000000"),
                "part" => ("The number of the part, from 1", "1"),
                "id" if path.contains("/views/") => (
                    "The view, as ListViews lists it",
                    "01JD8Q2M5V0000000000000000",
                ),
                "id" => (
                    "The capture, as ListCaptures lists it",
                    "01JD8Q2M5V0000000000000000",
                ),
                "name" if path.contains("/builds/") => ("The input or output", "src"),
                _ => ("The member, as ListMembers lists it", "gc.audit"),
            };
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": description,
                "schema": {"type": "string"},
                "example": example,
            })
        })
        .collect()
}

fn parameter_schema(kind: ParameterKind) -> Value {
    match kind {
        ParameterKind::Text => json!({"type": "string"}),
        ParameterKind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        ParameterKind::Integer => json!({"type": "integer", "minimum": 1}),
        ParameterKind::Seconds => json!({"type": "number", "exclusiveMinimum": 0}),
        ParameterKind::Choice(choices) => json!({"type": "string", "enum": choices}),
        ParameterKind::Time => json!({
            "type": "string",
            "description": "RFC 3339, a date, a unix time in s, ms, us or ns, or a time relative to now such as now-1h",
        }),
    }
}

/// The responses of an operation outside of the API.
fn plain_responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let summary = operation.summary;
    let success = content::response(operation.id);
    let mut responses = if success.is_empty() {
        json!({"204": {"description": summary}})
    } else {
        json!({"200": {"description": summary, "content": content(&success, generator)}})
    };
    let mut errors = vec![("default", "An error")];
    match operation.id {
        "GetReady" => {
            responses["503"] = json!({
                "description": "A member is not ready",
                "content": content(&success, generator),
            });
        }
        "Ingest" | "Push" => errors.extend([
            ("400", "Invalid parameter, labels or profile"),
            ("413", "The body or the profile exceeds a limit"),
            ("429", "Limit of the endpoint or of the tenant reached, or too much data is buffered; retry after Retry-After"),
            ("503", "The bucket is unavailable; the profile is not stored"),
        ]),
        _ => {}
    }
    for (status, description) in errors {
        let error = content(&[content::error(operation.id)], generator);
        responses[status] = json!({"description": description, "content": error});
    }
    responses
}

fn responses(operation: &Operation, is_change: bool, generator: &mut SchemaGenerator) -> Value {
    if !is_api(operation) {
        return plain_responses(operation, generator);
    }
    let mut responses = Map::new();
    let success = content(&content::response(operation.id), generator);
    responses.insert(
        "200".to_owned(),
        json!({"description": operation.summary, "content": success}),
    );
    if operation.id == "GetHealth" {
        let failing = content(&content::response(operation.id), generator);
        let response = json!({"description": "The fleet is failing", "content": failing});
        responses.insert("503".to_owned(), response);
    }
    if operation.id == "PutSymbols" {
        let stored = json!({"description": "Stored; 200 if the same symbols were stored before"});
        responses.insert("204".to_owned(), stored);
    }
    let mut problems = vec![
        ("400", "Invalid parameter or body"),
        ("421", "Foreign Host header"),
        (
            "429",
            "Limit of the endpoint, or rate of the tenant, reached",
        ),
    ];
    if is_change {
        problems.extend([
            ("401", "Missing or wrong token"),
            (
                "403",
                "Change from another machine without a token, or from another site",
            ),
            ("404", "Unknown member or operation"),
            (
                "409",
                "The configuration or the kind of the member does not allow the change",
            ),
        ]);
    }
    match operation.id {
        "GetSymbols" => problems.push(("404", "No symbols of this build are stored")),
        "PutSymbols" => problems.extend([
            ("408", "The body did not arrive in time"),
            ("413", "The symbol index exceeds the limit"),
            ("415", "Unsupported content encoding"),
            ("422", "Invalid symbol index, or that of another build"),
            ("503", "The bucket is unavailable"),
        ]),
        "GetArchive" => problems.push(("503", "The bucket is not available")),
        _ if operation.path.starts_with(QUERY_PREFIX) => problems.extend([
            ("422", "The query exceeds a limit of its tenant"),
            (
                "503",
                "Too many queries are waiting, or the bucket is unavailable",
            ),
        ]),
        _ => {}
    }
    for (status, description) in problems {
        let response = problem_response(description, generator);
        responses.insert(status.to_owned(), response);
    }
    let rest = problem_response("Any other error", generator);
    responses.insert("default".to_owned(), rest);
    Value::Object(responses)
}

fn problem_response(description: &str, generator: &mut SchemaGenerator) -> Value {
    json!({
        "description": description,
        "content": {problem::MEDIA_TYPE: {"schema": schema::<problem::ProblemDocument>(generator)}},
    })
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn content(media: &[Media], generator: &mut SchemaGenerator) -> Value {
    let entries = media.iter().map(|media| {
        let schema = match media.schema {
            Some(schema) => schema(generator).to_value(),
            None => json!({"type": "string"}),
        };
        (media.media_type.to_owned(), json!({"schema": schema}))
    });
    Value::Object(entries.collect())
}

#[cfg(test)]
mod tests;
