//! What a profile says about the samples of a series, besides their type and labels. It is stored as JSON
//! with the series, so that a query can give it back, and use what applies to each of them.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Facts about the samples of a series. Defaults are left out of the JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Position of the sample type in the profile.
    #[serde(skip_serializing_if = "is_default")]
    pub position: u32,
    /// Build id of the program: that of the profile's first mapping.
    #[serde(skip_serializing_if = "is_default")]
    pub build_id: String,
    /// Interval between samples, in the unit of the period.
    #[serde(skip_serializing_if = "is_default")]
    pub period: i64,
    /// Sample type to show first.
    #[serde(skip_serializing_if = "is_default")]
    pub default_type: String,
    /// Regular expression of the frames that are left out together with their callees.
    #[serde(skip_serializing_if = "is_default")]
    pub drop_frames: String,
    /// Regular expression of frames that are kept even if `drop_frames` matches.
    #[serde(skip_serializing_if = "is_default")]
    pub keep_frames: String,
    /// URL of the profile's documentation.
    #[serde(skip_serializing_if = "is_default")]
    pub doc_url: String,
    /// Comments.
    #[serde(skip_serializing_if = "is_default")]
    pub comments: Vec<String>,
    /// Names of the labels whose values are numbers: `4096`, or `4096 bytes` with a unit.
    #[serde(skip_serializing_if = "is_default")]
    pub numbers: Vec<String>,
    /// Whether the profile has the form of a state: its period is one of its samples, and it has no
    /// duration. It decides only for sample types whose name does not.
    #[serde(skip_serializing_if = "is_default")]
    pub is_state: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Header {
    /// The canonical text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses the canonical text.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::corrupt_by)
    }
}
