//! The values of a rule in a range.

use super::state::LabelSet;
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::query::{Ask, Query, Run, Stacks, Step, flame, series};
use crate::recording_rule::RecordingRule;
use crate::selector::Selector;
use crate::types::{Aggregation, TypeFilter};
use davy_base::Timestamp;
use davy_profile::flame::{FrameKind, Grain, UNTAGGED};
use davy_profile::{FlameTree, NodeId};
use std::collections::BTreeMap;

/// The operation of evaluations in metrics.
const OPERATION: &str = "EvaluateRule";

/// The values of a rule by label set, and what could not be read.
pub(super) async fn evaluate(
    query: &Query,
    rule: &RecordingRule,
    (from, until): (Timestamp, Timestamp),
) -> Result<(BTreeMap<LabelSet, i64>, Vec<String>)> {
    let ask = Ask {
        tenant: rule.tenant(),
        kind: TypeFilter::parse(&rule.profile_type),
        selector: Selector::parse(&rule.selector).map_err(Error::invalid)?,
        from,
        until,
        by: rule.group_by.clone(),
    };
    let run = Run::begin(query, OPERATION);
    let work = async {
        if rule.function.is_empty() {
            totals(query, rule, &ask).await
        } else {
            through(query, rule, &ask).await
        }
    };
    let found = run.within(&ask.tenant, until.since(from), work).await;
    run.end(&mut axum::response::Response::default());
    found
}

async fn totals(
    query: &Query,
    rule: &RecordingRule,
    ask: &Ask,
) -> Result<(BTreeMap<LabelSet, i64>, Vec<String>)> {
    let step = Step {
        ms: ask.until.millis() - ask.from.millis(),
        is_mean: false,
        stacks: Stacks::All,
    };
    let (totals, report) = series(query, ask, step).await?;
    check_flow(rule, totals.aggregation, totals.series.is_empty())?;
    let mut values = BTreeMap::new();
    for group in totals.series {
        let sum = group
            .points
            .iter()
            .fold(0i64, |sum, (_, value)| sum.saturating_add(*value));
        add(&mut values, rule, group.labels, sum);
    }
    Ok((values, report.partial))
}

async fn through(
    query: &Query,
    rule: &RecordingRule,
    ask: &Ask,
) -> Result<(BTreeMap<LabelSet, i64>, Vec<String>)> {
    let (flame, report) = flame(query, ask, Grain::Function).await?;
    check_flow(rule, flame.aggregation, flame.tree.stacks.len() < 2)?;
    let owned = rule.clone();
    let values = blocking("select stacks", move || {
        through_function(&flame.tree, &owned)
    })
    .await?;
    Ok((values, report.partial))
}

/// The sums of the stacks with the function of a rule, by the groups that they are in.
fn through_function(tree: &FlameTree, rule: &RecordingRule) -> BTreeMap<LabelSet, i64> {
    let function: Vec<bool> = (0..tree.frames.len() as u32)
        .map(|frame| {
            tree.frames[frame as usize].kind != FrameKind::Group
                && *tree.frame_name(frame) == *rule.function
        })
        .collect();
    let through = tree.through(|frame| function[frame as usize]);
    let mut values = BTreeMap::new();
    for (node, is_through) in through.into_iter().enumerate() {
        let value = tree.values[node];
        if is_through && value != 0 {
            add(&mut values, rule, groups(tree, NodeId(node as u32)), value);
        }
    }
    values
}

/// The labels of the groups that a node is in.
fn groups(tree: &FlameTree, mut node: NodeId) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while node != NodeId::ROOT {
        let frame = tree.stacks.item(node);
        if tree.frames[frame as usize].kind == FrameKind::Group {
            let name = tree.frame_name(frame);
            let pair = name.split_once('=');
            let pair = pair.filter(|(_, value)| *value != UNTAGGED);
            labels.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        node = tree.stacks.parent(node);
    }
    labels
}

/// Adds a value to the label set with these labels.
fn add(
    values: &mut BTreeMap<LabelSet, i64>,
    rule: &RecordingRule,
    labels: Vec<(String, String)>,
    value: i64,
) {
    let own = rule.external_labels.clone().into_iter();
    let labels = labels.into_iter().filter(|(_, value)| value != UNTAGGED);
    let mut labels: LabelSet = labels.chain(own).collect();
    labels.sort();
    let sum = values.entry(labels).or_insert(0);
    *sum = sum.saturating_add(value);
}

/// Refuses states: their sum over time has no meaning.
fn check_flow(rule: &RecordingRule, aggregation: Aggregation, is_empty: bool) -> Result<()> {
    if is_empty || aggregation == Aggregation::Sum {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "rule {:?}: values of {} are states, which a counter cannot add up; use a type such as cpu or allocs",
        rule.id, rule.profile_type
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursion_counts_once_and_groups_are_labels() {
        let mut tree = FlameTree::new();
        let group = tree.named_frame("region=eu", FrameKind::Group);
        let none = tree.named_frame("region=(untagged)", FrameKind::Group);
        let [main, json] = ["main", "json"].map(|name| tree.named_frame(name, FrameKind::Function));
        for (path, value) in [
            (&[group, main, json, json][..], 5),
            (&[group, main, json], 2),
            (&[group, main], 100),
            (&[none, json], 1),
        ] {
            let node = path
                .iter()
                .fold(NodeId::ROOT, |node, frame| tree.child(node, *frame));
            tree.add(node, value);
        }
        let rule = RecordingRule {
            function: "json".to_owned(),
            external_labels: [("team".to_owned(), "x".to_owned())].into(),
            ..RecordingRule::default()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            (vec![pair("region", "eu"), pair("team", "x")], 7),
            (vec![pair("team", "x")], 1),
        ];
        assert_eq!(through_function(&tree, &rule), expected.into());
    }
}
