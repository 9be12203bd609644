//! Which stacks and frames of a tree are shown: `focus`, `ignore`, `hide` and `show`, which mean what they mean in
//! `go tool pprof`, and `path`.
//!
//! A pattern matches a frame if it matches the name of its function, its file, or the file name of its module. Groups
//! (`by`) are not frames of stacks, so patterns do not match them.

use super::params::Parameters;
use crate::error::{Error, Result};
use crate::pattern;
use davy_profile::{FlameTree, FrameKind, NodeId};
use regex::Regex;

/// Memory of a compiled pattern, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// Which stacks and frames of a tree are shown.
pub(super) struct Filters {
    focus: Option<Regex>,
    ignore: Option<Regex>,
    hide: Option<Regex>,
    show: Option<Regex>,
    /// Names of the frames, from the root, that lead to the subtree that is shown; empty for the whole tree.
    path: Vec<String>,
}

/// Whether a pattern matches each frame of a tree.
pub(super) fn matching(tree: &FlameTree, pattern: &Regex) -> Vec<bool> {
    let matches = |(index, frame): (usize, &davy_profile::Frame)| {
        let index = index as u32;
        let is_match = |text: &str| !text.is_empty() && pattern.is_match(text);
        frame.kind != FrameKind::Group
            && (pattern.is_match(&tree.frame_name(index))
                || is_match(tree.strings.get(frame.file))
                || is_match(tree.frame_module(index)))
    };
    tree.frames.iter().enumerate().map(matches).collect()
}

/// The parameter `name`, a regular expression.
pub(super) fn regex(parameters: &Parameters, name: &str) -> Result<Option<Regex>> {
    let compile = |text: &str| {
        pattern::compile(text, REGEX_BYTES)
            .map_err(|error| Error::invalid(format!("{name}: {error}")))
    };
    parameters.get(name).map(compile).transpose()
}

impl Filters {
    pub(super) fn of(parameters: &Parameters) -> Result<Self> {
        Ok(Self {
            focus: regex(parameters, "focus")?,
            ignore: regex(parameters, "ignore")?,
            hide: regex(parameters, "hide")?,
            show: regex(parameters, "show")?,
            path: parameters.path().to_vec(),
        })
    }

    /// Only the subtree of a call path.
    pub(super) fn of_path(path: Vec<String>) -> Self {
        Self {
            focus: None,
            ignore: None,
            hide: None,
            show: None,
            path,
        }
    }

    /// Whether everything is shown.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_patterns() && self.path.is_empty()
    }

    fn has_patterns(&self) -> bool {
        let patterns = [&self.focus, &self.ignore, &self.hide, &self.show];
        patterns.into_iter().any(Option::is_some)
    }

    /// Whether each frame of a tree is left out of its stacks.
    fn hidden(&self, tree: &FlameTree) -> Option<Vec<bool>> {
        let hide = self.hide.as_ref().map(|hide| matching(tree, hide));
        let Some(show) = &self.show else {
            return hide;
        };
        let mut hidden = matching(tree, show);
        for (frame, is_hidden) in tree.frames.iter().zip(&mut hidden) {
            *is_hidden = !*is_hidden && frame.kind != FrameKind::Group;
        }
        for (is_hidden, hide) in hidden.iter_mut().zip(hide.into_iter().flatten()) {
            *is_hidden |= hide;
        }
        Some(hidden)
    }

    /// The stacks of a tree that are shown, by node.
    pub(super) fn shown(&self, tree: &FlameTree) -> Vec<bool> {
        let hidden = self.hidden(tree);
        let is_hidden = |frame: u32| hidden.as_ref().is_some_and(|of| of[frame as usize]);
        let mut shown = self.on_path(tree, is_hidden);
        if self.has_patterns() {
            // A sample without a frame that is shown is left out, as in pprof.
            let is_group = |frame: u32| tree.frames[frame as usize].kind == FrameKind::Group;
            let visible = tree.through(|frame| !is_hidden(frame) && !is_group(frame));
            retain(&mut shown, &visible, true);
        }
        for (pattern, through) in [(&self.focus, true), (&self.ignore, false)] {
            if let Some(pattern) = pattern {
                let matching = matching(tree, pattern);
                let passes = tree.through(|frame| matching[frame as usize]);
                retain(&mut shown, &passes, through);
            }
        }
        shown
    }

    /// Whether the stack of each node begins with the path, hidden frames left out.
    fn on_path(&self, tree: &FlameTree, is_hidden: impl Fn(u32) -> bool) -> Vec<bool> {
        /// The node is on another path.
        const OFF: usize = usize::MAX;
        let length = self.path.len();
        // Number of frames of the path that the stack of each node has.
        let mut matched = vec![0; tree.stacks.len()];
        for node in 1..tree.stacks.len() {
            let before = matched[tree.stacks.parents()[node] as usize];
            let frame = tree.stacks.items()[node];
            matched[node] = match before {
                OFF => OFF,
                at if at == length || is_hidden(frame) => at,
                at if *tree.frame_name(frame) == *self.path[at] => at + 1,
                _ => OFF,
            };
        }
        matched.into_iter().map(|at| at == length).collect()
    }

    /// A tree without the hidden frames, and the node in it of each node.
    pub(super) fn without_hidden(&self, tree: &FlameTree) -> Option<(FlameTree, Vec<NodeId>)> {
        let hidden = self.hidden(tree)?;
        Some(tree.hide_mapped(|frame| hidden[frame as usize]))
    }

    /// The tree that is shown.
    pub(super) fn apply(&self, tree: &FlameTree) -> FlameTree {
        if !self.has_patterns() {
            return self.below(tree);
        }
        let shown = self.shown(tree);
        let mut tree = tree.clone();
        for (value, shown) in tree.values.iter_mut().zip(shown) {
            if !shown {
                *value = 0;
            }
        }
        match self.without_hidden(&tree) {
            Some((tree, _)) => tree.trimmed(),
            None => tree.trimmed(),
        }
    }
}

impl Filters {
    /// The subtree of the call path, copied without the rest of the tree, which can be much larger.
    fn below(&self, tree: &FlameTree) -> FlameTree {
        let (parents, items) = (tree.stacks.parents(), tree.stacks.items());
        let shown = self.on_path(tree, |_| false);
        // Nodes with a value in or below them.
        let values = tree.values.iter().zip(&shown);
        let mut kept: Vec<bool> = values.map(|(value, shown)| *shown && *value != 0).collect();
        for node in (1..kept.len()).rev() {
            kept[parents[node] as usize] |= kept[node];
        }
        let mut result = tree.without_stacks();
        let mut frames: Vec<Option<u32>> = vec![None; tree.frames.len()];
        let mut nodes = vec![NodeId::ROOT; kept.len()];
        for node in (0..kept.len()).filter(|node| kept[*node]) {
            if node > 0 {
                let item = items[node] as usize;
                let frame = *frames[item].get_or_insert_with(|| result.frame(tree.frames[item]));
                nodes[node] = result.child(nodes[parents[node] as usize], frame);
            }
            if shown[node] {
                result.add(nodes[node], tree.values[node]);
            }
        }
        result
    }
}

/// The part of a tree below a call path, whose frames are named from the root; the whole tree if it is empty.
pub fn on_path(tree: FlameTree, path: Vec<String>) -> FlameTree {
    let filters = Filters::of_path(path);
    if filters.is_empty() {
        return tree;
    }
    filters.apply(&tree)
}

/// Keeps the nodes that pass, or those that do not.
fn retain(shown: &mut [bool], passes: &[bool], wanted: bool) {
    for (shown, passes) in shown.iter_mut().zip(passes) {
        *shown &= *passes == wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{Limits, folded};

    #[test]
    fn subtree_of_a_path_has_its_stacks_and_values_only() {
        let stacks = b"main;a;b 3\nmain;a 2\nmain;c;a 5\nother;a 7\nmain 1\n";
        let profile = folded::decode(stacks, &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        let check = |path: &[&str], expected: &str| {
            let path = path.iter().map(|step| (*step).to_owned()).collect();
            assert_eq!(folded::encode(&on_path(tree.clone(), path)), expected);
        };
        check(&["main", "a"], "main;a 2\nmain;a;b 3\n");
        check(&["main"], "main 1\nmain;a 2\nmain;a;b 3\nmain;c;a 5\n");
        check(&["nope"], "");
        assert_eq!(on_path(tree.clone(), vec!["other".into()]).frames.len(), 2);
    }
}
