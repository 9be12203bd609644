//! The executable and its shared libraries, as they are mapped into memory.

use std::ops::Range;
use std::path::PathBuf;

/// One loaded file.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(native),
    expect(dead_code, reason = "the fallback does not unwind stacks")
)]
pub(crate) struct Module {
    /// Path to open the file by. For the executable, one that works even after the file was replaced.
    pub(crate) path: PathBuf,
    /// Path to show.
    pub(crate) name: String,
    /// Difference between addresses in memory and addresses in the file.
    pub(crate) bias: u64,
    /// From the start of the lowest segment to the end of the highest.
    pub(crate) range: Range<u64>,
    /// The executable segment.
    pub(crate) text: Range<u64>,
    /// Offset of the executable segment in the file.
    pub(crate) text_offset: u64,
    /// Build id in hexadecimal; empty if the file has none.
    pub(crate) build_id: String,
    /// `.eh_frame_hdr` and `.eh_frame` in memory.
    pub(crate) unwind: Option<(Range<u64>, Range<u64>)>,
    /// The segments that stay mapped and are readable; none if the file may be unloaded.
    pub(crate) readable: Vec<Range<u64>>,
    pub(crate) is_executable: bool,
    pub(crate) is_vdso: bool,
}

/// Index of the module that holds an address, in a list sorted by address.
pub(crate) fn containing(modules: &[Module], address: u64) -> Option<usize> {
    let index = modules.partition_point(|module| module.range.start <= address);
    let index = index.checked_sub(1)?;
    modules[index].range.contains(&address).then_some(index)
}
