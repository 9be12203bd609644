//! Service discovery for Prometheus: the processes that it should scrape.

use crate::control::Control;
use crate::fleet::SILENCE;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use davy_store::ProcessRow;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Targets with the same labels, as Prometheus expects them of `http_sd_configs`.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct TargetGroup {
    /// Addresses that answer `/metrics`.
    targets: Vec<String>,
    /// Labels for relabeling: host, kind, pid and version of the process.
    labels: BTreeMap<&'static str, String>,
}

/// The processes that run. Children are left out, because their parents export their metrics.
pub(super) async fn targets(
    State(control): State<Control>,
) -> Result<Json<Vec<TargetGroup>>, Problem> {
    let rows = control.0.store.live_processes(SILENCE).await;
    let rows = rows.map_err(|error| Problem::query_failed("processes", error))?;
    Ok(Json(rows.iter().filter_map(group).collect()))
}

fn group(row: &ProcessRow) -> Option<TargetGroup> {
    let debug = row.debug.as_ref().filter(|_| row.parent.is_none())?;
    let labels = [
        ("__meta_davy_host", row.host.clone()),
        ("__meta_davy_kind", row.kind.clone()),
        ("__meta_davy_pid", row.pid.to_string()),
        ("__meta_davy_version", row.version.clone()),
    ];
    Some(TargetGroup {
        targets: vec![reachable(debug, &row.host)],
        labels: labels.into(),
    })
}

/// The address of a listener for other machines: one on all interfaces is reached by the name of its host.
fn reachable(address: &str, host: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => format!("{host}:{}", address.port()),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(debug: Option<&str>, parent: Option<&str>) -> ProcessRow {
        ProcessRow {
            id: "1".to_owned(),
            kind: "archiver".to_owned(),
            host: "store-1".to_owned(),
            pid: 7,
            version: "0.1.0".to_owned(),
            started_at: 0,
            stopped_at: None,
            ending: None,
            seen_at: 0,
            parent: parent.map(str::to_owned),
            debug: debug.map(str::to_owned),
            report: None,
        }
    }

    #[test]
    fn processes_with_a_debug_port_are_targets_except_children() {
        let check = |debug: Option<&str>, parent: Option<&str>, expected: Option<&str>| {
            let group = group(&row(debug, parent));
            let target = group.as_ref().map(|of| of.targets[0].as_str());
            assert_eq!(target, expected);
            if let Some(group) = group {
                assert_eq!(group.labels["__meta_davy_kind"], "archiver");
            }
        };
        check(Some("10.0.0.7:8079"), None, Some("10.0.0.7:8079"));
        check(Some("0.0.0.0:8079"), None, Some("store-1:8079"));
        check(Some("[::]:8079"), None, Some("store-1:8079"));
        check(Some("10.0.0.7:8080"), Some("parent"), None);
        check(None, None, None);
    }
}
