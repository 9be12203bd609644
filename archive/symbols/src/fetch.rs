//! Fetches the files of builds that queries miss from servers of debuginfod.

use crate::answers::Answers;
use crate::index::BuildFiles;
use crate::service::DebugFiles;
use crate::spool::SpoolFile;
use davy_archive::{Error, ErrorKind, MissingBuild, Result};
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::StatusCode;
use std::sync::PoisonError;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Builds that are fetched concurrently.
const CONCURRENT: usize = 2;
/// How long a server may pause.
const IDLE: Duration = Duration::from_secs(30);
/// How long the files of a build may take.
const TOTAL: Duration = Duration::from_mins(10);
/// When a build is asked for again that no server has.
const NOT_FOUND: Duration = Duration::from_hours(1);
/// When a build is asked for again whose files could not be fetched or read.
const FAILED: Duration = Duration::from_mins(1);
/// Numbers of bytes of build ids.
const BUILD_ID_BYTES: std::ops::RangeInclusive<usize> = 4..=64;
/// The header with the path of the file.
const FILE: &str = "x-debuginfod-file";

/// The build id as servers expect it; none for other ids than those of linkers.
fn gnu_build_id(build_id: &str) -> Option<String> {
    let is_hexadecimal = build_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = build_id.len() / 2;
    (is_hexadecimal && build_id.len().is_multiple_of(2) && BUILD_ID_BYTES.contains(&bytes))
        .then(|| build_id.to_ascii_lowercase())
}

impl DebugFiles {
    /// Fetches the builds that queries miss until `drain` is cancelled. Does nothing without servers.
    pub async fn run(self, drain: CancellationToken) {
        let missing = self.0.symbols.missing().filter(|_| self.fetches());
        let Some(mut missing) = missing else {
            drain.cancelled().await;
            return;
        };
        let builds = futures_util::stream::poll_fn(|context| missing.poll_recv(context));
        let builds = builds.take_until(drain.cancelled());
        builds
            .for_each_concurrent(CONCURRENT, |build| async {
                tokio::select! {
                    () = self.fetch(build) => {}
                    () = drain.cancelled() => {}
                }
            })
            .await;
    }

    /// Fetches a build, unless it was tried recently.
    async fn fetch(&self, build: MissingBuild) {
        let Some(id) = gnu_build_id(&build.build_id) else {
            return;
        };
        let clock = self.0.symbols.clock();
        if self.answers().is_known(&build, clock.monotonic()) {
            return;
        }
        // Queries that come meanwhile do not start a second fetch.
        let now = clock.monotonic();
        self.answers().note(build.clone(), now + TOTAL, now);
        let fetching = self.0.symbols.fetching(&build);
        let fetched = clock.timeout(TOTAL, self.fetched(&build, &id)).await;
        drop(fetching);
        let fetched = fetched.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Late,
                format!("the files took longer than {TOTAL:?}"),
            ))
        });
        let now = clock.monotonic();
        let pause = match fetched {
            Ok(true) => {
                self.count("debuginfod", "stored");
                Duration::ZERO
            }
            Ok(false) => {
                self.count("debuginfod", "not_found");
                NOT_FOUND
            }
            Err(error) => {
                self.count("debuginfod", error.kind.code().reason);
                let build = &build.build_id;
                tracing::warn!(%build, %error, "cannot fetch debug information");
                FAILED
            }
        };
        self.answers().note(build, now + pause, now);
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        // No holder panics.
        let answers = self.0.answers.lock();
        answers.unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches and stores a build. Returns false if no server has it.
    async fn fetched(&self, build: &MissingBuild, id: &str) -> Result<bool> {
        // Of a stripped program, the functions are in one file and their offsets in the other.
        let debug = self.get(id, "debuginfo").await?;
        let program = self.get(id, "executable").await?;
        let files = match (program, debug) {
            (Some((program, name)), debug) => BuildFiles {
                program,
                debug: debug.map(|(file, _)| file),
                name,
            },
            (None, Some((program, name))) => BuildFiles {
                program,
                debug: None,
                name,
            },
            (None, None) => return Ok(false),
        };
        let stored = self.store(&build.tenant, &build.build_id, files).await?;
        let functions = stored.functions;
        tracing::info!(build = build.build_id, functions, "fetched symbols");
        Ok(true)
    }

    /// A file of a build and its name, from the first server that has it.
    async fn get(&self, id: &str, kind: &str) -> Result<Option<(SpoolFile, String)>> {
        let mut fault = None;
        for server in &self.0.urls {
            let url = format!("{}/buildid/{id}/{kind}", server.trim_end_matches('/'));
            match self.download(&url, id).await {
                Ok(Some(file)) => return Ok(Some(file)),
                Ok(None) => {}
                Err(error) => fault = Some(error),
            }
        }
        fault.map_or(Ok(None), Err)
    }

    async fn download(&self, url: &str, id: &str) -> Result<Option<(SpoolFile, String)>> {
        let clock = self.0.symbols.clock();
        let failed = |error: reqwest::Error| {
            Error::caused(ErrorKind::Unavailable, format!("cannot get {url}"), error)
        };
        let sent = clock.timeout(IDLE, self.0.client.get(url).send()).await;
        let sent = sent.map_err(|_| {
            let message = format!("cannot get {url}: no response for {IDLE:?}");
            Error::new(ErrorKind::Late, message)
        })?;
        let response = sent.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("cannot get {url}: the server responded with {status}"),
                ));
            }
        }
        let path = response.headers().get(FILE);
        let path = path.and_then(|path| path.to_str().ok()).unwrap_or(id);
        let name = path.rsplit('/').next().unwrap_or(id).to_owned();
        let parts = futures_util::stream::try_unfold(response, |mut response| async {
            let part = response.chunk().await?;
            Ok(part.map(|part| (part, response)))
        });
        let parts = Box::pin(parts.map_err(failed));
        let file = self.0.spool.write((clock, IDLE), parts).await?;
        Ok(Some((file, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_build_ids_of_linkers_are_asked_for() {
        let check = |id: &str, expected: Option<&str>| {
            assert_eq!(gnu_build_id(id).as_deref(), expected);
        };
        check("C0FFEE00", Some("c0ffee00"));
        check("c0ffee", None);
        check("c0ffee000", None);
        check("../../secret", None);
        check("abcdefgh", None);
    }
}
