//! An operation: a route of an endpoint.

use super::parameter::Parameter;

/// The WebSocket of a terminal: a GET request, but commands are typed there.
const ATTACH: &str = "AttachTerminal";

/// A route of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{name}` for variable parts.
    pub path: &'static str,
    /// The name of the endpoint. Several routes can have the same one.
    pub id: &'static str,
    /// The member that serves it.
    pub member: &'static str,
    /// What it does; a sentence without full stop.
    pub summary: &'static str,
    /// Its query parameters.
    pub parameters: &'static [Parameter],
}

impl Operation {
    pub(super) const fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        member: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            member,
            summary,
            parameters: &[],
        }
    }

    /// Whether it changes the fleet, which needs an operator. Pushes to the archive do not.
    pub(crate) fn is_change(&self) -> bool {
        (self.method != "GET" || self.id == ATTACH) && self.member == "api"
    }

    pub(super) const fn with(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }
}

/// An operation of the member `api`.
pub(super) const fn api(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(method, path, id, "api", summary)
}
