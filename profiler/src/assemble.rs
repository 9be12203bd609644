//! From summed addresses to a profile with names.

use crate::aggregate::{Aggregate, CUT, NAMED, TABLE_FULL, UNSAMPLED};
use crate::modules::{self, Module};
use crate::symbol::{Frame, Symbols, fold_generics};
use crate::{cpu, heap};
use davy_base::Timestamp;
use davy_profile::{
    Function, Label, LabelSetId, LabelValue, Line, Mapping, NodeId, Profile, StringId, ValueType,
};
use davy_tag::Tag;
use rustc_hash::FxHashMap;
use std::time::Duration;

/// What a profile measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// CPU time; the period is in nanoseconds.
    Cpu,
    /// Sampled allocations; the period is the mean distance between samples in bytes.
    Heap,
    /// Elapsed time of threads.
    Wall,
    /// Tasks that live.
    Tasks,
    /// Threads that live, and what they did so far.
    Threads,
}

impl Kind {
    /// The label `__name__` of its series.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "process_cpu",
            Self::Heap => "memory",
            Self::Wall => "wall",
            Self::Tasks => "tasks",
            Self::Threads => "threads",
        }
    }

    fn sample_types(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Cpu => &[("cpu", "nanoseconds")],
            Self::Heap => &[
                ("alloc_objects", "count"),
                ("alloc_space", "bytes"),
                ("inuse_objects", "count"),
                ("inuse_space", "bytes"),
            ],
            Self::Wall => &[("wall", "nanoseconds")],
            Self::Tasks => &[
                ("polls", "count"),
                ("age", "nanoseconds"),
                ("tasks", "count"),
            ],
            Self::Threads => &[
                ("running", "nanoseconds"),
                ("runnable", "nanoseconds"),
                ("waiting", "nanoseconds"),
                ("threads", "count"),
            ],
        }
    }

    /// Functions at the leaf that only lead to the sample, by the beginning of their names.
    fn trimmed(self) -> &'static [&'static str] {
        match self {
            Self::Heap => &[
                "_rjem_",
                "je_",
                "prof_",
                "tikv_jemallocator::",
                "<tikv_jemallocator::",
                "davy_profiler::heap::",
                "__rust_",
                "__rustc::__r",
                "alloc::alloc::",
            ],
            Self::Tasks => &[
                "davy_profiler::tasks::",
                "davy_profiler::unwind::",
                "davy_tag::task::",
                "<davy_tag::task::watch::",
                "core::task::wake::",
                "<core::task::wake::Waker",
            ],
            Self::Cpu | Self::Wall | Self::Threads => &[],
        }
    }

    fn period_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Cpu => ("cpu", "nanoseconds"),
            Self::Heap => ("space", "bytes"),
            Self::Wall => ("wall", "nanoseconds"),
            Self::Tasks | Self::Threads => ("", ""),
        }
    }
}

/// When and how an aggregate was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) kind: Kind,
    pub(crate) start: Timestamp,
    pub(crate) span: Duration,
    pub(crate) period: i64,
}

/// Frames at the leaf of a stack among which those that are trimmed are looked for.
const TRIMMED_MAX: usize = 24;

/// The profile of an aggregate, with whatever names `symbols` has.
pub(crate) fn assemble(
    aggregate: &Aggregate,
    taken: Taken,
    modules: &[Module],
    symbols: &Symbols,
) -> Profile {
    let mut profile = Profile::new();
    for (kind, unit) in taken.kind.sample_types() {
        profile.add_sample_type(kind, unit);
    }
    let (kind, unit) = taken.kind.period_type();
    profile.period_type = ValueType {
        kind: profile.strings.intern(kind),
        unit: profile.strings.intern(unit),
    };
    if let Some((default, _)) = taken.kind.sample_types().last() {
        profile.default_sample_type = profile.strings.intern(default);
    }
    profile.period = taken.period;
    profile.time_nanos = taken.start.nanos();
    profile.duration_nanos = i64::try_from(taken.span.as_nanos()).unwrap_or(i64::MAX);

    let mut places = Places::new(taken.kind, &aggregate.names, modules, symbols);
    // The first mapping is the main one: tools name the program by it.
    if let Some(executable) = modules.iter().position(|module| module.is_executable) {
        places.mapping(&mut profile, executable);
    }
    let locations: Vec<u32> = aggregate
        .addresses
        .iter()
        .map(|address| places.location(&mut profile, *address))
        .collect();
    let is_trimmed: Vec<bool> = match taken.kind.trimmed() {
        [] => Vec::new(),
        prefixes => aggregate
            .addresses
            .iter()
            .map(|address| places.is_trimmed(*address, prefixes))
            .collect(),
    };

    // Parents come before their children, so one pass carries the tree over.
    let mut nodes = vec![NodeId::ROOT; aggregate.stacks.len()];
    for node in 1..nodes.len() {
        let node_id = NodeId(node as u32);
        let parent = nodes[aggregate.stacks.parent(node_id).index()];
        let location = locations[aggregate.stacks.item(node_id) as usize];
        nodes[node] = profile.stacks.child(parent, location);
    }
    let mut labels = FxHashMap::default();
    for ((node, tag), values) in &aggregate.samples {
        let node = trim(aggregate, *node, &is_trimmed);
        let labels = *labels
            .entry(*tag)
            .or_insert_with(|| label_set(&mut profile, *tag));
        let width = profile.sample_types.len();
        profile.add_sample(nodes[node.index()], labels, &values[..width]);
    }
    profile
}

/// The labels of a tag; what is untagged gets none.
fn label_set(profile: &mut Profile, tag: Tag) -> LabelSetId {
    let mut set = Vec::with_capacity(2);
    for (key, value) in [("member", tag.member()), ("op", tag.op())] {
        if !value.is_empty() {
            set.push(Label {
                key: profile.strings.intern(key),
                value: LabelValue::Text(profile.strings.intern(value)),
            });
        }
    }
    profile.label_sets.intern(&set)
}

/// The stack without the frames at its leaf that only led to the sample.
fn trim(aggregate: &Aggregate, leaf: NodeId, is_trimmed: &[bool]) -> NodeId {
    if is_trimmed.is_empty() {
        return leaf;
    }
    let (mut at, mut trimmed) = (leaf, leaf);
    for _ in 0..TRIMMED_MAX {
        if at == NodeId::ROOT {
            break;
        }
        let parent = aggregate.stacks.parent(at);
        if is_trimmed[aggregate.stacks.item(at) as usize] && parent != NodeId::ROOT {
            trimmed = parent;
        }
        at = parent;
    }
    trimmed
}

struct Places<'a> {
    kind: Kind,
    folds: bool,
    names: &'a [String],
    modules: &'a [Module],
    symbols: &'a Symbols,
    /// The profile's mapping of each module.
    mappings: Vec<Option<u32>>,
}

impl<'a> Places<'a> {
    fn new(kind: Kind, names: &'a [String], modules: &'a [Module], symbols: &'a Symbols) -> Self {
        let mappings = vec![None; modules.len()];
        Self {
            kind,
            folds: symbols.folds,
            names,
            modules,
            symbols,
            mappings,
        }
    }

    fn location(&mut self, profile: &mut Profile, address: u64) -> u32 {
        match address {
            CUT => {
                let frames = match self.kind {
                    Kind::Heap => heap::MAX_FRAMES,
                    _ => cpu::MAX_FRAMES,
                };
                return profile.named_location(&format!("(stack cut at {frames} frames)"));
            }
            TABLE_FULL => return profile.named_location("(stack table full)"),
            UNSAMPLED => return profile.named_location("(CPU time as counted, not sampled)"),
            NAMED.. => {
                let name = self.names.get((address - NAMED) as usize);
                return profile.named_location(name.map_or("(unknown)", String::as_str));
            }
            _ => {}
        }
        let Some(index) = modules::containing(self.modules, address) else {
            return profile.location(None, address, &[]);
        };
        let module = &self.modules[index];
        let frames = self.symbols.lookup(module, address);
        let mapping = self.mapping(profile, index);
        let flags = &mut profile.mappings[mapping as usize];
        flags.has_functions |= !frames.is_empty();
        flags.has_inline_frames |= frames.len() > 1;
        flags.has_line_numbers |= frames.iter().any(|frame| frame.line > 0);
        flags.has_filenames = flags.has_line_numbers;
        let mut lines = Vec::with_capacity(frames.len());
        for frame in &frames {
            if self.kind == Kind::Tasks && frames.len() > 1 && self.is_of_every_task(frame) {
                continue;
            }
            let name = self.symbols.text(frame.function);
            let name = if self.folds {
                profile.strings.intern(&fold_generics(name))
            } else {
                profile.strings.intern(name)
            };
            let file = profile.strings.intern(self.symbols.text(frame.file));
            let function = profile.function(Function {
                name,
                // Not the same again: tools would take the name for a mangled one.
                system_name: StringId(0),
                file,
                start_line: 0,
            });
            lines.push(Line {
                function,
                line: i64::from(frame.line),
                column: 0,
            });
        }
        if lines.is_empty() {
            // Offsets are the same in every process of this build, addresses are not.
            let file = module.name.rsplit('/').next().unwrap_or_default();
            let name = format!("{file}+{:#x}", address.wrapping_sub(module.bias));
            let name = profile.strings.intern(&name);
            let function = profile.function(Function {
                name,
                ..Function::default()
            });
            lines.push(Line {
                function,
                line: 0,
                column: 0,
            });
        }
        profile.location(Some(mapping), address, &lines)
    }

    /// The root of every task, into which the task's own functions may be inlined, and the taking of a
    /// waker at its leaf, which may be inlined into what waits.
    fn is_of_every_task(&self, frame: &Frame) -> bool {
        let function = self.symbols.text(frame.function);
        let file = self.symbols.text(frame.file);
        function.starts_with("davy_tag::task::watch::poll")
            || file.ends_with("/core/src/task/wake.rs")
    }

    fn mapping(&mut self, profile: &mut Profile, index: usize) -> u32 {
        let module = &self.modules[index];
        *self.mappings[index].get_or_insert_with(|| {
            let mapping = Mapping {
                start: module.text.start,
                limit: module.text.end,
                file_offset: module.text_offset,
                file: profile.strings.intern(&module.name),
                build_id: profile.strings.intern(&module.build_id),
                ..Mapping::default()
            };
            profile.mappings.push(mapping);
            profile.mappings.len() as u32 - 1
        })
    }

    fn is_trimmed(&self, address: u64, prefixes: &[&str]) -> bool {
        let Some(index) = modules::containing(self.modules, address) else {
            return false;
        };
        let frames = self.symbols.lookup(&self.modules[index], address);
        frames.iter().any(|frame| {
            let name = self.symbols.text(frame.function);
            prefixes.iter().any(|prefix| name.starts_with(prefix))
                || self.kind == Kind::Heap
                    && self.symbols.text(frame.file).contains("/jemalloc/src/")
        })
    }
}
