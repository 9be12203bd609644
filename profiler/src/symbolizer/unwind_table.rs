//! Where functions start and end, according to the unwind table. Stripped files have one, too.

use super::elf::{Elf, section};
use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};
use object::{Object, ObjectSection};

/// The ranges of all functions, sorted.
pub(super) fn functions(elf: &Elf<'_>) -> Vec<(u64, u64)> {
    let data = section(elf, ".eh_frame");
    let address = |name: &str| elf.section_by_name(name).map_or(0, |s| s.address());
    let bases = BaseAddresses::default()
        .set_eh_frame(address(".eh_frame"))
        .set_eh_frame_hdr(address(".eh_frame_hdr"))
        .set_text(address(".text"))
        .set_got(address(".got"));
    let mut table = EhFrame::new(&data, LittleEndian);
    table.set_address_size(8);
    let mut entries = table.entries(&bases);
    let mut functions = Vec::new();
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        if let Ok(entry) = partial.parse(EhFrame::cie_from_offset) {
            let start = entry.initial_address();
            if let Some(end) = start.checked_add(entry.len()).filter(|_| start != 0) {
                functions.push((start, end));
            }
        }
    }
    functions.sort_unstable();
    functions
}
