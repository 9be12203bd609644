//! The names that can be toggled, and the nearest one to a wrong one.

use crate::operations::Operation;

/// Members that can't be disabled: with them the means to toggle would go.
const NEEDED: [&str; 6] = [
    "control",
    "database",
    "debug",
    "listener.archive",
    "listener.http",
    "listener.parent",
];

/// Every member and every operation.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    members: Vec<String>,
    operations: Vec<&'static str>,
}

/// Why a name can't be toggled; one sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Nothing has that name.
    #[error("{0}")]
    Unknown(String),
    /// It has to run.
    #[error("{0}")]
    Needed(String),
}

impl Names {
    pub(crate) fn new(members: Vec<String>, operations: &[Operation]) -> Self {
        Self {
            members,
            operations: operations.iter().map(|operation| operation.id).collect(),
        }
    }

    /// Whether a member has that name.
    pub(crate) fn member(&self, name: &str) -> Result<(), Refused> {
        if self.members.iter().any(|known| known == name) {
            return Ok(());
        }
        let members = self.members.iter().map(String::as_str);
        Err(unknown("member", name, members, "`davy members` lists all"))
    }

    /// Whether a member has that name and may be disabled.
    pub(crate) fn member_to_disable(&self, name: &str) -> Result<(), Refused> {
        if NEEDED.contains(&name) {
            return Err(Refused::Needed(format!(
                "member {name} can't be disabled: what is toggled is toggled through it; stop the process instead"
            )));
        }
        self.member(name)
    }

    /// Whether an operation has that name.
    pub(crate) fn operation(&self, name: &str) -> Result<(), Refused> {
        if self.operations.contains(&name) {
            return Ok(());
        }
        let operations = self.operations.iter().copied();
        Err(unknown(
            "endpoint",
            name,
            operations,
            "`davy endpoints` lists all",
        ))
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>, all: &str) -> Refused {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None => all.to_owned(),
    };
    Refused::Unknown(format!("there is no {what} {name}; {hint}"))
}

/// The known name nearest to a wrong one, if any is near enough to be meant.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(wrong.len()) / 2)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_answered_by_the_nearest_right_one() {
        let operations: Vec<Operation> = crate::operations().collect();
        let names = Names::new(vec!["gc.audit".to_owned()], &operations);
        let said = |result: Result<(), Refused>| result.expect_err("it is refused").to_string();
        assert_eq!(
            said(names.member("gc.adit")),
            "there is no member gc.adit; did you mean gc.audit?"
        );
        assert_eq!(
            said(names.operation("ListAlJobs")),
            "there is no endpoint ListAlJobs; did you mean ListAllJobs?"
        );
        assert_eq!(names.operation("ListAllJobs"), Ok(()));
        assert!(matches!(
            names.member_to_disable("debug"),
            Err(Refused::Needed(_))
        ));
    }
}
