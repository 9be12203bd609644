//! The ranges of one function: for each address, the functions inlined there and the line.

use super::lines::Rows;
use super::names::{is_unqualified, qualified};
use davy_profile::StringId;
use davy_profile::symbol_index::{Builder, SymbolFrame};
use rustc_hash::FxHashMap;

/// A range of code into which a function was inlined.
#[derive(Clone, Debug)]
pub(super) struct Inlined {
    pub(super) low: u64,
    pub(super) high: u64,
    /// 0 is inlined into the function itself, 1 into what is inlined there, and so on.
    pub(super) depth: u32,
    pub(super) function: StringId,
    /// Where it was called.
    pub(super) file: StringId,
    pub(super) line: u32,
}

/// Adds the ranges of functions to an index. Keeps its buffers.
#[derive(Default)]
pub(super) struct Flattener {
    cuts: Vec<u64>,
    frames: Vec<SymbolFrame>,
    before: Vec<SymbolFrame>,
    emitted: Vec<SymbolFrame>,
    active: Vec<usize>,
    /// The qualified name of a function in a source file.
    qualified: FxHashMap<(StringId, StringId), StringId>,
}

impl Flattener {
    /// Adds the ranges of a function with this code. `inlined` may hold ranges outside of it.
    pub(super) fn add(
        &mut self,
        (low, high): (u64, u64),
        function: StringId,
        inlined: &mut [Inlined],
        rows: &Rows,
        index: &mut Builder,
    ) {
        inlined.sort_by_key(|inlined| (inlined.low, inlined.depth));
        self.cuts.clear();
        self.cuts
            .extend(inlined.iter().flat_map(|i| [i.low, i.high]));
        self.cuts.retain(|cut| (low..high).contains(cut));
        self.cuts.sort_unstable();
        self.cuts.dedup();
        self.active.clear();
        self.before.clear();
        let (mut next, mut cut) = (0, 0);
        let mut start = low;
        let mut rows = rows.between(low, high).peekable();
        let mut at = low;
        let mut row = None;
        // Each step is a span without a change of the line or of the inlined functions.
        while at < high {
            while let Some(next) = rows.next_if(|row| row.address <= at) {
                row = Some(next);
            }
            while self.cuts.get(cut).is_some_and(|cut| *cut <= at) {
                cut += 1;
            }
            self.active.retain(|active| inlined[*active].high > at);
            let active = self.active.len();
            while let Some(candidate) = inlined.get(next).filter(|i| i.low <= at) {
                if candidate.high > at {
                    self.active.push(next);
                }
                next += 1;
            }
            if self.active.len() > active {
                self.active.sort_by_key(|active| inlined[*active].depth);
            }
            self.frames.clear();
            let mut function = function;
            for active in &self.active {
                let Inlined { file, line, .. } = inlined[*active];
                self.frames.push(SymbolFrame {
                    function,
                    file,
                    line,
                });
                function = inlined[*active].function;
            }
            let (file, line) = row.map_or((StringId(0), 0), |row| (row.file, row.line));
            self.frames.push(SymbolFrame {
                function,
                file,
                line,
            });
            if self.frames != self.before {
                if at > start {
                    self.emit(start, at, index);
                }
                start = at;
                self.before.clone_from(&self.frames);
            }
            let next_row = rows.peek().map_or(high, |row| row.address);
            let next_cut = self.cuts.get(cut).copied().unwrap_or(high);
            at = next_row.min(next_cut).min(high).max(at + 1);
        }
        self.emit(start, high, index);
    }

    /// Adds a range with the frames of `before`.
    fn emit(&mut self, start: u64, end: u64, index: &mut Builder) {
        self.emitted.clear();
        for frame in &self.before {
            let key = (frame.function, frame.file);
            let function = *self.qualified.entry(key).or_insert_with(|| {
                let name = index.text(frame.function);
                if !is_unqualified(name) {
                    return frame.function;
                }
                let name = qualified(name, index.text(frame.file));
                index.string(&name)
            });
            self.emitted.push(SymbolFrame { function, ..*frame });
        }
        index.add(start, end - start, &self.emitted);
    }
}
