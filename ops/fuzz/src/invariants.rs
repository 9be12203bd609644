//! Invariants of every profile that a decoder returns.

use davy_import::{Format, Options, decode};
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits, Profile, folded, pprof};

/// Checks that a profile is within the limits and that both encodings of it can be decoded again.
pub(crate) fn check(profile: &Profile, limits: &Limits) {
    assert_within(profile, limits);
    assert_pprof_round_trip(profile);
    for sample_type in 0..profile.sample_types.len().min(3) {
        assert_folded_round_trip(profile, sample_type);
    }
}

fn assert_within(profile: &Profile, limits: &Limits) {
    let count = profile.sample_count();
    assert!(count <= limits.samples, "{count} samples");
    assert_eq!(
        profile.samples.values.len(),
        count * profile.sample_types.len(),
        "one value for each sample type"
    );
    // The root is not counted.
    let nodes = profile.stacks.len();
    assert!(nodes <= limits.nodes + 1, "{nodes} nodes");
    for text in profile.strings.iter() {
        assert!(
            text.len() <= limits.string,
            "a string of {} bytes",
            text.len()
        );
    }
    let frames = |location: u32| {
        let location = profile.locations[location as usize];
        location.line_count.max(1) as usize
    };
    for stack in &profile.samples.stacks {
        let depth: usize = profile.stacks.leaf_to_root(*stack).map(frames).sum();
        assert!(depth <= limits.depth, "a stack of {depth} frames");
    }
}

/// Limits above those of every target.
const WIDE: Limits = Limits {
    bytes: 1 << 30,
    ratio: usize::MAX,
    samples: usize::MAX,
    depth: usize::MAX / 4,
    nodes: usize::MAX,
    string: usize::MAX,
};

fn assert_pprof_round_trip(profile: &Profile) {
    let bytes = pprof::encode(profile);
    let again = pprof::decode(&bytes, &WIDE).expect("an encoded profile can be decoded");
    assert_eq!(again.sample_count(), profile.sample_count());
    assert_eq!(again.samples.values, profile.samples.values);
    assert!(
        pprof::encode(&again) == bytes,
        "a decoded profile is encoded to the same bytes"
    );
}

fn assert_folded_round_trip(profile: &Profile, sample_type: usize) {
    let mut tree = FlameTree::new();
    tree.add_profile(profile, sample_type, Grain::Function);
    let width = profile.sample_types.len();
    let values = || {
        profile
            .samples
            .values
            .iter()
            .skip(sample_type)
            .step_by(width)
    };
    // Beyond 64 bits sums saturate, so they depend on the order of the samples.
    let magnitude: i128 = values().map(|value| i128::from(*value).abs()).sum();
    if magnitude > i128::from(i64::MAX) {
        return;
    }
    let sum = values().map(|value| i128::from(*value)).sum::<i128>();
    assert_eq!(i128::from(tree.totals()[0]), sum, "the total of the tree");
    let text = folded::encode(&tree);
    if text.is_empty() {
        return;
    }
    let decoded = folded::decode(text.as_bytes(), &WIDE).expect("encoded stacks can be decoded");
    assert_same_stacks(&decoded, &tree, &text);
    // Foreign stacks have no negative counts.
    if tree.values.iter().all(|value| *value >= 0) {
        let options = Options {
            limits: WIDE,
            ..Options::default()
        };
        let import = decode(text.as_bytes(), Format::Folded, &options);
        let import = import.expect("encoded stacks can be imported");
        assert_eq!(import.skipped.count, 0, "{:?}", import.skipped);
        assert_same_stacks(&import.profiles[0].profile, &tree, &text);
    }
}

fn assert_same_stacks(profile: &Profile, tree: &FlameTree, text: &str) {
    let mut again = FlameTree::new();
    again.add_profile(profile, 0, Grain::Function);
    assert!(
        again.values_by_stack() == tree.values_by_stack(),
        "folded stacks differ:\n{text}"
    );
}
