//! The rules of retention in effect, which can be replaced while the archive runs.

use crate::plan::rules::RetentionRule;
use std::sync::{Arc, PoisonError, RwLock};

/// The rules in effect. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct LiveRules(Arc<RwLock<Arc<Vec<RetentionRule>>>>);

impl LiveRules {
    pub(super) fn new(rules: Vec<RetentionRule>) -> Self {
        let live = Self::default();
        live.replace(rules);
        live
    }

    /// Replaces the rules; the next round of the compactor obeys the new ones.
    pub fn replace(&self, rules: Vec<RetentionRule>) {
        // No holder panics.
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(rules);
    }

    /// The rules, in their order.
    pub(crate) fn all(&self) -> Arc<Vec<RetentionRule>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}
