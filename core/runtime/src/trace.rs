//! How a process ended: every member's end in the order in which they came.

use std::fmt;

/// How a member ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to drain, and did.
    Drained,
    /// It ended though nobody had told it to.
    Early,
    /// It failed.
    Failed(String),
    /// It panicked.
    Panicked(String),
    /// It was still running at its deadline and was aborted.
    Overran,
}

/// A member's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The member's name.
    pub member: String,
    /// How it ended.
    pub ending: Ending,
}

/// All ends, the first first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(pub Vec<End>);

impl Trace {
    /// Whether every member drained when it was told to.
    pub fn is_clean(&self) -> bool {
        self.0.iter().all(|end| end.ending == Ending::Drained)
    }

    /// The end that began the fall, if there was one.
    pub fn culprit(&self) -> Option<&End> {
        self.0.iter().find(|end| end.ending != Ending::Drained)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { member, ending } = self;
        match ending {
            Ending::Drained => write!(f, "{member} drained"),
            Ending::Early => write!(f, "{member} ended though nobody had told it to"),
            Ending::Failed(error) => write!(f, "{member} failed: {error}"),
            Ending::Panicked(message) => write!(f, "{member} panicked: {message}"),
            Ending::Overran => write!(f, "{member} did not stop within its deadline"),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, end) in self.0.iter().enumerate() {
            write!(f, "{}{end}", if index == 0 { "" } else { "; then " })?;
        }
        Ok(())
    }
}
