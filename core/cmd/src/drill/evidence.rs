//! Finds the operation that causes the incident, as an operator would: with `davy top`, then with a
//! profile.

use super::command::run;
use crate::failure::Failure;
use davy_control::MemberRow;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits};

/// The operation that causes the incident.
pub(super) const CULPRIT: &str = "api/ListAllJobs";

/// The resource that the operation uses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resource {
    Heap,
    Cpu,
}

impl Resource {
    pub(super) fn row_check(self) -> &'static str {
        match self {
            Self::Heap => "first row of davy top --once --json",
            Self::Cpu => "first row of davy top --sort cpu",
        }
    }

    pub(super) fn profile_check(self) -> &'static str {
        match self {
            Self::Heap => "heap profile of that operation",
            Self::Cpu => "CPU profile of that operation",
        }
    }

    /// The member and operation in the first row of `davy top`.
    pub(super) fn first_row(self, server: &str) -> Result<String, Failure> {
        let sort = match self {
            Self::Heap => "heap",
            Self::Cpu => "cpu",
        };
        let out = run(&[
            "top", "--once", "--json", "--sort", sort, "--limit", "1", "--server", server,
        ])?;
        let rows: serde_json::Value = serde_json::from_slice(&out)
            .map_err(Failure::because("davy top --json printed invalid JSON"))?;
        let text = |name: &str| rows[0][name].as_str().unwrap_or("").to_owned();
        Ok(format!("{}/{}", text("member"), text("op")))
    }

    /// The frame of the handler in a profile of the operation, from a process that serves it.
    pub(super) fn handler_frame(
        self,
        agent: &ureq::Agent,
        members: &[MemberRow],
    ) -> Option<String> {
        let (path, sample_type) = match self {
            Self::Heap => ("heap?", "inuse_space"),
            Self::Cpu => ("profile?seconds=2&", "cpu"),
        };
        let serving = members.iter().filter(|row| row.member.name == "api");
        let mut profiles = serving.filter_map(|row| {
            let debug = &row.debug;
            let url = format!("http://{debug}/debug/pprof/{path}member=api&op=ListAllJobs");
            let mut response = agent.get(&url).call().ok()?;
            let body = response.body_mut().with_config().limit(64 << 20);
            body.read_to_vec().ok()
        });
        profiles.find_map(|pprof| handler_in(&pprof, sample_type))
    }
}

/// The frame of the handler in a profile, if samples are below it.
fn handler_in(pprof: &[u8], sample_type: &str) -> Option<String> {
    let limits = Limits::default();
    let unpacked = davy_profile::gzip::unpack(pprof, &limits).ok()?;
    let profile = davy_profile::pprof::decode(&unpacked, &limits).ok()?;
    let column = profile
        .sample_types
        .iter()
        .position(|of| profile.text(of.kind) == sample_type)?;
    let mut tree = FlameTree::default();
    tree.add_profile(&profile, column, Grain::Function);
    let functions = tree.top(usize::MAX).into_iter();
    let sampled = functions.filter(|function| function.total > 0);
    // An inlined function may be named by its source location.
    let is_handler =
        |name: &String| name.contains("list_all_jobs") || name.starts_with("api/jobs.rs");
    // Wrappers of the handler's future contain its name; the shortest name is the handler.
    sampled
        .map(|function| function.name)
        .filter(is_handler)
        .min_by_key(String::len)
}
