//! Converts aggregated addresses to a profile with names.

use crate::aggregate::{Aggregate, CPU_FRAMES_MAX, HEAP_FRAMES_MAX, NAMED, TABLE_FULL, TRUNCATED};
use crate::modules::{self, Module};
use crate::sample_kind::{ProfileMeta, SampleKind};
use crate::symbol::{Frame, Symbols, fold_generics};
use davy_profile::{
    Function, Label, LabelSetId, LabelValue, Line, Mapping, NodeId, Profile, StringId, ValueType,
};
use davy_tag::Tag;
use rustc_hash::FxHashMap;

/// Number of frames at the leaf of a stack that are searched for frames to remove.
const TRIMMED_MAX: usize = 24;

/// The profile of an aggregate, with the names that `symbols` has.
pub(crate) fn assemble(
    aggregate: &Aggregate,
    meta: ProfileMeta,
    modules: &[Module],
    symbols: &Symbols,
) -> Profile {
    let mut profile = Profile::new();
    for (kind, unit) in meta.kind.sample_types() {
        profile.add_sample_type(kind, unit);
    }
    let (kind, unit) = meta.kind.period_type();
    profile.period_type = ValueType {
        kind: profile.strings.intern(kind),
        unit: profile.strings.intern(unit),
    };
    if let Some((default, _)) = meta.kind.sample_types().last() {
        profile.default_sample_type = profile.strings.intern(default);
    }
    profile.period = meta.period;
    profile.time_nanos = meta.start.nanos();
    profile.duration_nanos = i64::try_from(meta.span.as_nanos()).unwrap_or(i64::MAX);

    let mut resolver = LocationResolver::new(meta.kind, &aggregate.names, modules, symbols);
    // The first mapping must be the executable: tools take the program's name from it.
    if let Some(executable) = modules.iter().position(|module| module.is_executable) {
        resolver.mapping(&mut profile, executable);
    }
    let locations: Vec<u32> = aggregate
        .addresses
        .iter()
        .map(|address| resolver.location(&mut profile, *address))
        .collect();
    let is_trimmed: Vec<bool> = match meta.kind.trimmed() {
        [] => Vec::new(),
        prefixes => aggregate
            .addresses
            .iter()
            .map(|address| resolver.is_trimmed(*address, prefixes))
            .collect(),
    };

    // Parents come before their children, so one pass copies the tree.
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

/// The labels of a tag; empty for untagged samples.
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

/// Removes the frames at the leaf that belong to the allocator, to wakers, or to the profiler itself.
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

/// Adds locations, functions and mappings to a profile.
struct LocationResolver<'a> {
    kind: SampleKind,
    names: &'a [String],
    modules: &'a [Module],
    symbols: &'a Symbols,
    /// The profile's mapping of each module.
    mappings: Vec<Option<u32>>,
}

impl<'a> LocationResolver<'a> {
    fn new(
        kind: SampleKind,
        names: &'a [String],
        modules: &'a [Module],
        symbols: &'a Symbols,
    ) -> Self {
        let mappings = vec![None; modules.len()];
        Self {
            kind,
            names,
            modules,
            symbols,
            mappings,
        }
    }

    fn location(&mut self, profile: &mut Profile, address: u64) -> u32 {
        match address {
            TRUNCATED => {
                let frames = match self.kind {
                    SampleKind::Heap => HEAP_FRAMES_MAX,
                    _ => CPU_FRAMES_MAX,
                };
                return profile.named_location(&format!("(stack truncated at {frames} frames)"));
            }
            TABLE_FULL => return profile.named_location("(stack table full)"),
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
            let is_noise = self.kind == SampleKind::Tasks && self.is_in_every_task(frame);
            if is_noise && frames.len() > 1 {
                continue;
            }
            lines.push(self.line(profile, frame));
        }
        if lines.is_empty() {
            // Offsets are the same in every process of a build; addresses are not.
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

    fn line(&self, profile: &mut Profile, frame: &Frame) -> Line {
        let name = self.symbols.text(frame.function);
        let name = if self.symbols.folds_generics {
            profile.strings.intern(&fold_generics(name))
        } else {
            profile.strings.intern(name)
        };
        let file = profile.strings.intern(self.symbols.text(frame.file));
        let function = profile.function(Function {
            name,
            // Left empty: with the name repeated here, tools would take it for a mangled one.
            system_name: StringId(0),
            file,
            start_line: 0,
        });
        Line {
            function,
            line: i64::from(frame.line),
            column: 0,
        }
    }

    /// Whether a frame is part of every task: the root of each task, into which the task's own functions
    /// may be inlined, or the cloning of a waker at the leaf, which may be inlined into what waits.
    fn is_in_every_task(&self, frame: &Frame) -> bool {
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
                || self.kind == SampleKind::Heap
                    && self.symbols.text(frame.file).contains("/jemalloc/src/")
        })
    }
}
