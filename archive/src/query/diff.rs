//! The difference of two trees: one tree with a value of each side at every node.

use crate::answer::bytes;
use axum::response::Response;
use davy_profile::{FlameTree, NodeId};
use serde_json::{Value, json};

/// A node of the difference.
struct Node {
    name: String,
    children: Vec<usize>,
    own: [i64; 2],
    total: [i64; 2],
}

/// The nodes that are largest on either side, as JSON: `{name,self,total,base_self,base_total,children}`.
pub(super) fn answer(
    tree: &FlameTree,
    base: &FlameTree,
    max_nodes: usize,
    meta: &Value,
) -> Response {
    let mut both = tree.clone();
    both.merge(base);
    // Values of each side by node of the merged tree, which has all nodes already.
    let side = |of: &FlameTree, both: &mut FlameTree| {
        both.values.fill(0);
        both.merge(of);
        (both.values.clone(), both.totals())
    };
    let (own, total) = side(tree, &mut both);
    let (base_own, base_total) = side(base, &mut both);
    let mut order: Vec<u32> = (1..both.stacks.len() as u32).collect();
    let weight = |node: &u32| {
        total[*node as usize]
            .saturating_abs()
            .max(base_total[*node as usize].saturating_abs())
    };
    order.sort_by_key(|node| (std::cmp::Reverse(weight(node)), *node));
    order.truncate(max_nodes);
    order.sort_unstable();
    let mut kept = vec![usize::MAX; both.stacks.len()];
    let mut nodes = vec![Node {
        name: "total".into(),
        children: vec![],
        own: [own[0], base_own[0]],
        total: [total[0], base_total[0]],
    }];
    kept[0] = 0;
    for node in order {
        let parent = kept[both.stacks.parent(NodeId(node)).index()];
        if parent == usize::MAX {
            continue;
        }
        let at = node as usize;
        kept[at] = nodes.len();
        nodes[parent].children.push(kept[at]);
        nodes.push(Node {
            name: both.frame_name(both.stacks.item(NodeId(node))).into_owned(),
            children: vec![],
            own: [own[at], base_own[at]],
            total: [total[at], base_total[at]],
        });
    }
    bytes("application/json", write(&nodes, meta))
}

/// Writes the JSON without recursion: stacks can be deeper than the thread's stack allows.
fn write(nodes: &[Node], meta: &Value) -> String {
    enum Step {
        Open(usize),
        Text(&'static str),
    }
    let mut out = format!("{{\"meta\":{meta},\"tree\":");
    let mut steps = vec![Step::Open(0)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Text(text) => out.push_str(text),
            Step::Open(at) => {
                let node = &nodes[at];
                let head = json!({
                    "name": node.name,
                    "self": node.own[0],
                    "total": node.total[0],
                    "base_self": node.own[1],
                    "base_total": node.total[1],
                })
                .to_string();
                out.push_str(&head[..head.len() - 1]);
                out.push_str(",\"children\":[");
                steps.push(Step::Text("]}"));
                for (nth, child) in node.children.iter().enumerate().rev() {
                    steps.push(Step::Open(*child));
                    if nth > 0 {
                        steps.push(Step::Text(","));
                    }
                }
            }
        }
    }
    out.push('}');
    out
}
