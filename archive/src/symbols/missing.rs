//! Builds whose symbols a query missed, for the member that fetches them.

use crate::key::Tenant;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::mpsc;

/// Maximum number of builds that wait; further ones are forgotten until a query misses them again.
const WAITING: usize = 256;

/// A build without symbols.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingBuild {
    /// Whose profiles have it.
    pub tenant: Tenant,
    /// The build id, as the profiles have it.
    pub build_id: String,
}

/// The builds that queries missed.
#[derive(Default)]
pub(crate) struct Missing {
    queue: OnceLock<mpsc::Sender<MissingBuild>>,
    fetching: Mutex<BTreeSet<MissingBuild>>,
}

impl Missing {
    /// The builds that are missed from now on. Only the first caller gets them.
    pub(crate) fn subscribe(&self) -> Option<mpsc::Receiver<MissingBuild>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.queue.set(sender).ok()?;
        Some(receiver)
    }

    /// Notes that a query misses a build.
    pub(super) fn note(&self, tenant: &Tenant, build_id: &str) {
        if let Some(queue) = self.queue.get() {
            let missing = MissingBuild {
                tenant: tenant.clone(),
                build_id: build_id.to_owned(),
            };
            let _ = queue.try_send(missing);
        }
    }

    fn fetching(&self) -> MutexGuard<'_, BTreeSet<MissingBuild>> {
        // No holder panics.
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the symbols of a build are being fetched.
    pub(super) fn is_fetching(&self, tenant: &Tenant, build_id: &str) -> bool {
        let fetching = self.fetching();
        let mut of_tenant = fetching.iter().filter(|build| build.tenant == *tenant);
        of_tenant.any(|build| build.build_id == build_id)
    }
}

/// Queries say that the symbols of a build are being fetched until this is dropped.
pub struct Fetching {
    missing: Arc<Missing>,
    build: MissingBuild,
}

impl Fetching {
    pub(crate) fn begin(missing: &Arc<Missing>, build: MissingBuild) -> Self {
        missing.fetching().insert(build.clone());
        Self {
            missing: Arc::clone(missing),
            build,
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.missing.fetching().remove(&self.build);
    }
}
