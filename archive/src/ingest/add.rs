//! Adds a decoded profile to the batch of an open segment.

use super::decode::Decoded;
use super::label_sets::SampleLabels;
use crate::format::batch::{Batch, Row, Series, Spot, Window};
use crate::format::header::Header;
use davy_profile::{Frame, Mapping, NodeId, Profile, StringId};
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
        time_nanos: decoded.profile.time_nanos,
        duration_nanos: decoded.profile.duration_nanos,
    };
    let Some(window) = batch.window(window) else {
        return false;
    };
    let profile = &decoded.profile;
    let width = decoded.kinds.len();

    // Each type gets a series without labels, so that a window without samples shows its types.
    let none = SampleLabels::default();
    for of in 0..width {
        batch.one_series(series_of(decoded, source, of, &none));
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
                *known = batch.one_series(series_of(decoded, source, of, &decoded.labels[set]));
            }
            batch.rows.push(Row {
                series: *known,
                node: nodes[stack.index()],
                window,
                value: *value,
            });
        }
    }
    true
}

/// The series of samples with these labels; `of` is the position of their type.
fn series_of(decoded: &Decoded, source: u32, of: usize, labels: &SampleLabels) -> Series {
    let header = Header {
        position: of as u32,
        numbers: labels.numbers.clone(),
        ..decoded.header.clone()
    };
    Series {
        source,
        kind: Arc::clone(&decoded.kinds[of]),
        labels: Arc::clone(&labels.labels),
        header: header.to_json().into(),
    }
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
    let mappings = mappings(batch, profile);
    let unnamed = batch.function(Frame::default());
    let mut frames: Vec<u32> = Vec::with_capacity(profile.lines.len());
    let mut ends: Vec<u32> = Vec::with_capacity(profile.locations.len());
    for location in &profile.locations {
        let spot = Spot {
            mapping: location.mapping.map_or(0, |at| mappings[at as usize]),
            address: profile.relative_address(location),
            is_folded: location.is_folded,
            ..Spot::default()
        };
        let before = frames.len();
        let lines = profile.lines_of(location).iter().rev();
        for line in lines.filter(|line| profile.is_informative(line)) {
            let spot = Spot {
                line: Frame::line_number(line.line),
                column: Frame::line_number(line.column),
                is_inlined: frames.len() > before,
                ..spot
            };
            frames.push(batch.frame_at(functions[line.function as usize], spot));
        }
        if frames.len() == before {
            frames.push(batch.frame_at(unnamed, spot));
        }
        ends.push(frames.len() as u32);
    }
    (frames, ends)
}

/// The mapping of the batch for each mapping of the profile.
fn mappings(batch: &mut Batch, profile: &Profile) -> Vec<u32> {
    let mappings = profile.mappings.iter().enumerate().map(|(index, mapping)| {
        let mut text = |id| batch.stacks.strings.intern(profile.text(id));
        let (file, build_id) = (text(mapping.file), text(mapping.build_id));
        batch.stacks.mapping(Mapping {
            file,
            build_id,
            is_main: index == 0,
            ..*mapping
        })
    });
    mappings.collect()
}

/// The function of the batch for each function of the profile.
fn functions(batch: &mut Batch, profile: &Profile) -> Vec<u32> {
    let mut texts = vec![StringId(u32::MAX); profile.strings.len()];
    let functions = profile.functions.iter().map(|function| {
        let mut text = |id: StringId| {
            let known = &mut texts[id.0 as usize];
            if known.0 == u32::MAX {
                // Some symbolizers pad names.
                *known = batch.stacks.strings.intern(profile.text(id).trim_end());
            }
            *known
        };
        let frame = Frame {
            name: text(function.name),
            system_name: text(function.system_name),
            file: text(function.file),
            start_line: Frame::line_number(function.start_line),
            ..Frame::default()
        };
        batch.function(frame)
    });
    functions.collect()
}
