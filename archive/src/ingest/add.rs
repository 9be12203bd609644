//! A decoded profile into an open segment's batch.

use super::decode::Decoded;
use crate::format::batch::{Batch, Row, Series, Window};
use davy_profile::{Frame, Function, Line, NodeId, Profile, StringId};
use std::sync::Arc;

/// Adds a profile; false where its window is there already.
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

    // A series for each type without labels, so that a window without samples has its types.
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

/// The batch's node for each stack of a profile.
fn nodes(batch: &mut Batch, profile: &Profile) -> Vec<u32> {
    let mut texts = vec![StringId(u32::MAX); profile.strings.len()];
    // Frames of each location, the outermost first, laid end to end.
    let mut frames: Vec<u32> = Vec::with_capacity(profile.lines.len());
    let mut ends: Vec<u32> = Vec::with_capacity(profile.locations.len());
    for location in &profile.locations {
        let mut text = |id: StringId| {
            let known = &mut texts[id.0 as usize];
            if known.0 == u32::MAX {
                *known = batch.stacks.strings.intern(profile.text(id));
            }
            *known
        };
        let lines = profile.lines_of(location);
        if lines.is_empty() {
            let mapping = location
                .mapping
                .map(|mapping| profile.mappings[mapping as usize])
                .unwrap_or_default();
            let frame = Frame {
                module: text(mapping.file),
                build_id: text(mapping.build_id),
                address: location.address,
                ..Frame::default()
            };
            frames.push(batch.frame(frame));
        }
        for line in lines.iter().rev() {
            let mut text = |id: StringId| {
                let known = &mut texts[id.0 as usize];
                if known.0 == u32::MAX {
                    *known = batch.stacks.strings.intern(profile.text(id));
                }
                *known
            };
            let function = match line.function {
                Line::NO_FUNCTION => Function::default(),
                function => profile.functions[function as usize],
            };
            let named = if function.name.0 == 0 {
                function.system_name
            } else {
                function.name
            };
            let frame = Frame {
                name: text(named),
                file: text(function.file),
                start_line: function.start_line.clamp(0, i32::MAX.into()) as u32,
                line: line.line.clamp(0, i32::MAX.into()) as u32,
                ..Frame::default()
            };
            frames.push(batch.frame(frame));
        }
        ends.push(frames.len() as u32);
    }
    let (parents, items) = (profile.stacks.parents(), profile.stacks.items());
    let mut nodes = vec![0u32; parents.len()];
    for node in 1..parents.len() {
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
