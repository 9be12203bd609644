//! The groups of a query: a frame below the root for each label of `by`.

use super::visit::View;
use crate::format::batch::Series;
use davy_profile::flame::UNTAGGED;
use davy_profile::{FlameTree, FrameKind, NodeId};

/// The node of the group that a series belongs to; the root without labels in `by`.
pub(super) fn group(
    tree: &mut FlameTree,
    by: &[String],
    view: &View<'_>,
    series: &Series,
) -> NodeId {
    let source = &view.series.sources[series.source as usize];
    let mut at = NodeId::ROOT;
    for by in by {
        let value = series.label(by, source);
        let value = if value.is_empty() { UNTAGGED } else { value };
        let frame = tree.named_frame(&format!("{by}={value}"), FrameKind::Group);
        at = tree.child(at, frame);
    }
    at
}
