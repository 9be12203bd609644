//! `/debug/pprof/*` for an axum server.

mod listing;

use crate::Error;
use crate::aggregate::Filter;
use crate::drain::{Collected, ProfileSource};
use crate::handle::{Handle, check_hz};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use davy_tag::Tag;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Default span of a profile. `go tool pprof` asks for 30 s by default; people prefer to wait less.
const SECONDS: u64 = 10;

/// Maximum number of known names in an error about an unknown one.
const NAMES_MAX: usize = 20;
/// Maximum number of concurrent requests for profiles of the current state.
const INSTANT_MAX: usize = 8;

/// Routes for `go tool pprof` and people: the index `/debug/pprof/`, the profiles
/// `/debug/pprof/{profile,wall,heap,allocs,tasks,threads}`, `/debug/pprof/cmdline`, and
/// `/debug/pprof/watch`, which makes windows one second long for `seconds`.
///
/// Parameters: `seconds`, `member` and `op`; `hz` for `profile`; `base` for `heap` and `allocs`; `debug=1` for
/// `tasks`.
pub fn debug_router(handle: Handle) -> Router {
    use ProfileSource::{Cpu, Heap, Tasks, Threads, Wall};
    let profile = |source: ProfileSource, name: &'static str, default_type: &'static str| {
        get(
            async move |State(handle): State<Handle>, Query(query): Query<ProfileQuery>| {
                profile(handle, query, source, (name, default_type)).await
            },
        )
    };
    Router::new()
        .route("/debug/pprof", get(index))
        .route("/debug/pprof/", get(index))
        .route("/debug/pprof/profile", profile(Cpu, "profile", "cpu"))
        .route("/debug/pprof/wall", profile(Wall, "wall", "wall"))
        .route("/debug/pprof/heap", profile(Heap, "heap", "inuse_space"))
        .route(
            "/debug/pprof/allocs",
            profile(Heap, "allocs", "alloc_space"),
        )
        .route("/debug/pprof/tasks", profile(Tasks, "tasks", "tasks"))
        .route(
            "/debug/pprof/threads",
            profile(Threads, "threads", "threads"),
        )
        .route("/debug/pprof/watch", get(watch).post(watch))
        .route("/debug/pprof/cmdline", get(cmdline))
        .with_state(handle)
}

static INSTANT: Semaphore = Semaphore::const_new(INSTANT_MAX);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileQuery {
    seconds: Option<u64>,
    base: Option<u64>,
    hz: Option<u32>,
    debug: Option<u8>,
    member: Option<String>,
    op: Option<String>,
}

impl ProfileQuery {
    fn filter(&self) -> Filter {
        let nonempty = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        Filter {
            member: nonempty(&self.member),
            op: nonempty(&self.op),
        }
    }

    /// The span to collect over; none for a profile of the current state.
    fn span(&self, source: ProfileSource) -> Option<Duration> {
        use ProfileSource::{Cpu, Heap, HeapSince, Tasks, Threads, Wall};
        let seconds = match source {
            Cpu | Wall => Some(self.seconds.unwrap_or(SECONDS)),
            Heap | Tasks => self.seconds,
            HeapSince(_) | Threads => None,
        };
        seconds.map(Duration::from_secs)
    }
}

async fn index(State(handle): State<Handle>) -> Html<String> {
    Html(listing::index(&handle.stats()))
}

async fn profile(
    handle: Handle,
    query: ProfileQuery,
    source: ProfileSource,
    (name, default_type): (&'static str, &'static str),
) -> Response {
    let source = match (source, query.base) {
        (ProfileSource::Heap, Some(ago)) => ProfileSource::HeapSince(Duration::from_secs(ago)),
        _ => source,
    };
    let filter = query.filter();
    if let Err(error) = check(&query, source) {
        return error_response(&error);
    }
    let (sender, receiver) = oneshot::channel();
    let reply = move |collected| {
        let _ = sender.send(collected);
    };
    let span = query.span(source);
    // Released when this request ends.
    let _permit = match span {
        None => match INSTANT.try_acquire() {
            Ok(permit) => Some(permit),
            Err(_) => return error_response(&Error::TooManyProfiles(INSTANT_MAX)),
        },
        Some(_) => None,
    };
    // Dropped when this request ends, even if the client disconnects before the profile is taken.
    let waiting = Arc::new(());
    let requested = match span {
        Some(span) => {
            let (hz, waiter) = (query.hz.unwrap_or(0), Arc::downgrade(&waiting));
            handle.collect(source, (span, hz), &filter, waiter, reply)
        }
        None => handle.collect_now(source, &filter, reply),
    };
    if let Err(error) = requested {
        return error_response(&error);
    }
    match receiver.await {
        Ok(Ok(collected)) if query.debug == Some(1) && source == ProfileSource::Tasks => {
            list_tasks(handle, collected, filter).await
        }
        Ok(Ok(collected)) => pprof_response(handle, collected, name, default_type).await,
        Ok(Err(error)) => error_response(&error),
        Err(_) => error_response(&Error::Stopped),
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

/// A text with one task per line.
async fn list_tasks(handle: Handle, collected: Collected, filter: Filter) -> Response {
    let listed = tokio::task::spawn_blocking(move || {
        let _guard = Tag::new("profiler", "debug").enter();
        listing::tasks(&handle, &collected, &filter)
    });
    match listed.await {
        Ok(text) => text.into_response(),
        Err(_) => error_response(&Error::Stopped),
    }
}

async fn watch(State(handle): State<Handle>, Query(query): Query<ProfileQuery>) -> Response {
    let span = Duration::from_secs(query.seconds.unwrap_or(SECONDS));
    match handle.watch(span) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error_response(&error),
    }
}

/// Resolves names and encodes the profile, on a thread that may block.
async fn pprof_response(
    handle: Handle,
    collected: Collected,
    name: &'static str,
    default_type: &'static str,
) -> Response {
    let encoded = tokio::task::spawn_blocking(move || {
        let _guard = Tag::new("profiler", "debug").enter();
        let mut profile = handle.name(&collected);
        profile.default_sample_type = profile.strings.intern(default_type);
        davy_profile::gzip::compress(&davy_profile::pprof::encode(&profile))
    });
    match encoded.await {
        Ok(bytes) => {
            let disposition = format!("attachment; filename=\"{name}.pb.gz\"");
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_DISPOSITION, disposition),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            ];
            (headers, bytes).into_response()
        }
        Err(_) => error_response(&Error::Stopped),
    }
}

/// The arguments of this process, separated by zero bytes, as in Go.
async fn cmdline() -> String {
    let arguments: Vec<_> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    arguments.join("\0")
}

fn error_response(error: &Error) -> Response {
    let status = match error {
        Error::Setting { .. } | Error::Parameter { .. } => StatusCode::BAD_REQUEST,
        Error::TooManyProfiles(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::HeapOff(_) => StatusCode::NOT_IMPLEMENTED,
        Error::NoHistory(_) | Error::Unknown { .. } => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{error}\n")).into_response()
}
