//! Collects the lines of a channel into windows, in bounded memory.

use crate::builder::Builder;
use crate::channel::Channel;
use crate::line::{self, Fault};
use davy_base::Timestamp;
use davy_profile::Profile;
use rustc_hash::FxHashMap;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::ENTRY_POINTS;
    use davy_profile::FlameTree;
    use davy_profile::flame::Grain;
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
