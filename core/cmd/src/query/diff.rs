//! `davy query --diff-from`: a query compared with another range, as one tree.

use crate::client::{Answer, Client};
use crate::diff::{parsed, signed};
use crate::failure::Failure;
use crate::output::{Format, OutputOptions};
use crate::{stderr, times};
use davy_archive::types::TypeFilter;
use davy_base::Clock;
use davy_profile::names::visible;
use davy_profile::{FlameTree, NodeId, folded, units};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The base of a comparison.
#[derive(Debug, clap::Args)]
pub(crate) struct BaseOptions {
    /// Start of the base range; shows what changed, as text, folded stacks with both values, or JSON
    #[arg(id = "diff-from", long, value_name = "TIME", value_parser = times::checked, allow_hyphen_values = true)]
    from: Option<String>,
    /// End of the base range, exclusive [default: the base is as long as the queried range]
    #[arg(id = "diff-until", long, value_name = "TIME", value_parser = times::checked, allow_hyphen_values = true, requires = "diff-from")]
    until: Option<String>,
    /// Selector of the base [default: that of the query]
    #[arg(
        id = "diff-selector",
        long,
        value_name = "SELECTOR",
        requires = "diff-from"
    )]
    selector: Option<String>,
}

impl BaseOptions {
    pub(super) fn is_given(&self) -> bool {
        self.from.is_some()
    }
}

/// A query that is compared with a base.
pub(super) struct Compared<'a> {
    pub(super) profile_type: &'a str,
    pub(super) from: &'a str,
    pub(super) until: &'a str,
    pub(super) base: &'a BaseOptions,
    pub(super) output: &'a OutputOptions,
}

/// Compares, and writes the result. `query` are the parameters of the range that is compared with the base.
pub(super) fn run(
    client: &Client,
    compared: &Compared<'_>,
    format: Format,
    mut query: Vec<(&str, String)>,
) -> Result<(), Failure> {
    let base = base(compared, &mut query)?;
    if format == Format::Json {
        for (name, value) in base {
            query.push((name.of_diff, value));
        }
        let nodes = compared.output.max_nodes();
        query.extend(nodes.map(|nodes| ("max_nodes", nodes.to_string())));
        let answer = client.get_answer("/api/v1/profiles/diff", &query)?;
        note("the comparison", &answer);
        return compared.output.write(&answer.body);
    }
    let now = client.get_answer("/api/v1/profiles/folded", &query)?;
    if now.is_unknown {
        return Err(Failure::failed(now.hint.unwrap_or_default()));
    }
    for (name, value) in base {
        query.retain(|(other, _)| *other != name.of_query);
        query.push((name.of_query, value));
    }
    let before = client.get_answer("/api/v1/profiles/folded", &query)?;
    note("the range", &now);
    note("the base", &before);
    let body = if format == Format::Folded {
        both(&before.body, &now.body)?
    } else {
        let unit = TypeFilter::parse(compared.profile_type);
        let unit = unit.map_or_else(String::new, |filter| filter.sample_and_unit().1);
        let [before, now] = [parsed(&before.body)?, parsed(&now.body)?];
        text(&before, &now, &unit, compared.output.lines())
    };
    compared.output.write(body.as_bytes())
}

/// Says why a side has no samples, so that an empty base is not taken for one in which everything was new.
fn note(side: &str, answer: &Answer) {
    if let Some(hint) = &answer.hint {
        stderr::print_line(format_args!("davy: {side}: {hint}"));
    }
}

/// A parameter of the base, as the comparison and as a query of the base alone call it.
struct Parameter {
    of_diff: &'static str,
    of_query: &'static str,
}

/// The parameters of the base. Both ranges are relative to the clock of this command, so that they keep their distance.
fn base(
    compared: &Compared<'_>,
    query: &mut Vec<(&str, String)>,
) -> Result<Vec<(Parameter, String)>, Failure> {
    let of = compared.base;
    let now = Clock::system().now();
    let [from, until] = [
        times::parse("--from", compared.from, now)?,
        times::parse("--until", compared.until, now)?,
    ];
    let base_from = times::parse("--diff-from", of.from.as_deref().unwrap_or_default(), now)?;
    let base_until = match &of.until {
        Some(text) => times::parse("--diff-until", text, now)?,
        None => base_from.plus(until.since(from)),
    };
    times::check_range("--from and --until", from, until)?;
    times::check_range("--diff-from and --diff-until", base_from, base_until)?;
    query.retain(|(name, _)| !["from", "until"].contains(name));
    query.push(("from", from.millis().to_string()));
    query.push(("until", until.millis().to_string()));
    let parameter = |of_diff, of_query| Parameter { of_diff, of_query };
    let mut base = vec![
        (
            parameter("base_from", "from"),
            base_from.millis().to_string(),
        ),
        (
            parameter("base_until", "until"),
            base_until.millis().to_string(),
        ),
    ];
    if let Some(selector) = &of.selector {
        base.push((parameter("base_selector", "selector"), selector.clone()));
    }
    Ok(base)
}

/// Folded stacks with the value of the base and that of the query, as `difffolded.pl` writes them and
/// `inferno-flamegraph` draws them.
fn both(before: &[u8], now: &[u8]) -> Result<String, Failure> {
    let mut stacks: BTreeMap<&str, [&str; 2]> = BTreeMap::new();
    for (side, lines) in [before, now].into_iter().enumerate() {
        let lines = std::str::from_utf8(lines)
            .map_err(Failure::because("the response is not folded stacks"))?;
        for (stack, value) in lines.lines().filter_map(folded::split) {
            stacks.entry(stack).or_insert(["0"; 2])[side] = value;
        }
    }
    let lines = stacks
        .iter()
        .map(|(stack, [before, now])| format!("{stack} {before} {now}\n"));
    Ok(lines.collect())
}

/// The nodes that changed most, each below its callers.
fn text(before: &FlameTree, now: &FlameTree, unit: &str, max_nodes: usize) -> String {
    let mut both = now.clone();
    both.merge(before);
    // The merged tree has all nodes already, so both sides have the same numbers.
    let mut totals_of = |side: &FlameTree| {
        both.values.fill(0);
        both.merge(side);
        both.totals()
    };
    let [now, before] = [totals_of(now), totals_of(before)];
    let change = |node: NodeId| now[node.index()].saturating_sub(before[node.index()]);
    let mut order: Vec<NodeId> = (1..both.stacks.len() as u32).map(NodeId).collect();
    order.retain(|node| change(*node) != 0);
    order.sort_by_key(|node| (Reverse(change(*node).unsigned_abs()), node.0));
    let mut is_shown = vec![false; both.stacks.len()];
    let (mut shown, mut left_out) = (0, 0);
    for mut node in order {
        if shown >= max_nodes {
            left_out += usize::from(!is_shown[node.index()]);
            continue;
        }
        while node != NodeId::ROOT && !is_shown[node.index()] {
            is_shown[node.index()] = true;
            shown += 1;
            node = both.stacks.parent(node);
        }
    }
    let mut children: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for node in (1..both.stacks.len() as u32).map(NodeId) {
        if is_shown[node.index()] {
            let parent = both.stacks.parent(node);
            children.entry(parent).or_default().push(node);
        }
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|node| change(*node).unsigned_abs());
    }
    let row = |before: &str, now: &str, change: &str, name: &str| {
        format!("{before:>12} {now:>12} {change:>12}  {name}\n")
    };
    let mut text = row("BASE", "NOW", "CHANGE", "FUNCTION");
    let mut pending = vec![(NodeId::ROOT, String::new())];
    while let Some((node, indent)) = pending.pop() {
        let name = if node == NodeId::ROOT {
            "total".to_owned()
        } else {
            let name = both.frame_name(both.stacks.item(node));
            let name: String = visible(&name).chars().take(NAME_CHARACTERS).collect();
            format!("{indent}{name}")
        };
        let at = node.index();
        text.push_str(&row(
            &units::format(before[at], unit),
            &units::format(now[at], unit),
            &signed(change(node), unit),
            &name,
        ));
        let below = children.remove(&node).unwrap_or_default();
        // Only branches are indented: a chain of single callees keeps its column.
        let indent = if node != NodeId::ROOT && below.len() > 1 {
            format!("{indent}| ")
        } else {
            indent
        };
        pending.extend(below.into_iter().map(|child| (child, indent.clone())));
    }
    if left_out > 0 {
        let nodes = units::count(left_out, "node", "nodes");
        text.push_str(&format!(
            "{nodes} with smaller changes not shown; pass --max-nodes to show more\n"
        ));
    }
    text
}

/// Characters of a name that are shown.
const NAME_CHARACTERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "main;serve;parse 1000000000\nmain;serve;encode 1000000000\nmain;old 200000000\n";
    const NOW: &str =
        "main;serve;parse 1000000000\nmain;serve;encode 3000000000\nmain;new 50000000\n";

    fn drawn(max_nodes: usize) -> String {
        let tree = |stacks: &str| parsed(stacks.as_bytes()).expect("valid");
        text(&tree(BEFORE), &tree(NOW), "nanoseconds", max_nodes)
    }

    #[test]
    fn nodes_that_changed_most_are_shown_below_their_callers() {
        insta::assert_snapshot!(drawn(80), @"
                BASE          NOW       CHANGE  FUNCTION
              2.20 s       4.05 s      +1.85 s  total
              2.20 s       4.05 s      +1.85 s  main
              2.00 s       4.00 s      +2.00 s  | serve
              1.00 s       3.00 s      +2.00 s  | encode
              200 ms          0 s      -200 ms  | old
                 0 s      50.0 ms     +50.0 ms  | new
        ");
        let few = drawn(3);
        assert!(few.contains("encode") && !few.contains("old"), "{few}");
        assert!(
            few.ends_with(
                "2 nodes with smaller changes not shown; pass --max-nodes to show more\n"
            )
        );
    }

    #[test]
    fn folded_stacks_have_the_value_of_the_base_first() {
        let lines = both(BEFORE.as_bytes(), NOW.as_bytes()).expect("valid");
        let expected = "main;new 0 50000000\nmain;old 200000000 0\nmain;serve;encode 1000000000 3000000000\n\
                        main;serve;parse 1000000000 1000000000\n";
        assert_eq!(lines, expected);
    }
}
