use super::*;
use crate::NodeId;
use crate::{Limits, Mapping, Profile, folded};

fn tree(folded_stacks: &str) -> FlameTree {
    let profile =
        folded::decode(folded_stacks.as_bytes(), &Limits::default()).expect("valid input");
    let mut tree = FlameTree::new();
    tree.add_profile(&profile, 0, Grain::Function);
    tree
}

#[test]
fn recursive_calls_count_once_in_a_functions_total() {
    let top = tree("a;b;a;a 5\na;b 2\nc 1\n").top(10);
    let row = |name: &str| {
        top.iter()
            .find(|f| f.name == name)
            .map(|f| (f.own, f.total))
            .expect("the function is in the table")
    };
    assert_eq!(row("a"), (5, 7));
    assert_eq!(row("b"), (2, 7));
    assert_eq!(row("c"), (1, 1));
    assert_eq!(top[0].name, "a", "sorted by own value");
}

#[test]
fn pruning_keeps_every_total_exact() {
    let whole = tree("a;b;c 5\na;b;d 1\na;e 1\nf 9\n");
    let pruned = whole.prune(3);
    assert_eq!(pruned.stacks.len(), 4, "three nodes and the root");
    assert_eq!(pruned.totals()[0], whole.totals()[0]);
    assert_eq!(folded::encode(&pruned), "a 1\na;b 6\nf 9\n");
}

#[test]
fn merging_two_trees_adds_their_values() {
    let mut both = tree("a;b 1\n");
    both.merge(&tree("a;b 2\na;c 3\n"));
    assert_eq!(folded::encode(&both), "a;b 3\na;c 3\n");
}

#[test]
fn retain_keeps_the_stacks_through_a_function_or_all_others() {
    let retain = |through: bool| {
        let mut tree = tree("a;b;c 1\na;d 2\nb 4\n");
        let passes = tree.through(|frame| tree.frame_name(frame) == "b");
        for (value, passes) in tree.values.iter_mut().zip(passes) {
            *value *= i64::from(passes == through);
        }
        tree
    };
    let focused = retain(true);
    assert_eq!(folded::encode(&focused), "a;b;c 1\nb 4\n");
    let ignoring = retain(false);
    assert_eq!(folded::encode(&ignoring), "a;d 2\n");
}

#[test]
fn hiding_a_function_joins_its_callers_to_its_callees() {
    let whole = tree("a;b;c 1\na;c 2\nb 4\n");
    let (hidden, nodes) = whole.hide_mapped(|frame| whole.frame_name(frame) == "b");
    assert_eq!(nodes.len(), whole.stacks.len());
    assert_eq!(folded::encode(&hidden), "(no stack) 4\na;c 3\n");
    assert_eq!(
        hidden.values[0], 4,
        "the value of a stack without frames moves to the root"
    );
}

#[test]
fn trimmed_tree_has_only_what_leads_to_a_value() {
    let mut whole = tree("a;b;c 1\na;d 2\ne 4\nf 5\nf;g -5\n");
    for node in 1..whole.values.len() {
        let name = whole.frame_name(whole.stacks.items()[node]).into_owned();
        if name == "d" || name == "e" {
            whole.values[node] = 0;
        }
    }
    let trimmed = whole.trimmed();
    assert_eq!(folded::encode(&trimmed), folded::encode(&whole));
    // a, b, c, and f and g, whose values cancel out.
    assert_eq!((trimmed.stacks.len(), trimmed.frames.len()), (6, 5));
}

#[test]
fn tree_survives_conversion_to_a_profile_and_back() {
    let whole = tree("a;b;c 5\na;b;d 1\na;e 1\nf 9\n");
    let profile = whole.to_profile("cpu", "nanoseconds");
    let mut back = FlameTree::new();
    back.add_profile(&profile, 0, Grain::Function);
    assert_eq!(folded::encode(&back), folded::encode(&whole));
}

/// A profile with these locations, each a list of functions from the innermost to the one that contains the
/// others, and a sample of each stack of locations.
fn with_locations(locations: &[(u64, &[&str])], stacks: &[&[usize]]) -> Profile {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    profile.mappings.push(Mapping {
        start: 0x1000,
        limit: 0x9000,
        ..Mapping::default()
    });
    let mut ids = Vec::new();
    for (address, names) in locations {
        let lines = names.iter().map(|name| {
            let name = profile.strings.intern(name);
            let function = profile.function(crate::Function {
                name,
                ..Default::default()
            });
            crate::Line {
                function,
                line: 7,
                column: 0,
            }
        });
        let lines: Vec<crate::Line> = lines.collect();
        ids.push(profile.location(Some(0), *address, &lines));
    }
    for stack in stacks {
        let stack = profile.stack(stack.iter().map(|at| ids[*at]));
        profile.add_sample(stack, crate::LabelSetId(0), &[1]);
    }
    profile
}

/// Stacks of a profile as `address:function,function`, sorted.
fn outline(profile: &Profile) -> Vec<String> {
    let mut stacks = Vec::new();
    for sample in 0..profile.sample_count() {
        let mut node = profile.samples.stacks[sample].index();
        let mut words = Vec::new();
        while node != 0 {
            let location = &profile.locations[profile.stacks.items()[node] as usize];
            let names = profile.lines_of(location).iter().map(|line| {
                let function = &profile.functions[line.function as usize];
                profile.text(function.name)
            });
            let names: Vec<&str> = names.collect();
            words.push(format!("{:x}:{}", location.address, names.join(",")));
            node = profile.stacks.parents()[node] as usize;
        }
        words.reverse();
        stacks.push(words.join(" "));
    }
    stacks.sort();
    stacks
}

#[test]
fn inlined_frames_are_children_of_the_containing_function_and_share_its_location() {
    let profile = with_locations(
        &[
            (0x1010, &["main"]),
            (0x1020, &["inlined", "holder"]),
            (0x1030, &["deepest", "inlined", "holder"]),
            (0x1040, &["holder"]),
        ],
        &[&[0, 1], &[0, 2, 0, 1], &[0, 3]],
    );
    let mut tree = FlameTree::new();
    tree.add_profile(&profile, 0, Grain::Location);
    assert_eq!(
        folded::encode(&tree),
        "main;holder;inlined 1\nmain;holder;inlined;deepest;main;holder;inlined 1\nmain;holder 1\n"
    );
    // Two functions that were inlined, main, and three places in holder.
    assert_eq!(tree.frames.len(), 6, "{:?}", tree.frames);
    assert_eq!(outline(&tree.to_profile("cpu", "ns")), outline(&profile));
}

#[test]
fn function_inlined_into_a_hidden_one_stays_at_its_location() {
    let profile = with_locations(
        &[
            (0x1010, &["main"]),
            (0x1020, &["deepest", "inlined", "holder"]),
        ],
        &[&[0, 1]],
    );
    let mut tree = FlameTree::new();
    tree.add_profile(&profile, 0, Grain::Location);
    let without = |hidden: &[&str]| {
        let (tree, _) = tree.hide_mapped(|frame| hidden.contains(&&*tree.frame_name(frame)));
        outline(&tree.to_profile("cpu", "ns")).join("; ")
    };
    assert_eq!(without(&["holder"]), "1010:main 1020:deepest,inlined");
    assert_eq!(without(&["inlined"]), "1010:main 1020:deepest,holder");
    assert_eq!(without(&["holder", "inlined"]), "1010:main 1020:deepest");
    assert_eq!(without(&["main"]), "1020:deepest,inlined,holder");
}

#[test]
fn small_groups_are_not_pruned() {
    let mut tree = FlameTree::new();
    let mut add = |group: &str, names: &[&str], value| {
        let group = tree.named_frame(group, FrameKind::Group);
        let group = tree.child(NodeId::ROOT, group);
        let node = names.iter().fold(group, |at, name| {
            let frame = tree.named_frame(name, FrameKind::Function);
            tree.child(at, frame)
        });
        tree.add(node, value);
    };
    add("member=large", &["a", "b", "c"], 1_000);
    add("member=small", &["a"], 1);
    assert_eq!(
        folded::encode(&tree.prune(3)),
        "member=large;a 1000\nmember=small 1\n"
    );
}

#[test]
fn samples_are_grouped_by_label_and_those_without_it_are_untagged() {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    let (main, pay) = (
        profile.named_location("main"),
        profile.named_location("pay"),
    );
    let (outer, inner) = (profile.stack([main]), profile.stack([main, pay]));
    let api = profile.text_labels(&[("member", "api"), ("op", "Pay")]);
    let gc = profile.text_labels(&[("member", "gc")]);
    let none = profile.text_labels(&[]);
    for (stack, labels, value) in [
        (inner, api, 5),
        (inner, gc, 2),
        (outer, gc, 1),
        (outer, none, 7),
    ] {
        profile.add_sample(stack, labels, &[value]);
    }
    let by = |labels: &[&str]| {
        let mut tree = FlameTree::new();
        tree.add_profile_by(&profile, 0, Grain::Function, labels);
        crate::folded::encode(&tree)
    };
    assert_eq!(by(&[]), "main 8\nmain;pay 7\n");
    assert_eq!(
        by(&["member", "op"]),
        "member=(untagged);op=(untagged);main 7\n\
         member=api;op=Pay;main;pay 5\n\
         member=gc;op=(untagged);main 1\n\
         member=gc;op=(untagged);main;pay 2\n"
    );
}
