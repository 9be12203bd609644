//! Names that come from outside.

/// The longest name of a worker or handle, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A name that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid {what} {name:?}: expected 1 to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit"
)]
pub struct InvalidName {
    /// What it should name.
    pub what: &'static str,
    /// The start of the name.
    pub name: String,
}

/// Checks the name of a worker, handle, input or output. A valid name is one component of a path and never
/// `.` or `..`.
pub fn check(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_valid = name.len() <= NAME_BYTES_MAX
        && name.bytes().all(is_allowed)
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
    if is_valid {
        return Ok(());
    }
    Err(InvalidName {
        what,
        name: name.chars().take(NAME_BYTES_MAX).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_components_of_paths() {
        let checked = |name: &str, expected: bool| {
            assert_eq!(check("worker name", name).is_ok(), expected, "{name:?}");
        };
        checked("worker-1.example_2", true);
        checked(&"a".repeat(64), true);
        checked(&"a".repeat(65), false);
        for name in ["", ".", "..", "-a", ".a", "a/b", "a b", "a\0", "ä", "a\n"] {
            checked(name, false);
        }
    }
}
