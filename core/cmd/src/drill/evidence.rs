//! Who is guilty, as an incident responder finds it: by `davy top`, then by a profile.

use super::incident::run;
use crate::cli::Failure;
use davy_control::MemberRow;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits};

/// Whom the drill makes guilty.
pub(super) const GUILTY: &str = "api/ListAllJobs";

/// What the guilty one uses up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    Heap,
    Cpu,
}

impl Figure {
    pub(super) fn row_line(self) -> &'static str {
        match self {
            Self::Heap => "first row of davy top --once --json",
            Self::Cpu => "first row of davy top --sort cpu",
        }
    }

    pub(super) fn profile_line(self) -> &'static str {
        match self {
            Self::Heap => "heap profile of that operation",
            Self::Cpu => "CPU profile of that operation",
        }
    }

    /// The first row of `davy top`, as a program reads it.
    pub(super) fn first_row(self, server: &str) -> Result<String, Failure> {
        let sort = match self {
            Self::Heap => "heap",
            Self::Cpu => "cpu",
        };
        let out = run(&[
            "top", "--once", "--json", "--sort", sort, "--limit", "1", "--server", server,
        ])?;
        let rows: serde_json::Value = serde_json::from_slice(&out)
            .map_err(|error| Failure::Failed(format!("davy top printed no JSON: {error}")))?;
        let text = |name: &str| rows[0][name].as_str().unwrap_or("").to_owned();
        Ok(format!("{}/{}", text("member"), text("op")))
    }

    /// The handler's frame in a profile of that operation, from a process that serves it.
    pub(super) fn guilty_frame(self, agent: &ureq::Agent, members: &[MemberRow]) -> Option<String> {
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
        profiles.find_map(|pprof| handlers_frame(&pprof, sample_type))
    }
}

/// A frame of the handler that something was spent under, in a profile.
fn handlers_frame(pprof: &[u8], sample_type: &str) -> Option<String> {
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
    let spent = functions.filter(|function| function.total > 0);
    // What was inlined has the place of its source for a name.
    let of_handler =
        |name: &String| name.contains("list_all_jobs") || name.starts_with("api/jobs.rs");
    // Wrappers of a future carry its name within theirs.
    spent
        .map(|function| function.name)
        .filter(of_handler)
        .min_by_key(String::len)
}
