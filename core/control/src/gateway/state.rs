//! What the handlers of the gateway share.

use super::claims::Claims;
use super::session::Sessions;
use crate::gc::CollectorMetrics;
use crate::objects::BuildObjects;
use crate::problem::Problem;
use davy_base::{Clock, Random};
use davy_store::Store;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex};
use ulid::Ulid;

#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(super) sessions: Arc<Sessions>,
    pub(super) claims: Arc<Claims>,
    pub(super) random: Arc<Mutex<Random>>,
    pub(super) objects: Option<BuildObjects>,
    pub(super) metrics: CollectorMetrics,
}

impl Gateway {
    /// A new handle.
    pub(super) fn handle(&self) -> String {
        let now = self.clock.now().millis() as u64;
        let random = crate::control::locked(&self.random).next_u128();
        Ulid::from_parts(now, random).to_string().to_lowercase()
    }
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("invalid body: {error}")))
}

pub(super) fn invalid(error: impl std::fmt::Display) -> Problem {
    Problem::bad_request(error.to_string())
}
