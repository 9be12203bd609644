//! A pushed profile, as received.

use super::sample_types::SampleTypes;
use super::suffix::TextUnits;
use bytes::Bytes;
use davy_base::Timestamp;
use davy_profile::Profile;
use std::sync::Arc;

/// Format of a pushed profile.
#[derive(Clone, Debug)]
pub enum Format {
    /// pprof, optionally gzipped, with the agent's description of its sample types.
    Pprof(SampleTypes),
    /// A format of another profiler.
    Foreign(davy_import::Format, ForeignOptions),
    /// Decoded already. The body is empty.
    Profile {
        /// The profile.
        profile: Box<Profile>,
        /// What counts against the limits of the request and of the tenant; 0 for a profile that this process made.
        bytes: usize,
    },
    /// Unspecified: recognized by the content.
    Unnamed(ForeignOptions),
}

/// Options that a request states for a profile that is not pprof.
#[derive(Clone, Debug, Default)]
pub struct ForeignOptions {
    /// Samples per second; `None` if the client says that it does not apply.
    pub rate: Option<u32>,
    /// The unit of counts.
    pub units: TextUnits,
    /// The part `labels` of a JFR recording.
    pub labels: Bytes,
}

/// How the identity of a pushed window is determined, so that a repeated push is recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowIdentity {
    /// An id from the client.
    Client(String),
    /// The hash of the content.
    Content,
}

/// One pushed profile, as received.
#[derive(Clone, Debug)]
pub struct Push {
    /// Unchecked labels. For text formats the service still has the suffix of the type.
    pub labels: Arc<[(String, String)]>,
    /// How the window's identity is determined.
    pub identity: WindowIdentity,
    /// Start and end, if the request states them.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Format of the body.
    pub format: Format,
    /// The profile itself.
    pub body: Bytes,
}
