//! Converts aggregated addresses to a profile with names.

use crate::aggregate::{
    self, Aggregate, CPU_FRAMES_MAX, HEAP_FRAMES_MAX, NAMED, TABLE_FULL, TRUNCATED, Values,
};
use crate::fold::fold_generics;
use crate::modules::{self, Module};
use crate::sample_kind::{ProfileMeta, SampleKind};
use crate::symbols::Names;
use davy_profile::{
    Function, Label, LabelSetId, LabelValue, Line, Mapping, NodeId, Profile, StringId, ValueType,
};
use davy_tag::{SpanIds, Tag};
use rustc_hash::FxHashMap;

/// Number of frames at the leaf of a stack that are searched for frames to remove.
const TRIMMED_MAX: usize = 24;

/// The file of frames in the kernel, and the start of their names. A system call is `[kernel] write`: its name alone
/// would be that of a function of the libc.
const KERNEL: &str = "[kernel]";

/// The profile of an aggregate, with the names of its modules, as far as they are known. Other addresses have a mapping
/// and no line.
pub(crate) fn assemble(
    aggregate: &Aggregate,
    meta: ProfileMeta,
    modules: &[Module],
    names: &Names,
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

    let mut resolver = LocationResolver::new(meta.kind, &aggregate.names, modules, names);
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
        let above = aggregate.stacks.parent(node_id);
        let mut parent = nodes[above.index()];
        if is_in_kernel(aggregate, node_id)
            && !is_in_kernel(aggregate, above)
            && let Some(location) = resolver.system_call(&mut profile, aggregate, above)
        {
            parent = profile.stacks.child(parent, location);
        }
        let location = locations[aggregate.stacks.item(node_id) as usize];
        nodes[node] = profile.stacks.child(parent, location);
    }
    if resolver.has_unnamed {
        profile.drop_frames = profile.strings.intern(&drop_frames(meta.kind));
    }
    let mut labels = FxHashMap::default();
    let mut spans: FxHashMap<(NodeId, Tag), Vec<(SpanIds, i64)>> = FxHashMap::default();
    for ((node, tag, span), nanos) in &aggregate.spans {
        spans
            .entry((*node, *tag))
            .or_default()
            .push((*span, *nanos));
    }
    for ((node, tag), values) in &aggregate.samples {
        let mut stack = nodes[trim(aggregate, *node, &is_trimmed).index()];
        if !is_in_kernel(aggregate, *node)
            && let Some(location) = resolver.system_call(&mut profile, aggregate, *node)
        {
            stack = profile.stacks.child(stack, location);
        }
        let mut labels = |span| {
            *labels
                .entry((*tag, span))
                .or_insert_with(|| label_set(&mut profile, *tag, span))
        };
        let mut values = *values;
        let mut parts = Vec::new();
        for (span, nanos) in spans.get(&(*node, *tag)).into_iter().flatten() {
            // Rounded, the parts could add up to more than the whole.
            let nanos = (*nanos).min(values[0]);
            if nanos > 0 {
                values[0] -= nanos;
                parts.push((labels(*span), [nanos, 0, 0, 0]));
            }
        }
        if parts.is_empty() || values != Values::default() {
            parts.push((labels(SpanIds::default()), values));
        }
        let width = profile.sample_types.len();
        for (labels, values) in parts {
            profile.add_sample(stack, labels, &values[..width]);
        }
    }
    profile
}

/// Whether the frame of a node is one of the kernel.
fn is_in_kernel(aggregate: &Aggregate, node: NodeId) -> bool {
    let address = |node| aggregate.addresses[aggregate.stacks.item(node) as usize];
    node != NodeId::ROOT && (aggregate::KERNEL..TABLE_FULL).contains(&address(node))
}

/// The regular expression of the frames that are left out once names are known: those that [`trim`] leaves out here.
fn drop_frames(kind: SampleKind) -> String {
    let quoted = kind.trimmed().iter().map(|prefix| format!("{prefix}.*"));
    quoted.collect::<Vec<_>>().join("|")
}

/// The labels of a tag and a span; empty for untagged samples without a span.
fn label_set(profile: &mut Profile, tag: Tag, span: SpanIds) -> LabelSetId {
    let mut set = Vec::with_capacity(4);
    let id = |is_known: bool, text: String| if is_known { text } else { String::new() };
    let trace_id = id(span.trace != 0, format!("{:032x}", span.trace));
    let span_id = id(span.span != 0, format!("{:016x}", span.span));
    for (key, value) in [
        ("member", tag.member()),
        ("op", tag.op()),
        ("trace_id", &trace_id),
        ("span_id", &span_id),
    ] {
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
    /// Names of pseudo-addresses.
    pseudo: &'a [String],
    modules: &'a [Module],
    names: &'a Names,
    /// Whether an address of a module has no name yet.
    has_unnamed: bool,
    /// The profile's mapping of each module.
    mappings: Vec<Option<u32>>,
    /// The profile's mapping of the kernel.
    kernel: Option<u32>,
}

impl<'a> LocationResolver<'a> {
    fn new(
        kind: SampleKind,
        pseudo: &'a [String],
        modules: &'a [Module],
        names: &'a Names,
    ) -> Self {
        let mappings = vec![None; modules.len()];
        Self {
            kind,
            pseudo,
            modules,
            names,
            mappings,
            kernel: None,
            has_unnamed: false,
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
            aggregate::KERNEL.. => {
                let name = self.names.kernel_function(address).unwrap_or_default();
                return self.kernel(profile, name);
            }
            NAMED.. => {
                let name = self.pseudo.get((address - NAMED) as usize);
                return profile.named_location(name.map_or("(unknown)", String::as_str));
            }
            _ => {}
        }
        let Some(index) = modules::containing(self.modules, address) else {
            return profile.location(None, address, &[]);
        };
        let mapping = self.mapping(profile, index);
        let kind = self.kind;
        let (mut lines, mut has_lines, mut dropped) = (Vec::new(), false, None);
        self.names.frames(index, address, |function, file, line| {
            has_lines |= line > 0;
            let line = self.line(profile, function, file, line);
            if kind == SampleKind::Tasks && is_in_every_task(function, file) {
                dropped = dropped.or(Some(line));
            } else {
                lines.push(line);
            }
        });
        if lines.is_empty() {
            lines.extend(dropped);
        }
        if lines.is_empty()
            && let Some(name) = self.names.placeholder(&self.modules[index], address)
        {
            lines.push(self.line(profile, &name, "", 0));
        }
        self.has_unnamed |= lines.is_empty();
        let flags = &mut profile.mappings[mapping as usize];
        flags.has_functions |= !lines.is_empty();
        flags.has_inline_frames |= lines.len() > 1;
        flags.has_line_numbers |= has_lines;
        flags.has_filenames = flags.has_line_numbers;
        profile.location(Some(mapping), address, &lines)
    }

    fn line(&self, profile: &mut Profile, function: &str, file: &str, line: u32) -> Line {
        let name = if self.names.folds_generics {
            profile.strings.intern(&fold_generics(function))
        } else {
            profile.strings.intern(function)
        };
        let file = profile.strings.intern(file);
        let function = profile.function(Function {
            name,
            // Left empty: with the name repeated here, tools would take it for a mangled one.
            system_name: StringId(0),
            file,
            start_line: 0,
        });
        Line {
            function,
            line: i64::from(line),
            column: 0,
        }
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

    /// The location of the system call that a stack ends in, if it ends in one.
    fn system_call(
        &mut self,
        profile: &mut Profile,
        aggregate: &Aggregate,
        leaf: NodeId,
    ) -> Option<u32> {
        if self.kind != SampleKind::Cpu {
            return None;
        }
        let items = aggregate.stacks.leaf_to_root(leaf);
        let addresses = items.map(|item| aggregate.addresses[item as usize]);
        let system_call = self.names.system_call(self.modules, addresses)?;
        Some(self.kernel(profile, system_call))
    }

    /// The location of a system call or of a function of the kernel. It has a name and no address, so that nothing takes
    /// it for a function of the module that made the system call.
    fn kernel(&mut self, profile: &mut Profile, function: &str) -> u32 {
        let mapping = *self.kernel.get_or_insert_with(|| {
            profile.mappings.push(Mapping {
                file: profile.strings.intern(KERNEL),
                has_functions: true,
                ..Mapping::default()
            });
            profile.mappings.len() as u32 - 1
        });
        let name = if function.is_empty() {
            KERNEL.to_owned()
        } else {
            format!("{KERNEL} {function}")
        };
        let line = self.line(profile, &name, KERNEL, 0);
        profile.location(Some(mapping), 0, &[line])
    }

    fn is_trimmed(&self, address: u64, prefixes: &[&str]) -> bool {
        let Some(index) = modules::containing(self.modules, address) else {
            return false;
        };
        let mut is_trimmed =
            self.kind == SampleKind::Heap && crate::heap::is_allocator_code(address);
        self.names.frames(index, address, |function, file, _| {
            is_trimmed |= prefixes.iter().any(|prefix| function.starts_with(prefix))
                || self.kind == SampleKind::Heap && file.contains("/jemalloc/src/");
        });
        is_trimmed
    }
}

/// Whether a frame is part of every task: the root of each task, into which the task's own functions may be inlined, or
/// the cloning of a waker at the leaf, which may be inlined into what waits.
fn is_in_every_task(function: &str, file: &str) -> bool {
    function.starts_with("davy_tag::task::watch::poll") || file.ends_with("/core/src/task/wake.rs")
}
