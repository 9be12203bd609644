//! Adds a decoded profile to the batch of an open segment.

use super::decode::Decoded;
use crate::format::batch::{Batch, Row, Series, Window};
use davy_profile::{Frame, Line, NodeId, Profile, StringId};
use std::sync::Arc;

/// Adds a profile. Returns false, and adds nothing, if the batch already has its window.
pub(super) fn add(batch: &mut Batch, decoded: &Decoded) -> bool {
    if batch.has_window(decoded.id) {
        return false;
    }
    let source = batch.source(&decoded.source);
    let window = Window {
        source,
        id: decoded.id,
        start_ms: decoded.start.millis(),
        duration_ms: decoded.duration_ms,
    };
    let Some(window) = batch.window(window) else {
        return false;
    };
    let profile = &decoded.profile;
    let width = decoded.kinds.len();

    // Each type gets a series without labels, so that a window without samples shows its types.
    let none = Arc::default();
    for kind in &decoded.kinds {
        batch.one_series(Series {
            source,
            kind: Arc::clone(kind),
            labels: Arc::clone(&none),
        });
    }
    let mut series = vec![u32::MAX; decoded.labels.len() * width];

    let nodes = nodes(batch, profile);
    let samples = &profile.samples;
    batch.rows.reserve(samples.stacks.len() * width);
    for (sample, stack) in samples.stacks.iter().enumerate() {
        let set = samples.labels[sample].0 as usize;
        for (of, value) in samples.values[sample * width..(sample + 1) * width]
            .iter()
            .enumerate()
        {
            if *value == 0 {
                continue;
            }
            let known = &mut series[set * width + of];
            if *known == u32::MAX {
                let (kind, labels) = (
                    Arc::clone(&decoded.kinds[of]),
                    Arc::clone(&decoded.labels[set]),
                );
                *known = batch.one_series(Series {
                    source,
                    kind,
                    labels,
                });
            }
            let value = value.saturating_mul(decoded.scale);
            batch.rows.push(Row {
                series: *known,
                node: nodes[stack.index()],
                window,
                value,
            });
        }
    }
    true
}

/// The node of the batch for each stack of the profile.
fn nodes(batch: &mut Batch, profile: &Profile) -> Vec<u32> {
    let (frames, ends) = frames(batch, profile);
    let (parents, items) = (profile.stacks.parents(), profile.stacks.items());
    let mut nodes = vec![0u32; parents.len()];
    // Level by level, so that consecutive look-ups do not depend on each other.
    for node in by_depth(parents) {
        let node = node as usize;
        let location = items[node] as usize;
        let start = if location == 0 { 0 } else { ends[location - 1] };
        let mut at = NodeId(nodes[parents[node] as usize]);
        for frame in &frames[start as usize..ends[location] as usize] {
            at = batch.stacks.child(at, *frame);
        }
        nodes[node] = at.0;
    }
    nodes
}

/// All nodes except the root, sorted by depth. A parent's index is lower than its children's.
fn by_depth(parents: &[u32]) -> Vec<u32> {
    let mut depths = vec![0u32; parents.len()];
    let mut starts = vec![0u32, 0];
    for node in 1..parents.len() {
        let depth = depths[parents[node] as usize] + 1;
        depths[node] = depth;
        if starts.len() == depth as usize + 1 {
            starts.push(0);
        }
        starts[depth as usize + 1] += 1;
    }
    for depth in 1..starts.len() {
        starts[depth] += starts[depth - 1];
    }
    let mut order = vec![0u32; parents.len() - 1];
    for (node, depth) in depths.iter().enumerate().skip(1) {
        let at = &mut starts[*depth as usize];
        order[*at as usize] = node as u32;
        *at += 1;
    }
    order
}

/// The frames of the batch for all locations, outermost first, and the end of each location's
/// frames in that list.
fn frames(batch: &mut Batch, profile: &Profile) -> (Vec<u32>, Vec<u32>) {
    let functions = functions(batch, profile);
    let strings = &mut batch.stacks.strings;
    let modules = profile.mappings.iter().map(|mapping| Frame {
        module: strings.intern(profile.text(mapping.file)),
        build_id: strings.intern(profile.text(mapping.build_id)),
        ..Frame::default()
    });
    let modules: Vec<Frame> = modules.collect();
    let mut frames: Vec<u32> = Vec::with_capacity(profile.lines.len());
    let mut ends: Vec<u32> = Vec::with_capacity(profile.locations.len());
    for location in &profile.locations {
        let lines = profile.lines_of(location);
        if lines.is_empty() {
            let module = match location.mapping {
                Some(mapping) => modules[mapping as usize],
                None => Frame::default(),
            };
            frames.push(batch.frame(Frame {
                address: location.address,
                ..module
            }));
        }
        for line in lines.iter().rev() {
            let function = match line.function {
                Line::NO_FUNCTION => batch.function(StringId(0), StringId(0), 0),
                function => functions[function as usize],
            };
            frames.push(batch.line(function, line.line.clamp(0, i32::MAX.into()) as u32));
        }
        ends.push(frames.len() as u32);
    }
    (frames, ends)
}

/// The function of the batch for each function of the profile.
fn functions(batch: &mut Batch, profile: &Profile) -> Vec<u32> {
    let mut texts = vec![StringId(u32::MAX); profile.strings.len()];
    let functions = profile.functions.iter().map(|function| {
        let mut text = |id: StringId| {
            let known = &mut texts[id.0 as usize];
            if known.0 == u32::MAX {
                *known = batch.stacks.strings.intern(profile.text(id));
            }
            *known
        };
        let named = if function.name.0 == 0 {
            function.system_name
        } else {
            function.name
        };
        let (name, file) = (text(named), text(function.file));
        let start_line = function.start_line.clamp(0, i32::MAX.into()) as u32;
        batch.function(name, file, start_line)
    });
    functions.collect()
}
