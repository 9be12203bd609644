//! Reads the views that are drawn: the page's binary tree and SVG.

use davy_profile::view::MAGIC;
use serde_json::Value;

/// A node of the binary tree.
#[derive(Debug, PartialEq)]
struct BrowserNode {
    name: String,
    depth: u16,
    own: f64,
    hidden: f64,
}

/// The total and the nodes of a binary tree, in its order. `davy_profile::view` describes the format.
fn browser_tree(bytes: &[u8]) -> (f64, Vec<BrowserNode>) {
    assert_eq!(&bytes[..8], MAGIC);
    let count =
        |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
    let (nodes, frames, strings, text_bytes) = (count(12), count(16), count(20), count(24));
    let total = f64::from_le_bytes(bytes[40..48].try_into().expect("eight"));
    let mut at = 64;
    let mut section = |length: usize| {
        let section = &bytes[at..at + length];
        at += length.next_multiple_of(8);
        section
    };
    let floats = |bytes: &[u8]| -> Vec<f64> {
        let all = bytes.chunks_exact(8);
        all.map(|eight| f64::from_le_bytes(eight.try_into().expect("eight")))
            .collect()
    };
    let numbers = |bytes: &[u8]| -> Vec<usize> {
        let all = bytes.chunks_exact(4);
        all.map(|four| u32::from_le_bytes(four.try_into().expect("four")) as usize)
            .collect()
    };
    let (own, hidden) = (floats(section(8 * nodes)), floats(section(8 * nodes)));
    let (frame, _) = (numbers(section(4 * nodes)), section(4 * nodes));
    let depths = section(2 * nodes).chunks_exact(2);
    let depths: Vec<u16> = depths
        .map(|two| u16::from_le_bytes(two.try_into().expect("two")))
        .collect();
    let (name, _, _, _) = (
        numbers(section(4 * frames)),
        section(4 * frames),
        section(4 * frames),
        section(frames),
    );
    let (ends, text) = (numbers(section(4 * strings)), section(text_bytes));
    let node = |node: usize| {
        let string = name[frame[node]];
        let start = if string == 0 { 0 } else { ends[string - 1] };
        let name = std::str::from_utf8(&text[start..ends[string]]).expect("UTF-8");
        BrowserNode {
            name: name.to_owned(),
            depth: depths[node],
            own: own[node],
            hidden: hidden[node],
        }
    };
    (total, (0..nodes).map(node).collect())
}

/// What an SVG image shows.
struct Drawing {
    /// The value of the root's box, 0 if there is none.
    all: i128,
    /// The sum of the values that the subtitle states as not drawn.
    stated: i128,
    /// The values of the other boxes, sorted.
    boxes: Vec<i128>,
}

/// Reads an image whose values have a unit without blanks, and in which no function is named `all`.
fn drawing(svg: &str) -> Drawing {
    let number = |text: &str| -> i128 { text.replace(',', "").parse().expect("a number") };
    let titles = svg.split("<title>").skip(1);
    let (mut all, mut boxes) = (0, Vec::new());
    for rest in titles {
        let (title, _) = rest.split_once("</title>").expect("the title ends");
        let (name, about) = title.rsplit_once(" (").expect("a value after the name");
        let value = number(about.split(' ').next().expect("a value"));
        match name {
            "all" => all = value,
            _ => boxes.push(value),
        }
    }
    boxes.sort_unstable();
    let stated = svg.split_once("not drawn: ").map_or(0, |(_, rest)| {
        let (stated, _) = rest.split_once('<').expect("the subtitle ends");
        let values = stated.split(", ");
        values
            .map(|part| number(part.split(' ').next().expect("a value")))
            .sum()
    });
    Drawing { all, stated, boxes }
}

/// The page's tree and the SVG image agree with a tree in JSON.
pub(crate) fn check_drawn(json: &Value, binary: &[u8], svg: &str, context: &str) {
    let (mut nodes, mut drawn) = (Vec::new(), Vec::new());
    let all = visit(json, 0, &mut nodes, &mut drawn);
    drawn.pop();
    let (total, got) = browser_tree(binary);
    assert_eq!(Some(total), json["total"].as_f64(), "{context}");
    assert_eq!(got, nodes, "{context}");

    let image = drawing(svg);
    // Boxes have the precision of floating-point numbers.
    let is_same = |a: i128, b: i128| (a - b).abs() <= b.abs() >> 50;
    assert!(is_same(image.all, all), "{context}");
    let undrawn = i128::from(json["total"].as_i64().expect("a total")) - all;
    assert_eq!(image.stated, undrawn, "{context}");
    // Boxes that are too narrow to be seen may be left out.
    let is_wide = |value: &i128| *value > all / 1_000;
    drawn.sort_unstable();
    let mut drawn = drawn.into_iter().filter(is_wide);
    for width in image.boxes.into_iter().filter(is_wide) {
        let drawn = drawn.next().unwrap_or(0);
        assert!(is_same(width, drawn), "{context}: {width} {drawn}");
    }
    assert_eq!(drawn.next(), None, "{context}");
}

/// Adds the nodes of a tree in JSON and the widths of their boxes. Returns the width of the first.
fn visit(node: &Value, depth: u16, nodes: &mut Vec<BrowserNode>, drawn: &mut Vec<i128>) -> i128 {
    let number = |key: &str| node[key].as_i64().unwrap_or(0);
    nodes.push(BrowserNode {
        name: node["name"].as_str().expect("a name").to_owned(),
        depth,
        own: number("self") as f64,
        hidden: number("hidden") as f64,
    });
    // The root has no box of its own.
    let own = if depth == 0 { 0 } else { number("self").max(0) };
    let children = node["children"].as_array().expect("children");
    let below: i128 = children
        .iter()
        .map(|child| visit(child, depth + 1, nodes, drawn))
        .sum();
    let width = i128::from(own) + below;
    drawn.push(width);
    width
}
