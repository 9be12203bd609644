//! The merged callers and callees of a function, of the whole tree rather than of the part that a page draws.

use super::params::Parameters;
use crate::error::{Error, Result};
use davy_profile::names::visible;
use davy_profile::{FlameTree, FrameKind, NodeId};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is shown of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Its callers, from the innermost to the outermost, whose own values are those of the function when they begin the stack.
    Callers,
    /// What it calls.
    Callees,
}

/// A function whose callers or callees are shown.
pub(super) struct Sandwich {
    function: String,
    side: Side,
}

impl Sandwich {
    /// The function that the parameters name, if they name one.
    pub(super) fn of(parameters: &Parameters) -> Result<Option<Self>> {
        let side = match parameters.get("side") {
            Some("callers") => Side::Callers,
            None | Some("callees") => Side::Callees,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "invalid side {other:?}; expected callers or callees"
                )));
            }
        };
        let function = parameters.get("function").map(str::to_owned);
        if function.is_none() && parameters.get("side").is_some() {
            return Err(Error::invalid(
                "side needs the parameter `function`, the name of the function",
            ));
        }
        Ok(function.map(|function| Self { function, side }))
    }

    /// The tree whose root stands for the function, and what is known about the function. Recursive calls count once: what
    /// they call is below the outermost call.
    pub(super) fn apply(&self, tree: &FlameTree) -> (FlameTree, Value) {
        let is_group = |frame: u32| tree.frames[frame as usize].kind == FrameKind::Group;
        let is_wanted = |frame: u32| {
            let name = tree.frame_name(frame);
            !is_group(frame) && (name == self.function || visible(&name) == self.function)
        };
        let wanted: Vec<bool> = (0..tree.frames.len() as u32).map(is_wanted).collect();
        let (parents, items) = (tree.stacks.parents(), tree.stacks.items());
        let totals = tree.totals();
        let mut result = tree.without_stacks();
        let frames: Vec<u32> = tree.frames.iter().map(|of| result.frame(*of)).collect();
        // The node in the result of each node at or below an outermost call.
        let mut inside: Vec<Option<NodeId>> = vec![None; tree.stacks.len()];
        let mut groups: BTreeMap<u32, i64> = BTreeMap::new();
        let (mut total, mut own, mut paths) = (0_i64, 0_i64, 0_u64);
        for node in 1..tree.stacks.len() {
            let frame = items[node];
            let is_call = wanted[frame as usize];
            if is_call {
                own = own.saturating_add(tree.values[node]);
            }
            if let Some(above) = inside[parents[node] as usize] {
                let at = match self.side {
                    Side::Callees => result.child(above, frames[frame as usize]),
                    Side::Callers => above,
                };
                if self.side == Side::Callees {
                    result.add(at, tree.values[node]);
                }
                inside[node] = Some(at);
                continue;
            }
            if !is_call {
                continue;
            }
            inside[node] = Some(NodeId::ROOT);
            paths += 1;
            total = total.saturating_add(totals[node]);
            if self.side == Side::Callees {
                result.add(NodeId::ROOT, tree.values[node]);
            }
            let (mut to, mut above, mut group) = (NodeId::ROOT, parents[node] as usize, None);
            while above != 0 {
                let frame = items[above];
                if is_group(frame) {
                    group = Some(frame);
                }
                if self.side == Side::Callers {
                    to = result.child(to, frames[frame as usize]);
                }
                above = parents[above] as usize;
            }
            if self.side == Side::Callers {
                result.add(to, totals[node]);
            }
            if let Some(group) = group {
                let value = groups.entry(group).or_default();
                *value = value.saturating_add(totals[node]);
            }
        }
        let mut groups: Vec<(String, i64)> = groups
            .into_iter()
            .map(|(frame, value)| (tree.frame_name(frame).into_owned(), value))
            .collect();
        groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let groups = groups.into_iter();
        let groups = groups.map(|(name, value)| json!({ "name": name, "value": value }));
        let place = wanted.iter().position(|is_wanted| *is_wanted);
        let place = place.map(|at| tree.frames[at]);
        let about = json!({
            "name": self.function,
            "file": place.map_or("", |of| tree.strings.get(of.file)),
            "line": place.map_or(0, |of| of.line.max(of.start_line)),
            "whole": totals[0],
            "total": total,
            "self": own,
            "paths": paths,
            "groups": groups.collect::<Vec<_>>(),
        });
        (result.trimmed(), about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{Limits, folded};

    fn check(side: Side, stacks: &str, expected: &str) -> Value {
        let profile = folded::decode(stacks.as_bytes(), &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        let function = "parse".to_owned();
        let (found, about) = Sandwich { function, side }.apply(&tree);
        assert_eq!(folded::encode(&found), expected, "{side:?} of {stacks}");
        about
    }

    const STACKS: &str = "gc;parse 7\nmain;a;parse 1\nmain;a;parse;lex 2\nmain;b;parse;lex;parse;read 4\nmain;idle 9\n";

    #[test]
    fn callers_are_merged_from_the_innermost() {
        let about = check(Side::Callers, STACKS, "gc 7\na;main 3\nb;main 4\n");
        assert_eq!(
            (
                &about["total"],
                &about["self"],
                &about["paths"],
                &about["whole"]
            ),
            (&14.into(), &8.into(), &3.into(), &23.into())
        );
    }

    #[test]
    fn callees_are_merged_and_recursion_counts_once() {
        // The root's own value is that of the function in its outermost calls.
        let expected = "(no stack) 8\nlex 2\nlex;parse;read 4\n";
        let about = check(Side::Callees, STACKS, expected);
        assert_eq!(about["total"], 14);
    }

    #[test]
    fn unknown_function_has_an_empty_tree() {
        let about = check(Side::Callers, "main;idle 9\n", "");
        assert_eq!((&about["total"], &about["paths"]), (&0.into(), &0.into()));
    }
}
