//! Ways to write dependencies.

use crate::member::Member;

/// Members and how they depend on each other.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub(crate) members: Vec<Member>,
    /// The members that start first within the group, by their place in `members`.
    first: Vec<usize>,
    /// The members that start last.
    last: Vec<usize>,
}

impl From<Member> for Group {
    fn from(member: Member) -> Self {
        Self {
            members: vec![member],
            first: vec![0],
            last: vec![0],
        }
    }
}

impl Group {
    /// Each starts when the one before is ready, and stops before it does. Takes members or groups.
    pub fn ordered<I>(parts: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Self>,
    {
        let mut whole = Self::default();
        for part in parts {
            let part = part.into();
            if part.members.is_empty() {
                continue;
            }
            let before: Vec<String> = whole.last.iter().map(|i| whole.name(*i)).collect();
            let Self { first, last, .. } = whole.take(part.after(before));
            if whole.first.is_empty() {
                whole.first = first;
            }
            whole.last = last;
        }
        whole
    }

    /// All start at once, and stop at once. Takes members or groups.
    pub fn parallel<I>(parts: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Self>,
    {
        let mut whole = Self::default();
        for part in parts {
            let Self { first, last, .. } = whole.take(part.into());
            whole.first.extend(first);
            whole.last.extend(last);
        }
        whole
    }

    /// The group starts when these are ready, and stops before they do.
    pub fn after<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        for member in &self.first {
            self.members[*member].after.extend_from_slice(&names);
        }
        self
    }

    fn name(&self, member: usize) -> String {
        self.members[member].name.to_string()
    }

    /// Takes the members over; gives the part's ends by their new places.
    fn take(&mut self, part: Self) -> Self {
        let offset = self.members.len();
        self.members.extend(part.members);
        let moved = |places: Vec<usize>| places.into_iter().map(|i| i + offset).collect();
        Self {
            members: Vec::new(),
            first: moved(part.first),
            last: moved(part.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(group: &Group) -> Vec<String> {
        let after = |member: &Member| format!("{}<{}", member.name, member.after.join(","));
        group.members.iter().map(after).collect()
    }

    fn members<const N: usize>(names: [&str; N]) -> [Member; N] {
        names.map(Member::served)
    }

    #[test]
    fn an_ordered_group_is_a_chain_and_a_parallel_one_has_no_edges() {
        let check = |group: Group, expected: &[&str]| assert_eq!(edges(&group), expected);
        check(
            Group::ordered(members(["a", "b", "c"])),
            &["a<", "b<a", "c<b"],
        );
        check(Group::parallel(members(["a", "b"])), &["a<", "b<"]);
        check(Group::ordered(members([])), &[]);
    }

    #[test]
    fn groups_nest_by_their_first_and_last_members() {
        let nested = Group::ordered([
            Group::parallel(members(["a", "b"])),
            Group::default(),
            Group::ordered(members(["c", "d"])),
            Member::served("e").into(),
        ])
        .after(["z"]);
        assert_eq!(edges(&nested), ["a<z", "b<z", "c<a,b", "d<c", "e<d"]);
    }
}
