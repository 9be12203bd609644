//! `/debug/pprof/*`, for any HTTP server.

mod listing;
mod query;

use crate::Error;
use crate::aggregate::Filter;
use crate::drain::{Collected, ProfileSource, Waiter};
use crate::handle::{Handle, check_hz};
use davy_tag::Tag;
use query::ProfileQuery;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Default span of a profile. `go tool pprof` asks for 30 s by default; people prefer to wait less.
const SECONDS: u64 = 10;

/// Maximum number of known names in an error about an unknown one.
const NAMES_MAX: usize = 20;
/// Maximum number of concurrent requests for profiles of the current state.
const INSTANT_MAX: usize = 8;

/// What to send to the client of a request for `/debug/pprof/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugResponse {
    /// HTTP status.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: &'static str,
    /// The name under which browsers save the body, for the header `Content-Disposition`; none for pages.
    pub file_name: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl DebugResponse {
    fn text(status: u16, text: String) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            file_name: None,
            body: text.into_bytes(),
        }
    }
}

impl From<Error> for DebugResponse {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Setting { .. } | Error::Parameter { .. } => 400,
            Error::TooManyProfiles(_) => 429,
            Error::HeapOff(_) => 501,
            Error::NoHistory(_) | Error::Unknown { .. } => 404,
            _ => 503,
        };
        Self::text(status, format!("{error}\n"))
    }
}

impl Handle {
    /// Responds to a GET request for `/debug/pprof/*`, given with its query, such as
    /// `/debug/pprof/profile?seconds=5&member=api`.
    ///
    /// Blocks for the `seconds` of the profile, 10 by default, and while names are resolved. In an async server, call
    /// it on a blocking thread; for axum there is `debug_router` (feature `axum`).
    ///
    /// The paths are the index `/debug/pprof/`, the profiles
    /// `/debug/pprof/{profile,wall,heap,allocs,tasks,threads}`, `/debug/pprof/cmdline`, and `/debug/pprof/watch`,
    /// which makes windows one second long for `seconds`. Parameters: `seconds`, `member` and `op`; `hz` for
    /// `profile`; `base` for `heap` and `allocs`; `debug=1` for `tasks`.
    pub fn debug_response(&self, target: &str) -> DebugResponse {
        let waiting = Arc::new(());
        respond(self, target, Arc::downgrade(&waiting))
    }
}

/// A profile is not taken if the waiter is gone before its time is over.
pub(crate) fn respond(handle: &Handle, target: &str, waiter: Waiter) -> DebugResponse {
    use ProfileSource::{Cpu, Heap, Tasks, Threads, Wall};
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = match query::parse(query) {
        Ok(query) => query,
        Err(reason) => return DebugResponse::text(400, format!("{reason}\n")),
    };
    let (source, default_type) = match path.strip_prefix("/debug/pprof").unwrap_or(path) {
        "" | "/" => return index(handle),
        "/cmdline" => return DebugResponse::text(200, cmdline()),
        "/watch" => return watch(handle, &query),
        "/profile" => (Cpu, "cpu"),
        "/wall" => (Wall, "wall"),
        "/heap" => (Heap, "inuse_space"),
        "/allocs" => (Heap, "alloc_space"),
        "/tasks" => (Tasks, "tasks"),
        "/threads" => (Threads, "threads"),
        _ => {
            let reason = format!("{path} not found; /debug/pprof/ lists the profiles\n");
            return DebugResponse::text(404, reason);
        }
    };
    let source = match (source, query.base) {
        (Heap, Some(ago)) => ProfileSource::HeapSince(Duration::from_secs(ago)),
        _ => source,
    };
    let collected = match collect(handle, &query, source, waiter) {
        Ok(collected) => collected,
        Err(error) => return error.into(),
    };
    let _guard = Tag::new("profiler", "debug").enter();
    if query.debug == Some(1) && source == Tasks {
        let text = listing::tasks(handle, &collected, &query.filter());
        return DebugResponse::text(200, text);
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut profile = handle.name(&collected);
    profile.default_sample_type = profile.strings.intern(default_type);
    DebugResponse {
        status: 200,
        content_type: "application/octet-stream",
        file_name: Some(format!("{name}.pb.gz")),
        body: davy_profile::gzip::compress(&davy_profile::pprof::encode(&profile)),
    }
}

fn collect(
    handle: &Handle,
    query: &ProfileQuery,
    source: ProfileSource,
    waiter: Waiter,
) -> Result<Collected, Error> {
    check(query, source)?;
    let filter = query.filter();
    let (sender, receiver) = mpsc::channel();
    let reply = move |collected| {
        let _ = sender.send(collected);
    };
    // Released when this request ends.
    let _permit;
    if let Some(span) = span(query, source) {
        let rate = query.hz.unwrap_or(0);
        handle.collect(source, (span, rate), &filter, waiter, reply)?;
    } else {
        _permit = Permit::take()?;
        handle.collect_now(source, &filter, reply)?;
    }
    receiver.recv().map_err(|_| Error::Stopped)?
}

/// The span to collect over; none for a profile of the current state.
fn span(query: &ProfileQuery, source: ProfileSource) -> Option<Duration> {
    use ProfileSource::{Cpu, Heap, HeapSince, Tasks, Threads, Wall};
    let seconds = match source {
        Cpu | Wall => Some(query.seconds.unwrap_or(SECONDS)),
        Heap | Tasks => query.seconds,
        HeapSince(_) | Threads => None,
    };
    seconds.map(Duration::from_secs)
}

/// Number of requests that are taking a profile of the current state.
static INSTANT: AtomicUsize = AtomicUsize::new(0);

/// The right to take a profile of the current state.
struct Permit;

impl Permit {
    fn take() -> Result<Self, Error> {
        let permit = Self;
        if INSTANT.fetch_add(1, Ordering::Relaxed) >= INSTANT_MAX {
            return Err(Error::TooManyProfiles(INSTANT_MAX));
        }
        Ok(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        INSTANT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Rejects parameters that do not apply, and names that would select nothing.
fn check(query: &ProfileQuery, source: ProfileSource) -> Result<(), Error> {
    if let Some(hz) = query.hz {
        check_hz(hz, 1)?;
        if source != ProfileSource::Cpu {
            return Err(Error::Parameter {
                name: "hz",
                reason: "applies to /debug/pprof/profile only",
            });
        }
    }
    if query.base.is_some() && query.seconds.is_some() {
        return Err(Error::Parameter {
            name: "base",
            reason: "cannot be combined with `seconds`: it compares with the past, and `seconds` waits",
        });
    }
    let Filter { member, op } = query.filter();
    check_known("member", member, Tag::member)?;
    check_known("operation", op, Tag::op)
}

/// Rejects a member or operation that has not run in this process.
fn check_known(
    what: &'static str,
    requested: Option<String>,
    name: fn(Tag) -> &'static str,
) -> Result<(), Error> {
    let Some(requested) = requested else {
        return Ok(());
    };
    let mut known = BTreeSet::new();
    davy_tag::for_each_tag(|tag| {
        known.insert(name(tag));
    });
    if known.contains(requested.as_str()) {
        return Ok(());
    }
    let names: Vec<_> = known
        .iter()
        .filter(|name| !name.is_empty())
        .copied()
        .collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let mut known = names[..names.len() - more].join(", ");
    if more > 0 {
        known.push_str(&format!(" and {more} more"));
    }
    Err(Error::Unknown {
        what,
        requested,
        known,
    })
}

fn index(handle: &Handle) -> DebugResponse {
    DebugResponse {
        content_type: "text/html; charset=utf-8",
        ..DebugResponse::text(200, listing::index(&handle.stats()))
    }
}

fn watch(handle: &Handle, query: &ProfileQuery) -> DebugResponse {
    let span = Duration::from_secs(query.seconds.unwrap_or(SECONDS));
    match handle.watch(span) {
        Ok(()) => DebugResponse::text(204, String::new()),
        Err(error) => error.into(),
    }
}

/// The arguments of this process, separated by zero bytes, as in Go.
fn cmdline() -> String {
    let arguments: Vec<_> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    arguments.join("\0")
}
