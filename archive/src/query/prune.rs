//! Leaves out the frames that a profile declares uninteresting (`drop_frames`), as `go tool pprof` does: a
//! matching frame is removed with its callees, and their values count for its caller. A matching frame
//! without a caller that does not match is kept, so that a profile is never left empty.

use crate::pattern;
use regex::Regex;

/// Memory of a compiled pattern, in bytes.
const REGEX_BYTES: usize = 1 << 18;

/// The patterns of a series.
pub(super) struct Uninteresting {
    drop: Regex,
    keep: Option<Regex>,
}

impl Uninteresting {
    /// The patterns `drop_frames` and `keep_frames` of a profile; `None` if it leaves nothing out.
    pub(super) fn of(drop: &str, keep: &str) -> Result<Option<Self>, String> {
        if drop.is_empty() {
            return Ok(None);
        }
        let compile = |pattern: &str| pattern::compile_anchored(pattern, REGEX_BYTES);
        let keep = Some(keep).filter(|keep| !keep.is_empty());
        Ok(Some(Self {
            drop: compile(drop)?,
            keep: keep.map(compile).transpose()?,
        }))
    }

    /// Whether a function is left out.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name = simplified(name);
        self.drop.is_match(name) && !self.keep.as_ref().is_some_and(|keep| keep.is_match(name))
    }
}

/// The node that stands for each node: itself, or the closest ancestor that is not left out. `parents` and `frames` are
/// those of each node, the root first and parents before their children; `is_left_out` is by frame.
pub(super) fn targets(parents: &[u32], frames: &[u32], is_left_out: &[bool]) -> Vec<u32> {
    let mut targets: Vec<u32> = (0..parents.len() as u32).collect();
    let mut is_below_interesting = vec![false; parents.len()];
    for node in 1..parents.len() {
        let parent = parents[node] as usize;
        let matches = is_left_out[frames[node] as usize];
        if targets[parent] != parent as u32 || (matches && is_below_interesting[parent]) {
            targets[node] = targets[parent];
        }
        is_below_interesting[node] = is_below_interesting[parent] || !matches;
    }
    targets
}

/// A name without the list of its parameters, which patterns do not mention.
fn simplified(name: &str) -> &str {
    let name = name.strip_prefix('.').unwrap_or(name);
    let mut from = 0;
    while let Some(at) = name[from..].find('(').map(|at| from + at) {
        if !name[at..].starts_with("(anonymous namespace)") {
            // A name that begins with a parenthesis is all there is.
            return if at == 0 { name } else { &name[..at] };
        }
        from = at + 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{FlameTree, Limits, folded};

    fn check(drop: &str, keep: &str, stacks: &str, expected: &str) {
        let of = Uninteresting::of(drop, keep)
            .expect("valid")
            .expect("has one");
        let profile = folded::decode(stacks.as_bytes(), &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        let frames = 0..tree.frames.len() as u32;
        let is_left_out: Vec<bool> = frames.map(|at| of.matches(&tree.frame_name(at))).collect();
        let targets = targets(tree.stacks.parents(), tree.stacks.items(), &is_left_out);
        let values = tree.values.clone();
        tree.values.fill(0);
        for (target, value) in targets.into_iter().zip(values) {
            tree.add(davy_profile::NodeId(target), value);
        }
        assert_eq!(folded::encode(&tree), expected, "{drop} {keep} {stacks}");
    }

    #[test]
    fn dropped_frames_count_for_their_callers() {
        check(
            "malloc|operator new.*",
            "",
            "main;f;malloc;brk 3\nmain;f 1\n",
            "main;f 4\n",
        );
        check("malloc", "", "main;mallocate 3\n", "main;mallocate 3\n");
        check(
            "mall.*",
            "malloc",
            "main;malloc;mallow 3\n",
            "main;malloc 3\n",
        );
        check("f", "", "main;f(int, char) 3\n", "main 3\n");
        // Nothing interesting calls the first frames, so they stay.
        check("start|main", "", "start;main 3\n", "start;main 3\n");
        check("start|main", "", "start;work;main 3\n", "start;work 3\n");
    }

    #[test]
    fn parameters_are_not_part_of_a_name() {
        assert_eq!(simplified("a::b(int)"), "a::b");
        assert_eq!(
            simplified("(anonymous namespace)::f(int)"),
            "(anonymous namespace)::f"
        );
        assert_eq!(simplified("(closure)"), "(closure)");
        assert_eq!(simplified(".f"), "f");
    }
}
