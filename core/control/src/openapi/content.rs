//! Request and response bodies by operation.

use super::rows::{
    AuditEntry, DiffResponse, FlameNode, JobRow, ProcessSummary, SeriesResponse, SymbolsList,
    SymbolsRow, TopResponse,
};
use crate::api::change::{EndpointChange, MemberChange, Restart};
use crate::api::health::Health;
use crate::api::{EndpointRow, MemberRow};
use crate::toggling::ToggleOutcome;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// A form of a body.
pub(super) struct Media {
    pub(super) media_type: &'static str,
    /// The schema of JSON; `None` for other media types.
    pub(super) schema: Option<fn(&mut SchemaGenerator) -> Schema>,
}

const JSON: &str = "application/json";

fn json<T: JsonSchema>() -> Media {
    Media {
        media_type: JSON,
        schema: Some(SchemaGenerator::subschema_for::<T>),
    }
}

fn other(media_type: &'static str) -> Media {
    Media {
        media_type,
        schema: None,
    }
}

/// The request body of an operation, and whether it is required.
pub(super) fn request(id: &str) -> Option<(Media, bool)> {
    match id {
        "ToggleMember" => Some((json::<MemberChange>(), true)),
        "ToggleEndpoint" => Some((json::<EndpointChange>(), true)),
        "RestartMember" => Some((json::<Restart>(), false)),
        "PutSymbols" => Some((other("application/octet-stream"), true)),
        _ => None,
    }
}

/// The forms of the response of an operation; empty for an unknown one.
pub(super) fn response(id: &str) -> Vec<Media> {
    match id {
        "GetOpenApi" => vec![json::<serde_json::Map<String, serde_json::Value>>()],
        "GetHealth" => vec![json::<Health>()],
        "ListMembers" => vec![json::<Vec<MemberRow>>()],
        "ListEndpoints" => vec![json::<Vec<EndpointRow>>()],
        "ToggleMember" | "RestartMember" | "WakeMember" | "ToggleEndpoint" => {
            vec![json::<ToggleOutcome>()]
        }
        "ListProcesses" => vec![json::<Vec<ProcessSummary>>()],
        "ListAudit" => vec![json::<Vec<AuditEntry>>()],
        "ListAllJobs" => vec![json::<Vec<JobRow>>()],
        "ListSymbols" => vec![json::<SymbolsList>()],
        "GetSymbols" | "PutSymbols" => vec![json::<SymbolsRow>()],
        "ListProfileTypes" | "ListProfileLabels" => vec![json::<Vec<String>>()],
        "QuerySeries" => vec![json::<SeriesResponse>()],
        "QueryFlamegraph" => vec![other(davy_profile::view::MEDIA_TYPE), json::<FlameNode>()],
        "QueryDiff" => vec![json::<DiffResponse>()],
        "QueryTop" => vec![json::<TopResponse>()],
        "QueryPprof" => vec![other("application/octet-stream")],
        "QueryFolded" => vec![other("text/plain; charset=utf-8")],
        "QuerySvg" => vec![other("image/svg+xml")],
        _ => Vec::new(),
    }
}
