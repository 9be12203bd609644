//! Names from symbol tables alone: no lines, no inlined functions, no memory kept.

use super::resolve::Frame;
use super::{Request, Resolved, ResolvedFrame, demangle};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSymbol, SymbolKind};
use std::path::Path;

/// In process, where no child could be had.
pub(super) fn resolve(requests: &[Request<'_>]) -> Vec<Resolved> {
    let mut resolved = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        file(
            &request.module.path,
            &request.addresses,
            |start, length, frames| {
                let frames = frames.iter().cloned().map(|frame| ResolvedFrame {
                    function: frame.function,
                    file: "".into(),
                    line: 0,
                });
                resolved.push(Resolved {
                    request: index,
                    start,
                    length,
                    frames: frames.collect(),
                });
            },
        );
    }
    resolved
}

/// Tells the symbol that holds each of the sorted addresses: start, length, its one frame.
pub(super) fn file(path: &Path, addresses: &[u64], mut tell: impl FnMut(u64, u64, &[Frame])) {
    if addresses.is_empty() {
        return;
    }
    let Ok(file) = std::fs::File::open(path) else {
        return;
    };
    // SAFETY: the map is read through bounds checks only. A file that shrinks meanwhile would
    // fault; the loader keeps the executable busy, and packagers replace libraries by renaming.
    let Ok(map) = (unsafe { memmap2::Mmap::map(&file) }) else {
        return;
    };
    let Ok(elf) = ElfFile64::<object::Endianness>::parse(&*map) else {
        return;
    };
    // One pass over the table, which is never sorted or copied: for each address the nearest
    // symbol that begins at or before it.
    let mut best: Vec<Option<(u64, u64, &str)>> = vec![None; addresses.len()];
    let symbols = elf.symbols().chain(elf.dynamic_symbols());
    for symbol in symbols.filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let (start, size) = (symbol.address(), symbol.size());
        let (Ok(name), true) = (symbol.name(), start != 0) else {
            continue;
        };
        let first = addresses.partition_point(|address| *address < start);
        let last = addresses.partition_point(|address| *address < start + size.max(1));
        for best in &mut best[first..last] {
            if best.is_none_or(|(nearest, ..)| nearest < start) {
                *best = Some((start, size.max(1), name));
            }
        }
    }
    let mut told = 0;
    for (start, size, name) in best.into_iter().flatten() {
        if start + size <= told {
            continue;
        }
        told = start + size;
        let function = demangle(name);
        tell(
            start,
            size,
            &[Frame {
                function: function.into(),
                file: "".into(),
                line: 0,
            }],
        );
    }
}
