//! The table of operations: every endpoint under the one name that toggles, metrics, profiles and the
//! description of the API use.

mod archive;
mod connect;
mod debug;
mod operation;
mod parameter;
mod workload;

pub use operation::Operation;
use operation::api;
pub use parameter::{Parameter, ParameterKind};

/// All operations except those of the debug port and of the archive.
const OWN: &[Operation] = &[
    api(
        "GET",
        "/api/v1/openapi.json",
        "GetOpenApi",
        "Returns the OpenAPI description of this API",
    ),
    api(
        "GET",
        "/api/v1/health",
        "GetHealth",
        "Returns the health of the fleet: ok, degraded or failing, with the reasons",
    ),
    api(
        "GET",
        "/api/v1/members",
        "ListMembers",
        "Lists every member of every process with state, toggle and usage",
    )
    .with(&[BY]),
    api(
        "PUT",
        "/api/v1/members/{name}",
        "ToggleMember",
        "Enables or disables a member in every process",
    ),
    api(
        "POST",
        "/api/v1/members/{name}/restart",
        "RestartMember",
        "Restarts a member in every process",
    ),
    api(
        "POST",
        "/api/v1/members/{name}/wake",
        "WakeMember",
        "Runs a periodic member once, now",
    ),
    api(
        "GET",
        "/api/v1/endpoints",
        "ListEndpoints",
        "Lists every endpoint with its member, toggle and usage",
    ),
    api(
        "PUT",
        "/api/v1/endpoints/{operation}",
        "ToggleEndpoint",
        "Enables, disables or limits an endpoint in every process",
    ),
    api(
        "GET",
        "/api/v1/processes",
        "ListProcesses",
        "Lists the last 100 processes of the fleet, newest first",
    ),
    api(
        "GET",
        "/api/v1/sd",
        "DiscoverProcesses",
        "Lists the addresses of the running processes in the form of Prometheus's HTTP service discovery",
    ),
    api(
        "GET",
        "/api/v1/audit",
        "ListAudit",
        "Lists the audit log: who changed what, when and why, newest first",
    )
    .with(&[LIMIT, BEFORE]),
    api(
        "GET",
        "/api/v1/captures",
        "ListCaptures",
        "Lists the heap profiles that operators have captured, newest first",
    )
    .with(&[CAPTURES]),
    api(
        "POST",
        "/api/v1/captures",
        "CreateCapture",
        "Captures the heap of a process, or of each process that hosts a member, and keeps it in the bucket",
    ),
    api(
        "GET",
        "/api/v1/captures/{id}",
        "GetCapture",
        "Returns a captured heap as gzipped pprof",
    ),
    api(
        "GET",
        "/api/v1/viewer",
        "GetViewer",
        "Returns what the page knows about the code of services: links to source code, and which functions are their own",
    ),
    api(
        "GET",
        "/api/v1/views",
        "ListViews",
        "Lists the saved views: links with a title and a note, newest first",
    )
    .with(&[VIEWS]),
    api("POST", "/api/v1/views", "CreateView", "Saves a view"),
    api(
        "DELETE",
        "/api/v1/views/{id}",
        "DeleteView",
        "Deletes a saved view",
    ),
    api(
        "GET",
        "/api/v1/jobs",
        "ListAllJobs",
        "Lists the jobs of all teams with their last builds",
    ),
    Operation::new("GET", "/", "GetPage", "ui", "Returns the page"),
    Operation::new(
        "GET",
        "/{*path}",
        "GetAsset",
        "ui",
        "Returns an asset of the page",
    ),
];

const BY: Parameter = Parameter::new(
    "by",
    ParameterKind::Choice(&["process", "member"]),
    "member",
    "One row for each member of each process (default), or one for each member",
);
const LIMIT: Parameter = Parameter::new(
    "limit",
    ParameterKind::Integer,
    "50",
    "Maximum number of entries; 100 by default, at most 1,000",
);
const CAPTURES: Parameter = Parameter::new(
    "limit",
    ParameterKind::Integer,
    "50",
    "Maximum number of captures; 50 by default, at most 1,000",
);
const VIEWS: Parameter = Parameter::new(
    "limit",
    ParameterKind::Integer,
    "200",
    "Maximum number of views; 200 by default, at most 2,000",
);
const BEFORE: Parameter = Parameter::new(
    "before",
    ParameterKind::Integer,
    "1200",
    "Only entries with a smaller id; for paging",
);

/// Every operation of every member, once for each route.
pub fn operations() -> impl Iterator<Item = Operation> {
    let own = OWN.iter().chain(workload::WORKLOAD).chain(debug::DEBUG);
    own.copied().chain(of_archive())
}

/// The paths of queries of the archive.
pub(crate) const QUERY_PREFIX: &str = "/api/v1/profiles/";

/// Ingestion belongs to one member, queries to another.
fn of_archive() -> impl Iterator<Item = Operation> {
    davy_archive::OPERATIONS.iter().map(|&(method, path, id)| {
        let member = match id {
            "Ingest" | "Push" | "ExportProfiles" | "ListSymbols" | "GetSymbols" | "PutSymbols"
            | "DebuginfoService" | "UploadDebugFile" => "archive.ingest",
            _ => "archive.query",
        };
        let (summary, parameters) = archive::description(id);
        Operation::new(method, path, id, member, summary).with(parameters)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_summary_and_described_parameters() {
        for operation in operations() {
            assert!(!operation.summary.is_empty(), "{}", operation.id);
            for parameter in operation.parameters {
                let place = format!("{} {}", operation.id, parameter.name);
                assert!(!parameter.description.is_empty(), "{place}");
                assert!(!parameter.example.is_empty(), "{place}");
                if let ParameterKind::Choice(choices) = parameter.kind {
                    assert!(choices.contains(&parameter.example), "{place}");
                }
            }
        }
    }
}
