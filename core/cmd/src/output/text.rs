//! Flame graphs and tables as text.

use super::runs::fold;
use crate::failure::Failure;
use davy_profile::flame::{FrameKind, Grain};
use davy_profile::names::visible;
use davy_profile::{FlameTree, Limits, NodeId, folded, units};

/// How a flame graph is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextGraph<'a> {
    /// The unit of the values.
    pub(super) unit: &'a str,
    /// Maximum number of lines.
    pub(super) max_nodes: usize,
    /// Whether to draw every frame of a long run.
    pub(super) all_frames: bool,
    /// A note after the total, such as that it is an average.
    pub(super) total_note: &'a str,
}

impl<'a> TextGraph<'a> {
    /// Adds a note after the total.
    pub(crate) fn with_total_note(self, total_note: &'a str) -> Self {
        Self { total_note, ..self }
    }

    /// Draws folded stacks that are grouped by the labels `by`. Empty without stacks.
    pub(crate) fn folded_stacks(&self, stacks: &[u8], by: &[&str]) -> Result<String, Failure> {
        if stacks.trim_ascii().is_empty() {
            return Ok(String::new());
        }
        let limits = Limits {
            bytes: usize::MAX,
            nodes: usize::MAX,
            samples: usize::MAX,
            ..Limits::default()
        };
        let profile = folded::decode(stacks, &limits)
            .map_err(Failure::because("the response is not folded stacks"))?;
        let mut whole = FlameTree::new();
        whole.add_profile(&profile, 0, Grain::Function);
        // Folded stacks don't distinguish groups from functions. Groups must not be folded into a run.
        for index in 0..whole.frames.len() {
            let name = whole.frame_name(index as u32);
            let label = name.split_once('=').map(|(label, _)| label);
            if label.is_some_and(|label| by.contains(&label)) {
                whole.frames[index].kind = FrameKind::Group;
            }
        }
        Ok(self.tree(&whole))
    }

    /// Draws the largest nodes of a tree, except those without a value.
    pub(super) fn tree(&self, whole: &FlameTree) -> String {
        let whole = &whole.trimmed();
        let runs = (!self.all_frames).then(|| fold(whole));
        let whole = runs.as_ref().map_or(whole, |runs| &runs.tree);
        let tree = whole.prune(self.max_nodes);
        let totals = tree.totals();
        let all = totals[0].max(1) as f64;
        let mut lines: Vec<(i64, String)> = Vec::new();
        // Pruning adds the values of removed nodes to the root of the pruned tree.
        let without_stack = whole.values[NodeId::ROOT.index()];
        if without_stack != 0 {
            lines.push((without_stack, folded::NO_STACK.to_owned()));
        }
        let mut pending: Vec<(NodeId, String)> = sorted_children(&tree, &totals, NodeId::ROOT, "");
        while let Some((node, indent)) = pending.pop() {
            let below = sorted_children(&tree, &totals, node, &indent);
            let frame = tree.stacks.item(node);
            let runs = runs.as_ref().filter(|_| below.is_empty());
            let with_end = runs.and_then(|runs| runs.names_with_end.get(&frame));
            let name = with_end.map_or_else(
                || shortened(&visible(&tree.frame_name(frame))),
                |name| visible(name).into_owned(),
            );
            lines.push((totals[node.index()], format!("{indent}{name}")));
            // Only branches are indented: a chain of single callees keeps its column.
            let branches = below.len() > 1 || tree.values[node.index()] > 0;
            pending.extend(below.into_iter().map(|(child, indent)| {
                let indent = if branches {
                    format!("{indent}| ")
                } else {
                    indent
                };
                (child, indent)
            }));
        }
        let total = units::format(totals[0], self.unit);
        let mut out = format!("total {total}{}\n", self.total_note);
        let values = lines.iter().map(|(value, _)| *value);
        let width = column_width(values, self.unit);
        for (value, line) in &lines {
            let share = *value as f64 * 100.0 / all;
            let value = units::format(*value, self.unit);
            out.push_str(&format!("{share:5.1} % {value:>width$}  {line}\n"));
        }
        let left_out = whole.stacks.len() - tree.stacks.len();
        if left_out > 0 {
            let nodes = units::count(left_out, "smaller node is", "smaller nodes are");
            out.push_str(&format!(
                "{nodes} not shown; pass --max-nodes to show more\n"
            ));
        }
        out
    }
}

/// Width of a column of values.
fn column_width(values: impl Iterator<Item = i64>, unit: &str) -> usize {
    let lengths = values.map(|value| units::format(value, unit).chars().count());
    lengths.max().unwrap_or(0).max(VALUE_WIDTH_MIN)
}

/// Width of a column of values in most units.
const VALUE_WIDTH_MIN: usize = 10;

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
    // Ascending, because the last child is popped first.
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
    /// How the windows of the range were combined, if the archive says so.
    aggregation: Option<Aggregation>,
    functions: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Aggregation {
    Sum,
    Average,
    #[serde(other)]
    Unknown,
}

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    #[serde(rename = "self")]
    own: i64,
    total: i64,
}

/// A table of functions from a response of the API. Empty without functions.
pub(crate) fn table(json: &[u8], total_note: &str) -> Result<String, Failure> {
    let top: Top = serde_json::from_slice(json)
        .map_err(Failure::because("the response is not a table of functions"))?;
    if top.functions.is_empty() {
        return Ok(String::new());
    }
    let mut out = String::new();
    for reason in &top.partial {
        out.push_str(&format!("incomplete result: {}\n", visible(reason)));
    }
    let total_note = match top.aggregation {
        Some(Aggregation::Sum) => "",
        Some(Aggregation::Average) if total_note.is_empty() => " on average of the range",
        _ => total_note,
    };
    out.push_str(&rows(top.total, total_note, &top.functions, &top.unit));
    Ok(out)
}

/// A table of functions from a tree.
pub(super) fn table_of(tree: &FlameTree, unit: &str, limit: usize) -> String {
    let functions = tree.trimmed().top(limit).into_iter().map(|function| Row {
        name: function.name,
        own: function.own,
        total: function.total,
    });
    let mut functions: Vec<Row> = functions.collect();
    let without_stack = tree.values[NodeId::ROOT.index()];
    if without_stack != 0 {
        functions.push(Row {
            name: folded::NO_STACK.to_owned(),
            own: without_stack,
            total: without_stack,
        });
    }
    rows(tree.totals()[0], "", &functions, unit)
}

fn rows(total: i64, total_note: &str, functions: &[Row], unit: &str) -> String {
    let all = total.max(1) as f64;
    let mut out = format!("total {}{total_note}\n", units::format(total, unit));
    let own_width = column_width(functions.iter().map(|row| row.own), unit);
    let total_width = column_width(functions.iter().map(|row| row.total), unit);
    out.push_str(&format!(
        "{:>own_width$} {:>7} {:>total_width$} {:>7}  FUNCTION\n",
        "SELF", "", "TOTAL", ""
    ));
    for row in functions {
        out.push_str(&format!(
            "{:>own_width$} {:5.1} % {:>total_width$} {:5.1} %  {}\n",
            units::format(row.own, unit),
            row.own as f64 * 100.0 / all,
            units::format(row.total, unit),
            row.total as f64 * 100.0 / all,
            shortened(&visible(&row.name))
        ));
    }
    out
}

/// Maximum length of a name in a line. Generic names in Rust can exceed 1000 characters.
const NAME_MAX: usize = 100;

/// A name that fits in a line. `--format folded` prints full names.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(stacks: &str, text: TextGraph<'_>) -> String {
        text.folded_stacks(stacks.as_bytes(), &["member", "op"])
            .expect("valid")
    }

    const TEXT: TextGraph<'_> = TextGraph {
        unit: "nanoseconds",
        max_nodes: 10,
        all_frames: false,
        total_note: "",
    };

    #[test]
    fn only_branches_are_indented() {
        let stacks = "main;run;a 3000000000\nmain;run;b 1000000000\n";
        insta::assert_snapshot!(tree(stacks, TEXT), @r"
        total 4.00 s
        100.0 %     4.00 s  main
        100.0 %     4.00 s  run
         75.0 %     3.00 s  | a
         25.0 %     1.00 s  | b
        ");
    }

    #[test]
    fn run_of_runtime_frames_is_one_line() {
        let wrappers: Vec<String> = (0..50).map(|n| format!("tokio::frame_{n}")).collect();
        let wrappers = wrappers.join(";");
        let stacks = format!(
            "{wrappers};shop::main;pay 3000000000\n{wrappers};shop::main;list 900000000\nother 100000000\n"
        );
        let few = TextGraph {
            max_nodes: 4,
            ..TEXT
        };
        insta::assert_snapshot!(tree(&stacks, few), @r"
        total 4.00 s
         97.5 %     3.90 s  … 50 frames, tokio::frame_0 to tokio::frame_49
         97.5 %     3.90 s  shop::main
         75.0 %     3.00 s  | pay
         22.5 %     900 ms  | list
        1 smaller node is not shown; pass --max-nodes to show more
        ");
        // The frame after a run is named even if it has no line.
        let one = TextGraph {
            max_nodes: 1,
            ..TEXT
        };
        let named = "… 51 frames, tokio::frame_0 to shop::main\n";
        assert!(tree(&stacks, one).contains(named), "{}", tree(&stacks, one));
        let all = TextGraph {
            max_nodes: 100,
            all_frames: true,
            ..TEXT
        };
        assert_eq!(tree(&stacks, all).lines().count(), 1 + 50 + 4);
    }

    #[test]
    fn nodes_without_a_value_are_left_out() {
        insta::assert_snapshot!(tree("main;freed 0\nmain;kept 4096\n", TextGraph { unit: "bytes", ..TEXT }), @r"
        total 4.00 KiB
        100.0 %   4.00 KiB  main
        100.0 %   4.00 KiB  kept
        ");
    }

    #[test]
    fn groups_are_never_folded() {
        insta::assert_snapshot!(tree("member=api;op=List;a;b;c;d;e 7000000000\n", TEXT), @r"
        total 7.00 s
        100.0 %     7.00 s  member=api
        100.0 %     7.00 s  op=List
        100.0 %     7.00 s  … 4 frames, a to d
        100.0 %     7.00 s  e
        ");
    }

    #[test]
    fn number_of_hidden_nodes_is_shown() {
        let two = TextGraph {
            unit: "count",
            max_nodes: 2,
            ..TEXT
        };
        let text = tree("a;x 5\na;y 1\nb 4\n", two);
        assert!(
            text.ends_with("2 smaller nodes are not shown; pass --max-nodes to show more\n"),
            "{text}"
        );
        assert_eq!(tree("\n", two), "");
    }

    #[test]
    fn control_characters_in_names_do_not_reach_the_terminal() {
        let hostile = "a\x1b[2J\rb;c\u{9b}31m\x07 100\n[u8%3B 8]%0A 7\n";
        let text = tree(hostile, TEXT);
        insta::assert_snapshot!(text, @r"
        total 107 ns
         93.5 %     100 ns  a\x1b[2J\x0db
         93.5 %     100 ns  c\x9b31m\x07
          6.5 %    7.00 ns  [u8; 8]\x0a
        ");
        let json = r#"{"unit":"count","total":1,"partial":["x\u001b[0m"],"functions":[{"name":"\u001b]0;x\u0007","file":"","self":1,"total":1}]}"#;
        let table = table(json.as_bytes(), "").expect("valid");
        let is_hostile = |c: char| c.is_control() && c != '\n';
        assert!(!table.contains(is_hostile), "{table:?}");
        assert!(table.contains("\\x1b]0;x\\x07"), "{table}");
    }

    #[test]
    fn samples_without_a_stack_and_units_of_any_width_are_shown() {
        let objects = TextGraph {
            unit: "objects",
            max_nodes: 1,
            ..TEXT
        };
        insta::assert_snapshot!(tree("(no stack) 1\na 123456\nb 10\nc -1234\n", objects), @r"
        total 122,233 objects
          0.0 %        1 object  (no stack)
        101.0 % 123,456 objects  a
        2 smaller nodes are not shown; pass --max-nodes to show more
        ");
    }

    #[test]
    fn aggregation_of_the_response_takes_precedence() {
        let check = |aggregation: &str, note: &str, expected: &str| {
            let json = format!(
                r#"{{"unit":"count","total":4,{aggregation}"functions":[{{"name":"f","file":"","self":4,"total":4}}]}}"#
            );
            let table = table(json.as_bytes(), note).expect("valid");
            assert_eq!(table.lines().next(), Some(expected), "{aggregation}");
        };
        check("", "", "total 4");
        check("", " on average", "total 4 on average");
        check(r#""aggregation":"sum","#, " on average", "total 4");
        check(
            r#""aggregation":"average","#,
            "",
            "total 4 on average of the range",
        );
        check(
            r#""aggregation":"average","#,
            " on average",
            "total 4 on average",
        );
    }

    #[test]
    fn table_shows_percentages() {
        let json = br#"{"unit":"bytes","total":4096,"functions":[{"name":"f","file":"","self":1024,"total":4096}]}"#;
        insta::assert_snapshot!(table(json, " on average").expect("valid"), @r"
        total 4.00 KiB on average
              SELF              TOTAL          FUNCTION
          1.00 KiB  25.0 %   4.00 KiB 100.0 %  f
        ");
    }
}
