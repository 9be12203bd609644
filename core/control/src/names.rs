//! The names that can be toggled, and suggestions for misspelt ones.

use crate::operations::Operation;

/// Members that can't be disabled: toggles are received and applied through them.
const REQUIRED: [&str; 6] = [
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

/// Why a name can't be toggled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// Neither a member nor an operation has that name.
    #[error("{kind} {name} not found; {hint}")]
    Unknown {
        kind: &'static str,
        name: String,
        hint: String,
    },
    /// The member has to run.
    #[error(
        "member {name} cannot be disabled: the process needs it to apply toggles; stop the process instead"
    )]
    Required { name: String },
}

impl Names {
    pub(crate) fn new(members: Vec<String>, operations: &[Operation]) -> Self {
        Self {
            members,
            operations: operations.iter().map(|operation| operation.id).collect(),
        }
    }

    /// Checks that a member has that name.
    pub(crate) fn member(&self, name: &str) -> Result<(), NameError> {
        if self.members.iter().any(|known| known == name) {
            return Ok(());
        }
        let members = self.members.iter().map(String::as_str);
        Err(unknown(
            "member",
            name,
            members,
            "`davy members` lists all members",
        ))
    }

    /// Checks that a member has that name and may be disabled.
    pub(crate) fn member_to_disable(&self, name: &str) -> Result<(), NameError> {
        if REQUIRED.contains(&name) {
            return Err(NameError::Required {
                name: name.to_owned(),
            });
        }
        self.member(name)
    }

    /// Checks that an operation has that name.
    pub(crate) fn operation(&self, name: &str) -> Result<(), NameError> {
        if self.operations.contains(&name) {
            return Ok(());
        }
        let operations = self.operations.iter().copied();
        Err(unknown(
            "endpoint",
            name,
            operations,
            "`davy endpoints` lists all endpoints",
        ))
    }
}

fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    list_command: &str,
) -> NameError {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None => list_command.to_owned(),
    };
    NameError::Unknown {
        kind,
        name: name.to_owned(),
        hint,
    }
}

/// The name with the smallest edit distance, unless more than half of its characters differ.
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
    fn misspelt_name_is_refused_with_the_nearest_known_one() {
        let operations: Vec<Operation> = crate::operations::operations().collect();
        let names = Names::new(vec!["gc.audit".to_owned()], &operations);
        let text = |result: Result<(), NameError>| result.expect_err("unknown name").to_string();
        assert_eq!(
            text(names.member("gc.adit")),
            "member gc.adit not found; did you mean gc.audit?"
        );
        assert_eq!(
            text(names.operation("ListAlJobs")),
            "endpoint ListAlJobs not found; did you mean ListAllJobs?"
        );
        assert_eq!(
            text(names.operation("x")),
            "endpoint x not found; `davy endpoints` lists all endpoints"
        );
        assert_eq!(names.operation("ListAllJobs"), Ok(()));
    }

    #[test]
    fn required_members_cannot_be_disabled() {
        let names = Names::new(vec!["debug".to_owned(), "ui".to_owned()], &[]);
        assert_eq!(names.member_to_disable("ui"), Ok(()));
        assert!(matches!(
            names.member_to_disable("debug"),
            Err(NameError::Required { .. })
        ));
        assert_eq!(names.member("debug"), Ok(()));
    }
}
