use super::*;
use davy_profile::{Frame, FrameKind};

/// A tree of stacks; frames are separated by U+2502, which no name in the tests contains.
fn tree(stacks: &[(&str, i64)]) -> FlameTree {
    let mut tree = FlameTree::new();
    for (stack, value) in stacks {
        let names = stack.split('\u{2502}').filter(|_| !stack.is_empty());
        let node = names.fold(NodeId::ROOT, |node, name| {
            let frame = tree.named_frame(name, FrameKind::Function);
            tree.child(node, frame)
        });
        tree.add(node, *value);
    }
    tree
}

fn rendered(tree: &FlameTree) -> String {
    let svg = svg(tree, "a title", "samples").expect("render");
    String::from_utf8(svg).expect("UTF-8")
}

/// The names and values of the boxes, sorted. The first box is that of the root.
fn boxes(svg: &str) -> Vec<(String, i64)> {
    let titles = svg.split("<title>").skip(1).map(|rest| {
        let (title, _) = rest.split_once("</title>").expect("the title ends");
        let title = [
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&apos;", "'"),
        ]
        .iter()
        .fold(title.to_owned(), |title, (from, to)| {
            title.replace(from, to)
        })
        .replace("&#9;", "\t")
        .replace("&amp;", "&");
        let (name, about) = title.rsplit_once(" (").expect("a value after the name");
        let (value, _) = about.split_once(' ').expect("a unit after the value");
        (name.to_owned(), number(value))
    });
    let mut boxes: Vec<_> = titles.collect();
    boxes.sort();
    boxes
}

/// The value of the root's box. Only its share has no decimals.
fn all(svg: &str) -> i64 {
    let (before, _) = svg.split_once(" samples, 100%)</title>").expect("the root");
    let (_, value) = before.rsplit_once("<title>all (").expect("its title");
    number(value)
}

fn number(text: &str) -> i64 {
    text.replace(',', "").parse().expect("a number")
}

/// The sum of the values in the subtitle.
fn stated(svg: &str) -> i64 {
    let Some((_, stated)) = svg.split_once(">not drawn: ") else {
        return 0;
    };
    let (stated, _) = stated.split_once('<').expect("the subtitle ends");
    let values = stated.split(", ").map(|part| part.split(' ').next());
    values.map(|value| number(value.expect("a value"))).sum()
}

/// The names and the drawn values of the nodes, sorted.
fn nodes(tree: &FlameTree) -> Vec<(String, i64)> {
    let mut drawn: Vec<i64> = tree.values.iter().map(|value| (*value).max(0)).collect();
    drawn[0] = 0;
    for node in (1..drawn.len()).rev() {
        drawn[tree.stacks.parents()[node] as usize] += drawn[node];
    }
    let mut nodes = vec![("all".to_owned(), drawn[0])];
    for node in 1..drawn.len() as u32 {
        let value = drawn[node as usize];
        if value > 0 {
            let name = tree.frame_name(tree.stacks.item(NodeId(node)));
            nodes.push((legal(&name), value));
        }
    }
    nodes.sort();
    nodes
}

const ODD_NAMES: [&str; 32] = [
    "[u8; 8]",
    ";",
    "worker 7",
    "worker 1.5",
    "worker 3 4",
    "7",
    " a",
    "a ",
    " ",
    "a  b",
    "a\tb",
    "\ta\t",
    "\u{a0}a\u{2003}",
    "",
    "#",
    "# comment",
    "do_idle_[k]",
    "jit_[j]",
    "do_idle [k]",
    "f_[i]",
    "--",
    "-",
    "std::vec::Vec<T> as \"Q\" & 'x'",
    "&amp;&#59;]]>",
    "f (x)",
    "\u{645}\u{631}\u{62d}\u{628}\u{627}",
    "\u{202e}abc",
    "\u{1f980} \u{1f469}\u{200d}\u{1f4bb}",
    "e\u{301}",
    "App\\Http\\Kernel::handle",
    "all",
    "%3B",
];

#[test]
fn every_name_is_shown_exactly_as_in_the_tree() {
    for name in ODD_NAMES {
        let stacks = [
            (name.to_owned(), 5),
            (format!("main\u{2502}{name}"), 3),
            (format!("main\u{2502}{name}\u{2502}leaf"), 2),
        ];
        let stacks = stacks
            .each_ref()
            .map(|(stack, value)| (stack.as_str(), *value));
        let mut tree = tree(&stacks);
        if name.is_empty() {
            let frame = tree.named_frame("", FrameKind::Function);
            let node = tree.child(NodeId::ROOT, frame);
            tree.add(node, 5);
            tree.values[0] = 0;
        }
        let svg = rendered(&tree);
        let name = if name.is_empty() { "(anonymous)" } else { name };
        let mut expected = vec![("all", 10), (name, 5), ("main", 5), (name, 5), ("leaf", 2)];
        expected.sort_unstable();
        let boxes = boxes(&svg);
        let boxes: Vec<_> = boxes
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        assert_eq!(boxes, expected, "{name:?}");
        assert!(!svg.contains("not drawn"), "{name:?}");
    }
}

#[test]
fn control_characters_are_escaped_and_illegal_ones_replaced() {
    let svg = rendered(&tree(&[("a\0b\x01c\x1b[2J\nd\re\u{9b}\u{ffff}", 1)]));
    let expected = "a\\x00b\\x01c\\x1b[2J\\x0ad\\x0de\\x9b\u{fffd}";
    assert_eq!(
        boxes(&svg),
        [(expected.to_owned(), 1), ("all".to_owned(), 1)]
    );
    let is_illegal = |c: char| (c < ' ' && !"\n\r\t".contains(c)) || c == '\u{ffff}';
    assert_eq!(svg.find(is_illegal), None);
}

#[test]
fn labels_that_fit_are_not_shortened() {
    let svg = rendered(&tree(&[("[u8; 8] a b\tc", 1)]));
    assert!(svg.contains(">[u8; 8] a b\tc</text>"), "{svg}");
}

#[test]
fn each_node_has_one_box() {
    // In the order of bytes, `main-x 1` and `main::x 1` are between `main 1` and `main;y 1`.
    let tree = tree(&[
        ("main", 1),
        ("main-x", 1),
        ("main::x", 1),
        ("main\u{2502}y", 1),
    ]);
    assert_eq!(boxes(&rendered(&tree)), nodes(&tree));
}

#[test]
fn functions_of_the_same_name_have_separate_boxes() {
    let mut tree = FlameTree::new();
    let name = tree.strings.intern("run");
    for line in 1..=4 {
        let frame = tree.frame(Frame {
            name,
            start_line: line,
            ..Frame::default()
        });
        let node = tree.child(NodeId::ROOT, frame);
        // The third has no value.
        tree.add(node, if line == 3 { 0 } else { i64::from(line) });
    }
    let expected = [("all", 7), ("run", 1), ("run", 2), ("run", 4)];
    assert_eq!(
        boxes(&rendered(&tree)),
        expected.map(|(name, value)| (name.to_owned(), value))
    );
}

#[test]
fn values_without_a_box_are_stated() {
    let check = |stacks: &[(&str, i64)], drawn: i64, expected: &str| {
        let svg = rendered(&tree(stacks));
        assert_eq!(all(&svg), drawn);
        assert!(svg.contains(expected), "{expected}: {svg}");
    };
    check(
        &[("a", 5), ("", 1_234)],
        5,
        "not drawn: 1,234 samples without a frame<",
    );
    check(
        &[("a", 5), ("a\u{2502}b", -2)],
        5,
        "not drawn: -2 samples in negative values<",
    );
    check(
        &[("a", 5), ("", -1_000_000), ("b", -7)],
        5,
        "not drawn: -1,000,000 samples without a frame, -7 samples in negative values<",
    );
    for stacks in [[("", 5)], [("a", -5)]] {
        let svg = rendered(&tree(&stacks));
        assert!(
            svg.contains("not drawn: ") && svg.contains("5 samples"),
            "{svg}"
        );
    }
    assert!(rendered(&tree(&[])).contains("no samples in this range"));
}

#[test]
fn sums_beyond_64_bits_are_drawn() {
    let max = i64::MAX;
    let svg = rendered(&tree(&[("a", max), ("b", max), ("c", max)]));
    let first = svg.split("<title>").nth(1).expect("a box");
    assert!(svg.contains("a (9,223,372,036,854,775,8"), "{first}");
}

#[test]
fn boxes_of_random_trees_are_the_nodes_and_their_values() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % limit
    };
    for round in 0..200 {
        let mut tree = FlameTree::new();
        for _ in 0..30 {
            let parent = NodeId(below(tree.stacks.len()) as u32);
            let name = tree.strings.intern(ODD_NAMES[below(ODD_NAMES.len())]);
            let frame = tree.frame(Frame {
                name,
                start_line: below(2) as u32,
                ..Frame::default()
            });
            let node = tree.child(parent, frame);
            tree.add(node, below(100) as i64 - 20);
        }
        tree.add(NodeId::ROOT, below(3) as i64 - 1);
        let svg = rendered(&tree);
        assert_eq!(boxes(&svg), nodes(&tree), "round {round}");
        let total: i64 = tree.values.iter().sum();
        assert_eq!(all(&svg) + stated(&svg), total, "round {round}");
    }
}
