//! Runs of frames that only call the next one, as one frame: what a runtime wraps around a program is
//! not what a reader looks for.

use davy_profile::flame::{Frame, FrameKind};
use davy_profile::{FlameTree, NodeId};
use std::collections::BTreeMap;

/// Frames that are drawn one by one, whatever they do.
const SHORT: usize = 3;
/// Letters of the name of an end of a run.
const END_NAME_MAX: usize = 40;

/// A tree with its runs folded.
pub(super) struct Folded {
    pub(super) tree: FlameTree,
    /// The frame of each run, and its name where the frame that it leads to is not drawn: that one is
    /// the end of the run then.
    pub(super) names_with_end: BTreeMap<u32, String>,
}

/// A tree in which one frame stands for each run of more than three frames that have no value of their
/// own and call nothing but the next one. The frame that a run leads to stays: it branches, or has a
/// value.
pub(super) fn folded(whole: &FlameTree) -> Folded {
    let passes = passes(whole);
    let parents = whole.stacks.parents();
    let mut tree = FlameTree::new();
    tree.strings = whole.strings.clone();
    let mut names_with_end = BTreeMap::new();
    let mut nodes = vec![NodeId::ROOT; parents.len()];
    // Up to which node each run is folded already; a node stands after its parent.
    let mut is_folded = vec![false; parents.len()];
    for node in 1..parents.len() {
        let parent = parents[node] as usize;
        if is_folded[node] {
            nodes[node] = nodes[parent];
            continue;
        }
        let run = if passes[parent].is_some() {
            // It is within a run that is short.
            Vec::new()
        } else {
            run_from(node, &passes)
        };
        let frame = if let [first, .., last] = run.as_slice()
            && run.len() > SHORT
        {
            for node in &run[1..] {
                is_folded[*node] = true;
            }
            let name = |node: usize| {
                let frame = whole.stacks.items()[node];
                cut_within(&whole.frame_name(frame))
            };
            let named = |count: usize, end: usize| {
                format!("… {count} frames, {} to {}", name(*first), name(end))
            };
            let frame = Frame {
                name: tree.strings.intern(&named(run.len(), *last)),
                // Each run is one of its own, whatever it is called.
                start_line: node as u32,
                ..Frame::default()
            };
            let frame = tree.frame(frame);
            if let Some(end) = passes[*last] {
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
    Folded {
        tree,
        names_with_end,
    }
}

/// The only callee of each function without a value of its own that has just one.
fn passes(tree: &FlameTree) -> Vec<Option<usize>> {
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

/// The nodes of a run, from its first.
fn run_from(first: usize, passes: &[Option<usize>]) -> Vec<usize> {
    let next = |node: &usize| passes[*node].filter(|next| passes[*next].is_some());
    std::iter::successors(passes[first].map(|_| first), next).collect()
}

/// A long name without the types that it is generic over, nor its middle: its beginning tells the
/// crate, its end the function.
fn cut_within(name: &str) -> String {
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

    /// The stacks of a tree as they are folded.
    fn check(stacks: &str, expected: &str) {
        let profile = lines::decode(stacks.as_bytes(), &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        assert_eq!(lines::encode(&folded(&tree).tree), expected);
    }

    #[test]
    fn a_run_is_one_frame_and_what_branches_or_has_a_value_is_named() {
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
    fn a_run_of_three_frames_is_drawn() {
        check("a;b;c;d 5\n", "a;b;c;d 5\n");
        check("x 1\na;b;c;d 5\n", "x 1\na;b;c;d 5\n");
    }

    #[test]
    fn the_name_of_a_run_keeps_the_beginning_and_the_end_of_long_names() {
        let long = "tokio::runtime::scheduler::multi_thread::worker::Context::run";
        let cut = cut_within(long);
        assert_eq!(cut, "tokio::runtime::sche…orker::Context::run");
        assert_eq!(cut.chars().count(), END_NAME_MAX);
        assert_eq!(cut_within("with_mut<tokio::runtime::Stage>"), "with_mut");
        assert_eq!(cut_within("<F as Future>::poll"), "<F as Future>::poll");
    }
}
