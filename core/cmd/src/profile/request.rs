//! A request for a profile of one process.

use super::options::{ProfileMetric, ProfileOptions};
use super::process;
use crate::client::Client;
use crate::failure::Failure;
use crate::live::Snapshot;
use crate::server::Server;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits};

/// A request for profiles of one process; it can be sent several times.
pub(super) struct ProfileRequest {
    pub(super) metric: ProfileMetric,
    /// Name and pid of the process.
    pub(super) process: String,
    client: Client,
    query: Vec<(&'static str, String)>,
    by: Vec<String>,
}

impl ProfileRequest {
    /// Finds the process that the options select.
    pub(super) fn new(options: &ProfileOptions) -> Result<Self, Failure> {
        let row = process::find(options)?;
        let hz = options.hz.filter(|_| options.metric == ProfileMetric::Cpu);
        let query = [
            ("member", options.member.clone()),
            ("op", options.op.clone()),
            ("hz", hz.map(|hz| hz.to_string())),
        ];
        let server = Server {
            server: format!("http://{}", row.debug),
            token: None,
        };
        Ok(Self {
            metric: options.metric,
            process: format!("{} ({})", row.process, row.pid),
            client: Client::new(&server)?,
            query: query
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            by: options.by.clone(),
        })
    }

    /// Sends the request and returns the profile as pprof. `seconds` is the duration of a timed metric.
    pub(super) fn send(&self, seconds: Option<u64>) -> Result<Vec<u8>, Failure> {
        let mut query = self.query.clone();
        query.extend(seconds.map(|seconds| ("seconds", seconds.to_string())));
        let endpoint = self.metric.endpoint();
        self.client.get(&format!("/debug/pprof/{endpoint}"), &query)
    }

    /// The flame graph of a pprof profile.
    pub(super) fn decode(&self, pprof: &[u8]) -> Result<Snapshot, Failure> {
        let limits = Limits::default();
        let invalid = |error: davy_profile::Error| {
            Failure::because("the response is not a pprof profile")(error)
        };
        let unpacked = davy_profile::gzip::unpack(pprof, &limits).map_err(invalid)?;
        let profile = davy_profile::pprof::decode(&unpacked, &limits).map_err(invalid)?;
        let types = &profile.sample_types;
        let index = types
            .iter()
            .position(|of| profile.text(of.kind) == self.metric.sample_type())
            .unwrap_or(0);
        let unit = types.get(index).map_or("", |of| profile.text(of.unit));
        let by: Vec<&str> = self.by.iter().map(String::as_str).collect();
        let mut tree = FlameTree::new();
        tree.add_profile_by(&profile, index, Grain::Function, &by);
        Ok(Snapshot {
            tree,
            unit: unit.to_owned(),
        })
    }
}
