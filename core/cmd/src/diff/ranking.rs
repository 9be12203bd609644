//! Functions by what changed.

use davy_profile::names::visible;
use davy_profile::{FlameTree, units};
use serde::Serialize;
use std::collections::BTreeMap;

/// What ranks functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RankBy {
    /// The value of the function itself
    #[value(name = "self")]
    Own,
    /// The value of the function and everything that it calls
    Total,
}

/// A function on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) name: String,
    #[serde(rename = "self")]
    pub(crate) own: i64,
    pub(crate) total: i64,
    #[serde(rename = "base_self")]
    pub(crate) base_own: i64,
    pub(crate) base_total: i64,
    /// The change by which it is ranked: a difference of values, or of shares of the total in percent.
    #[serde(rename = "change")]
    pub(crate) difference: f64,
}

/// The functions that changed, the largest change first.
pub(crate) fn changes(
    now: &FlameTree,
    base: &FlameTree,
    rank: RankBy,
    by_share: bool,
) -> Vec<Change> {
    let mut all: BTreeMap<String, [i64; 4]> = BTreeMap::new();
    for (side, tree) in [now, base].into_iter().enumerate() {
        for function in tree.top(usize::MAX) {
            let values = all.entry(function.name).or_default();
            // Functions of the same name in several files are one.
            values[side * 2] = values[side * 2].saturating_add(function.own);
            values[side * 2 + 1] = values[side * 2 + 1].saturating_add(function.total);
        }
    }
    let total = |tree: &FlameTree| tree.totals().first().copied().unwrap_or(0).max(1) as f64;
    let totals = [total(now), total(base)];
    let changed = all
        .into_iter()
        .map(|(name, [own, total, base_own, base_total])| {
            let (of_now, of_base) = match rank {
                RankBy::Own => (own, base_own),
                RankBy::Total => (total, base_total),
            };
            let difference = if by_share {
                of_now as f64 * 100.0 / totals[0] - of_base as f64 * 100.0 / totals[1]
            } else {
                of_now.saturating_sub(of_base) as f64
            };
            Change {
                name,
                own,
                total,
                base_own,
                base_total,
                difference,
            }
        });
    let mut changed: Vec<Change> = changed.filter(|change| change.difference != 0.0).collect();
    changed.sort_by(|a, b| {
        b.difference
            .abs()
            .total_cmp(&a.difference.abs())
            .then_with(|| a.name.cmp(&b.name))
    });
    changed
}

/// The largest changes as a table.
pub(super) fn table(
    all: &[Change],
    limit: usize,
    [total, base_total]: [i64; 2],
    (unit, by_share): (&str, bool),
    rank: RankBy,
) -> String {
    let difference = signed(total.saturating_sub(base_total), unit);
    let mut text = format!(
        "total {} -> {} ({difference})\n",
        units::format(base_total, unit),
        units::format(total, unit)
    );
    let heads = match rank {
        RankBy::Own => ["BASE SELF", "SELF"],
        RankBy::Total => ["BASE TOTAL", "TOTAL"],
    };
    text.push_str(&format!(
        "{:>12} {:>12} {:>12}  FUNCTION\n",
        heads[0], heads[1], "CHANGE"
    ));
    for change in all.iter().take(limit) {
        let (now, base) = match rank {
            RankBy::Own => (change.own, change.base_own),
            RankBy::Total => (change.total, change.base_total),
        };
        let changed = if by_share {
            format!("{:+.1} %", change.difference)
        } else {
            signed(change.difference as i64, unit)
        };
        text.push_str(&format!(
            "{:>12} {:>12} {changed:>12}  {}\n",
            units::format(base, unit),
            units::format(now, unit),
            shown(&change.name)
        ));
    }
    let omitted = all.len().saturating_sub(limit);
    if omitted > 0 {
        let functions = units::count(omitted, "function", "functions");
        text.push_str(&format!(
            "{functions} with smaller changes not shown; pass --limit to show more\n"
        ));
    }
    text
}

/// A value with its sign.
pub(crate) fn signed(value: i64, unit: &str) -> String {
    let sign = if value > 0 { "+" } else { "" };
    format!("{sign}{}", units::format(value, unit))
}

/// A name that is safe in a terminal.
fn shown(name: &str) -> String {
    visible(name).chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::super::stacks::parsed;
    use super::*;

    fn tree(stacks: &str) -> FlameTree {
        parsed(stacks.as_bytes()).expect("valid")
    }

    #[test]
    fn functions_are_ranked_by_how_much_they_changed() {
        let base = tree("main;parse 1000000000\nmain;encode 1000000000\nmain;old 200000000\n");
        let now = tree("main;parse 1100000000\nmain;encode 3000000000\nmain;new 50000000\n");
        let all = changes(&now, &base, RankBy::Own, false);
        insta::assert_snapshot!(table(&all, 3, [4_150_000_000, 2_200_000_000], ("nanoseconds", false), RankBy::Own), @"
        total 2.20 s -> 4.15 s (+1.95 s)
           BASE SELF         SELF       CHANGE  FUNCTION
              1.00 s       3.00 s      +2.00 s  encode
              200 ms          0 s      -200 ms  old
              1.00 s       1.10 s      +100 ms  parse
        1 function with smaller changes not shown; pass --limit to show more
        ");
    }

    #[test]
    fn shares_compare_ranges_of_different_lengths() {
        let base = tree("main;parse 10\nmain;encode 10\n");
        let now = tree("main;parse 100\nmain;encode 100\n");
        assert_eq!(changes(&now, &base, RankBy::Own, true), []);
        let now = tree("main;parse 100\nmain;encode 300\n");
        let all = changes(&now, &base, RankBy::Total, true);
        let found: Vec<(&str, f64)> = all.iter().map(|of| (&*of.name, of.difference)).collect();
        assert_eq!(found, [("encode", 25.0), ("parse", -25.0)]);
    }
}
