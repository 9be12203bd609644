//! The profiles of a recording: one for each kind of event.

use super::constants::Constants;
use super::event::Event;
use super::labels::Contexts;
use crate::builder::Builder;
use crate::{Error, Named, Options};
use davy_profile::{LabelSetId, NodeId, truncate};
use rustc_hash::FxHashMap;

/// The label with the name of the thread.
const THREAD: &str = "thread";

/// A kind of profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Cpu,
    Wall,
    AllocInNewTlab,
    AllocOutsideTlab,
    AllocSample,
    Live,
    Malloc,
    Mutex,
    Block,
}

impl Kind {
    /// Number of values of a sample.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Cpu | Self::Wall | Self::Live => 1,
            Self::AllocInNewTlab
            | Self::AllocOutsideTlab
            | Self::AllocSample
            | Self::Malloc
            | Self::Mutex
            | Self::Block => 2,
        }
    }
}

/// The profile of one kind.
struct Target {
    kind: Kind,
    builder: Builder,
    /// Node of each stack of the current chunk.
    stacks: FxHashMap<i64, NodeId>,
    /// Location of each method and line of the current chunk.
    frames: FxHashMap<(i64, i32), u32>,
    /// Labels of each context and thread of the current chunk.
    labels: FxHashMap<(i64, i64), LabelSetId>,
}

/// The profiles of a recording.
pub(super) struct Targets<'a> {
    options: &'a Options<'a>,
    contexts: Contexts,
    all: Vec<Target>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(contexts: Contexts, options: &'a Options<'a>) -> Self {
        Self {
            options,
            contexts,
            all: Vec::new(),
        }
    }

    /// Adds a sample.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        event: &Event,
        values: &[i64],
        period: i64,
        constants: &Constants<'_>,
    ) -> Result<(), Error> {
        let at = self.all.iter().position(|target| target.kind == kind);
        let at = at.unwrap_or_else(|| {
            self.all.push(Target {
                kind,
                builder: builder(kind, period, self.options),
                stacks: FxHashMap::default(),
                frames: FxHashMap::default(),
                labels: FxHashMap::default(),
            });
            self.all.len() - 1
        });
        let target = &mut self.all[at];
        let Event {
            stack,
            context,
            thread,
            ..
        } = *event;
        let node = if let Some(node) = target.stacks.get(&stack) {
            *node
        } else {
            let node = target.node(stack, constants)?;
            target.stacks.insert(stack, node);
            node
        };
        let labels = if let Some(labels) = target.labels.get(&(context, thread)) {
            *labels
        } else {
            let name = constants.thread(thread);
            let mut labels = self.contexts.labels(context);
            // A label of the program counts more.
            if !name.is_empty() && labels.iter().all(|(name, _)| *name != THREAD) {
                labels.push((THREAD, &name));
                labels.sort_unstable();
            }
            let labels = target.builder.labels(&labels)?;
            target.labels.insert((context, thread), labels);
            labels
        };
        target.builder.add(node, labels, values)
    }

    /// Forgets the keys of a chunk.
    pub(super) fn end_chunk(&mut self) {
        for target in &mut self.all {
            target.stacks.clear();
            target.frames.clear();
            target.labels.clear();
        }
    }

    /// The profiles that have samples.
    pub(super) fn finish(self, time_nanos: i64, duration_nanos: i64) -> Vec<Named> {
        let finish = |mut target: Target| {
            target.builder.profile_mut().time_nanos = time_nanos;
            target.builder.profile_mut().duration_nanos = duration_nanos;
            target.builder.finish()
        };
        self.all.into_iter().map(finish).collect()
    }
}

impl Target {
    /// The node of a stack. Samples without a stack are kept under a frame that says so.
    fn node(&mut self, stack: i64, constants: &Constants<'_>) -> Result<NodeId, Error> {
        let Some((frames, is_truncated)) = constants
            .stack(stack)
            .filter(|(frames, _)| !frames.is_empty())
        else {
            let location = self.builder.frame("(unknown)")?;
            return self.builder.child(NodeId::ROOT, location);
        };
        let mut locations = Vec::with_capacity(frames.len() + 1);
        if is_truncated {
            locations.push(self.builder.frame(truncate::FRAME)?);
        }
        for frame in frames.iter().rev() {
            let key = (frame.method, frame.line.max(0));
            let location = if let Some(location) = self.frames.get(&key) {
                *location
            } else {
                let name = constants.method(frame.method);
                let location = self.builder.frame_at(&name, "", i64::from(key.1), 0)?;
                self.frames.insert(key, location);
                location
            };
            locations.push(location);
        }
        self.builder.stack_of(&locations)
    }
}

/// A builder of the profile types that Pyroscope documents.
fn builder(kind: Kind, period: i64, options: &Options<'_>) -> Builder {
    const SPACE: (&str, &str) = ("space", "bytes");
    let build = |name, types: &[(&str, &str)], period_type, period| {
        Builder::new(name, types, period_type, period, options)
    };
    match kind {
        Kind::Cpu => build(
            "process_cpu",
            &[("cpu", "nanoseconds")],
            ("cpu", "nanoseconds"),
            period,
        ),
        Kind::Wall => build(
            "wall",
            &[("wall", "nanoseconds")],
            ("wall", "nanoseconds"),
            period,
        ),
        Kind::AllocInNewTlab => {
            let types = [
                ("alloc_in_new_tlab_objects", "count"),
                ("alloc_in_new_tlab_bytes", "bytes"),
            ];
            build("memory", &types, SPACE, 0)
        }
        Kind::AllocOutsideTlab => {
            let types = [
                ("alloc_outside_tlab_objects", "count"),
                ("alloc_outside_tlab_bytes", "bytes"),
            ];
            build("memory", &types, SPACE, 0)
        }
        Kind::AllocSample => {
            let types = [
                ("alloc_sample_objects", "count"),
                ("alloc_sample_bytes", "bytes"),
            ];
            build("memory", &types, SPACE, 0)
        }
        Kind::Malloc => {
            let types = [("malloc_objects", "count"), ("malloc_bytes", "bytes")];
            build("memory", &types, SPACE, 0)
        }
        Kind::Live => build("memory", &[("live", "count")], ("objects", "count"), 0),
        Kind::Mutex => build(
            "mutex",
            &[("contentions", "count"), ("delay", "nanoseconds")],
            ("mutex", "count"),
            0,
        ),
        Kind::Block => build(
            "block",
            &[("contentions", "count"), ("delay", "nanoseconds")],
            ("block", "count"),
            0,
        ),
    }
}
