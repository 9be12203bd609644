//! `focus`, `ignore` and `hide`.

use super::params::Parameters;
use crate::error::{Error, Result};
use crate::pattern;
use davy_profile::FlameTree;
use regex::Regex;

/// Memory of a compiled pattern, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// Which stacks and frames of a tree are shown.
pub(super) struct Filters {
    focus: Option<Regex>,
    ignore: Option<Regex>,
    hide: Option<Regex>,
}

impl Filters {
    pub(super) fn of(parameters: &Parameters) -> Result<Self> {
        let regex = |name: &str| {
            let compile = |text: &str| {
                pattern::compile(text, REGEX_BYTES)
                    .map_err(|error| Error::invalid(format!("{name}: {error}")))
            };
            parameters.get(name).map(compile).transpose()
        };
        Ok(Self {
            focus: regex("focus")?,
            ignore: regex("ignore")?,
            hide: regex("hide")?,
        })
    }

    /// Whether everything is shown.
    pub(super) fn is_empty(&self) -> bool {
        self.focus.is_none() && self.ignore.is_none() && self.hide.is_none()
    }

    /// The stacks of a tree that are shown, by node.
    pub(super) fn shown(&self, tree: &FlameTree) -> Vec<bool> {
        let mut shown = vec![true; tree.stacks.len()];
        for (pattern, through) in [(&self.focus, true), (&self.ignore, false)] {
            if let Some(pattern) = pattern {
                let passes = tree.through(|name| pattern.is_match(name));
                for (shown, passes) in shown.iter_mut().zip(passes) {
                    *shown &= passes == through;
                }
            }
        }
        shown
    }

    /// A tree without the hidden frames, and the node in it of each node.
    pub(super) fn without_hidden(
        &self,
        tree: &FlameTree,
    ) -> Option<(FlameTree, Vec<davy_profile::NodeId>)> {
        let hide = self.hide.as_ref()?;
        Some(tree.hide_mapped(|name| hide.is_match(name)))
    }

    /// The tree that is shown.
    pub(super) fn apply(&self, mut tree: FlameTree) -> FlameTree {
        let shown = self.shown(&tree);
        for (value, shown) in tree.values.iter_mut().zip(shown) {
            if !shown {
                *value = 0;
            }
        }
        match self.without_hidden(&tree) {
            Some((tree, _)) => tree,
            None => tree,
        }
    }
}
