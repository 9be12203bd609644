//! The part `sample_type_config` of multipart pprof: what an agent says about the sample types.
//!
//! ```json
//! {"goroutine": {"units": "goroutines", "display-name": "goroutines", "aggregation": "average"}}
//! ```
//!
//! `sampled` and unknown fields are ignored: the values of pprof are stored as they are.

use crate::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What an agent says about its sample types, by their names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct SampleTypes(BTreeMap<String, SampleType>);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct SampleType {
    units: Option<String>,
    display_name: Option<String>,
    aggregation: Option<String>,
    cumulative: bool,
}

impl SampleTypes {
    /// Parses the part. Values that have grown since the start of the process are refused: added up over
    /// time they would count many times.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let types: Self = serde_json::from_slice(bytes).map_err(|error| {
            let message = "invalid sample_type_config; expected JSON such as {\"TYPE\":{\"units\":\"objects\"}}";
            Error::caused(ErrorKind::Invalid, message, error)
        })?;
        let cumulative = types.0.iter().find(|(_, of)| of.cumulative);
        if let Some((name, _)) = cumulative {
            let name: String = name.chars().take(40).collect();
            return Err(Error::new(
                ErrorKind::Unprocessable,
                format!(
                    "unsupported sample_type_config: {name:?} is cumulative; the agent must send deltas; update the agent"
                ),
            ));
        }
        Ok(types)
    }

    /// Whether a name that is shown or a unit contains a text.
    pub(super) fn mention(&self, text: &str) -> bool {
        let texts = |of: &SampleType| [of.display_name.clone(), of.units.clone()];
        let mut all = self.0.values().flat_map(texts).flatten();
        all.any(|name| name.contains(text))
    }

    /// The name under which a sample type is shown.
    pub(super) fn display_name(&self, sample: &str) -> Option<&str> {
        let name = self.0.get(sample)?.display_name.as_deref()?;
        (!name.is_empty()).then_some(name)
    }

    /// The unit of a sample type for which the profile states none.
    pub(super) fn unit(&self, sample: &str) -> &str {
        let units = self.0.get(sample).and_then(|of| of.units.as_deref());
        match units.unwrap_or_default() {
            "lock_nanoseconds" => "nanoseconds",
            "lock_samples" | "samples" => "count",
            units => units,
        }
    }

    /// Whether values of a sample type are averaged over time, if that is stated.
    pub(super) fn is_state(&self, sample: &str) -> Option<bool> {
        match self.0.get(sample)?.aggregation.as_deref()? {
            "average" => Some(true),
            "sum" => Some(false),
            _ => None,
        }
    }
}
