//! Who depends on whom, and what is refused.

use crate::member::Member;
use std::collections::{HashMap, VecDeque};

/// How many members a process may have.
pub(crate) const MEMBERS_MAX: usize = 10_000;

/// Why members or an operator's wish can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Two members of one name.
    #[error("two members are called {0:?}; give each a name of its own")]
    Duplicate(String),
    /// A member without a name, or with one that no table could show.
    #[error("{0:?} is no name for a member; use 1 to 256 letters, digits and punctuation")]
    Name(String),
    /// Members that wait for each other, from one of them back to itself.
    #[error("these members wait for each other: {}; take one of these dependencies away", .0.join(" after "))]
    Cycle(Vec<String>),
    /// A dependency that no member has the name of.
    #[error("{member:?} comes after {dependency:?}, but there is no such member{}", meant(.nearest.as_ref()))]
    UnknownDependency {
        /// Who depends.
        member: String,
        /// On whom.
        dependency: String,
        /// The name that is most like it.
        nearest: Option<String>,
    },
    /// A name that no member has.
    #[error("there is no member {name:?}{}", meant(.nearest.as_ref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The name that is most like it.
        nearest: Option<String>,
    },
    /// A restart of a member that is off.
    #[error("{0:?} is disabled; toggle it on instead of restarting it")]
    Off(String),
    /// More members than a process may have.
    #[error("a process has at most {MEMBERS_MAX} members; put the others into another process")]
    TooMany,
    /// The process takes wishes more slowly than they come.
    #[error("too many toggles are waiting to be obeyed; try again in a second")]
    Busy,
    /// The process has ended.
    #[error("the process has stopped; it takes no more orders")]
    Stopped,
}

fn meant(nearest: Option<&String>) -> String {
    nearest.map_or_else(
        || "; see the list of members".to_owned(),
        |name| format!("; did you mean {name:?}?"),
    )
}

/// The names of a process's members, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Graph(HashMap<String, usize>);

impl Graph {
    /// Takes all of these in, or none.
    pub(crate) fn add_all(&mut self, members: &[Member]) -> Result<(), Refused> {
        let mut names = self.0.clone();
        for member in members {
            let name = &*member.name;
            let shown = |c: char| !c.is_control() && !c.is_whitespace();
            if name.is_empty() || name.len() > davy_tag::MAX_NAME_BYTES || !name.chars().all(shown)
            {
                return Err(Refused::Name(name.to_owned()));
            }
            if names.insert(name.to_owned(), names.len()).is_some() {
                return Err(Refused::Duplicate(name.to_owned()));
            }
        }
        if names.len() > MEMBERS_MAX {
            return Err(Refused::TooMany);
        }
        let before = std::mem::replace(&mut self.0, names);
        let checked = self.check(members, before.len());
        if checked.is_err() {
            self.0 = before;
        }
        checked
    }

    fn check(&self, members: &[Member], offset: usize) -> Result<(), Refused> {
        let mut edges = Vec::with_capacity(members.len());
        for member in members {
            let mut places = Vec::with_capacity(member.after.len());
            for dependency in &member.after {
                let Some(place) = self.place(dependency) else {
                    return Err(Refused::UnknownDependency {
                        member: member.name.to_string(),
                        dependency: dependency.clone(),
                        nearest: self.nearest(dependency),
                    });
                };
                // Those that were there before depend on none of these.
                places.extend(place.checked_sub(offset));
            }
            edges.push(places);
        }
        match cycle(&edges) {
            None => Ok(()),
            Some(path) => Err(Refused::Cycle(
                path.iter().map(|i| members[*i].name.to_string()).collect(),
            )),
        }
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    /// Its place, or a refusal that knows what was meant.
    pub(crate) fn known(&self, name: &str) -> Result<usize, Refused> {
        self.place(name).ok_or_else(|| Refused::Unknown {
            name: name.to_owned(),
            nearest: self.nearest(name),
        })
    }

    /// The name that is most like this one, if any is like it at all.
    fn nearest(&self, name: &str) -> Option<String> {
        let like = |known: &String| strsim::jaro_winkler(known, name);
        let near = self.0.keys().map(|known| (like(known), known));
        let best = near
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)))?;
        Some(best.1.clone())
    }
}

/// A way from a node back to itself, if there is one. `edges[i]` are those that `i` comes after.
fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    // Kahn: take away whatever waits for nobody; what is left contains a cycle.
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
    // Every node that is left waits for one that is left, so the walk comes back to where it was.
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
        refused.expect_err("it is refused").to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_the_whole_story() {
        let check = |members: &[(&str, &[&str])], expected: &str| {
            assert_eq!(refusal(members), expected);
        };
        check(
            &[("api", &[]), ("api", &[])],
            r#"two members are called "api"; give each a name of its own"#,
        );
        check(
            &[("database", &[]), ("api", &["databsae"])],
            r#""api" comes after "databsae", but there is no such member; did you mean "database"?"#,
        );
        check(
            &[("x", &[]), ("api", &["qqqq"])],
            r#""api" comes after "qqqq", but there is no such member; see the list of members"#,
        );
        check(
            &[
                ("z", &["c"]),
                ("a", &["x", "b"]),
                ("b", &["c"]),
                ("c", &["a"]),
                ("x", &[]),
            ],
            "these members wait for each other: c after a after b after c; take one of these \
             dependencies away",
        );
        check(
            &[("a", &["a"])],
            "these members wait for each other: a after a; take one of these dependencies away",
        );
        check(
            &[("two words", &[])],
            r#""two words" is no name for a member; use 1 to 256 letters, digits and punctuation"#,
        );
    }

    #[test]
    fn a_refused_addition_leaves_no_name_behind() {
        let mut graph = Graph::default();
        graph.add_all(&[Member::served("a")]).expect("fine");
        let late = [Member::served("b"), Member::served("c").after(["nobody"])];
        graph.add_all(&late).expect_err("c depends on nobody");
        assert!(graph.known("b").is_err());
        graph
            .add_all(&[Member::served("b").after(["a"])])
            .expect("b is free, a is there");
    }

    #[test]
    fn a_long_chain_and_a_long_cycle_are_told_apart() {
        let name = |i: usize| format!("m{i}");
        let mut chain: Vec<Member> = (0..MEMBERS_MAX)
            .map(|i| Member::served(&name(i)).after((i > 0).then(|| name(i - 1))))
            .collect();
        Graph::default().add_all(&chain).expect("no cycle");
        chain[0] = Member::served("m0").after([name(MEMBERS_MAX - 1)]);
        let refused = Graph::default().add_all(&chain);
        assert!(matches!(refused, Err(Refused::Cycle(path)) if path.len() == MEMBERS_MAX + 1));
    }
}
