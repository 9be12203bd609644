//! In programs without the feature `push`: no address of an archiver is accepted, so nothing is ever sent.

#![expect(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "has the interface of http.rs"
)]

use super::archiver::{Archiver, Outcome};
use super::settings::Settings;
use std::io::BufRead;
use std::time::Duration;

pub(super) struct Client;

impl Client {
    pub(super) fn new(_settings: &Settings, _prefers_cache: bool) -> Self {
        Self
    }

    pub(super) fn push(&self, _archiver: &Archiver, _body: &[u8], _is_urgent: bool) -> Outcome {
        Outcome::Refused {
            reason: "built without the feature `push`".to_owned(),
        }
    }

    pub(super) fn hurry(&self, _archiver: &Archiver, _within: Duration) {}

    pub(super) fn has_symbols(
        &self,
        _archiver: &Archiver,
        _build_id: &str,
        _functions: u32,
    ) -> Option<bool> {
        None
    }

    pub(super) fn put_symbols(
        &self,
        _archiver: &Archiver,
        _build_id: &str,
        _index: impl BufRead,
    ) -> Result<(), String> {
        Ok(())
    }
}
