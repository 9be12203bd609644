//! What a worker says about itself, before it is stored: the database reads it, and must not fail because of it.

use davy_model::name;
use davy_model::wire::Status;
use serde_json::Value;

/// The length of the name of a driver with its reason, in characters, at most.
const DRIVER_CHARS_MAX: usize = 500;

/// Only what is understood: containers with names, and numbers about them. Postgres stores no zero bytes.
pub(super) fn checked(mut status: Status) -> Status {
    let driver = status.driver.chars().filter(|c| *c != '\0');
    status.driver = driver.take(DRIVER_CHARS_MAX).collect();
    status.containers.retain(|container, figures| {
        let Value::Object(fields) = figures else {
            return false;
        };
        fields.retain(|field, value| is_name(field) && (is_number(value) || are_numbers(value)));
        name::check("container", container).is_ok()
    });
    status
}

fn is_name(field: &str) -> bool {
    field
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn is_number(value: &Value) -> bool {
    value.is_number() || value.is_null()
}

fn are_numbers(value: &Value) -> bool {
    let Value::Object(fields) = value else {
        return false;
    };
    fields
        .iter()
        .all(|(field, value)| is_name(field) && is_number(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_numbers_about_containers_are_stored() {
        let said = |containers: Value, driver: &str| Status {
            driver: driver.to_owned(),
            containers: serde_json::from_value(containers).expect("a map"),
            ..Status::default()
        };
        let figures = json!({"pids": 3, "memory_max_bytes": null, "pressure": {"cpu_some": 7}});
        let hostile = said(
            json!({
                "c1": {"pids": 3, "memory_max_bytes": null, "pressure": {"cpu_some": 7},
                    "note": "a\u{0}b", "x\u{0}": 1, "deep": {"a": {"b": 1}}},
                "../c2": {"pids": 1},
                "c3": "text",
            }),
            "ru\u{0}nc",
        );
        assert_eq!(checked(hostile), said(json!({"c1": figures}), "runc"));
    }
}
