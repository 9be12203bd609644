//! The error that a member's run returns.

/// The error of a member.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
