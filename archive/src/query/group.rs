//! The groups of a query: a frame below the root for each label of `by`.

use super::visit::View;
use crate::format::batch::Series;
use davy_profile::flame::UNTAGGED;
use davy_profile::{FlameTree, FrameKind, NodeId};

/// The frames of the group that a series belongs to; none without labels in `by`.
pub(super) fn group_frames(
    tree: &mut FlameTree,
    by: &[String],
    view: &View<'_>,
    series: &Series,
) -> Vec<u32> {
    let source = &view.series.sources[series.source as usize];
    let mut frame = |by: &String| {
        let value = series.label(by, source);
        let value = if value.is_empty() { UNTAGGED } else { value };
        tree.named_frame(&format!("{by}={value}"), FrameKind::Group)
    };
    by.iter().map(&mut frame).collect()
}

/// The node of the group that a series belongs to; the root without labels in `by`.
pub(super) fn group(
    tree: &mut FlameTree,
    by: &[String],
    view: &View<'_>,
    series: &Series,
) -> NodeId {
    let frames = group_frames(tree, by, view, series);
    let below = |at: NodeId, frame: u32| tree.child(at, frame);
    frames.into_iter().fold(NodeId::ROOT, below)
}
