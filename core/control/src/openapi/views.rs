//! Schemas of saved views.

use schemars::JsonSchema;

/// Saved views.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct ViewList {
    /// The views, newest first.
    views: Vec<SavedView>,
}

/// A saved view.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct SavedView {
    /// Its id.
    id: String,
    /// The title.
    title: String,
    /// What it shows; may be empty.
    note: String,
    /// The address, relative to the first page.
    link: String,
    /// The operator who saved it.
    operator: String,
    /// When it was saved, in milliseconds since 1970.
    at: i64,
}
