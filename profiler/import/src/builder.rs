//! Builds one profile within the limits.

use crate::{Error, Named, Options};
use davy_profile::truncate::{self, Cut};
use davy_profile::{Error as ProfileError, Function, LabelSetId, Limits, Line, NodeId, Profile};
use rustc_hash::FxHashMap;

/// A value times the scale, at a place of the input that an error names.
pub(crate) fn scaled(value: u64, scale: i64, place: impl FnOnce() -> String) -> Result<i64, Error> {
    let product = i64::try_from(value)
        .ok()
        .and_then(|value| value.checked_mul(scale));
    product.ok_or_else(|| Error::Overflow {
        place: place(),
        count: value.to_string(),
        scale,
    })
}

/// A profile that is being built. Samples with the same stack and labels are added up.
pub(crate) struct Builder {
    name: &'static str,
    profile: Profile,
    limits: Limits,
    cut: Cut,
    /// Location of each name that has no file, by string id; `u32::MAX` if there is none.
    named: Vec<u32>,
    /// Number of each sample by stack and labels.
    samples: FxHashMap<(NodeId, LabelSetId), u32>,
}

impl Builder {
    /// A builder of a profile with sample types (kind, unit), a period type and a period.
    pub(crate) fn new(
        name: &'static str,
        types: &[(&str, &str)],
        period_type: (&str, &str),
        period: i64,
        options: &Options<'_>,
    ) -> Self {
        let mut profile = Profile::new();
        // Kinds may come from the input, such as the events of perf.
        let short = |text| truncate::name(text, options.limits.string);
        for (kind, unit) in types {
            profile.add_sample_type(&short(kind), &short(unit));
        }
        profile.period_type.kind = profile.strings.intern(&short(period_type.0));
        profile.period_type.unit = profile.strings.intern(&short(period_type.1));
        profile.period = period;
        Self {
            name,
            profile,
            limits: options.limits,
            cut: Cut::at(options.limits.depth),
            named: Vec::new(),
            samples: FxHashMap::default(),
        }
    }

    /// A builder of the profile whose type, unit and scale the options state.
    pub(crate) fn counts(options: &Options<'_>) -> Self {
        let value_type = (options.kind, options.unit);
        Self::new("", &[value_type], value_type, options.scale, options)
    }

    /// The profile, for its time and duration.
    pub(crate) fn profile_mut(&mut self) -> &mut Profile {
        &mut self.profile
    }

    /// Whether there are no samples.
    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The profile with its name, without the sums' index.
    pub(crate) fn finish(self) -> Named {
        Named {
            name: self.name.to_owned(),
            profile: self.profile,
        }
    }

    /// The location of a function whose file is unknown.
    pub(crate) fn frame(&mut self, name: &str) -> Result<u32, Error> {
        let name = truncate::name(name, self.limits.string);
        let id = self.profile.strings.intern(&name).0 as usize;
        if id >= self.named.len() {
            self.check_text()?;
            self.named.resize(id + 1, u32::MAX);
        }
        if self.named[id] == u32::MAX {
            self.named[id] = self.profile.named_location(&name);
        }
        Ok(self.named[id])
    }

    /// The location of a line of a function; `file` may be empty, `line` and `column` may be 0.
    pub(crate) fn frame_at(
        &mut self,
        name: &str,
        file: &str,
        line: i64,
        column: i64,
    ) -> Result<u32, Error> {
        if file.is_empty() && line == 0 && column == 0 {
            return self.frame(name);
        }
        let name = self
            .profile
            .strings
            .intern(&truncate::name(name, self.limits.string));
        let file = self
            .profile
            .strings
            .intern(&truncate::name(file, self.limits.string));
        self.check_text()?;
        let function = self.profile.function(Function {
            name,
            system_name: name,
            file,
            start_line: 0,
        });
        let line = Line {
            function,
            line,
            column,
        };
        Ok(self.profile.location(None, 0, &[line]))
    }

    /// Names that are composed, such as class and method, could otherwise multiply the input.
    fn check_text(&self) -> Result<(), Error> {
        let (got, limit) = (
            self.profile.strings.text_len(),
            self.limits.bytes.saturating_mul(2),
        );
        if got > limit {
            let what = "bytes of names";
            return Err(ProfileError::TooMany { what, got, limit }.into());
        }
        Ok(())
    }

    /// The stack with one more frame at the leaf.
    pub(crate) fn child(&mut self, parent: NodeId, location: u32) -> Result<NodeId, Error> {
        let node = self.profile.stacks.child(parent, location);
        let (got, limit) = (self.profile.stacks.len(), self.limits.nodes);
        if got > limit {
            let what = "distinct stack frames";
            return Err(ProfileError::TooMany { what, got, limit }.into());
        }
        Ok(node)
    }

    /// The stack of names from root to leaf. A stack that is too deep loses the middle.
    pub(crate) fn stack(
        &mut self,
        names: impl Iterator<Item: AsRef<str>> + Clone,
    ) -> Result<NodeId, Error> {
        let depth = names.clone().count();
        let whole = depth <= self.limits.depth;
        let mut node = NodeId::ROOT;
        for (index, name) in names.enumerate() {
            if whole || self.cut.keeps(index, depth) {
                let location = self.frame(name.as_ref())?;
                node = self.child(node, location)?;
            } else if index == self.cut.root {
                node = self.marker(node)?;
            }
        }
        Ok(node)
    }

    /// The stack of locations from root to leaf. A stack that is too deep loses the middle.
    pub(crate) fn stack_of(&mut self, locations: &[u32]) -> Result<NodeId, Error> {
        let depth = locations.len();
        let whole = depth <= self.limits.depth;
        let mut node = NodeId::ROOT;
        for (index, location) in locations.iter().enumerate() {
            if whole || self.cut.keeps(index, depth) {
                node = self.child(node, *location)?;
            } else if index == self.cut.root {
                node = self.marker(node)?;
            }
        }
        Ok(node)
    }

    /// The stack with the frame that marks what was removed.
    fn marker(&mut self, parent: NodeId) -> Result<NodeId, Error> {
        let marker = self.frame(truncate::FRAME)?;
        self.child(parent, marker)
    }

    /// A set of text labels.
    pub(crate) fn labels(&mut self, labels: &[(&str, &str)]) -> Result<LabelSetId, Error> {
        let limit = self.limits.string;
        let short: Vec<_> = labels
            .iter()
            .map(|(key, value)| (truncate::name(key, limit), truncate::name(value, limit)))
            .collect();
        let short: Vec<_> = short
            .iter()
            .map(|(key, value)| (&**key, &**value))
            .collect();
        let id = self.profile.text_labels(&short);
        self.check_text()?;
        Ok(id)
    }

    /// Adds values to those of the stack and labels.
    pub(crate) fn add(
        &mut self,
        node: NodeId,
        labels: LabelSetId,
        values: &[i64],
    ) -> Result<(), Error> {
        let count = self.samples.len();
        let index = *self.samples.entry((node, labels)).or_insert(count as u32) as usize;
        if index == count {
            if count >= self.limits.samples {
                let (what, limit) = ("distinct stacks", self.limits.samples);
                return Err(ProfileError::TooMany {
                    what,
                    got: count + 1,
                    limit,
                }
                .into());
            }
            self.profile.add_sample(node, labels, values);
            return Ok(());
        }
        let first = index * values.len();
        let sums = &mut self.profile.samples.values[first..first + values.len()];
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = sum.checked_add(*value).ok_or(Error::SumOverflow)?;
        }
        Ok(())
    }
}

/// A stack that grows and shrinks at its leaf.
#[derive(Default)]
pub(crate) struct Path {
    locations: Vec<u32>,
    /// Node of each depth up to the limit.
    nodes: Vec<NodeId>,
}

impl Path {
    /// Number of frames.
    pub(crate) fn depth(&self) -> usize {
        self.locations.len()
    }

    /// Adds a frame.
    pub(crate) fn push(&mut self, location: u32, builder: &mut Builder) -> Result<(), Error> {
        if self.locations.len() < builder.limits.depth {
            let parent = self.nodes.last().copied().unwrap_or(NodeId::ROOT);
            self.nodes.push(builder.child(parent, location)?);
        }
        self.locations.push(location);
        Ok(())
    }

    /// Removes frames until `depth` are left.
    pub(crate) fn truncate(&mut self, depth: usize) {
        self.locations.truncate(depth);
        self.nodes.truncate(depth);
    }

    /// The node of the stack, which lacks the middle if it is too deep.
    pub(crate) fn node(&self, builder: &mut Builder) -> Result<NodeId, Error> {
        let depth = self.locations.len();
        if depth <= builder.limits.depth {
            return Ok(self.nodes.last().copied().unwrap_or(NodeId::ROOT));
        }
        let Cut { root, leaf } = builder.cut;
        let top = root
            .checked_sub(1)
            .map_or(NodeId::ROOT, |last| self.nodes[last]);
        let mut node = builder.marker(top)?;
        for location in &self.locations[depth - leaf..] {
            node = builder.child(node, *location)?;
        }
        Ok(node)
    }
}

/// A tree of calls whose nodes are known by index before their stacks are needed.
#[derive(Default)]
pub(crate) struct CallTree {
    /// Parent and location of each node; a root is its own parent.
    pub(crate) nodes: Vec<(u32, Option<u32>)>,
}

impl CallTree {
    /// The stack of each node. Parents need not precede their children; the nodes of a cycle have no
    /// stack. A node without a location has its parent's stack.
    pub(crate) fn stacks(&self, builder: &mut Builder) -> Result<Vec<Option<NodeId>>, Error> {
        let count = self.nodes.len();
        let mut first_child = vec![u32::MAX; count];
        let mut next = vec![u32::MAX; count];
        let mut pending = Vec::new();
        for (index, (parent, _)) in self.nodes.iter().enumerate().rev() {
            if *parent as usize == index {
                pending.push((index as u32, 0));
            } else {
                next[index] = first_child[*parent as usize];
                first_child[*parent as usize] = index as u32;
            }
        }
        let mut stacks = vec![None; count];
        let mut path = Path::default();
        while let Some((index, depth)) = pending.pop() {
            path.truncate(depth);
            if let Some(location) = self.nodes[index as usize].1 {
                path.push(location, builder)?;
            }
            stacks[index as usize] = Some(path.node(builder)?);
            let mut child = first_child[index as usize];
            while child != u32::MAX {
                pending.push((child, path.depth()));
                child = next[child as usize];
            }
        }
        Ok(stacks)
    }
}
