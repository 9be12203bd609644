//! The description of `/api/v1`, made from the table of operations.

use crate::operations::Operation;
use serde_json::{Map, Value, json};

/// Describes every operation under `/api/v1` (OpenAPI 3.1).
pub(crate) fn describe(operations: &[Operation]) -> Value {
    let mut paths = Map::new();
    for operation in operations
        .iter()
        .filter(|op| op.path.starts_with("/api/v1/"))
    {
        let in_path = operation.path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            Some(
                json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
            )
        });
        let in_query = operation.parameters.iter().map(|parameter| {
            json!({
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.description,
                "schema": {"type": parameter.kind},
            })
        });
        let parameters: Vec<Value> = in_path.chain(in_query).collect();
        let answer = |description: &str, media_type: &str| json!({"description": description, "content": {media_type: {}}});
        let described = json!({
            "operationId": operation.id,
            "summary": operation.summary,
            "tags": [operation.member],
            "parameters": parameters,
            "responses": {
                "200": answer("The answer", operation.media_type()),
                "default": answer("What is wrong, and the way out", "application/problem+json"),
            },
        });
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Davy",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Profiles of live systems, by service, member and operation.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_under_its_name() {
        let operations: Vec<Operation> = crate::operations().collect();
        let described = describe(&operations);
        for operation in operations {
            assert!(
                !operation.summary.is_empty(),
                "{} says nothing of itself",
                operation.id
            );
            if operation.path.starts_with("/api/v1/") {
                let method = operation.method.to_lowercase();
                assert_eq!(
                    described["paths"][operation.path][method]["operationId"],
                    operation.id
                );
            }
        }
    }
}
