//! Answers that are small enough for a model: the largest parts, and the exact value of what is left out.

use crate::diff::Change;
use davy_profile::{FlameTree, NodeId, units};
use serde_json::Value;

/// Maximum length of a name.
const NAME_CHARS: usize = 120;

fn shown(name: &str) -> String {
    let visible = davy_profile::names::visible(name);
    match visible.char_indices().nth(NAME_CHARS) {
        Some((end, _)) => format!("{}…", &visible[..end]),
        None => visible.into_owned(),
    }
}

fn percent(value: i64, total: i64) -> String {
    format!("{:.1} %", value as f64 * 100.0 / total.max(1) as f64)
}

/// The functions with the largest own values, and the exact sum of the others.
pub(super) fn top(tree: &FlameTree, unit: &str, limit: usize) -> String {
    let total = tree.totals().first().copied().unwrap_or(0);
    let functions = tree.top(usize::MAX);
    let mut text = format!("total {}\n", units::format(total, unit));
    for function in functions.iter().take(limit) {
        text.push_str(&format!(
            "self {} ({}), total {} ({}): {}\n",
            units::format(function.own, unit),
            percent(function.own, total),
            units::format(function.total, unit),
            percent(function.total, total),
            shown(&function.name)
        ));
    }
    let rest = functions.get(limit..).unwrap_or_default();
    if !rest.is_empty() {
        let own = rest.iter().fold(0i64, |sum, of| sum.saturating_add(of.own));
        text.push_str(&format!(
            "{} not shown: self {} ({}) together\n",
            units::count(rest.len(), "function", "functions"),
            units::format(own, unit),
            percent(own, total)
        ));
    }
    text
}

/// The largest nodes of a tree, each with its exact values, and the exact sum of the children that are left out.
pub(super) fn tree(tree: &FlameTree, unit: &str, limit: usize) -> String {
    let (pruned, kept) = tree.prune_mapped(limit);
    let totals = pruned.totals();
    let total = totals.first().copied().unwrap_or(0);
    // The values that were moved to the closest ancestor that is kept.
    let mut hidden = vec![(0usize, 0i64); pruned.stacks.len()];
    for node in 1..tree.stacks.len() {
        let parent = tree.stacks.parents()[node] as usize;
        if kept[parent] == kept[node] {
            let (count, sum) = &mut hidden[kept[node].index()];
            *count += 1;
            *sum = sum.saturating_add(tree.values[node]);
        }
    }
    let mut children = vec![Vec::new(); pruned.stacks.len()];
    for node in 1..pruned.stacks.len() as u32 {
        children[pruned.stacks.parents()[node as usize] as usize].push(NodeId(node));
    }
    let mut text = format!("total {}\n", units::format(total, unit));
    let mut pending = vec![(NodeId::ROOT, 0usize)];
    while let Some((node, depth)) = pending.pop() {
        let indent = " ".repeat(depth.saturating_sub(1));
        let (count, sum) = hidden[node.index()];
        if node != NodeId::ROOT {
            let own = pruned.values[node.index()].saturating_sub(sum);
            let own = match own {
                0 => String::new(),
                own => format!(", self {}", units::format(own, unit)),
            };
            text.push_str(&format!(
                "{indent}{} {} ({}{own})\n",
                shown(&pruned.frame_name(pruned.stacks.item(node))),
                units::format(totals[node.index()], unit),
                percent(totals[node.index()], total)
            ));
        }
        if count > 0 {
            let indent = " ".repeat(depth);
            text.push_str(&format!(
                "{indent}… {} not shown: {} ({})\n",
                units::count(count, "node", "nodes"),
                units::format(sum, unit),
                percent(sum, total)
            ));
        }
        let mut below = std::mem::take(&mut children[node.index()]);
        // Ascending, because the last one is popped first.
        below.sort_by_key(|child| totals[child.index()]);
        pending.extend(below.into_iter().map(|child| (child, depth + 1)));
    }
    text
}

/// Operations of a member that are listed.
const OPERATIONS: usize = 3;

/// A line for each member with its state and usage, and its operations with the most heap.
pub(super) fn members(rows: &[Value]) -> String {
    let text = |row: &Value, name: &str| shown(row[name].as_str().unwrap_or_default());
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or(0.0);
    let usage = |row: &Value| {
        format!(
            "{:.3} CPUs, heap {}, {} tasks, {:.1} requests/s",
            number(row, "cpu"),
            units::bytes(number(row, "heap_bytes")),
            number(row, "tasks"),
            number(row, "requests_per_second")
        )
    };
    let mut lines = String::new();
    for row in rows {
        lines.push_str(&format!(
            "{} is {}: {}",
            text(row, "name"),
            text(row, "state"),
            usage(row)
        ));
        for field in ["error", "note"] {
            if !text(row, field).is_empty() {
                lines.push_str(&format!("; {field}: {}", text(row, field)));
            }
        }
        lines.push('\n');
        let mut operations: Vec<&Value> =
            row["operations"].as_array().into_iter().flatten().collect();
        operations.sort_by(|a, b| number(b, "heap_bytes").total_cmp(&number(a, "heap_bytes")));
        operations.retain(|of| !text(of, "op").is_empty());
        for of in operations.iter().take(OPERATIONS) {
            lines.push_str(&format!("  {}: {}\n", text(of, "op"), usage(of)));
        }
        let rest = operations.get(OPERATIONS..).unwrap_or_default();
        if !rest.is_empty() {
            let heap: f64 = rest.iter().map(|of| number(of, "heap_bytes")).sum();
            let count = units::count(rest.len(), "operation", "operations");
            lines.push_str(&format!(
                "  {count} not shown: heap {}\n",
                units::bytes(heap)
            ));
        }
    }
    lines
}

/// The largest changes, and the exact sum of the others.
pub(super) fn diff(changes: &[Change], [now, base]: [i64; 2], unit: &str, limit: usize) -> String {
    let mut text = format!(
        "total {} -> {} ({})\n",
        units::format(base, unit),
        units::format(now, unit),
        crate::diff::signed(now.saturating_sub(base), unit)
    );
    for change in changes.iter().take(limit) {
        text.push_str(&format!(
            "{} self {} -> {}, total {} -> {}: {}\n",
            crate::diff::signed(change.own.saturating_sub(change.base_own), unit),
            units::format(change.base_own, unit),
            units::format(change.own, unit),
            units::format(change.base_total, unit),
            units::format(change.total, unit),
            shown(&change.name)
        ));
    }
    let rest = changes.get(limit..).unwrap_or_default();
    if !rest.is_empty() {
        let sum = rest.iter().fold(0i64, |sum, of| {
            sum.saturating_add(of.own.saturating_sub(of.base_own))
        });
        text.push_str(&format!(
            "{} not shown: {} together\n",
            units::count(rest.len(), "function", "functions"),
            crate::diff::signed(sum, unit)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{RankBy, changes, parsed};

    const SHOP: &str = "main;pay;bank 600000000\nmain;pay 5000000\nmain;list;a 200000000\nmain;list;b 100000000\nidle 95000000\n";

    #[test]
    fn what_is_left_out_has_its_exact_value() {
        let shop = parsed(SHOP.as_bytes()).expect("valid");
        insta::assert_snapshot!(tree(&shop, "nanoseconds", 3), @"
        total 1.00 s
        … 1 node not shown: 95.0 ms (9.5 %)
        main 905 ms (90.5 %)
         … 3 nodes not shown: 300 ms (30.0 %)
         pay 605 ms (60.5 %, self 5.00 ms)
          bank 600 ms (60.0 %, self 600 ms)
        ");
        insta::assert_snapshot!(top(&shop, "nanoseconds", 2), @"
        total 1.00 s
        self 600 ms (60.0 %), total 600 ms (60.0 %): bank
        self 200 ms (20.0 %), total 200 ms (20.0 %): a
        5 functions not shown: self 200 ms (20.0 %) together
        ");
        let base = parsed(b"main;pay;bank 100000000\n").expect("valid");
        let all = changes(&shop, &base, RankBy::Own, false);
        let text = diff(&all, [1_000_000_000, 100_000_000], "nanoseconds", 1);
        insta::assert_snapshot!(text, @"
        total 100 ms -> 1.00 s (+900 ms)
        +500 ms self 100 ms -> 600 ms, total 100 ms -> 600 ms: bank
        4 functions not shown: +400 ms together
        ");
    }
}
