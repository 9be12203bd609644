//! Collects the lines of a channel into windows, in bounded memory.

use crate::channel::Channel;
use crate::entry_point::entry_point;
use crate::line::{self, Fault};
use davy_base::Timestamp;
use davy_profile::{LabelSetId, NodeId, Profile, folded};
use rustc_hash::FxHashMap;

/// Maximum number of entry points of a window. Those that come later have none, so that names made up by visitors
/// cannot fill the archive with series.
const ENTRY_POINTS: usize = 200;

/// Memory of a stack besides its text, in bytes, about.
const OVERHEAD: usize = 64;

/// Stacks with their counts.
type Stacks = FxHashMap<Box<[u8]>, i64>;

/// Adds up stacks until the window is taken.
pub(crate) struct Collector {
    channel: Channel,
    stacks: Stacks,
    bytes: usize,
    lines: u64,
    start: Timestamp,
}

/// The stacks of a channel between two times.
pub(crate) struct Window {
    pub(crate) channel: Channel,
    stacks: Stacks,
    /// Memory in use, in bytes, about.
    pub(crate) bytes: usize,
    /// Number of lines that were added.
    pub(crate) lines: u64,
    pub(crate) start: Timestamp,
    end: Timestamp,
}

impl Collector {
    pub(crate) fn new(channel: Channel, start: Timestamp) -> Self {
        Self {
            channel,
            stacks: Stacks::default(),
            bytes: 0,
            lines: 0,
            start,
        }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Adds a line and returns its count.
    pub(crate) fn add(&mut self, line: &[u8]) -> Result<i64, Fault> {
        let line = line::parse(line)?;
        if let Some(count) = self.stacks.get_mut(line.stack) {
            *count = count.saturating_add(line.count);
        } else {
            self.bytes += line.stack.len() + OVERHEAD;
            self.stacks.insert(line.stack.into(), line.count);
        }
        self.lines += 1;
        Ok(line.count)
    }

    /// Memory in use, in bytes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Begins a window at `now` and forgets the one before, which had no stacks.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        self.start = now;
    }

    /// Returns what was added since the last call, and begins a new window. A window without stacks shows that the
    /// channel was listened to.
    pub(crate) fn take(&mut self, now: Timestamp) -> Window {
        Window {
            channel: self.channel.clone(),
            stacks: std::mem::take(&mut self.stacks),
            bytes: std::mem::take(&mut self.bytes),
            lines: std::mem::take(&mut self.lines),
            start: std::mem::replace(&mut self.start, now),
            end: now,
        }
    }
}

impl Window {
    /// The profile of the stacks.
    pub(crate) fn profile(self) -> Profile {
        let mut profile = self.channel.profile();
        profile.time_nanos = self.start.nanos();
        let span = self.end.since(self.start).as_nanos();
        profile.duration_nanos = i64::try_from(span).unwrap_or(i64::MAX);
        let mut stacks: Vec<_> = self.stacks.into_iter().collect();
        // Sorted, so that the same lines make the same bytes.
        stacks.sort_unstable();
        let mut builder = Builder::new(profile);
        for (stack, count) in stacks {
            builder.add(&stack, count);
        }
        builder.finish()
    }
}

/// Adds stacks to a profile, each with its entry point as the label `member`.
pub(crate) struct Builder {
    profile: Profile,
    entry_points: FxHashMap<Box<str>, LabelSetId>,
    /// The location of each frame by its text; none for a text that stands for no frame.
    locations: FxHashMap<Box<[u8]>, Option<u32>>,
    /// The stack that was added last, and after each of its frames the length of the text and the node.
    last: Vec<u8>,
    path: Vec<(usize, NodeId)>,
}

impl Builder {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            entry_points: FxHashMap::default(),
            locations: FxHashMap::default(),
            last: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Number of nodes.
    pub(crate) fn nodes(&self) -> usize {
        self.profile.stacks.len()
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
        self.path.truncate(kept);
        let (mut at, mut node) = match self.path.last() {
            Some((end, node)) => ((end + 1).min(stack.len() + 1), *node),
            None => (0, NodeId::ROOT),
        };
        while at <= stack.len() {
            let rest = &stack[at..];
            let length = memchr::memchr(b';', rest).unwrap_or(rest.len());
            if let Some(location) = self.location(&rest[..length]) {
                node = self.profile.stacks.child(node, location);
            }
            at += length;
            self.path.push((at, node));
            at += 1;
        }
        self.last.clear();
        self.last.extend_from_slice(stack);
        let first = stack.split(|byte| *byte == b';').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first);
        let labels = self.labels(entry_point(&first));
        self.profile.add_sample(node, labels, &[count]);
    }

    fn location(&mut self, frame: &[u8]) -> Option<u32> {
        if let Some(known) = self.locations.get(frame) {
            return *known;
        }
        let text = String::from_utf8_lossy(frame);
        // A frame has no separator, so it has one name.
        let name = folded::frames(&text).next();
        let location = name.map(|name| self.profile.named_location(&name));
        self.locations.insert(frame.into(), location);
        location
    }

    fn labels(&mut self, entry_point: Option<&str>) -> LabelSetId {
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
    use davy_profile::FlameTree;
    use davy_profile::flame::Grain;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn collector() -> Collector {
        Collector::new(Channel::named("excimer"), Timestamp::EPOCH)
    }

    fn folded(profile: &Profile) -> String {
        let mut tree = FlameTree::new();
        tree.add_profile(profile, 0, Grain::Function);
        davy_profile::folded::encode(&tree)
    }

    #[test]
    fn equal_lines_add_up_and_frames_keep_their_order() {
        let mut of = collector();
        for line in [
            "i.php;A::b;C::d 1",
            "i.php;A::b 2",
            "i.php;A::b;C::d 3",
            "i.php;A::bc 1",
        ] {
            of.add(line.as_bytes()).expect("a good line");
        }
        let profile = of
            .take(Timestamp::EPOCH.plus(Duration::from_secs(10)))
            .profile();
        let lines = folded(&profile);
        let lines: std::collections::BTreeSet<&str> = lines.lines().collect();
        let expected = ["i.php;A::b 2", "i.php;A::b;C::d 4", "i.php;A::bc 1"];
        assert_eq!(lines, expected.into());
        assert_eq!(profile.duration_nanos, 10_000_000_000);
        assert_eq!(of.bytes(), 0);
        assert_eq!(of.take(Timestamp::EPOCH).profile().sample_count(), 0);
    }

    #[test]
    fn builder_makes_of_any_lines_what_a_plain_one_does() {
        let mut random = davy_base::Random::seeded(3);
        let frames = ["i.php", "a", "ab", "b", "a b", "", "ü"];
        let mut lines = Vec::new();
        for _ in 0..500 {
            let depth = 1 + random.below(6);
            let stack = (0..depth).map(|_| frames[random.below(frames.len() as u64) as usize]);
            lines.push(stack.collect::<Vec<_>>().join(";"));
        }
        let mut builder = Builder::new(Channel::named("x").profile());
        let mut expected: BTreeMap<String, i64> = BTreeMap::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            builder.add(line.as_bytes(), 1);
            *expected.entry(line.clone()).or_default() += 1;
        }
        let profile = builder.finish();
        let mut got: BTreeMap<String, i64> = BTreeMap::new();
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
            *got.entry(stack).or_default() += profile.values(sample)[0];
        }
        assert_eq!(got, expected);
    }

    #[test]
    fn samples_have_their_entry_point_and_not_more_than_the_limit() {
        let mut of = collector();
        for number in 0..ENTRY_POINTS + 5 {
            of.add(format!("/w/script{number:03}.php;f 1").as_bytes())
                .expect("good");
        }
        of.add(b"not-a-script;f 1").expect("good");
        let profile = of.take(Timestamp::EPOCH).profile();
        let members = (0..profile.sample_count()).map(|at| profile.label(at, "member"));
        let named = members.clone().filter(|name| !name.is_empty()).count();
        assert_eq!((named, members.count()), (ENTRY_POINTS, ENTRY_POINTS + 6));
        assert_eq!(profile.label(0, "member"), "script000");
    }

    #[test]
    fn binary_bytes_and_deep_stacks_are_kept() {
        let mut of = collector();
        of.add(b"i.php;class@anonymous\0/p.php;\xff\xfe 1")
            .expect("good");
        of.add(&[&b"f;".repeat(100_000)[..], &b"g 1"[..]].concat())
            .expect("good");
        let profile = of.take(Timestamp::EPOCH).profile();
        assert_eq!(profile.sample_count(), 2);
        assert!(profile.stacks.len() > 100_000);
    }
}
