//! Call graphs in the language of Graphviz: a node for each function, an edge for each pair of caller and callee.

use crate::named::Named;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Encodes a tree. Recursive calls count once.
pub(crate) fn encode(tree: &Named<1>, unit: &str) -> String {
    let count = tree.names.len();
    let (mut own, mut total) = (vec![0i64; count], vec![0i64; count]);
    let mut edges: BTreeMap<(u32, u32), i64> = BTreeMap::new();
    // The names and edges of the open nodes, and how often each is open.
    let mut path: Vec<u32> = Vec::new();
    let mut open = vec![0u32; count];
    let mut open_edges: FxHashMap<(u32, u32), u32> = FxHashMap::default();
    tree.walk(|node, depth| {
        let of = &tree.nodes[node as usize];
        while path.len() > depth {
            let name = path.pop().unwrap_or(0);
            open[name as usize] -= 1;
            if let Some(caller) = path.last() {
                *open_edges.entry((*caller, name)).or_default() -= 1;
            }
        }
        let name = of.name;
        own[name as usize] = own[name as usize].saturating_add(of.own[0]);
        if open[name as usize] == 0 {
            total[name as usize] = total[name as usize].saturating_add(of.total[0]);
        }
        open[name as usize] += 1;
        if let Some(caller) = path.last() {
            let edge = (*caller, name);
            let depth_of_edge = open_edges.entry(edge).or_default();
            if *depth_of_edge == 0 {
                let sum = edges.entry(edge).or_default();
                *sum = sum.saturating_add(of.total[0]);
            }
            *depth_of_edge += 1;
        }
        path.push(name);
    });
    let all = tree.nodes[0].total[0];
    let percent = |value: i64| 100.0 * value as f64 / all.max(1) as f64;
    let mut out =
        String::from("digraph \"davy\" {\nnode [shape=box style=filled fillcolor=\"#f8f8f8\"]\n");
    for (at, name) in tree.names.iter().enumerate() {
        let label = format!(
            "{}\n{} of {} {unit} ({:.1} %)",
            name,
            own[at],
            total[at],
            percent(total[at])
        );
        out.push_str(&format!("N{at} [label={}]\n", quoted(&label)));
    }
    for ((caller, callee), value) in edges {
        let label = format!("{value} {unit}");
        out.push_str(&format!(
            "N{caller} -> N{callee} [label={}]\n",
            quoted(&label)
        ));
    }
    out.push_str("}\n");
    out
}

/// A text in double quotes.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{FlameTree, Limits, folded};

    #[test]
    fn recursive_calls_count_once() {
        let text = b"main;f;g;f;g 5\nmain;say \"x\" 1\n";
        let profile = folded::decode(text, &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        let dot = encode(&Named::of([&tree], 100), "count");
        for expected in [
            "[label=\"f\\n0 of 5 count (83.3 %)\"]",
            "[label=\"g\\n5 of 5 count (83.3 %)\"]",
            "[label=\"say \\\"x\\\"\\n1 of 1 count (16.7 %)\"]",
            "[label=\"6 count\"]",
        ] {
            assert!(dot.contains(expected), "{expected}: {dot}");
        }
        assert_eq!(dot.matches("5 count\"]\n").count(), 3, "{dot}");
    }
}
