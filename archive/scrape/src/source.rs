//! What sources of targets have in common.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time limit of a look-up.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Targets with common labels, as Prometheus writes them.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Group {
    pub(crate) targets: Vec<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

/// The body of a response with at most this many bytes.
pub(crate) async fn body(
    response: &mut reqwest::Response,
    limit: usize,
) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| error.to_string())? {
        body.extend_from_slice(&part);
        if body.len() > limit {
            return Err(format!("more than {limit} bytes, the limit"));
        }
    }
    Ok(body)
}
