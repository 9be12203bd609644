//! What is known of addresses, by build id, in a bounded and compact form.

use super::{Request, Resolved, child, table};
use crate::modules::{self, Module};
use davy_profile::{StringId, StringTable};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Ranges kept; when there are more, all are forgotten and asked for again.
const RANGES_MAX: usize = 400_000;
/// Bytes of names kept.
const TEXT_MAX: usize = 32 << 20;

/// A function, its file and a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) function: StringId,
    pub(crate) file: StringId,
    pub(crate) line: u32,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    length: u32,
    first_frame: u32,
    frame_count: u16,
}

/// Known names. Memory is bounded by [`RANGES_MAX`] and [`TEXT_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// Whether names are shown without generic arguments.
    pub(crate) folds: bool,
    strings: StringTable,
    frames: Vec<Frame>,
    range_count: usize,
    files: FxHashMap<String, BTreeMap<u64, Range>>,
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
    pub(crate) fn lookup(&self, module: &Module, address: u64) -> &[Frame] {
        self.range(module, address).map_or(&[], |range| {
            let first = range.first_frame as usize;
            &self.frames[first..first + usize::from(range.frame_count)]
        })
    }

    pub(crate) fn text(&self, id: StringId) -> &str {
        self.strings.get(id)
    }

    fn range(&self, module: &Module, address: u64) -> Option<&Range> {
        let relative = address.wrapping_sub(module.bias);
        let ranges = self.files.get(key(module))?;
        let (start, range) = ranges.range(..=relative).next_back()?;
        (relative - start < u64::from(range.length)).then_some(range)
    }

    fn requests<'a>(&self, modules: &'a [Module], addresses: &[u64]) -> Vec<Request<'a>> {
        let mut by_module: FxHashMap<usize, Vec<u64>> = FxHashMap::default();
        for address in addresses {
            if let Some(index) = modules::containing(modules, *address)
                && self.range(&modules[index], *address).is_none()
            {
                let relative = address.wrapping_sub(modules[index].bias);
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
        if self.range_count > RANGES_MAX || self.strings.text_len() > TEXT_MAX {
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
        for range in resolved {
            self.insert(requests, range, &mut known);
        }
        // What nobody knows is not asked for again.
        for request in requests {
            for address in &request.addresses {
                let absolute = address.wrapping_add(request.module.bias);
                if self.range(request.module, absolute).is_none() {
                    let none = Range {
                        length: 1,
                        first_frame: 0,
                        frame_count: 0,
                    };
                    let ranges = self
                        .files
                        .entry(key(request.module).to_owned())
                        .or_default();
                    ranges.insert(*address, none);
                    self.range_count += 1;
                }
            }
        }
    }

    fn insert(
        &mut self,
        requests: &[Request<'_>],
        resolved: &Resolved,
        known: &mut FxHashMap<Rc<str>, StringId>,
    ) {
        let Some(request) = requests.get(resolved.request) else {
            return;
        };
        let first_frame = self.frames.len() as u32;
        for frame in &resolved.frames {
            let mut intern = |text: &Rc<str>| {
                *known
                    .entry(Rc::clone(text))
                    .or_insert_with(|| self.strings.intern(text))
            };
            let (function, file) = (intern(&frame.function), intern(&frame.file));
            self.frames.push(Frame {
                function,
                file,
                line: frame.line,
            });
        }
        let range = Range {
            length: u32::try_from(resolved.length).unwrap_or(u32::MAX),
            first_frame,
            frame_count: resolved.frames.len() as u16,
        };
        let ranges = self
            .files
            .entry(key(request.module).to_owned())
            .or_default();
        self.range_count += usize::from(ranges.insert(resolved.start, range).is_none());
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
