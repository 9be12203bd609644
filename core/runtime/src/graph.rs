//! Names and dependencies of members, and the errors of the supervisor.

use crate::member::Member;
use std::collections::{HashMap, VecDeque};

/// Maximum number of members of a process.
pub(crate) const MEMBERS_MAX: usize = 10_000;

/// Why the supervisor rejects members or a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// Two members have the same name.
    #[error("duplicate member name {0:?}")]
    Duplicate(String),
    /// A member's name is empty, too long, or contains white space or control characters.
    #[error("invalid member name {0:?}: expected 1 to {max} bytes without white space or control characters", max = davy_tag::MAX_NAME_BYTES)]
    InvalidName(String),
    /// Members that depend on each other, from one of them back to itself.
    #[error("dependency cycle: {}; remove one of these dependencies", .0.join(" after "))]
    Cycle(Vec<String>),
    /// A member depends on an unknown member.
    #[error("member {member:?} depends on unknown member {dependency:?}{}", hint(.nearest.as_ref()))]
    UnknownDependency {
        /// The member.
        member: String,
        /// Its dependency.
        dependency: String,
        /// The most similar name.
        nearest: Option<String>,
    },
    /// No member has this name.
    #[error("unknown member {name:?}{}", hint(.nearest.as_ref()))]
    UnknownMember {
        /// The requested name.
        name: String,
        /// The most similar name.
        nearest: Option<String>,
    },
    /// A restart of a disabled member.
    #[error("member {0:?} is disabled; enable it instead of restarting it")]
    Disabled(String),
    /// More members than a process may have.
    #[error("too many members: a process has at most {MEMBERS_MAX}; move some to another process")]
    TooMany,
    /// The queue of commands is full.
    #[error("too many commands are waiting for the supervisor; try again in a second")]
    QueueFull,
    /// The process has ended.
    #[error("the process has stopped and accepts no commands")]
    Stopped,
}

fn hint(nearest: Option<&String>) -> String {
    nearest.map_or_else(
        || "; see the list of members".to_owned(),
        |name| format!("; did you mean {name:?}?"),
    )
}

/// The names of a process's members, with their indices in the order of insertion.
#[derive(Debug, Default)]
pub(crate) struct Graph(HashMap<String, usize>);

impl Graph {
    /// Adds all of these members, or none.
    pub(crate) fn add_all(&mut self, members: &[Member]) -> Result<(), SupervisorError> {
        let mut names = self.0.clone();
        for member in members {
            let name = &*member.name;
            let shown = |c: char| !c.is_control() && !c.is_whitespace();
            if name.is_empty() || name.len() > davy_tag::MAX_NAME_BYTES || !name.chars().all(shown)
            {
                return Err(SupervisorError::InvalidName(name.to_owned()));
            }
            if names.insert(name.to_owned(), names.len()).is_some() {
                return Err(SupervisorError::Duplicate(name.to_owned()));
            }
        }
        if names.len() > MEMBERS_MAX {
            return Err(SupervisorError::TooMany);
        }
        let before = std::mem::replace(&mut self.0, names);
        let checked = self.check(members, before.len());
        if checked.is_err() {
            self.0 = before;
        }
        checked
    }

    fn check(&self, members: &[Member], offset: usize) -> Result<(), SupervisorError> {
        let mut edges = Vec::with_capacity(members.len());
        for member in members {
            let mut indices = Vec::with_capacity(member.after.len());
            for dependency in &member.after {
                let Some(index) = self.index(dependency) else {
                    return Err(SupervisorError::UnknownDependency {
                        member: member.name.to_string(),
                        dependency: dependency.clone(),
                        nearest: self.nearest(dependency),
                    });
                };
                // Existing members depend on none of the new ones, so they are in no cycle.
                indices.extend(index.checked_sub(offset));
            }
            edges.push(indices);
        }
        match cycle(&edges) {
            None => Ok(()),
            Some(path) => Err(SupervisorError::Cycle(
                path.iter().map(|i| members[*i].name.to_string()).collect(),
            )),
        }
    }

    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    /// The member's index, or an error that suggests the most similar name.
    pub(crate) fn known(&self, name: &str) -> Result<usize, SupervisorError> {
        self.index(name)
            .ok_or_else(|| SupervisorError::UnknownMember {
                name: name.to_owned(),
                nearest: self.nearest(name),
            })
    }

    /// The most similar name, if there is a similar one.
    fn nearest(&self, name: &str) -> Option<String> {
        let similarity = |known: &String| strsim::jaro_winkler(known, name);
        let known = self.0.keys().map(|known| (similarity(known), known));
        let best = known
            .filter(|(similarity, _)| *similarity > 0.7)
            .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)))?;
        Some(best.1.clone())
    }
}

/// A path from a node back to itself, if there is one. `edges[i]` are the dependencies of `i`.
fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    // Kahn's algorithm: remove nodes without dependencies. If nodes are left, they contain a cycle.
    let mut waits: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); edges.len()];
    for (node, after) in edges.iter().enumerate() {
        for dependency in after {
            dependents[*dependency].push(node);
        }
    }
    let mut free: VecDeque<usize> = (0..edges.len()).filter(|node| waits[*node] == 0).collect();
    while let Some(node) = free.pop_front() {
        for dependent in &dependents[node] {
            waits[*dependent] -= 1;
            if waits[*dependent] == 0 {
                free.push_back(*dependent);
            }
        }
    }
    // Every remaining node depends on a remaining one, so the walk returns to a node that it has seen.
    let mut path = vec![waits.iter().position(|waits| *waits > 0)?];
    let mut seen = HashMap::from([(path[0], 0)]);
    loop {
        let next = edges[*path.last()?].iter().find(|node| waits[**node] > 0)?;
        path.push(*next);
        if let Some(from) = seen.insert(*next, path.len() - 1) {
            return Some(path.split_off(from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(members: &[(&str, &[&str])]) -> String {
        let make =
            |(name, after): &(&str, &[&str])| Member::served(name).after(after.iter().copied());
        let members: Vec<Member> = members.iter().map(make).collect();
        let refused = Graph::default().add_all(&members);
        refused.expect_err("invalid members").to_string()
    }

    #[test]
    fn invalid_members_are_rejected_with_a_precise_error() {
        let check = |members: &[(&str, &[&str])], expected: &str| {
            assert_eq!(refusal(members), expected);
        };
        check(
            &[("api", &[]), ("api", &[])],
            r#"duplicate member name "api""#,
        );
        check(
            &[("database", &[]), ("api", &["databsae"])],
            r#"member "api" depends on unknown member "databsae"; did you mean "database"?"#,
        );
        check(
            &[("x", &[]), ("api", &["qqqq"])],
            r#"member "api" depends on unknown member "qqqq"; see the list of members"#,
        );
        check(
            &[
                ("z", &["c"]),
                ("a", &["x", "b"]),
                ("b", &["c"]),
                ("c", &["a"]),
                ("x", &[]),
            ],
            "dependency cycle: c after a after b after c; remove one of these dependencies",
        );
        check(
            &[("a", &["a"])],
            "dependency cycle: a after a; remove one of these dependencies",
        );
        check(
            &[("two words", &[])],
            r#"invalid member name "two words": expected 1 to 256 bytes without white space or control characters"#,
        );
    }

    #[test]
    fn rejected_members_are_not_added() {
        let mut graph = Graph::default();
        graph.add_all(&[Member::served("a")]).expect("valid");
        let late = [Member::served("b"), Member::served("c").after(["missing"])];
        graph.add_all(&late).expect_err("an unknown dependency");
        assert!(graph.known("b").is_err());
        graph
            .add_all(&[Member::served("b").after(["a"])])
            .expect("valid");
    }

    #[test]
    fn long_chain_is_accepted_and_long_cycle_is_rejected() {
        let name = |i: usize| format!("m{i}");
        let mut chain: Vec<Member> = (0..MEMBERS_MAX)
            .map(|i| Member::served(&name(i)).after((i > 0).then(|| name(i - 1))))
            .collect();
        Graph::default().add_all(&chain).expect("no cycle");
        chain[0] = Member::served("m0").after([name(MEMBERS_MAX - 1)]);
        let refused = Graph::default().add_all(&chain);
        assert!(
            matches!(refused, Err(SupervisorError::Cycle(path)) if path.len() == MEMBERS_MAX + 1)
        );
    }
}
