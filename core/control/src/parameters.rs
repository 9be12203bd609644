//! Query parameters: checked against the table of operations, extracted with problem documents.

use crate::names::nearest;
use crate::operations::{Operation, QUERY_PREFIX};
use crate::problem::Problem;
use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Refuses query parameters of an API operation that the table of operations doesn't list. The archive
/// checks those of its queries.
pub(crate) fn check(operation: &Operation, uri: &Uri) -> Result<(), Problem> {
    if !operation.path.starts_with("/api/v1/") || operation.path.starts_with(QUERY_PREFIX) {
        return Ok(());
    }
    let Query(sent) = Query::<BTreeMap<String, String>>::try_from_uri(uri)
        .map_err(|error| Problem::bad_request(format!("invalid query: {error}")))?;
    let known = || operation.parameters.iter().map(|parameter| parameter.name);
    let Some(unknown) = sent
        .keys()
        .find(|name| known().all(|known| known != **name))
    else {
        return Ok(());
    };
    let hint = match nearest(unknown, known()) {
        Some(near) => format!("did you mean {near}?"),
        None if operation.parameters.is_empty() => format!("{} has no parameters", operation.id),
        None => {
            let names: Vec<&str> = known().collect();
            format!("parameters: {}", names.join(", "))
        }
    };
    Err(Problem::bad_request(format!(
        "unknown parameter {unknown:?}; {hint}"
    )))
}

/// The query parameters of a request. An invalid value is refused with a problem document.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::try_from_uri(&parts.uri)
            .map_err(|error| Problem::bad_request(format!("invalid query: {error}")))?;
        Ok(Self(query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::operations;

    #[track_caller]
    fn check_uri(uri: &str, expected: &str) {
        let uri: Uri = uri.parse().expect("a valid URI");
        let operation = operations()
            .find(|operation| operation.method == "GET" && operation.path == uri.path())
            .expect("an operation with this path");
        let text =
            check(&operation, &uri).map_or_else(|problem| problem.detail, |()| String::new());
        assert_eq!(text, expected);
    }

    #[test]
    fn unknown_query_parameter_is_refused_with_the_nearest_name() {
        check_uri("/api/v1/audit?limit=5&before=7", "");
        check_uri(
            "/api/v1/audit?limti=5",
            "unknown parameter \"limti\"; did you mean limit?",
        );
        check_uri(
            "/api/v1/audit?colour=red",
            "unknown parameter \"colour\"; parameters: limit, before",
        );
        check_uri(
            "/api/v1/jobs?limit=5",
            "unknown parameter \"limit\"; ListAllJobs has no parameters",
        );
    }

    #[test]
    fn parameters_outside_the_api_are_not_checked() {
        check_uri("/debug/pprof/profile?anything=1", "");
        check_uri("/metrics?anything=1", "");
    }
}
