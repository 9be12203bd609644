//! Resolves addresses in the child: by line tables, and by symbol tables if there are none.

use super::debug_file;
use super::debug_info::{DebugInfo, PartialDebugInfo};
use super::symbol_table::{self, demangle};
use crate::lookup::NamedFrame;
use addr2line::Loader;
use rustc_hash::FxHashMap;
use std::path::Path;
use std::rc::Rc;

/// Bytes of code on either side of an address whose lines are resolved along with it.
const AROUND: u64 = 8 << 10;
/// Maximum number of lines that are resolved along with one address.
const ROWS_MAX: usize = 1_000;

/// Shared texts: a function has many lines, and is inlined in many places.
#[derive(Default)]
struct Texts {
    demangled: FxHashMap<Box<str>, Rc<str>>,
    files: FxHashMap<Box<str>, Rc<str>>,
}

impl Texts {
    fn function(&mut self, name: &str) -> Rc<str> {
        Self::text(&mut self.demangled, name, |name| demangle(name).into())
    }

    fn file(&mut self, name: &str) -> Rc<str> {
        Self::text(&mut self.files, name, |name| name.into())
    }

    fn text(
        known: &mut FxHashMap<Box<str>, Rc<str>>,
        name: &str,
        make: impl FnOnce(&str) -> Rc<str>,
    ) -> Rc<str> {
        if let Some(text) = known.get(name) {
            return Rc::clone(text);
        }
        let text = make(name);
        known.insert(name.into(), Rc::clone(&text));
        text
    }
}

/// Emits the frames of each address and of the rest of its function, as ranges: start, length, and frames
/// with the innermost first. Addresses must be sorted.
pub(super) fn file(path: &Path, addresses: &[u64], mut emit: impl FnMut(u64, u64, &[NamedFrame])) {
    let path = &debug_file::find(path);
    // Emitted only once it is certain that nothing was missing.
    let partial = PartialDebugInfo::open(path, addresses).and_then(|info| {
        let mut all = Vec::new();
        let without_lines = lines(&info, addresses, |start, length, frames| {
            all.push((start, length, frames.to_vec()));
        });
        let is_complete = info.is_complete();
        // The child exits soon; freeing its memory would only take time.
        std::mem::forget(info);
        is_complete.then_some((all, without_lines))
    });
    let without_lines = if let Some((all, without_lines)) = partial {
        for (start, length, frames) in &all {
            emit(*start, *length, frames);
        }
        without_lines
    } else if let Ok(loader) = Loader::new(path) {
        let without_lines = lines(&loader, addresses, &mut emit);
        std::mem::forget(loader);
        without_lines
    } else {
        addresses.to_vec()
    };
    symbol_table::file(path, &without_lines, emit);
}

/// Emits ranges for addresses that have lines, and returns those that have none.
fn lines(
    info: &impl DebugInfo,
    addresses: &[u64],
    mut emit: impl FnMut(u64, u64, &[NamedFrame]),
) -> Vec<u64> {
    let (mut without_lines, mut texts) = (Vec::new(), Texts::default());
    // Addresses are sorted, so everything below this has been emitted.
    let mut emitted = 0;
    for address in addresses.iter().copied() {
        if address < emitted {
            continue;
        }
        match function(info, &mut texts, address, emitted, &mut emit) {
            Some(end) => emitted = end,
            None => without_lines.push(address),
        }
    }
    without_lines
}

/// Emits the lines of the function around `address`, starting at `from`, and returns their end.
fn function(
    info: &impl DebugInfo,
    texts: &mut Texts,
    address: u64,
    from: u64,
    emit: &mut impl FnMut(u64, u64, &[NamedFrame]),
) -> Option<u64> {
    let own = frames(info, texts, address);
    if own.is_empty() {
        return None;
    }
    let start = info.symbol(address).map(|(start, _)| start);
    let low = start
        .unwrap_or(address)
        .max(from)
        .max(address.saturating_sub(AROUND));
    let mut pending: Option<(u64, u64, Vec<NamedFrame>)> = None;
    let (mut end, mut count) = (address, 0);
    info.rows(low, address + AROUND, |row, length| {
        count += 1;
        let row_end = row + length;
        let row = row.max(low);
        let is_in_function = info.symbol(row).map(|(start, _)| start) == start;
        if row_end <= row || !is_in_function || (count > ROWS_MAX && row > address) {
            return row <= address;
        }
        let frames = frames(info, texts, row);
        match &mut pending {
            Some((first, length, same)) if *same == frames && *first + *length == row => {
                *length = row_end - *first;
            }
            _ => {
                if let Some((first, length, frames)) = pending.take() {
                    emit(first, length, &frames);
                }
                pending = Some((row, row_end - row, frames));
            }
        }
        end = row_end;
        true
    });
    if let Some((first, length, frames)) = pending {
        emit(first, length, &frames);
    }
    if end <= address {
        emit(address, 1, &own);
        end = address + 1;
    }
    Some(end)
}

fn frames(info: &impl DebugInfo, texts: &mut Texts, address: u64) -> Vec<NamedFrame> {
    let mut frames = Vec::new();
    info.frames(address, |function, file, line| {
        frames.push(NamedFrame {
            function: texts.function(function),
            file: texts.file(file),
            line,
        });
    });
    // Debug information that consists of line tables only has short names (`{closure#0}`). The symbol
    // table has the full name of the function that holds the code.
    if let (Some(outermost), Some((_, name))) = (frames.last_mut(), info.symbol(address)) {
        outermost.function = texts.function(name);
    }
    for frame in &mut frames {
        if frame.function.starts_with('{') {
            frame.function = qualified(&frame.function, &frame.file).into();
        }
    }
    frames.retain(|frame| !frame.function.is_empty());
    frames
}

/// Qualifies a name that has no path, such as `{closure#0}`, by its source file.
fn qualified(name: &str, file: &str) -> String {
    let mut parts = file.rsplitn(3, '/');
    match (parts.next(), parts.next()) {
        (Some(file), Some(folder)) if !file.is_empty() => format!("{folder}/{file}::{name}"),
        (Some(file), None) if !file.is_empty() => format!("{file}::{name}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
