//! Folds runs of frames that only call the next one into one frame: readers look for the program, not
//! for the wrappers of its runtime.

use davy_profile::flame::{Frame, FrameKind};
use davy_profile::{FlameTree, NodeId};
use std::collections::BTreeMap;

/// Runs of at most this length are not folded.
const RUN_LENGTH_MIN: usize = 3;
/// Maximum length of the names of a run's first and last frame.
const END_NAME_MAX: usize = 40;

/// A tree with its runs folded.
pub(crate) struct FoldedRuns {
    pub(crate) tree: FlameTree,
    /// Names of runs that include the frame after the run, by the frame that represents the run. They are
    /// used where the frame after the run is not drawn.
    pub(super) names_with_end: BTreeMap<u32, String>,
}

/// Replaces each run of more than three frames by one frame. Each frame of a run has no value of its own
/// and one callee. The frame after the run is kept: it branches or has a value.
pub(crate) fn fold(whole: &FlameTree) -> FoldedRuns {
    let only_callees = only_callees(whole);
    let parents = whole.stacks.parents();
    let mut tree = whole.without_stacks();
    let mut names_with_end = BTreeMap::new();
    let mut nodes = vec![NodeId::ROOT; parents.len()];
    // Nodes that the frame of their run replaces. Parents precede their children.
    let mut is_folded = vec![false; parents.len()];
    for node in 1..parents.len() {
        let parent = parents[node] as usize;
        if is_folded[node] {
            nodes[node] = nodes[parent];
            continue;
        }
        let run = if only_callees[parent].is_some() {
            // It is inside a run that is too short to fold.
            Vec::new()
        } else {
            run_from(node, &only_callees)
        };
        let frame = if let [first, .., last] = run.as_slice()
            && run.len() > RUN_LENGTH_MIN
        {
            for node in &run[1..] {
                is_folded[*node] = true;
            }
            let name = |node: usize| {
                let frame = whole.stacks.items()[node];
                elide(&whole.frame_name(frame))
            };
            let named = |count: usize, end: usize| {
                format!("… {count} frames, {} to {}", name(*first), name(end))
            };
            let frame = Frame {
                name: tree.strings.intern(&named(run.len(), *last)),
                // Makes runs with the same name distinct frames.
                start_line: node as u32,
                ..Frame::default()
            };
            let frame = tree.frame(frame);
            if let Some(end) = only_callees[*last] {
                names_with_end.insert(frame, named(run.len() + 1, end));
            }
            frame
        } else {
            tree.frame(whole.frames[whole.stacks.items()[node] as usize])
        };
        nodes[node] = tree.child(nodes[parent], frame);
        tree.add(nodes[node], whole.values[node]);
    }
    tree.add(NodeId::ROOT, whole.values[0]);
    FoldedRuns {
        tree,
        names_with_end,
    }
}

/// The callee of each function that has exactly one and no value of its own.
fn only_callees(tree: &FlameTree) -> Vec<Option<usize>> {
    let parents = tree.stacks.parents();
    let mut callees = vec![(0_usize, 0_usize); parents.len()];
    for node in 1..parents.len() {
        let (count, last) = &mut callees[parents[node] as usize];
        (*count, *last) = (*count + 1, node);
    }
    let only = callees.into_iter().enumerate().map(|(node, callee)| {
        let (1, callee) = callee else { return None };
        let is_function = node > 0 && {
            let frame = tree.stacks.items()[node] as usize;
            tree.frames[frame].kind == FrameKind::Function
        };
        (is_function && tree.values[node] == 0).then_some(callee)
    });
    only.collect()
}

/// The nodes of the run that starts at `first`.
fn run_from(first: usize, only_callees: &[Option<usize>]) -> Vec<usize> {
    let next = |node: &usize| only_callees[*node].filter(|next| only_callees[*next].is_some());
    std::iter::successors(only_callees[first].map(|_| first), next).collect()
}

/// Shortens a long name: removes generic arguments, then the middle. The crate at the beginning and the
/// function at the end remain.
fn elide(name: &str) -> String {
    let name = match name.find('<') {
        Some(types) if types > 0 && name.ends_with('>') => &name[..types],
        _ => name,
    };
    let count = name.chars().count();
    if count <= END_NAME_MAX {
        return name.to_owned();
    }
    let half = END_NAME_MAX / 2;
    let begin: String = name.chars().take(half).collect();
    let end: String = name.chars().skip(count + half + 1 - END_NAME_MAX).collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{Limits, folded as lines};

    fn check(stacks: &str, expected: &str) {
        let profile =
            lines::decode(stacks.as_bytes(), &Limits::default()).expect("decode the stacks");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        assert_eq!(lines::encode(&fold(&tree).tree), expected);
    }

    #[test]
    fn run_folds_to_one_frame_up_to_a_branch_or_a_value() {
        check("a;b;c;d;e;f 5\n", "… 5 frames, a to e;f 5\n");
        check(
            "a;b;c;d;e;f 5\na;b;c;d;e;g 2\n",
            "… 4 frames, a to d;e;f 5\n… 4 frames, a to d;e;g 2\n",
        );
        check(
            "a;b;c;d;e;f;g;h;i 5\na;b;c;d;e 1\n",
            "… 4 frames, a to d;e 1\n… 4 frames, a to d;e;f;g;h;i 5\n",
        );
    }

    #[test]
    fn run_of_three_frames_is_not_folded() {
        check("a;b;c;d 5\n", "a;b;c;d 5\n");
        check("x 1\na;b;c;d 5\n", "x 1\na;b;c;d 5\n");
    }

    #[test]
    fn long_names_are_elided_in_the_middle() {
        let long = "tokio::runtime::scheduler::multi_thread::worker::Context::run";
        let cut = elide(long);
        assert_eq!(cut, "tokio::runtime::sche…orker::Context::run");
        assert_eq!(cut.chars().count(), END_NAME_MAX);
        assert_eq!(elide("with_mut<tokio::runtime::Stage>"), "with_mut");
        assert_eq!(elide("<F as Future>::poll"), "<F as Future>::poll");
    }
}
