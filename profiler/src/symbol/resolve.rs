//! In the child: names from line tables, and from symbol tables where there are none.

use super::{demangle, separate, table};
use addr2line::Loader;
use rustc_hash::FxHashMap;
use std::path::Path;
use std::rc::Rc;

/// Bytes of code on either side of an address whose lines are told along with it.
const AROUND: u64 = 8 << 10;
/// Lines told along with one address.
const ROWS_MAX: usize = 1_000;

/// A function, its file and a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: Rc<str>,
    pub(super) file: Rc<str>,
    pub(super) line: u32,
}

/// Texts that were met before: a function has many lines, and is inlined in many places.
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

/// Tells the frames of each address, and of the rest of its function, in ranges: start, length,
/// frames with the innermost first. Addresses must be sorted.
pub(super) fn file(path: &Path, addresses: &[u64], mut tell: impl FnMut(u64, u64, &[Frame])) {
    let path = &separate::find(path);
    let Ok(loader) = Loader::new(path) else {
        return table::file(path, addresses, tell);
    };
    let (mut without_lines, mut texts) = (Vec::new(), Texts::default());
    // Ranges come in the order of addresses, so what is below this was told.
    let mut told = 0;
    for address in addresses.iter().copied() {
        if address < told {
            continue;
        }
        let Some(end) = function(&loader, &mut texts, address, told, &mut tell) else {
            without_lines.push(address);
            continue;
        };
        told = end;
    }
    table::file(path, &without_lines, tell);
    // A child ends soon; to give back each unit's memory would take longer than all its symbols.
    std::mem::forget(loader);
}

/// Tells the lines of the function around `address` from `from` on; answers where it stopped.
fn function(
    loader: &Loader,
    texts: &mut Texts,
    address: u64,
    from: u64,
    tell: &mut impl FnMut(u64, u64, &[Frame]),
) -> Option<u64> {
    let own = frames(loader, texts, address);
    if own.is_empty() {
        return None;
    }
    let start = loader
        .find_symbol_info(address)
        .map(|symbol| symbol.address());
    let low = start
        .unwrap_or(address)
        .max(from)
        .max(address.saturating_sub(AROUND));
    let mut pending: Option<(u64, u64, Vec<Frame>)> = None;
    let mut end = address;
    if let Ok(rows) = loader.find_location_range(low, address + AROUND) {
        for (count, (row, length, _)) in rows.enumerate() {
            let row_end = row + length;
            let row = row.max(low);
            let of_function = loader.find_symbol_info(row).map(|symbol| symbol.address()) == start;
            if row_end <= row || !of_function || (count > ROWS_MAX && row > address) {
                if row > address {
                    break;
                }
                continue;
            }
            let frames = frames(loader, texts, row);
            match &mut pending {
                Some((first, length, same)) if *same == frames && *first + *length == row => {
                    *length = row_end - *first;
                }
                _ => {
                    if let Some((first, length, frames)) = pending.take() {
                        tell(first, length, &frames);
                    }
                    pending = Some((row, row_end - row, frames));
                }
            }
            end = row_end;
        }
    }
    if let Some((first, length, frames)) = pending {
        tell(first, length, &frames);
    }
    if end <= address {
        tell(address, 1, &own);
        end = address + 1;
    }
    Some(end)
}

fn frames(loader: &Loader, texts: &mut Texts, address: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    let Ok(mut found) = loader.find_frames(address) else {
        return frames;
    };
    while let Ok(Some(frame)) = found.next() {
        let location = frame.location;
        let file = location.as_ref().and_then(|location| location.file);
        let name = frame.function.as_ref();
        let name = name.and_then(|function| function.raw_name().ok());
        frames.push(Frame {
            function: texts.function(&name.unwrap_or_default()),
            file: texts.file(file.unwrap_or_default()),
            line: location.and_then(|location| location.line).unwrap_or(0),
        });
    }
    // Debug information that is only line tables has short names (`{closure#0}`). The function that
    // holds the code has its whole name in the symbol table.
    if let (Some(outermost), Some(name)) = (frames.last_mut(), loader.find_symbol(address)) {
        outermost.function = texts.function(name);
    }
    for frame in &mut frames {
        if frame.function.starts_with('{') {
            frame.function = placed(&frame.function, &frame.file).into();
        }
    }
    frames.retain(|frame| !frame.function.is_empty());
    frames
}

/// `{closure#0}` says nothing without a path; the name of its file stands in for one.
fn placed(name: &str, file: &str) -> String {
    let mut parts = file.rsplitn(3, '/');
    match (parts.next(), parts.next()) {
        (Some(file), Some(folder)) if !file.is_empty() => format!("{folder}/{file}::{name}"),
        (Some(file), None) if !file.is_empty() => format!("{file}::{name}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_without_a_path_is_named_by_its_file() {
        let check = |file, expected| assert_eq!(placed("{closure#0}", file), expected);
        check("/home/x/service/src/api.rs", "src/api.rs::{closure#0}");
        check("api.rs", "api.rs::{closure#0}");
        check("", "{closure#0}");
    }
}
