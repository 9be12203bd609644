//! The parts of which the members and routes of a process are composed.

use super::children::PlacedChild;
use super::plan::Plan;
use crate::catalogue::MemberId;
use crate::http::ChildClient;
use davy_archive::Archive;
use davy_archive::recording::RuleRunner;
use davy_arclamp::Stream;
use davy_base::Clock;
use davy_cgroup::Hierarchy;
use davy_control::gc::CollectorMetrics;
use davy_control::{Access, Control, Endpoints, Metrics};
use davy_render::Renderer;
use davy_runtime::Stop;
use davy_scrape::Scraper;
use davy_store::Store;
use davy_symbols::DebugFiles;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use ulid::Ulid;

/// The parts that members share.
pub(super) struct Parts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) store: Store,
    /// Database connections of each local member.
    pub(super) budgets: BTreeMap<MemberId, u32>,
    pub(super) control: Control,
    pub(super) metrics: Arc<Metrics>,
    pub(super) collectors: CollectorMetrics,
    pub(super) endpoints: Arc<Endpoints>,
    /// Set if a local member works on the archive.
    pub(super) archive: Option<Archive>,
    /// Set if a local member renders flame graphs.
    pub(super) renderer: Option<Renderer>,
    /// Set if a local member takes debug files or answers queries.
    pub(super) debug_files: Option<DebugFiles>,
    /// Set if a local member evaluates recording rules.
    pub(super) rules: Option<Arc<Mutex<RuleRunner>>>,
    /// Set if a local member scrapes targets.
    pub(super) scraper: Option<Scraper>,
    /// Set if a local member listens to Redis.
    pub(super) arclamp: Option<Arc<Stream>>,
    /// Identifies this process in the fleet.
    pub(super) id: Ulid,
    pub(super) children: Vec<PlacedChild>,
    /// Clients of the children, by process name.
    pub(super) clients: BTreeMap<String, ChildClient>,
    /// The cgroups of the children, or why there are none; `None` without children.
    pub(super) cgroups: Option<Result<Hierarchy, String>>,
    pub(super) access: Access,
    pub(super) clock: Clock,
    pub(super) stop: Stop,
}

impl Parts<'_> {
    /// The database within the connection budget of a member.
    pub(super) fn store_of(&self, member: MemberId) -> Store {
        let connections = self.budgets.get(&member).copied().unwrap_or_default();
        self.store.member(member.name(), connections)
    }
}
