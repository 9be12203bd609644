use super::*;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Numbers from a linear congruential generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// Frames of a stack, from the root.
type Stacks = BTreeMap<Vec<u32>, i128>;

/// A tree of stacks, in the order in which they are given.
fn tree(stacks: &[(&[u32], i128)]) -> Preorder {
    let mut flame = FlameTree::new();
    let mut values = vec![0i128];
    for (stack, value) in stacks {
        let mut at = NodeId::ROOT;
        for frame in *stack {
            at = flame.child(at, *frame);
        }
        values.resize(flame.stacks.len(), 0);
        values[at.index()] += value;
    }
    // In preorder.
    let (mut order, mut depths) = (Vec::new(), Vec::new());
    flame.walk(|node, depth| {
        order.push(node);
        depths.push(depth);
    });
    let mut numbers = vec![0; order.len()];
    for (number, node) in order.iter().enumerate() {
        numbers[node.index()] = number as u32;
    }
    let parents: Vec<u32> = order
        .iter()
        .map(|node| numbers[flame.stacks.parent(*node).index()])
        .collect();
    let values: Vec<i128> = order.iter().map(|node| values[node.index()]).collect();
    let frame = |node: u32| flame.stacks.item(order[node as usize]);
    of(&[], &parents, &values, frame)
}

/// The nodes with these values.
fn of(above: &[u32], parents: &[u32], values: &[i128], frame: impl Fn(u32) -> u32) -> Preorder {
    let mut sums = Sums::new(parents);
    for (node, value) in (0..).zip(values) {
        sums.add(node, *value);
    }
    let Ok(built) = sums.take::<Infallible>(above, |value| value, |node| Ok(frame(node)));
    built
}

/// The stacks that have values.
fn stacks(tree: &Preorder) -> Stacks {
    let parents = tree.parents();
    let mut all = Stacks::new();
    for node in 0..tree.len() {
        let (mut stack, mut at) = (Vec::new(), node);
        while at != 0 {
            stack.push(tree.frames[at]);
            at = parents[at] as usize;
        }
        stack.reverse();
        *all.entry(stack).or_default() += tree.values[node];
    }
    all.retain(|_, value| *value != 0);
    all
}

fn random_stacks(random: &mut Random) -> Vec<(Vec<u32>, i128)> {
    let count = random.below(40);
    (0..count)
        .map(|_| {
            let depth = random.below(6);
            let stack = (0..depth).map(|_| random.below(4) as u32).collect();
            (stack, i128::from(random.below(9)) - 4)
        })
        .collect()
}

#[test]
fn merged_tree_has_the_sum_of_the_values_of_each_stack() {
    let mut random = Random(3);
    for round in 0..500 {
        let mut expected = Stacks::new();
        let mut trees = Vec::new();
        for _ in 0..random.below(5) {
            let stacks = random_stacks(&mut random);
            for (stack, value) in &stacks {
                *expected.entry(stack.clone()).or_default() += value;
            }
            let borrowed: Vec<(&[u32], i128)> = stacks.iter().map(|(s, v)| (&s[..], *v)).collect();
            trees.push(tree(&borrowed));
            // Merged trees are merged again.
            if random.below(3) == 0 {
                trees = vec![Preorder::merge(&trees)];
            }
        }
        expected.retain(|_, value| *value != 0);
        let merged = Preorder::merge(&trees);
        assert_eq!(stacks(&merged), expected, "round {round}");
        assert_eq!(merged.sizes[0] as usize, merged.len());
        let mut flame = FlameTree::new();
        flame.set_stacks(merged.clone(), |value| value);
        for node in 1..flame.stacks.len() {
            let (parent, item) = (
                flame.stacks.parents()[node],
                flame.stacks.item(NodeId(node as u32)),
            );
            let found = flame.stacks.child(NodeId(parent), item);
            assert_eq!(found.index(), node, "each node once");
        }
        let total: i128 = expected.values().sum();
        assert_eq!(i128::from(flame.totals()[0]), total);
    }
}

#[test]
fn siblings_of_the_same_frame_are_merged() {
    // Two functions of the dictionary are the same frame of the tree.
    let parents = [0, 0, 1, 0, 3];
    let built = of(&[], &parents, &[0, 1, 2, 3, 4], |node| (node + 1) % 2);
    let merged = Preorder::merge(&[built]);
    assert_eq!(merged.len(), 3);
    assert_eq!(
        stacks(&merged),
        [(vec![0], 4), (vec![0, 1], 6)].into_iter().collect()
    );
}

#[test]
fn nodes_without_values_are_left_out_and_groups_are_above() {
    let parents = [0, 0, 1, 0, 3];
    let built = of(&[8, 9], &parents, &[5, 0, 0, 0, 4], |node| node);
    assert_eq!(built.len(), 5);
    let expected = [(vec![8, 9], 5), (vec![8, 9, 3, 4], 4)];
    assert_eq!(stacks(&built), expected.into_iter().collect());
}

#[test]
fn pruning_keeps_totals_and_the_largest_nodes() {
    let of = tree(&[
        (&[1], 1),
        (&[1, 2], 50),
        (&[1, 3], -60),
        (&[4], 40),
        (&[4, 5], 2),
        (&[], 7),
    ]);
    let kept = |nodes: usize| stacks(&of.clone().prune(nodes, |frame| frame == 4));
    assert_eq!(kept(0), [(vec![], 40)].into_iter().collect());
    // The group comes first, then the node with the largest magnitude.
    let two = [(vec![], 7), (vec![1], -9), (vec![4], 42)];
    assert_eq!(kept(2), two.into_iter().collect());
    let three = [(vec![], 7), (vec![1], 51), (vec![1, 3], -60), (vec![4], 42)];
    assert_eq!(kept(3), three.into_iter().collect());
    assert_eq!(kept(99), stacks(&of));
}

#[test]
fn values_are_converted_and_stay_within_64_bits() {
    let mut flame = FlameTree::new();
    let of = tree(&[(&[1], i128::from(i64::MAX) * 4), (&[2], 6)]);
    flame.set_stacks(of, |value| value / 2);
    assert_eq!(flame.values, [0, i64::MAX, 3]);
}

#[test]
fn few_values_in_a_large_tree_are_taken_as_many_are() {
    // A chain of 1,000 nodes below each of ten.
    let parents: Vec<u32> = (0..10_000u32)
        .map(|node| {
            if node % 1_000 == 1 {
                0
            } else {
                node.saturating_sub(1)
            }
        })
        .collect();
    let mut sums = Sums::new(&parents);
    let mut take = |values: &[(u32, i128)]| {
        for (node, value) in values {
            sums.add(*node, *value);
        }
        let Ok(taken) = sums.take::<Infallible>(&[], |value| value * 2, Ok);
        taken
    };
    let few = take(&[(5_003, 3), (5_001, 1), (5_003, 4), (9, 1), (9, -1)]);
    let expected = [(vec![5_001], 2), (vec![5_001, 5_002, 5_003], 14)];
    assert_eq!(stacks(&few), expected.into_iter().collect());
    assert_eq!(few.sizes, [4, 3, 2, 1]);
    // Nothing is left of the values that were taken before.
    let all: Vec<(u32, i128)> = (1..10_000).map(|node| (node, 1)).collect();
    let whole = take(&all);
    assert_eq!((whole.len(), whole.sizes[1]), (10_000, 1_000));
    assert!(whole.values[1..].iter().all(|value| *value == 2));
    assert_eq!(take(&[]).len(), 1);
}
