//! `/debug/pprof/*` for an axum server.

use crate::Error;
use crate::aggregate::Filter;
use crate::drain::Collected;
use crate::handle::Handle;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use davy_tag::Tag;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What `go tool pprof` asks for when it is told nothing is 30 s; people wait less.
const SECONDS: u64 = 10;

/// Routes that `go tool pprof` understands: `/debug/pprof/` (what there is),
/// `/debug/pprof/{profile,heap,allocs,cmdline}`; parameters `seconds`, `member`, `op`.
pub fn debug_router(handle: Handle) -> Router {
    Router::new()
        .route("/debug/pprof", get(index))
        .route("/debug/pprof/", get(index))
        .route("/debug/pprof/profile", get(cpu))
        .route("/debug/pprof/heap", get(heap))
        .route("/debug/pprof/allocs", get(allocs))
        .route("/debug/pprof/cmdline", get(cmdline))
        .route("/debug/pprof/wall", get(not_yet))
        .route("/debug/pprof/tasks", get(not_yet))
        .with_state(handle)
}

#[derive(Debug, Deserialize)]
struct Wanted {
    seconds: Option<u64>,
    member: Option<String>,
    op: Option<String>,
}

impl Wanted {
    fn filter(self) -> Filter {
        let named = |name: Option<String>| name.filter(|name| !name.is_empty());
        Filter {
            member: named(self.member),
            op: named(self.op),
        }
    }
}

async fn index(State(handle): State<Handle>) -> Html<String> {
    let stats = handle.stats();
    let heap = match stats.heap.off_because {
        "" => "on",
        reason => reason,
    };
    Html(format!(
        "<!doctype html><title>/debug/pprof/</title><h1>/debug/pprof/</h1><ul>\
         <li><a href=profile?seconds=10>profile</a>: CPU time, for <code>?seconds=</code>\
         <li><a href=heap>heap</a>: what lives in the heap ({heap})\
         <li><a href=allocs>allocs</a>: what was allocated since the start ({heap})\
         <li><a href=cmdline>cmdline</a>: how this process was started</ul>\
         <p>Everywhere <code>?member=</code> and <code>?op=</code> keep one member or operation. \
         Open with <code>go tool pprof http://HOST/debug/pprof/profile</code>.\
         <p>{} threads, {} samples, {:.3} s in handlers, {:.3} s in the profiler's own threads.",
        stats.threads, stats.samples, stats.handler_seconds, stats.thread_seconds
    ))
}

async fn cpu(State(handle): State<Handle>, Query(wanted): Query<Wanted>) -> Response {
    let span = Duration::from_secs(wanted.seconds.unwrap_or(SECONDS));
    let (sender, receiver) = oneshot::channel();
    // Goes with this request, also when the client does before the profile is taken.
    let waiting = Arc::new(());
    let asked = handle.collect_cpu(
        span,
        &wanted.filter(),
        Arc::downgrade(&waiting),
        move |collected| {
            let _ = sender.send(collected);
        },
    );
    if let Err(error) = asked {
        return refuse(&error);
    }
    match receiver.await {
        Ok(Ok(collected)) => answer(handle, collected, "profile", None).await,
        Ok(Err(error)) => refuse(&error),
        Err(_) => refuse(&Error::Stopped),
    }
}

async fn heap(State(handle): State<Handle>, Query(wanted): Query<Wanted>) -> Response {
    heap_answer(handle, wanted, "heap", "inuse_space").await
}

async fn allocs(State(handle): State<Handle>, Query(wanted): Query<Wanted>) -> Response {
    heap_answer(handle, wanted, "allocs", "alloc_space").await
}

async fn heap_answer(
    handle: Handle,
    wanted: Wanted,
    name: &'static str,
    shown_first: &'static str,
) -> Response {
    let (sender, receiver) = oneshot::channel();
    let asked = handle.collect_heap(&wanted.filter(), move |collected| {
        let _ = sender.send(collected);
    });
    if let Err(error) = asked {
        return refuse(&error);
    }
    match receiver.await {
        Ok(Ok(collected)) => answer(handle, collected, name, Some(shown_first)).await,
        Ok(Err(error)) => refuse(&error),
        Err(_) => refuse(&Error::Stopped),
    }
}

/// Names and packs on a thread that may block.
async fn answer(
    handle: Handle,
    collected: Collected,
    name: &'static str,
    shown_first: Option<&'static str>,
) -> Response {
    let packed = tokio::task::spawn_blocking(move || {
        let _guard = Tag::new("profiler", "debug").enter();
        let mut profile = handle.name(&collected);
        if let Some(kind) = shown_first {
            profile.default_sample_type = profile.strings.intern(kind);
        }
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

async fn not_yet() -> Response {
    let sentence = "this profiler has no such profile yet; \
                    there are /debug/pprof/profile, /debug/pprof/heap and /debug/pprof/allocs\n";
    (StatusCode::NOT_IMPLEMENTED, sentence).into_response()
}

fn refuse(error: &Error) -> Response {
    let status = match error {
        Error::Setting { .. } => StatusCode::BAD_REQUEST,
        Error::TooManyProfiles(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::HeapOff(_) => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{error}\n")).into_response()
}
