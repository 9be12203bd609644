//! Merged trees that several views of one selection share: the flame graph, its table and the subtrees of frames that are
//! zoomed into.
//!
//! A tree is used again only for the same pieces of the bucket, which are listed for each query, so a window that was
//! acknowledged meanwhile counts. Queries of the same selection at the same time wait for one merge.

use super::scan::report::Report;
use crate::error::Result;
use crate::key::Tenant;
use crate::types::Aggregation;
use davy_profile::FlameTree;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Maximum number of trees.
const TREES: usize = 16;
/// Maximum number of nodes of all trees, some 40 bytes each and their names.
const NODES: usize = 1_000_000;

/// What a tree was merged from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) tenant: Tenant,
    pub(super) kind: String,
    pub(super) selector: String,
    pub(super) range: (i64, i64),
    pub(super) by: Vec<String>,
    /// The pieces of the bucket.
    pub(super) pieces: u128,
}

/// A merged tree that several queries use.
pub(super) struct Shared {
    pub(super) tree: Arc<FlameTree>,
    pub(super) aggregation: Aggregation,
    pub(super) aggregation_source: &'static str,
    pub(super) report: Report,
    /// The monotonic time at which it was merged.
    pub(super) made: Duration,
    /// The symbols that were known then.
    pub(super) symbols: u64,
}

impl Shared {
    /// Whether other queries may use it: a partial result must be tried again.
    fn is_kept(&self) -> bool {
        self.report.partial.is_empty()
    }
}

type Cell = Arc<OnceCell<Arc<Shared>>>;

/// The trees, the last used one last.
#[derive(Clone, Default)]
pub(super) struct Merges(Arc<Mutex<Vec<(Selection, Cell)>>>);

impl Merges {
    /// The tree of a selection, from `merge` if there is none that is valid.
    pub(super) async fn get(
        &self,
        selection: Selection,
        is_valid: impl Fn(&Shared) -> bool,
        merge: impl Future<Output = Result<Shared>>,
    ) -> Result<Arc<Shared>> {
        let cell = self.cell(&selection, is_valid);
        let merged = cell.get_or_try_init(|| async { merge.await.map(Arc::new) });
        let shared = Arc::clone(merged.await?);
        self.trim(&selection, &shared);
        Ok(shared)
    }

    fn cell(&self, selection: &Selection, is_valid: impl Fn(&Shared) -> bool) -> Cell {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|(of, _)| of == selection);
        let known = known.map(|at| all.remove(at).1);
        let known = known.filter(|cell| cell.get().is_none_or(|of| is_valid(of)));
        let cell = known.unwrap_or_default();
        all.push((selection.clone(), Arc::clone(&cell)));
        if all.len() > TREES {
            all.remove(0);
        }
        cell
    }

    /// Forgets what must not be kept, and the trees that were not used for longest if there are too many nodes.
    fn trim(&self, selection: &Selection, shared: &Shared) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !shared.is_kept() {
            all.retain(|(of, _)| of != selection);
        }
        let nodes = |all: &Vec<(Selection, Cell)>| -> usize {
            let trees = all.iter().filter_map(|(_, cell)| cell.get());
            trees.map(|of| of.tree.stacks.len()).sum()
        };
        while nodes(&all) > NODES {
            all.remove(0);
        }
    }
}

/// Whether something that was made at a monotonic time may still be used.
pub(super) fn is_fresh(made: Duration, now: Duration, lasts: Option<Duration>) -> bool {
    lasts.is_none_or(|lasts| now.saturating_sub(made) < lasts)
}
