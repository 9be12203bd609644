//! A build, as the API describes it.

use crate::failure::Failure;
use serde::Deserialize;

/// A build of the API.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct BuildRow {
    pub(super) id: i64,
    pub(super) state: String,
    pub(super) created_by: String,
    pub(super) worker: Option<String>,
    pub(super) exit_code: Option<i64>,
    pub(super) error: Option<String>,
}

impl BuildRow {
    /// The failure of a build that did not succeed.
    pub(super) fn result(&self) -> Result<(), Failure> {
        let id = self.id;
        match (&*self.state, self.exit_code) {
            ("succeeded", _) => Ok(()),
            ("failed", Some(code)) => Err(Failure::Task {
                message: format!("build {id} failed: the task exited with code {code}"),
                code: u8::try_from(code).unwrap_or(1),
            }),
            (state, _) => {
                let error = self.error.as_deref().unwrap_or("no reason given");
                let reason = if state == "aborted" {
                    String::new()
                } else {
                    format!(": {error}")
                };
                Err(Failure::failed(format!("build {id} {state}{reason}")))
            }
        }
    }
}
