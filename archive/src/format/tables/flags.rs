//! The columns `flags` of the tables of frames and of mappings.

use crate::format::batch::Frame;
use davy_profile::Mapping;

/// The frame was inlined into the one that contains it.
const INLINED: i32 = 1;
/// Several functions share the code of the frame.
const FOLDED: i32 = 1 << 1;

/// The mapping is the first one of its profile.
const MAIN: i32 = 1;
/// Locations of the mapping have function names.
const FUNCTIONS: i32 = 1 << 1;
/// They have file names.
const FILENAMES: i32 = 1 << 2;
/// They have line numbers.
const LINE_NUMBERS: i32 = 1 << 3;
/// They include inlined frames.
const INLINE_FRAMES: i32 = 1 << 4;

fn sum<const N: usize>(flags: [(bool, i32); N]) -> i32 {
    let set = flags.into_iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, flag)| flag).sum()
}

pub(super) fn of_frame(frame: &Frame) -> i32 {
    sum([(frame.is_inlined, INLINED), (frame.is_folded, FOLDED)])
}

/// Sets what the flags say in a frame.
pub(super) fn to_frame(flags: i32, frame: &mut Frame) {
    frame.is_inlined = flags & INLINED != 0;
    frame.is_folded = flags & FOLDED != 0;
}

pub(super) fn of_mapping(mapping: &Mapping) -> i32 {
    sum([
        (mapping.is_main, MAIN),
        (mapping.has_functions, FUNCTIONS),
        (mapping.has_filenames, FILENAMES),
        (mapping.has_line_numbers, LINE_NUMBERS),
        (mapping.has_inline_frames, INLINE_FRAMES),
    ])
}

/// Sets what the flags say in a mapping.
pub(super) fn to_mapping(flags: i32, mapping: &mut Mapping) {
    let is_set = |flag| flags & flag != 0;
    mapping.is_main = is_set(MAIN);
    mapping.has_functions = is_set(FUNCTIONS);
    mapping.has_filenames = is_set(FILENAMES);
    mapping.has_line_numbers = is_set(LINE_NUMBERS);
    mapping.has_inline_frames = is_set(INLINE_FRAMES);
}
