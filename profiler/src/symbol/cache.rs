//! The cache of resolved names, by build id, in a bounded and compact form.

use super::packed::{self, Frame, Range};
use crate::lookup::{Lookup, ResolvedRange};
use crate::modules::{self, Module};
use crate::symbolizer;
use davy_profile::{StringId, StringTable};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Maximum bytes of ranges and of names. When either is exceeded, the cache is cleared.
const RANGES_MAX: usize = 3 << 20;
const TEXT_MAX: usize = 4 << 20;
/// Ranges per block: a search reads half of a block.
const BLOCK_RANGES: usize = 32;

/// Offset of a block in the packed bytes, and the length of its code.
#[derive(Clone, Copy, Debug)]
struct Block {
    length: u32,
    at: u32,
}

/// What is known about one file, by addresses of the file.
#[derive(Debug, Default)]
struct File {
    /// Blocks by the start of their code. They do not overlap.
    blocks: BTreeMap<u64, Block>,
    /// Addresses for which no name was found.
    nameless: FxHashSet<u64>,
}

impl File {
    /// The block that holds an address, and the offset of the address in the block's code.
    fn block(&self, address: u64) -> Option<(&Block, u64)> {
        let (start, block) = self.blocks.range(..=address).next_back()?;
        let at = address - start;
        (at < u64::from(block.length)).then_some((block, at))
    }

    fn has_looked_up(&self, address: u64) -> bool {
        self.block(address).is_some() || self.nameless.contains(&address)
    }
}

/// Resolved names. Memory is bounded by [`RANGES_MAX`] and [`TEXT_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// Whether names are shown without generic arguments.
    pub(crate) folds_generics: bool,
    strings: StringTable,
    ranges: Vec<u8>,
    files: FxHashMap<String, File>,
    /// How often the symbolizer was used, and how long that took the last time.
    pub(crate) rounds: u64,
    pub(crate) last_round: Duration,
}

impl Symbols {
    pub(crate) fn new(folds_generics: bool) -> Self {
        Self {
            folds_generics,
            ..Self::default()
        }
    }

    /// The frames of an address, innermost first; empty if they are not known.
    pub(crate) fn lookup(&self, module: &Module, address: u64) -> Vec<Frame> {
        let file = self.files.get(key(module));
        let relative = address.wrapping_sub(module.bias);
        let found = file.and_then(|file| file.block(relative));
        let mut frames = found.map_or(Vec::new(), |(block, at)| {
            packed::find(&self.ranges[block.at as usize..], at)
        });
        frames.reverse();
        frames
    }

    pub(crate) fn text(&self, id: StringId) -> &str {
        self.strings.get(id)
    }

    /// Lookups of the addresses that were not looked up before.
    fn lookups<'a>(&self, modules: &'a [Module], addresses: &[u64]) -> Vec<Lookup<'a>> {
        let mut by_module: FxHashMap<usize, Vec<u64>> = FxHashMap::default();
        for address in addresses {
            if let Some(index) = modules::containing(modules, *address)
                && let relative = address.wrapping_sub(modules[index].bias)
                && !self
                    .files
                    .get(key(&modules[index]))
                    .is_some_and(|file| file.has_looked_up(relative))
            {
                by_module.entry(index).or_default().push(relative);
            }
        }
        let mut lookups: Vec<_> = by_module
            .into_iter()
            .map(|(index, mut addresses)| {
                addresses.sort_unstable();
                addresses.dedup();
                let module = &modules[index];
                Lookup { module, addresses }
            })
            .collect();
        lookups.sort_by_key(|lookup| lookup.module.range.start);
        lookups
    }

    /// Resolves the names of these addresses, by a child if possible and by the symbol tables otherwise.
    /// Addresses without a name are remembered, too.
    pub(crate) fn resolve(&mut self, modules: &[Module], addresses: &[u64]) {
        let lookups = self.lookups(modules, addresses);
        if lookups.is_empty() {
            return;
        }
        if self.ranges.len() > RANGES_MAX || self.strings.text_len() > TEXT_MAX {
            self.clear();
            return self.resolve_lookups(&self.lookups(modules, addresses));
        }
        self.resolve_lookups(&lookups);
    }

    /// Removes every name.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            folds_generics: self.folds_generics,
            rounds: self.rounds,
            last_round: self.last_round,
            ..Self::default()
        };
    }

    /// Like [`Symbols::resolve`], but only by the symbol tables of files smaller than `bytes_max`: fast,
    /// with hardly any memory.
    pub(crate) fn resolve_by_tables(
        &mut self,
        modules: &[Module],
        addresses: &[u64],
        bytes_max: u64,
    ) {
        let mut lookups = self.lookups(modules, addresses);
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(u64::MAX, |m| m.len());
        lookups.retain(|lookup| size(&lookup.module.path) < bytes_max);
        let resolved = symbolizer::resolve_by_tables(&lookups);
        self.insert_all(&lookups, &resolved);
    }

    fn resolve_lookups(&mut self, lookups: &[Lookup<'_>]) {
        let begin = crate::clock::signal_safe_nanos();
        let resolved = symbolizer::resolve(lookups).unwrap_or_else(|error| {
            tracing::debug!(%error, "symbolizing child failed, using symbol tables");
            symbolizer::resolve_by_tables(lookups)
        });
        self.rounds += 1;
        self.last_round = Duration::from_nanos(crate::clock::signal_safe_nanos() - begin);
        self.insert_all(lookups, &resolved);
    }

    fn insert_all(&mut self, lookups: &[Lookup<'_>], resolved: &[ResolvedRange]) {
        let mut interned: FxHashMap<Rc<str>, StringId> = FxHashMap::default();
        for of_file in resolved.chunk_by(|a, b| a.lookup == b.lookup) {
            let Some(lookup) = lookups.get(of_file[0].lookup) else {
                continue;
            };
            let mut file = self.files.remove(key(lookup.module)).unwrap_or_default();
            let mut run: Vec<Range> = Vec::with_capacity(BLOCK_RANGES);
            for resolved in of_file {
                // A function is resolved again for an address in it that has no line.
                if file.block(resolved.start).is_some() {
                    continue;
                }
                let is_next = run.last().is_some_and(|last| {
                    last.start + last.length == resolved.start && run.len() < BLOCK_RANGES
                });
                if !is_next {
                    self.insert_block(&mut file, &mut run);
                }
                run.push(self.range(resolved, &mut interned));
            }
            self.insert_block(&mut file, &mut run);
            self.files.insert(key(lookup.module).to_owned(), file);
        }
        // Addresses that were not resolved are not looked up again.
        for lookup in lookups {
            let file = self.files.entry(key(lookup.module).to_owned());
            let file = file.or_default();
            for address in &lookup.addresses {
                if !file.has_looked_up(*address) {
                    file.nameless.insert(*address);
                }
            }
        }
    }

    fn range(
        &mut self,
        resolved: &ResolvedRange,
        interned: &mut FxHashMap<Rc<str>, StringId>,
    ) -> Range {
        let mut intern = |text: &Rc<str>| {
            let id = interned.entry(Rc::clone(text));
            *id.or_insert_with(|| self.strings.intern(text))
        };
        let frames = resolved.frames.iter().rev().map(|frame| Frame {
            function: intern(&frame.function),
            file: intern(&frame.file),
            line: frame.line,
        });
        Range {
            start: resolved.start,
            length: resolved.length.max(1),
            frames: frames.collect(),
        }
    }

    /// Inserts a run of adjacent ranges as a block, and empties the run.
    fn insert_block(&mut self, file: &mut File, run: &mut Vec<Range>) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return;
        };
        let end = last.start + last.length;
        // The block must not overlap the next one.
        let next = file.blocks.range(first.start..).next();
        let end = next.map_or(end, |(start, _)| end.min(*start));
        let block = Block {
            length: u32::try_from(end - first.start).unwrap_or(u32::MAX),
            at: self.ranges.len() as u32,
        };
        file.blocks.insert(first.start, block);
        packed::pack(run, &mut self.ranges);
        run.clear();
    }
}

/// A file is identified by its build id, or by its path if it has none.
fn key(module: &Module) -> &str {
    if module.build_id.is_empty() {
        &module.name
    } else {
        &module.build_id
    }
}
