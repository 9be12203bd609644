//! Query parameters of operations.

/// A query parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ParameterKind,
    /// Whether a request must have it.
    pub required: bool,
    /// What it does; a sentence without full stop.
    pub description: &'static str,
    /// A valid value.
    pub example: &'static str,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// Texts in an order; the parameter is repeated.
    Texts,
    /// A whole number of at least 1.
    Integer,
    /// A point of time.
    Time,
    /// A duration in seconds.
    Seconds,
    /// One of several words.
    Choice(&'static [&'static str]),
}

impl Parameter {
    /// An optional parameter.
    pub(super) const fn new(
        name: &'static str,
        kind: ParameterKind,
        example: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            required: false,
            description,
            example,
        }
    }

    pub(super) const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}
