//! Adds a decoded profile to the batch of an open segment.

use super::decode::Decoded;
use super::label_sets::SampleLabels;
use crate::format::batch::{Batch, Frame, FunctionTexts, Row, Series, TOGETHER, Window};
use crate::format::header::Header;
use crate::format::spans::SpanRow;
use davy_profile::{Mapping, NodeId, Profile};
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
        count: 1,
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
    let labels = &decoded.labels;
    let mut series = vec![u32::MAX; labels.sets.len() * width];

    let nodes = nodes(batch, profile);
    let samples = &profile.samples;
    batch.rows.reserve(samples.stacks.len() * width);
    for (sample, stack) in samples.stacks.iter().enumerate() {
        let of_profile = samples.labels[sample].0 as usize;
        let set = labels.of_set[of_profile] as usize;
        let link = labels.spans.get(of_profile).filter(|of| !of.0.is_none());
        for (of, value) in samples.values[sample * width..(sample + 1) * width]
            .iter()
            .enumerate()
        {
            if *value == 0 {
                continue;
            }
            let known = &mut series[set * width + of];
            if *known == u32::MAX {
                *known = batch.one_series(series_of(decoded, source, of, &labels.sets[set]));
            }
            let node = nodes[stack.index()];
            batch.rows.push(Row {
                series: *known,
                node,
                window,
                value: *value,
            });
            if let Some((link, time_nanos)) = link {
                batch.spans.push(SpanRow {
                    series: *known,
                    node,
                    window,
                    value: *value,
                    time_nanos: *time_nanos,
                    link: *link,
                });
            }
        }
    }
    true
}

/// The series of samples with these labels; `of` is the position of their type.
fn series_of(decoded: &Decoded, source: u32, of: usize, labels: &SampleLabels) -> Series {
    let header = Header {
        position: of as u32,
        numbers: labels.numbers.clone(),
        is_state: decoded.are_states[of].unwrap_or(decoded.header.is_state),
        ..decoded.header.clone()
    };
    Series {
        source,
        kind: Arc::clone(&decoded.kinds[of]),
        labels: Arc::clone(&labels.labels),
        header: Arc::new(header),
    }
}

/// The node of the batch for each stack of the profile.
fn nodes(batch: &mut Batch, profile: &Profile) -> Vec<u32> {
    let (frames, ends) = frames(batch, profile);
    let (parents, items) = (profile.stacks.parents(), profile.stacks.items());
    if batch.stacks.len() == 1 && is_one_to_one(&frames, &ends) {
        batch.stacks.fill(&profile.stacks, |at| frames[at as usize]);
        return (0..parents.len() as u32).collect();
    }
    let mut nodes = vec![0u32; parents.len()];
    let frames_of = |location: u32| {
        let location = location as usize;
        let start = if location == 0 { 0 } else { ends[location - 1] };
        &frames[start as usize..ends[location] as usize]
    };
    // Level by level, so that look-ups do not depend on each other.
    for level in by_depth(parents) {
        for together in level.chunks(TOGETHER) {
            let children = together.iter().map(|node| {
                let parent = NodeId(nodes[parents[*node as usize] as usize]);
                (parent, frames_of(items[*node as usize])[0])
            });
            batch.stacks.prefetch(children);
            for node in together {
                let parent = NodeId(nodes[parents[*node as usize] as usize]);
                let frames = frames_of(items[*node as usize]).iter();
                let at = frames.fold(parent, |at, frame| batch.stacks.child(at, *frame));
                nodes[*node as usize] = at.0;
            }
        }
    }
    nodes
}

/// Whether each location has one frame that no other has.
fn is_one_to_one(frames: &[u32], ends: &[u32]) -> bool {
    let mut seen = vec![false; frames.iter().max().map_or(0, |last| *last as usize + 1)];
    let mut is_new = |frame: &u32| !std::mem::replace(&mut seen[*frame as usize], true);
    frames.len() == ends.len()
        && (1..).zip(ends).all(|(at, end)| at == *end)
        && frames.iter().all(&mut is_new)
}

/// All nodes except the root, those of each depth together. A parent's index is lower than its children's.
fn by_depth(parents: &[u32]) -> Vec<Vec<u32>> {
    let mut depths = vec![0u32; parents.len()];
    let mut levels: Vec<Vec<u32>> = Vec::new();
    for node in 1..parents.len() {
        let depth = depths[parents[node] as usize];
        depths[node] = depth + 1;
        if levels.len() == depth as usize {
            levels.push(Vec::new());
        }
        levels[depth as usize].push(node as u32);
    }
    levels
}

/// The frames of the batch for all locations, outermost first, and the end of each location's
/// frames in that list.
fn frames(batch: &mut Batch, profile: &Profile) -> (Vec<u32>, Vec<u32>) {
    let functions = functions(profile);
    let mappings = mappings(batch, profile);
    // The last one.
    let unnamed = profile.functions.len() as u32;
    let mut frames: Vec<Frame> = Vec::with_capacity(profile.lines.len());
    let mut ends: Vec<u32> = Vec::with_capacity(profile.locations.len());
    for location in &profile.locations {
        let own = Frame {
            function: unnamed,
            mapping: location.mapping.map_or(0, |at| mappings[at as usize]),
            address: profile.relative_address(location),
            is_folded: location.is_folded,
            ..Frame::default()
        };
        let before = frames.len();
        let lines = profile.lines_of(location).iter().rev();
        for line in lines.filter(|line| profile.is_informative(line)) {
            let frame = Frame {
                function: line.function,
                line: davy_profile::Frame::line_number(line.line),
                column: davy_profile::Frame::line_number(line.column),
                is_inlined: frames.len() > before,
                ..own
            };
            frames.push(frame);
        }
        if frames.len() == before {
            frames.push(own);
        }
        ends.push(frames.len() as u32);
    }
    (batch.all_frames(&functions, &frames), ends)
}

/// The mapping of the batch for each mapping of the profile.
fn mappings(batch: &mut Batch, profile: &Profile) -> Vec<u32> {
    let mappings = profile.mappings.iter().enumerate().map(|(index, mapping)| {
        let mut text = |id| batch.strings.intern(profile.text(id));
        let (file, build_id) = (text(mapping.file), text(mapping.build_id));
        batch.mappings.number(Mapping {
            file,
            build_id,
            is_main: index == 0,
            ..*mapping
        })
    });
    mappings.collect()
}

/// The functions of the profile, and one without texts.
fn functions(profile: &Profile) -> Vec<FunctionTexts<'_>> {
    // Some symbolizers pad names.
    let text = |id| profile.text(id).trim_end();
    let functions = profile.functions.iter().map(|function| FunctionTexts {
        name: text(function.name),
        system_name: text(function.system_name),
        file: text(function.file),
        start_line: davy_profile::Frame::line_number(function.start_line),
    });
    functions.chain([FunctionTexts::default()]).collect()
}
