//! In the child: names from line tables, and from symbol tables where there are none.

use super::source::{Few, Source};
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
    // Told only once it is known that nothing was missing.
    let few = Few::open(path, addresses).and_then(|few| {
        let mut all = Vec::new();
        let without_lines = lines(&few, addresses, |start, length, frames| {
            all.push((start, length, frames.to_vec()));
        });
        let is_whole = few.is_whole();
        // A child ends soon; to give its memory back piece by piece would only take time.
        std::mem::forget(few);
        is_whole.then_some((all, without_lines))
    });
    let without_lines = if let Some((all, without_lines)) = few {
        for (start, length, frames) in &all {
            tell(*start, *length, frames);
        }
        without_lines
    } else if let Ok(loader) = Loader::new(path) {
        let without_lines = lines(&loader, addresses, &mut tell);
        std::mem::forget(loader);
        without_lines
    } else {
        addresses.to_vec()
    };
    table::file(path, &without_lines, tell);
}

/// Tells what has lines; answers the addresses that have none.
fn lines(
    source: &impl Source,
    addresses: &[u64],
    mut tell: impl FnMut(u64, u64, &[Frame]),
) -> Vec<u64> {
    let (mut without_lines, mut texts) = (Vec::new(), Texts::default());
    // Ranges come in the order of addresses, so what is below this was told.
    let mut told = 0;
    for address in addresses.iter().copied() {
        if address < told {
            continue;
        }
        match function(source, &mut texts, address, told, &mut tell) {
            Some(end) => told = end,
            None => without_lines.push(address),
        }
    }
    without_lines
}

/// Tells the lines of the function around `address` from `from` on; answers where it stopped.
fn function(
    source: &impl Source,
    texts: &mut Texts,
    address: u64,
    from: u64,
    tell: &mut impl FnMut(u64, u64, &[Frame]),
) -> Option<u64> {
    let own = frames(source, texts, address);
    if own.is_empty() {
        return None;
    }
    let start = source.symbol(address).map(|(start, _)| start);
    let low = start
        .unwrap_or(address)
        .max(from)
        .max(address.saturating_sub(AROUND));
    let mut pending: Option<(u64, u64, Vec<Frame>)> = None;
    let (mut end, mut count) = (address, 0);
    source.rows(low, address + AROUND, |row, length| {
        count += 1;
        let row_end = row + length;
        let row = row.max(low);
        let of_function = source.symbol(row).map(|(start, _)| start) == start;
        if row_end <= row || !of_function || (count > ROWS_MAX && row > address) {
            return row <= address;
        }
        let frames = frames(source, texts, row);
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
        true
    });
    if let Some((first, length, frames)) = pending {
        tell(first, length, &frames);
    }
    if end <= address {
        tell(address, 1, &own);
        end = address + 1;
    }
    Some(end)
}

fn frames(source: &impl Source, texts: &mut Texts, address: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    source.frames(address, |function, file, line| {
        frames.push(Frame {
            function: texts.function(function),
            file: texts.file(file),
            line,
        });
    });
    // Debug information that is only line tables has short names (`{closure#0}`). The function that
    // holds the code has its whole name in the symbol table.
    if let (Some(outermost), Some((_, name))) = (frames.last_mut(), source.symbol(address)) {
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
    use object::{Object, ObjectSymbol, SymbolKind};

    #[test]
    fn a_few_units_tell_what_all_of_them_tell_of_the_same_addresses() {
        let own = std::env::current_exe().expect("this test");
        let bytes = std::fs::read(&own).expect("readable");
        let elf = object::File::parse(&*bytes).expect("an executable");
        let mut addresses: Vec<u64> = elf
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 8)
            .map(|symbol| symbol.address() + symbol.size() / 2)
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let loader = Loader::new(&own).expect("debug information");
        type Range = (u64, u64, Vec<Frame>);
        fn told(source: &impl Source, some: &[u64]) -> (Vec<Range>, Vec<u64>) {
            let mut all = Vec::new();
            let without = lines(source, some, |start, length, frames| {
                all.push((start, length, frames.to_vec()));
            });
            (all, without)
        }
        let (mut whole, mut lined) = (0, 0);
        for first in 0..20 {
            let some: Vec<u64> = addresses.iter().copied().skip(first).step_by(997).collect();
            let few = Few::open(&own, &some).expect("some units");
            let ours = told(&few, &some);
            if few.is_whole() {
                assert!(ours == told(&loader, &some));
                whole += 1;
                lined += ours.0.len();
            }
        }
        assert!(whole > 0 && lined > 1_000, "{whole} of 20, {lined} ranges");
    }

    #[test]
    fn a_closure_without_a_path_is_named_by_its_file() {
        let check = |file, expected| assert_eq!(placed("{closure#0}", file), expected);
        check("/home/x/service/src/api.rs", "src/api.rs::{closure#0}");
        check("api.rs", "api.rs::{closure#0}");
        check("", "{closure#0}");
    }
}
