//! The column `flags` of the table of frames.

use davy_profile::{Frame, Mapping};

/// It was inlined into the frame that contains it.
const INLINED: i32 = 1;
/// Several functions share its code.
const FOLDED: i32 = 1 << 1;
/// It has a mapping.
const MAPPED: i32 = 1 << 2;
/// The mapping is the first one of its profile.
const MAIN: i32 = 1 << 3;
/// Locations of the mapping have function names.
const FUNCTIONS: i32 = 1 << 4;
/// They have file names.
const FILENAMES: i32 = 1 << 5;
/// They have line numbers.
const LINE_NUMBERS: i32 = 1 << 6;
/// They include inlined frames.
const INLINE_FRAMES: i32 = 1 << 7;

/// The flags of a frame and its mapping.
pub(super) fn of(frame: &Frame, mapping: &Mapping) -> i32 {
    let flags = [
        (frame.is_inlined, INLINED),
        (frame.is_folded, FOLDED),
        (frame.mapping != 0, MAPPED),
        (mapping.is_main, MAIN),
        (mapping.has_functions, FUNCTIONS),
        (mapping.has_filenames, FILENAMES),
        (mapping.has_line_numbers, LINE_NUMBERS),
        (mapping.has_inline_frames, INLINE_FRAMES),
    ];
    let set = flags.into_iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, flag)| flag).sum()
}

/// Sets what the flags say in a frame and its mapping. Returns whether the frame has a mapping.
pub(super) fn apply(flags: i32, frame: &mut Frame, mapping: &mut Mapping) -> bool {
    let is_set = |flag| flags & flag != 0;
    frame.is_inlined = is_set(INLINED);
    frame.is_folded = is_set(FOLDED);
    mapping.is_main = is_set(MAIN);
    mapping.has_functions = is_set(FUNCTIONS);
    mapping.has_filenames = is_set(FILENAMES);
    mapping.has_line_numbers = is_set(LINE_NUMBERS);
    mapping.has_inline_frames = is_set(INLINE_FRAMES);
    is_set(MAPPED)
}
