//! What is known of addresses, by build id, in a bounded and compact form.

use super::packed::{self, Range};
use super::{Request, Resolved, child, table};
use crate::modules::{self, Module};
use davy_profile::{StringId, StringTable};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Bytes of ranges, and of names, that are kept; when there are more of either, all are forgotten
/// and asked for again.
const RANGES_MAX: usize = 3 << 20;
const TEXT_MAX: usize = 4 << 20;
/// Ranges of one block: a search reads half of one.
const BLOCK_RANGES: usize = 32;

/// A function, its file and a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) function: StringId,
    pub(crate) file: StringId,
    pub(crate) line: u32,
}

/// Where a block lies in the bytes of all, and how long its code is.
#[derive(Clone, Copy, Debug)]
struct Block {
    length: u32,
    at: u32,
}

/// What is known of one file, by addresses of its own.
#[derive(Debug, Default)]
struct File {
    /// By the beginning of their code; none overlaps another.
    blocks: BTreeMap<u64, Block>,
    /// Addresses that nobody has a name for.
    nameless: FxHashSet<u64>,
}

impl File {
    /// The block that holds an address, and how far in.
    fn block(&self, address: u64) -> Option<(&Block, u64)> {
        let (start, block) = self.blocks.range(..=address).next_back()?;
        let at = address - start;
        (at < u64::from(block.length)).then_some((block, at))
    }

    fn knows(&self, address: u64) -> bool {
        self.block(address).is_some() || self.nameless.contains(&address)
    }
}

/// Known names. Memory is bounded by [`RANGES_MAX`] and [`TEXT_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// Whether names are shown without generic arguments.
    pub(crate) folds: bool,
    strings: StringTable,
    ranges: Vec<u8>,
    files: FxHashMap<String, File>,
    /// How often names were asked for, and how long the last time took.
    pub(crate) rounds: u64,
    pub(crate) last_round: Duration,
}

impl Symbols {
    pub(crate) fn new(folds: bool) -> Self {
        Self {
            folds,
            ..Self::default()
        }
    }

    /// The frames of an address, innermost first; none where they are not known.
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

    fn requests<'a>(&self, modules: &'a [Module], addresses: &[u64]) -> Vec<Request<'a>> {
        let mut by_module: FxHashMap<usize, Vec<u64>> = FxHashMap::default();
        for address in addresses {
            if let Some(index) = modules::containing(modules, *address)
                && let relative = address.wrapping_sub(modules[index].bias)
                && !self
                    .files
                    .get(key(&modules[index]))
                    .is_some_and(|file| file.knows(relative))
            {
                by_module.entry(index).or_default().push(relative);
            }
        }
        let mut requests: Vec<_> = by_module
            .into_iter()
            .map(|(index, mut addresses)| {
                addresses.sort_unstable();
                addresses.dedup();
                let module = &modules[index];
                Request { module, addresses }
            })
            .collect();
        requests.sort_by_key(|request| request.module.range.start);
        requests
    }

    /// Finds out the names of these addresses: from a child, or else from the symbol tables. What
    /// has no name is remembered as such.
    pub(crate) fn resolve(&mut self, modules: &[Module], addresses: &[u64]) {
        let requests = self.requests(modules, addresses);
        if requests.is_empty() {
            return;
        }
        if self.ranges.len() > RANGES_MAX || self.strings.text_len() > TEXT_MAX {
            self.forget();
            return self.resolve_requests(&self.requests(modules, addresses));
        }
        self.resolve_requests(&requests);
    }

    /// Forgets every name.
    pub(crate) fn forget(&mut self) {
        let (folds, rounds, last_round) = (self.folds, self.rounds, self.last_round);
        *self = Self {
            folds,
            rounds,
            last_round,
            ..Self::default()
        };
    }

    /// As [`Symbols::resolve`], from the symbol tables of those files only that are smaller than
    /// `room`: quick, and in next to no memory.
    pub(crate) fn resolve_by_tables(&mut self, modules: &[Module], addresses: &[u64], room: u64) {
        let mut requests = self.requests(modules, addresses);
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(u64::MAX, |m| m.len());
        requests.retain(|request| size(&request.module.path) < room);
        let resolved = table::resolve(&requests);
        self.insert_all(&requests, &resolved);
    }

    fn resolve_requests(&mut self, requests: &[Request<'_>]) {
        let begin = crate::clock::thread_safe_nanos();
        let resolved = child::ask(requests).unwrap_or_else(|error| {
            tracing::debug!(%error, "no symbolizing child, names come from the symbol tables");
            table::resolve(requests)
        });
        self.rounds += 1;
        self.last_round = Duration::from_nanos(crate::clock::thread_safe_nanos() - begin);
        self.insert_all(requests, &resolved);
    }

    fn insert_all(&mut self, requests: &[Request<'_>], resolved: &[Resolved]) {
        let mut known: FxHashMap<Rc<str>, StringId> = FxHashMap::default();
        for of_file in resolved.chunk_by(|a, b| a.request == b.request) {
            let Some(request) = requests.get(of_file[0].request) else {
                continue;
            };
            let mut file = self.files.remove(key(request.module)).unwrap_or_default();
            let mut run: Vec<Range> = Vec::with_capacity(BLOCK_RANGES);
            for resolved in of_file {
                // A function may be told again for the sake of an address that it has no line for.
                if file.block(resolved.start).is_some() {
                    continue;
                }
                let is_next = run.last().is_some_and(|last| {
                    last.start + last.length == resolved.start && run.len() < BLOCK_RANGES
                });
                if !is_next {
                    self.keep(&mut file, &mut run);
                }
                run.push(self.range(resolved, &mut known));
            }
            self.keep(&mut file, &mut run);
            self.files.insert(key(request.module).to_owned(), file);
        }
        // What nobody knows is not asked for again.
        for request in requests {
            let file = self.files.entry(key(request.module).to_owned());
            let file = file.or_default();
            for address in &request.addresses {
                if !file.knows(*address) {
                    file.nameless.insert(*address);
                }
            }
        }
    }

    fn range(&mut self, resolved: &Resolved, known: &mut FxHashMap<Rc<str>, StringId>) -> Range {
        let mut intern = |text: &Rc<str>| {
            let id = known.entry(Rc::clone(text));
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

    /// Keeps a run of ranges as a block, and empties it.
    fn keep(&mut self, file: &mut File, run: &mut Vec<Range>) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return;
        };
        let end = last.start + last.length;
        // Nothing that is known begins within it.
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

/// A file is known by its build id; one without by its path.
fn key(module: &Module) -> &str {
    if module.build_id.is_empty() {
        &module.name
    } else {
        &module.build_id
    }
}
