//! Times of the database.

/// Milliseconds since 1970 UTC, by the database's clock.
pub type Millis = i64;
