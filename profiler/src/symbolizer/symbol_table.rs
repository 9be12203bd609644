//! Names from symbol tables alone: without lines and inlined functions, and in little memory.

use crate::lookup::{Lookup, NamedFrame, ResolvedRange};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSymbol, SymbolKind};
use std::path::Path;

/// Resolves in this process. Used when there is no symbolizing child.
pub(crate) fn resolve_by_tables(lookups: &[Lookup<'_>]) -> Vec<ResolvedRange> {
    let mut resolved = Vec::new();
    for (index, lookup) in lookups.iter().enumerate() {
        file(
            &lookup.module.path,
            &lookup.addresses,
            |start, length, frames| {
                resolved.push(ResolvedRange {
                    lookup: index,
                    start,
                    length,
                    frames: frames.to_vec(),
                });
            },
        );
    }
    resolved
}

/// Demangles a name for people: with generic arguments, without the hash.
pub(super) fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Emits the symbol that holds each of the sorted addresses: start, length, and its one frame.
pub(super) fn file(path: &Path, addresses: &[u64], mut emit: impl FnMut(u64, u64, &[NamedFrame])) {
    if addresses.is_empty() {
        return;
    }
    let Ok(file) = std::fs::File::open(path) else {
        return;
    };
    // SAFETY: the map is read through bounds checks only. A file that shrinks meanwhile would fault, but
    // the loader keeps the executable busy, and packagers replace libraries by renaming.
    let Ok(map) = (unsafe { memmap2::Mmap::map(&file) }) else {
        return;
    };
    let Ok(elf) = ElfFile64::<object::Endianness>::parse(&*map) else {
        return;
    };
    // One pass over the table, which is neither sorted nor copied, finds for each address the nearest
    // symbol that starts at or before it.
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
    let mut emitted = 0;
    for (start, size, name) in best.into_iter().flatten() {
        if start + size <= emitted {
            continue;
        }
        emitted = start + size;
        let frame = NamedFrame {
            function: demangle(name).into(),
            file: "".into(),
            line: 0,
        };
        emit(start, size, &[frame]);
    }
}
