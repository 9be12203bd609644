//! Makes a profile of folded stacks.

use crate::entry_point::entry_point;
use davy_profile::{LabelSetId, NodeId, Profile, folded};
use rustc_hash::FxHashMap;

/// Maximum number of entry points of a profile. Those that come later have none, so that names made up by visitors
/// cannot fill the archive with series.
pub(crate) const ENTRY_POINTS: usize = 200;

/// Adds stacks to a profile, each with its entry point as the label `member`.
///
/// As long as the stacks come sorted by their bytes, which those of a compressed log do, nodes are not looked up: what a
/// stack does not share with the one before has not been there.
pub(crate) struct Builder {
    profile: Profile,
    entry_points: FxHashMap<Box<str>, LabelSetId>,
    /// The location of each frame by its text; none for a text that stands for no frame.
    locations: FxHashMap<Box<[u8]>, Option<u32>>,
    /// The stack that was added last, and its labels.
    last: Vec<u8>,
    labels: LabelSetId,
    /// After each frame of that stack the length of the text and the node.
    path: Vec<(usize, NodeId)>,
    is_sorted: bool,
    /// Leaves whose frame is the beginning of a frame that came next: `a;b` and `a;b-c` come before `a;b;c`.
    passed: FxHashMap<(NodeId, u32), NodeId>,
    /// The most frames of a stack, and the most bytes of a frame.
    depth: usize,
    length: usize,
}

impl Builder {
    pub(crate) fn new(mut profile: Profile) -> Self {
        Self {
            labels: profile.text_labels(&[]),
            profile,
            entry_points: FxHashMap::default(),
            locations: FxHashMap::default(),
            last: Vec::new(),
            path: Vec::new(),
            is_sorted: true,
            passed: FxHashMap::default(),
            depth: 0,
            length: 0,
        }
    }

    /// Number of nodes.
    pub(crate) fn nodes(&self) -> usize {
        self.profile.stacks.len()
    }

    /// The most frames of a stack, and the most bytes of a frame.
    pub(crate) fn extremes(&self) -> (usize, usize) {
        (self.depth, self.length)
    }

    pub(crate) fn finish(self) -> Profile {
        self.profile
    }

    /// Adds a stack, root first. Frames that the last stack had are not looked up again, which are most of them if the
    /// stacks are sorted.
    pub(crate) fn add(&mut self, stack: &[u8], count: i64) {
        let same = common(&self.last, stack);
        // A frame is the same if it ends at the same place in both.
        let ends_here = |end: usize| end <= same && (end == stack.len() || stack[end] == b';');
        let kept = self.path.partition_point(|(end, _)| ends_here(*end));
        if self.is_sorted {
            self.pass(stack, same, kept);
        }
        self.path.truncate(kept);
        let (mut at, mut node) = match self.path.last() {
            Some((end, node)) => ((end + 1).min(stack.len() + 1), *node),
            None => (0, NodeId::ROOT),
        };
        while at <= stack.len() {
            let rest = &stack[at..];
            let length = memchr::memchr(b';', rest).unwrap_or(rest.len());
            let location = self.location(&rest[..length]);
            at += length;
            if let Some(location) = location {
                node = self.child(node, location, at <= same);
            }
            self.path.push((at, node));
            at += 1;
        }
        self.depth = self.depth.max(self.path.len());
        self.last.truncate(same);
        self.last.extend_from_slice(&stack[same..]);
        // The entry point follows from the first frame.
        if kept == 0 {
            let first = stack.split(|byte| *byte == b';').next().unwrap_or_default();
            let first = String::from_utf8_lossy(first);
            self.labels = self.labels_of(entry_point(&first));
        }
        self.profile.add_sample(node, self.labels, &[count]);
    }

    /// Checks whether a stack comes after the last one, and remembers the last leaf if it can occur again.
    fn pass(&mut self, stack: &[u8], same: usize, kept: usize) {
        let is_after = match (self.last.get(same), stack.get(same)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(last), Some(next)) => last < next,
        };
        if !is_after {
            self.is_sorted = false;
        } else if let Some((end, leaf)) = self.path.get(kept)
            && *end <= same
        {
            let stacks = &self.profile.stacks;
            let key = (stacks.parent(*leaf), stacks.item(*leaf));
            self.passed.insert(key, *leaf);
        }
    }

    /// The child of a node. `is_begun` says whether the frame is the beginning of one of the last stack.
    fn child(&mut self, node: NodeId, location: u32, is_begun: bool) -> NodeId {
        let stacks = &mut self.profile.stacks;
        if !self.is_sorted {
            return stacks.child(node, location);
        }
        let known = is_begun.then(|| self.passed.get(&(node, location)));
        match known.flatten() {
            Some(known) => *known,
            None => stacks.push(node, location),
        }
    }

    fn location(&mut self, frame: &[u8]) -> Option<u32> {
        if let Some(known) = self.locations.get(frame) {
            return *known;
        }
        self.length = self.length.max(frame.len());
        let text = String::from_utf8_lossy(frame);
        // A frame has no separator, so it has one name.
        let name = folded::frames(&text).next().filter(|name| !name.is_empty());
        if name.as_ref().is_none_or(|name| name.as_bytes() != frame) {
            // Another text can have the same name.
            self.is_sorted = false;
        }
        let location = name.map(|name| self.profile.named_location(&name));
        self.locations.insert(frame.into(), location);
        location
    }

    fn labels_of(&mut self, entry_point: Option<&str>) -> LabelSetId {
        let Some(name) = entry_point else {
            return self.profile.text_labels(&[]);
        };
        if let Some(known) = self.entry_points.get(name) {
            return *known;
        }
        if self.entry_points.len() == ENTRY_POINTS {
            return self.profile.text_labels(&[]);
        }
        let labels = self.profile.text_labels(&[("member", name)]);
        self.entry_points.insert(name.into(), labels);
        labels
    }
}

/// The length of what both begin with.
fn common(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 32;
    let chunks = a.chunks_exact(STEP).zip(b.chunks_exact(STEP));
    let equal = chunks.take_while(|(a, b)| a == b).count() * STEP;
    let rest = a[equal..].iter().zip(&b[equal..]);
    equal + rest.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;
    use std::collections::{BTreeMap, BTreeSet};

    /// The stacks of a profile with their sums. Each node occurs once.
    fn stacks(profile: &Profile) -> BTreeMap<String, i64> {
        let nodes = 1..profile.stacks.len() as u32;
        let nodes = nodes.map(|node| {
            let node = NodeId(node);
            (profile.stacks.parent(node), profile.stacks.item(node))
        });
        let distinct: BTreeSet<_> = nodes.collect();
        assert_eq!(distinct.len(), profile.stacks.len() - 1, "nodes are unique");
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for sample in 0..profile.sample_count() {
            let stack = profile.stacks.leaf_to_root(profile.samples.stacks[sample]);
            let names: Vec<&str> = stack
                .map(|location| {
                    let location = &profile.locations[location as usize];
                    let line = &profile.lines_of(location)[0];
                    profile.text(profile.functions[line.function as usize].name)
                })
                .collect();
            let stack = names.into_iter().rev().collect::<Vec<_>>().join(";");
            *sums.entry(stack).or_default() += profile.values(sample)[0];
        }
        sums
    }

    fn check(frames: &[&str], is_sorted: bool, seed: u64) -> bool {
        let mut random = davy_base::Random::seeded(seed);
        let mut lines = Vec::new();
        for _ in 0..300 {
            let depth = 1 + random.below(5);
            let stack = (0..depth).map(|_| frames[random.below(frames.len() as u64) as usize]);
            lines.push(stack.collect::<Vec<_>>().join(";"));
        }
        if is_sorted {
            lines.sort();
        }
        let mut builder = Builder::new(Channel::named("x").profile());
        let mut expected: BTreeMap<String, i64> = BTreeMap::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            builder.add(line.as_bytes(), 1);
            let names: Vec<&str> = line.split(';').filter(|name| !name.is_empty()).collect();
            *expected.entry(names.join(";")).or_default() += 1;
        }
        let was_sorted = builder.is_sorted;
        assert_eq!(stacks(&builder.finish()), expected, "{lines:?}");
        was_sorted
    }

    #[test]
    fn any_lines_become_the_stacks_that_they_say() {
        for seed in 0..50 {
            let odd = ["i.php", "a", "ab", "b", "a b", "", "\u{fc}"];
            assert!(!check(&odd, false, seed));
            check(&odd, true, seed);
        }
    }

    #[test]
    fn sorted_lines_need_no_lookup() {
        for seed in 0..50 {
            // Bytes before and after the separator follow the beginning of a frame.
            let frames = [
                "a", "a!", "a!b", "a-b", "a-", "a:", "ab", "a{b}", "b", "b1", "A",
            ];
            assert!(check(&frames, true, seed));
        }
    }

    #[test]
    fn texts_of_one_name_are_one_frame_in_sorted_lines() {
        let mut builder = Builder::new(Channel::named("x").profile());
        for line in [
            &b"a%3Bb"[..],
            b"a%3bb",
            b"b;\xfe",
            b"b;\xff",
            b"c;;d",
            b"c;d",
        ] {
            builder.add(line, 1);
        }
        let sums = stacks(&builder.finish());
        let sums: Vec<i64> = sums.into_values().collect();
        assert_eq!(sums.iter().sum::<i64>(), 6);
    }
}
