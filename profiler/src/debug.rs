//! `/debug/pprof/*` for an axum server.

mod listing;

use crate::Error;
use crate::aggregate::Filter;
use crate::drain::{Collected, Sort};
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

/// What `go tool pprof` asks for when it is told nothing is 30 s; people wait less.
const SECONDS: u64 = 10;

/// Names that a refusal of an unknown one tells.
const NAMED_MAX: usize = 20;
/// Requests for what is there at once that are answered at a time.
const INSTANT_MAX: usize = 8;

/// Routes that `go tool pprof` understands: `/debug/pprof/` (what there is),
/// `/debug/pprof/{profile,wall,heap,allocs,tasks,threads,cmdline}`, and `/debug/pprof/watch`, which
/// has windows of a second pushed for `seconds`. Parameters: `seconds`, `member`, `op`, `hz` of
/// `profile`, `base` of `heap` and `allocs`, `debug=1` of `tasks`.
pub fn debug_router(handle: Handle) -> Router {
    let profile = |sort: Sort, name: &'static str, shown_first: &'static str| {
        get(
            async move |State(handle): State<Handle>, Query(wanted): Query<Wanted>| {
                profile(handle, wanted, sort, (name, shown_first)).await
            },
        )
    };
    Router::new()
        .route("/debug/pprof", get(index))
        .route("/debug/pprof/", get(index))
        .route("/debug/pprof/profile", profile(Sort::Cpu, "profile", "cpu"))
        .route("/debug/pprof/wall", profile(Sort::Wall, "wall", "wall"))
        .route(
            "/debug/pprof/heap",
            profile(Sort::Heap, "heap", "inuse_space"),
        )
        .route(
            "/debug/pprof/allocs",
            profile(Sort::Heap, "allocs", "alloc_space"),
        )
        .route("/debug/pprof/tasks", profile(Sort::Tasks, "tasks", "tasks"))
        .route(
            "/debug/pprof/threads",
            profile(Sort::Threads, "threads", "threads"),
        )
        .route("/debug/pprof/watch", get(watch).post(watch))
        .route("/debug/pprof/cmdline", get(cmdline))
        .with_state(handle)
}

static INSTANT: Semaphore = Semaphore::const_new(INSTANT_MAX);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    seconds: Option<u64>,
    base: Option<u64>,
    hz: Option<u32>,
    debug: Option<u8>,
    member: Option<String>,
    op: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Filter {
        let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        Filter {
            member: named(&self.member),
            op: named(&self.op),
        }
    }

    /// How long to collect; none for what is there at once.
    fn span(&self, sort: Sort) -> Option<Duration> {
        let seconds = match sort {
            Sort::Cpu | Sort::Wall => Some(self.seconds.unwrap_or(SECONDS)),
            Sort::Heap | Sort::Tasks => self.seconds,
            Sort::HeapSince(_) | Sort::Threads => None,
        };
        seconds.map(Duration::from_secs)
    }
}

async fn index(State(handle): State<Handle>) -> Html<String> {
    Html(listing::index(&handle.stats()))
}

async fn profile(
    handle: Handle,
    wanted: Wanted,
    sort: Sort,
    (name, shown_first): (&'static str, &'static str),
) -> Response {
    let sort = match (sort, wanted.base) {
        (Sort::Heap, Some(ago)) => Sort::HeapSince(Duration::from_secs(ago)),
        _ => sort,
    };
    let filter = wanted.filter();
    if let Err(error) = check(&wanted, sort) {
        return refuse(&error);
    }
    let (sender, receiver) = oneshot::channel();
    let reply = move |collected| {
        let _ = sender.send(collected);
    };
    // Goes with this request as well.
    let _place = match wanted.span(sort) {
        None => match INSTANT.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => return refuse(&Error::TooManyProfiles(INSTANT_MAX)),
        },
        Some(_) => None,
    };
    // Goes with this request, also when the client does before the profile is taken.
    let waiting = Arc::new(());
    let asked = match wanted.span(sort) {
        Some(span) => {
            let asker = Arc::downgrade(&waiting);
            handle.collect(sort, (span, wanted.hz.unwrap_or(0)), &filter, asker, reply)
        }
        None => handle.collect_now(sort, &filter, reply),
    };
    if let Err(error) = asked {
        return refuse(&error);
    }
    match receiver.await {
        Ok(Ok(collected)) if wanted.debug == Some(1) && sort == Sort::Tasks => {
            list_tasks(handle, collected, filter).await
        }
        Ok(Ok(collected)) => answer(handle, collected, name, shown_first).await,
        Ok(Err(error)) => refuse(&error),
        Err(_) => refuse(&Error::Stopped),
    }
}

/// Refuses what would be answered with nothing, or with something else.
fn check(wanted: &Wanted, sort: Sort) -> Result<(), Error> {
    if let Some(hz) = wanted.hz {
        check_hz(hz, 1)?;
        if sort != Sort::Cpu {
            return Err(Error::Setting {
                name: "hz",
                value: hz.to_string(),
                allowed: "given for /debug/pprof/profile only",
            });
        }
    }
    if wanted.base.is_some() && wanted.seconds.is_some() {
        return Err(Error::Setting {
            name: "base",
            value: "given with seconds".to_owned(),
            allowed: "given without: it looks back, and seconds looks ahead",
        });
    }
    let Filter { member, op } = wanted.filter();
    known("member", member, Tag::member)?;
    known("operation", op, Tag::op)
}

/// Refuses a name that nothing has run under.
fn known(
    what: &'static str,
    asked: Option<String>,
    name: fn(Tag) -> &'static str,
) -> Result<(), Error> {
    let Some(asked) = asked else {
        return Ok(());
    };
    let mut known = BTreeSet::new();
    davy_tag::for_each_tag(|tag| {
        known.insert(name(tag));
    });
    if known.contains(asked.as_str()) {
        return Ok(());
    }
    let named: Vec<_> = known
        .iter()
        .filter(|name| !name.is_empty())
        .copied()
        .collect();
    let more = named.len().saturating_sub(NAMED_MAX);
    let mut known = named[..named.len() - more].join(", ");
    if more > 0 {
        known.push_str(&format!(" and {more} more"));
    }
    Err(Error::Unknown { what, asked, known })
}

/// Every task in a line, as text.
async fn list_tasks(handle: Handle, collected: Collected, filter: Filter) -> Response {
    let listed = tokio::task::spawn_blocking(move || {
        let _guard = Tag::new("profiler", "debug").enter();
        listing::tasks(&handle, &collected, &filter)
    });
    match listed.await {
        Ok(text) => text.into_response(),
        Err(_) => refuse(&Error::Stopped),
    }
}

async fn watch(State(handle): State<Handle>, Query(wanted): Query<Wanted>) -> Response {
    let span = Duration::from_secs(wanted.seconds.unwrap_or(SECONDS));
    match handle.watch(span) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(&error),
    }
}

/// Names and packs on a thread that may block.
async fn answer(
    handle: Handle,
    collected: Collected,
    name: &'static str,
    shown_first: &'static str,
) -> Response {
    let packed = tokio::task::spawn_blocking(move || {
        let _guard = Tag::new("profiler", "debug").enter();
        let mut profile = handle.name(&collected);
        profile.default_sample_type = profile.strings.intern(shown_first);
        davy_profile::gzip::compress(&davy_profile::pprof::encode(&profile))
    });
    match packed.await {
        Ok(bytes) => {
            let disposition = format!("attachment; filename=\"{name}.pb.gz\"");
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_DISPOSITION, disposition),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            ];
            (headers, bytes).into_response()
        }
        Err(_) => refuse(&Error::Stopped),
    }
}

/// The arguments, with zero bytes between them, as Go does.
async fn cmdline() -> String {
    let arguments: Vec<_> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    arguments.join("\0")
}

fn refuse(error: &Error) -> Response {
    let status = match error {
        Error::Setting { .. } => StatusCode::BAD_REQUEST,
        Error::TooManyProfiles(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::HeapOff(_) => StatusCode::NOT_IMPLEMENTED,
        Error::NoHistory(_) | Error::Unknown { .. } => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{error}\n")).into_response()
}
