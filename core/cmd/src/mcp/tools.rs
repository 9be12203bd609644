//! The tools: their descriptions, and what they do.

use super::answer;
use crate::client::Client;
use crate::diff::{RankBy, Side, changes, parsed};
use crate::failure::Failure;
use crate::operator::operator;
use davy_archive::types::TypeFilter;
use davy_base::Clock;
use davy_profile::FlameTree;
use serde_json::{Map, Value, json};

/// Maximum length of an answer, in bytes.
const ANSWER_BYTES: usize = 24 << 10;
/// Default and maximum number of functions or nodes.
const BUDGET: (usize, usize) = (40, 400);

/// A tool.
struct Tool {
    name: &'static str,
    description: &'static str,
    parameters: &'static [Parameter],
    changes: bool,
}

/// Name, type, description, and whether it is required.
type Parameter = (&'static str, &'static str, &'static str, bool);

const TYPE: Parameter = (
    "type",
    "string",
    "Profile type: cpu, wall, heap, allocs, mutex, block, tasks, goroutines, or an id from list_types",
    true,
);
const SELECTOR: Parameter = (
    "selector",
    "string",
    "Series, such as {service_name=\"api\",member=~\"gc.*\"}; all by default",
    false,
);
const FROM: Parameter = (
    "from",
    "string",
    "Start: 1h (ago), 2026-11-28 13:00 (UTC), or unix time; an hour ago by default",
    false,
);
const UNTIL: Parameter = ("until", "string", "End, exclusive; now by default", false);
const FOCUS: Parameter = (
    "focus",
    "string",
    "Only stacks with a frame whose function, file or module matches this regular expression",
    false,
);
const BY: Parameter = (
    "by",
    "string",
    "Labels to group by, separated by commas, such as member,op",
    false,
);
const LIMIT: Parameter = (
    "limit",
    "integer",
    "How many functions or nodes, 40 by default, at most 400",
    false,
);
const WHY: Parameter = ("why", "string", "The reason, for the audit log", true);

const TOOLS: &[Tool] = &[
    Tool {
        name: "list_services",
        description: "Lists the services that have profiles in a range",
        parameters: &[FROM, UNTIL],
        changes: false,
    },
    Tool {
        name: "list_types",
        description: "Lists the profile types in a range",
        parameters: &[SELECTOR, FROM, UNTIL],
        changes: false,
    },
    Tool {
        name: "list_labels",
        description: "Lists the names of labels, or the values of one",
        parameters: &[
            ("name", "string", "The label whose values are listed", false),
            SELECTOR,
            FROM,
            UNTIL,
        ],
        changes: false,
    },
    Tool {
        name: "query_top",
        description: "The functions with the largest self values, and the exact sum of the others",
        parameters: &[TYPE, SELECTOR, FROM, UNTIL, FOCUS, LIMIT],
        changes: false,
    },
    Tool {
        name: "query_tree",
        description: "The largest nodes of the merged call tree, and at each the exact value of the children that are left out",
        parameters: &[TYPE, SELECTOR, FROM, UNTIL, BY, FOCUS, LIMIT],
        changes: false,
    },
    Tool {
        name: "query_diff",
        description: "The functions whose self values changed most against a base: by default the range of the same length before",
        parameters: &[
            TYPE,
            SELECTOR,
            FROM,
            UNTIL,
            (
                "base_selector",
                "string",
                "Series of the base; those of the other side by default",
                false,
            ),
            ("base_from", "string", "Start of the base", false),
            ("base_until", "string", "End of the base, exclusive", false),
            LIMIT,
        ],
        changes: false,
    },
    Tool {
        name: "list_changes",
        description: "Who enabled, disabled, limited or restarted what, when and why, newest first",
        parameters: &[LIMIT],
        changes: false,
    },
    Tool {
        name: "list_members",
        description: "The members (parts) of the running Davy with state and usage: CPU, heap, tasks, requests",
        parameters: &[],
        changes: false,
    },
    Tool {
        name: "get_health",
        description: "Whether the running Davy is ok, degraded or failing, and why",
        parameters: &[],
        changes: false,
    },
    Tool {
        name: "set_endpoint",
        description: "Enables, disables or limits an endpoint in every process, within a second",
        parameters: &[
            (
                "operation",
                "string",
                "The operation, such as ListAllJobs",
                true,
            ),
            (
                "enabled",
                "boolean",
                "Whether its requests are served",
                false,
            ),
            (
                "limit",
                "integer",
                "Maximum number of concurrent requests",
                false,
            ),
            WHY,
        ],
        changes: true,
    },
    Tool {
        name: "set_member",
        description: "Enables or disables a member in every process, within a second",
        parameters: &[
            ("member", "string", "The member, such as gc.audit", true),
            ("enabled", "boolean", "Whether it runs", true),
            WHY,
        ],
        changes: true,
    },
];

/// The tools of one server.
pub(super) struct Tools {
    client: Client,
    allows_changes: bool,
}

/// The arguments of a call.
struct Arguments<'a>(&'a Map<String, Value>);

impl Arguments<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.text(name).unwrap_or(default)
    }

    fn limit(&self) -> usize {
        let limit = self.0.get("limit").and_then(Value::as_u64);
        limit.map_or(BUDGET.0, |limit| (limit as usize).clamp(1, BUDGET.1))
    }
}

impl Tools {
    pub(super) fn new(client: Client, allows_changes: bool) -> Self {
        Self {
            client,
            allows_changes,
        }
    }

    fn offered(&self) -> impl Iterator<Item = &'static Tool> {
        let allows_changes = self.allows_changes;
        TOOLS
            .iter()
            .filter(move |tool| allows_changes || !tool.changes)
    }

    /// The descriptions of the tools.
    pub(super) fn list(&self) -> Vec<Value> {
        let described = self.offered().map(|tool| {
            let properties: Map<String, Value> = tool
                .parameters
                .iter()
                .map(|(name, kind, description, _)| {
                    (
                        (*name).to_owned(),
                        json!({ "type": kind, "description": description }),
                    )
                })
                .collect();
            let required = tool
                .parameters
                .iter()
                .filter(|(.., is_required)| *is_required);
            let required: Vec<&str> = required.map(|(name, ..)| *name).collect();
            json!({
                "name": tool.name,
                "description": tool.description,
                "inputSchema": {
                    "type": "object",
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                },
                "annotations": { "readOnlyHint": !tool.changes, "destructiveHint": tool.changes },
            })
        });
        described.collect()
    }

    /// The answer of a tool; none if there is no such tool.
    pub(super) fn call(&self, name: &str, arguments: &Value) -> Option<Result<String, Failure>> {
        let tool = self.offered().find(|tool| tool.name == name)?;
        let none = Map::new();
        let arguments = arguments.as_object().unwrap_or(&none);
        Some(check(tool, arguments).and_then(|()| {
            let text = self.answer(tool.name, &Arguments(arguments))?;
            Ok(bounded(text))
        }))
    }

    fn answer(&self, name: &str, of: &Arguments<'_>) -> Result<String, Failure> {
        match name {
            "list_services" => self.names(of, Some("service_name")),
            "list_labels" => self.names(of, of.text("name")),
            "list_types" => {
                let types: Vec<String> =
                    self.client.get_json("/api/v1/profiles/types", &range(of))?;
                let described = types.iter().map(|id| match TypeFilter::short_name(id) {
                    short if short == id => format!("{id}\n"),
                    short => format!("{short} ({id})\n"),
                });
                Ok(or_none(described.collect(), "no profiles in this range"))
            }
            "query_top" => {
                let (tree, unit) = self.tree(of, false)?;
                Ok(answer::top(&tree, &unit, of.limit()))
            }
            "query_tree" => {
                let (tree, unit) = self.tree(of, true)?;
                // Runs of frames that only call the next one would spend the budget.
                let tree = crate::output::runs::fold(&tree).tree;
                Ok(answer::tree(&tree, &unit, of.limit()))
            }
            "query_diff" => self.diff(of),
            "list_changes" => {
                let query = [("limit", of.limit().to_string())];
                self.json("/api/v1/audit", &query)
            }
            "list_members" => {
                let query = [("by", "member".to_owned())];
                let rows: Vec<Value> = self.client.get_json("/api/v1/members", &query)?;
                Ok(answer::members(&rows))
            }
            "get_health" => self.json("/api/v1/health", &[]),
            "set_endpoint" => self.change("endpoints", of.or("operation", ""), of),
            _ => self.change("members", of.or("member", ""), of),
        }
    }

    fn json(&self, path: &str, query: &[(&str, String)]) -> Result<String, Failure> {
        let body = self.client.get(path, query)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn names(&self, of: &Arguments<'_>, label: Option<&str>) -> Result<String, Failure> {
        let mut query = range(of);
        query.extend(label.map(|label| ("name", label.to_owned())));
        let names: Vec<String> = self.client.get_json("/api/v1/profiles/labels", &query)?;
        Ok(or_none(names.join("\n"), "none in this range"))
    }

    /// The merged stacks that a query asks for, and their unit. All are fetched, so that every value is exact.
    fn tree(&self, of: &Arguments<'_>, groups: bool) -> Result<(FlameTree, String), Failure> {
        let kind = of.or("type", "cpu");
        let mut query = range(of);
        query.push(("type", kind.to_owned()));
        query.extend(of.text("focus").map(|focus| ("focus", focus.to_owned())));
        query.extend(
            of.text("by")
                .filter(|_| groups)
                .map(|by| ("by", by.to_owned())),
        );
        if of.text("selector").is_none() {
            query.push(("all_services", "true".to_owned()));
        }
        let found = self.client.get_answer("/api/v1/profiles/folded", &query)?;
        let tree = parsed(&found.body)?;
        match found.hint {
            Some(hint) if tree.stacks.len() < 2 => Err(Failure::failed(hint)),
            _ => Ok((tree, unit(kind))),
        }
    }

    fn diff(&self, of: &Arguments<'_>) -> Result<String, Failure> {
        let now = Clock::system().now();
        let time = |name: &str, text: &str| {
            davy_archive::time::parse(text, now)
                .map_err(|error| Failure::usage(format!("{name}: {error}")))
        };
        let side = Side {
            selector: of.or("selector", "{}").to_owned(),
            from: time("from", of.or("from", "1h"))?,
            until: time("until", of.or("until", "now"))?,
        };
        let length = side.until.since(side.from);
        let optional = |name: &str| of.text(name).map(|text| time(name, text)).transpose();
        let base = Side {
            selector: of.or("base_selector", &side.selector).to_owned(),
            from: optional("base_from")?.unwrap_or_else(|| side.from.minus(length)),
            until: optional("base_until")?.unwrap_or(side.from),
        };
        let kind = of.or("type", "cpu");
        let trees = [
            crate::diff::tree(&self.client, kind, &side)?,
            crate::diff::tree(&self.client, kind, &base)?,
        ];
        let all = changes(&trees[0], &trees[1], RankBy::Own, false);
        let totals = trees
            .each_ref()
            .map(|tree| tree.totals().first().copied().unwrap_or(0));
        Ok(answer::diff(&all, totals, &unit(kind), of.limit()))
    }

    fn change(&self, collection: &str, name: &str, of: &Arguments<'_>) -> Result<String, Failure> {
        // The name becomes part of a path.
        if name.is_empty() || name.contains(['/', '?', '#', '%', ' ']) {
            return Err(Failure::usage(format!("invalid name {name:?}")));
        }
        let mut body = json!({ "why": of.or("why", "") });
        for field in ["enabled", "limit"] {
            if let Some(value) = of.0.get(field) {
                body[field] = value.clone();
            }
        }
        let who = format!("{} (assistant)", operator());
        let path = format!("/api/v1/{collection}/{name}");
        let changed = self.client.change("PUT", &path, &body, &who)?;
        Ok(String::from_utf8_lossy(&changed).into_owned())
    }
}

/// The range and the selector of a query.
fn range(of: &Arguments<'_>) -> Vec<(&'static str, String)> {
    let mut query = vec![
        ("from", of.or("from", "now-1h").to_owned()),
        ("until", of.or("until", "now").to_owned()),
    ];
    query.extend(
        of.text("selector")
            .map(|selector| ("selector", selector.to_owned())),
    );
    query
}

fn unit(kind: &str) -> String {
    let filter = TypeFilter::parse(kind);
    filter.map_or_else(String::new, |filter| filter.sample_and_unit().1)
}

fn or_none(text: String, none: &str) -> String {
    if text.is_empty() {
        none.to_owned()
    } else {
        text
    }
}

/// Refuses unknown and missing arguments, and those of a wrong type.
fn check(tool: &Tool, arguments: &Map<String, Value>) -> Result<(), Failure> {
    for (name, value) in arguments {
        let parameter = tool.parameters.iter().find(|(known, ..)| known == name);
        let is_right = |kind: &str| match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            _ => value.is_u64(),
        };
        match parameter {
            Some((_, kind, ..)) if is_right(kind) => {}
            Some((_, kind, ..)) => {
                return Err(Failure::usage(format!(
                    "{name}: expected a value of type {kind}, got {value}"
                )));
            }
            None => {
                return Err(Failure::usage(format!(
                    "unknown argument {name:?} of {}",
                    tool.name
                )));
            }
        }
    }
    let required = tool
        .parameters
        .iter()
        .filter(|(.., is_required)| *is_required);
    for (name, ..) in required {
        if !arguments.contains_key(*name) {
            return Err(Failure::usage(format!(
                "missing argument {name:?} of {}",
                tool.name
            )));
        }
    }
    Ok(())
}

/// An answer of bounded length. What is cut is stated.
fn bounded(text: String) -> String {
    if text.len() <= ANSWER_BYTES {
        return text;
    }
    let mut end = ANSWER_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let left = text.len() - end;
    format!(
        "{}\n… {left} more bytes not shown; narrow the question or lower the limit\n",
        &text[..end]
    )
}
