//! Flame graphs and tables for a terminal.

use crate::cli::Failure;
use davy_profile::{FlameTree, Limits, NodeId, flame::Grain, folded};

/// Nothing in the range; said in words rather than as an empty screen.
const EMPTY: &str =
    "no samples in this range; `davy query` looks at the last hour unless --from says otherwise\n";

/// A tree of the largest nodes, from folded stacks.
pub(super) fn tree(folded_stacks: &[u8], unit: &str, max_nodes: usize) -> Result<String, Failure> {
    if folded_stacks.trim_ascii().is_empty() {
        return Ok(EMPTY.to_owned());
    }
    let limits = Limits {
        bytes: usize::MAX,
        nodes: usize::MAX,
        samples: usize::MAX,
        ..Limits::default()
    };
    let profile = folded::decode(folded_stacks, &limits)
        .map_err(|error| Failure::Failed(format!("the answer is not folded stacks: {error}")))?;
    let mut whole = FlameTree::new();
    whole.add_profile(&profile, 0, Grain::Function);
    Ok(of_tree(&whole, unit, max_nodes))
}

/// A tree of the largest nodes.
pub(crate) fn of_tree(whole: &FlameTree, unit: &str, max_nodes: usize) -> String {
    let tree = whole.prune(max_nodes);
    let totals = tree.totals();
    let all = totals[0].max(1);
    let mut out = format!("total {}\n", format_value(totals[0], unit));
    let mut pending: Vec<(NodeId, String)> = sorted_children(&tree, &totals, NodeId::ROOT, "");
    while let Some((node, indent)) = pending.pop() {
        let total = totals[node.index()];
        let share = total as f64 * 100.0 / all as f64;
        let name = shortened(&tree.frame_name(tree.stacks.item(node)));
        out.push_str(&format!(
            "{share:5.1} % {:>10}  {indent}{name}\n",
            format_value(total, unit)
        ));
        // A chain of single callees stays in its column: depth shows only where stacks part.
        let below = sorted_children(&tree, &totals, node, &indent);
        let parts = below.len() > 1 || tree.values[node.index()] > 0;
        pending.extend(below.into_iter().map(|(child, indent)| {
            let indent = if parts { format!("{indent}| ") } else { indent };
            (child, indent)
        }));
    }
    let left_out = whole.stacks.len() - tree.stacks.len();
    if left_out > 0 {
        out.push_str(&format!("{left_out} smaller nodes are not drawn; their values are in the lines above them (--max-nodes)\n"));
    }
    out
}

fn sorted_children(
    tree: &FlameTree,
    totals: &[i64],
    node: NodeId,
    indent: &str,
) -> Vec<(NodeId, String)> {
    let parents = tree.stacks.parents();
    let mut children: Vec<NodeId> = (1..parents.len() as u32)
        .filter(|child| parents[*child as usize] == node.0)
        .map(NodeId)
        .collect();
    // The largest is popped first.
    children.sort_by_key(|child| totals[child.index()]);
    children
        .into_iter()
        .map(|child| (child, indent.to_owned()))
        .collect()
}

#[derive(serde::Deserialize)]
struct Top {
    unit: String,
    total: i64,
    #[serde(default)]
    partial: Vec<String>,
    functions: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    #[serde(rename = "self")]
    own: i64,
    total: i64,
}

/// A table of functions, from the API's answer.
pub(super) fn table(json: &[u8]) -> Result<String, Failure> {
    let top: Top = serde_json::from_slice(json).map_err(|error| {
        Failure::Failed(format!("the answer is no table of functions: {error}"))
    })?;
    if top.functions.is_empty() {
        return Ok(EMPTY.to_owned());
    }
    let all = top.total.max(1) as f64;
    let mut out = String::new();
    for reason in &top.partial {
        out.push_str(&format!("incomplete: {reason}\n"));
    }
    out.push_str(&format!("total {}\n", format_value(top.total, &top.unit)));
    out.push_str(&format!(
        "{:>10} {:>7} {:>10} {:>7}  FUNCTION\n",
        "SELF", "", "TOTAL", ""
    ));
    for row in &top.functions {
        out.push_str(&format!(
            "{:>10} {:5.1} % {:>10} {:5.1} %  {}\n",
            format_value(row.own, &top.unit),
            row.own as f64 * 100.0 / all,
            format_value(row.total, &top.unit),
            row.total as f64 * 100.0 / all,
            shortened(&row.name)
        ));
    }
    Ok(out)
}

/// Letters of a name in a line; Rust's generic names can be a thousand long.
const NAME_MAX: usize = 100;

/// A name that fits a line. `--format folded` has the whole ones.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// A value in a unit that a person reads at a glance.
pub(crate) fn format_value(value: i64, unit: &str) -> String {
    match unit {
        "nanoseconds" => {
            let seconds = value as f64 / 1e9;
            match seconds.abs() {
                s if s >= 120.0 => format!("{:.1} min", seconds / 60.0),
                s if s >= 1.0 => format!("{seconds:.2} s"),
                s if s >= 1e-3 => format!("{:.1} ms", seconds * 1e3),
                _ => format!("{:.1} us", seconds * 1e6),
            }
        }
        "bytes" => davy_base::size::format_bytes(value.max(0) as u64),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_shows_depth_only_where_stacks_part() {
        let text = tree(
            b"main;run;a 3000000000\nmain;run;b 1000000000\n",
            "nanoseconds",
            10,
        )
        .expect("valid");
        insta::assert_snapshot!(text, @r"
        total 4.00 s
        100.0 %     4.00 s  main
        100.0 %     4.00 s  run
         75.0 %     3.00 s  | a
         25.0 %     1.00 s  | b
        ");
    }

    #[test]
    fn what_is_not_drawn_is_said() {
        let text = tree(b"a;x 5\na;y 1\nb 4\n", "count", 2).expect("valid");
        assert!(text.ends_with("2 smaller nodes are not drawn; their values are in the lines above them (--max-nodes)\n"), "{text}");
        assert_eq!(tree(b"\n", "count", 2).expect("valid"), EMPTY);
    }

    #[test]
    fn a_table_shows_shares() {
        let json = br#"{"unit":"bytes","total":4096,"functions":[{"name":"f","file":"","self":1024,"total":4096}]}"#;
        insta::assert_snapshot!(table(json).expect("valid"), @r"
        total 4.0 KiB
              SELF              TOTAL          FUNCTION
           1.0 KiB  25.0 %    4.0 KiB 100.0 %  f
        ");
    }
}
