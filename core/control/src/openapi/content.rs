//! Request and response bodies by operation.

use super::captures::{CaptureList, CapturesTaken};
use super::overview::ArchiveOverview;
use super::rows::{
    AuditEntry, ChangesResponse, DiffResponse, FlameNode, IngestForm, JobRow, ProcessSummary,
    PushError, PushRequest, SeriesResponse, SymbolsList, SymbolsRow, TopResponse,
};
use super::views::ViewList;
use super::workload::{BuildSummary, TaskSchema, WorkerSummary};
use crate::api::builds::BuildCreated;
use crate::api::captures::CaptureRequest;
use crate::api::change::{EndpointChange, MemberChange, Restart};
use crate::api::discovery::TargetGroup;
use crate::api::fleet::{HandleSummary, WorkerChanged, WorkerKey};
use crate::api::health::{Health, Readiness};
use crate::api::overview::FleetOverview;
use crate::api::terminals::{TerminalCreated, TerminalEnd, TerminalOpening};
use crate::api::viewer::ViewerSettings;
use crate::api::views::{ViewDeleted, ViewRequest, ViewSaved};
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
const BYTES: &str = "application/octet-stream";
const FORM: &str = "multipart/form-data";
const PROTOBUF: &str = "application/proto";
const EVENT_STREAM: &str = "text/event-stream";
const TEXT: &str = "text/plain; charset=utf-8";

fn json<T: JsonSchema>() -> Media {
    typed::<T>(JSON)
}

fn typed<T: JsonSchema>(media_type: &'static str) -> Media {
    Media {
        media_type,
        schema: Some(SchemaGenerator::subschema_for::<T>),
    }
}

fn other(media_type: &'static str) -> Media {
    Media {
        media_type,
        schema: None,
    }
}

/// An object that is described elsewhere.
type Object = serde_json::Map<String, serde_json::Value>;

/// The forms of the messages of a service.
fn rpc() -> Vec<Media> {
    vec![
        json::<Object>(),
        other(PROTOBUF),
        other("application/grpc"),
        other("application/grpc-web"),
    ]
}

/// The forms of the messages of OpenTelemetry.
fn otlp() -> Vec<Media> {
    let json = json::<Object>();
    vec![
        other("application/x-protobuf"),
        json,
        other("application/grpc"),
    ]
}

/// The forms of the request body of an operation, and whether it is required; none without a body.
pub(super) fn request(id: &str) -> Option<(Vec<Media>, bool)> {
    match id {
        "ToggleMember" => Some((vec![json::<MemberChange>()], true)),
        "ToggleEndpoint" => Some((vec![json::<EndpointChange>()], true)),
        "CreateCapture" => Some((vec![json::<CaptureRequest>()], true)),
        "CreateView" => Some((vec![json::<ViewRequest>()], true)),
        "RestartMember" => Some((vec![json::<Restart>()], false)),
        "PutSymbols" | "PutBuildInput" | "PutBuildOutput" | "UploadDebugFile" => {
            Some((vec![other(BYTES)], true))
        }
        "PutWorkerKey" => Some((vec![json::<WorkerKey>()], true)),
        "CreateBuild" => Some((vec![json::<TaskSchema>()], true)),
        "CreateTerminal" => Some((vec![json::<TerminalOpening>()], true)),
        // The types of `davy_model::wire`; workers and frontends are of one version.
        "RegisterWorker"
        | "SyncWorker"
        | "PutWorkerUsage"
        | "LeaveWorker"
        | "PutWorkerHandle"
        | "AppendBuildLog"
        | "EndBuild"
        | "AppendTerminalOutput"
        | "WaitTerminalInput" => Some((
            vec![json::<serde_json::Map<String, serde_json::Value>>()],
            true,
        )),
        "Ingest" => Some((vec![other(BYTES), typed::<IngestForm>(FORM)], true)),
        "Push" => Some((vec![other(PROTOBUF), json::<PushRequest>()], true)),
        "ExportProfiles" => Some((otlp(), true)),
        "QuerierService"
        | "DebuginfoService"
        | "SettingsService"
        | "RecordingRulesService"
        | "VersionService"
        | "FeatureFlagsService" => Some((rpc(), true)),
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
        "DiscoverProcesses" => vec![json::<Vec<TargetGroup>>()],
        "ListCaptures" => vec![json::<CaptureList>()],
        "CreateCapture" => vec![json::<CapturesTaken>()],
        "GetViewer" => vec![json::<ViewerSettings>()],
        "ListViews" => vec![json::<ViewList>()],
        "CreateView" => vec![json::<ViewSaved>()],
        "DeleteView" => vec![json::<ViewDeleted>()],
        "ListAudit" => vec![json::<Vec<AuditEntry>>()],
        "ListAllJobs" => vec![json::<Vec<JobRow>>()],
        "GetFleet" => vec![json::<FleetOverview>(), other(EVENT_STREAM)],
        "ListWorkers" => vec![json::<Vec<WorkerSummary>>(), other(EVENT_STREAM)],
        "PutWorkerKey" | "RevokeWorkerKey" | "LandWorker" | "RetireWorker" => {
            vec![json::<WorkerChanged>()]
        }
        "ListContainers" | "ListVolumes" => {
            vec![json::<Vec<HandleSummary>>(), other(EVENT_STREAM)]
        }
        "ListBuilds" => vec![json::<Vec<BuildSummary>>(), other(EVENT_STREAM)],
        "GetBuild" | "StartBuild" | "AbortBuild" => vec![json::<BuildSummary>()],
        "CreateBuild" | "PutBuildInput" => vec![json::<BuildCreated>()],
        "CreateTerminal" => vec![json::<TerminalCreated>()],
        // The last message.
        "AttachTerminal" => vec![json::<TerminalEnd>()],
        "GetBuildLog" => vec![other(EVENT_STREAM)],
        "GetWorkerChallenge"
        | "RegisterWorker"
        | "SyncWorker"
        | "PutWorkerUsage"
        | "ClaimBuild"
        | "LeaveWorker"
        | "AppendTerminalOutput"
        | "WaitTerminalInput"
        | "PutWorkerHandle"
        | "AppendBuildLog"
        | "EndBuild"
        | "PutBuildOutput" => {
            vec![json::<serde_json::Map<String, serde_json::Value>>()]
        }
        "ListSymbols" => vec![json::<SymbolsList>()],
        "GetSymbols" | "PutSymbols" => vec![json::<SymbolsRow>()],
        "GetArchive" => vec![json::<ArchiveOverview>()],
        "ListProfileTypes" | "ListProfileLabels" | "ListLabelValues" => vec![json::<Vec<String>>()],
        "QuerySeries" => vec![json::<SeriesResponse>()],
        "QueryFlamegraph" => vec![other(davy_profile::view::MEDIA_TYPE), json::<FlameNode>()],
        "QueryChanges" => vec![json::<ChangesResponse>()],
        "QueryDiff" => vec![json::<DiffResponse>()],
        "QueryTop" => vec![json::<TopResponse>()],
        "QuerySvg" => vec![other("image/svg+xml")],
        "QuerierService"
        | "DebuginfoService"
        | "SettingsService"
        | "RecordingRulesService"
        | "VersionService"
        | "FeatureFlagsService" => rpc(),
        "ExportProfiles" => otlp(),
        "Render" => vec![json::<Object>(), other("text/vnd.graphviz; charset=utf-8")],
        "RenderDiff" | "UploadDebugFile" => vec![json::<Object>()],
        "Push" => vec![
            other(PROTOBUF),
            json::<serde_json::Map<String, serde_json::Value>>(),
        ],
        "GetMetrics" => vec![other(prometheus::TEXT_FORMAT)],
        "QueryFolded" | "Ingest" | "GetLive" | "GetCommandLine" => vec![other(TEXT)],
        "GetReady" => vec![json::<Readiness>()],
        "GetDebugIndex" => vec![other("text/html; charset=utf-8")],
        "GetCapture" | "GetBuildOutput" | "GetBuildInput" | "QueryPprof" | "GetCpuProfile"
        | "GetHeapProfile" | "GetAllocsProfile" | "GetWallProfile" | "GetThreadsProfile" => {
            vec![other(BYTES)]
        }
        "GetTasksProfile" => vec![other(BYTES), other(TEXT)],
        _ => Vec::new(),
    }
}

/// The body of an error outside of the API.
pub(super) fn error(id: &str) -> Media {
    match id {
        "Ingest"
        | "Push"
        | "ExportProfiles"
        | "QuerierService"
        | "DebuginfoService"
        | "UploadDebugFile"
        | "SettingsService"
        | "RecordingRulesService"
        | "VersionService"
        | "FeatureFlagsService"
        | "Render"
        | "RenderDiff"
        | "ListLabelValues" => json::<PushError>(),
        _ => other(TEXT),
    }
}
