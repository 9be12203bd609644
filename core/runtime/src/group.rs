//! Groups of members that start and stop in order or in parallel.

use crate::member::Member;

/// Members with dependencies on each other.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub(crate) members: Vec<Member>,
    /// The members that start first within the group, as indices into `members`.
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
    /// Each member or group starts when the previous one is ready, and stops before it does.
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

    /// All members or groups start and stop concurrently.
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

    /// Moves the members of `part` into this group; returns its first and last members by their new
    /// indices.
    fn take(&mut self, part: Self) -> Self {
        let offset = self.members.len();
        self.members.extend(part.members);
        let moved = |indices: Vec<usize>| indices.into_iter().map(|i| i + offset).collect();
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
    fn ordered_group_is_a_chain_and_parallel_group_has_no_dependencies() {
        let check = |group: Group, expected: &[&str]| assert_eq!(edges(&group), expected);
        check(
            Group::ordered(members(["a", "b", "c"])),
            &["a<", "b<a", "c<b"],
        );
        check(Group::parallel(members(["a", "b"])), &["a<", "b<"]);
        check(Group::ordered(members([])), &[]);
    }

    #[test]
    fn nested_groups_connect_last_members_to_first_members() {
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
