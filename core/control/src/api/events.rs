//! Lists that are sent again whenever they change, as server-sent events.

use crate::control::Control;
use crate::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use davy_base::Clock;
use futures_util::stream;
use serde::Serialize;
use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// The media type of server-sent events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// The pause between two queries of a stream.
const LOOK: Duration = Duration::from_secs(2);
/// Looks without a change after which a comment is sent, so that proxies keep the connection.
const QUIET_MAX: u32 = 7;

/// Responds with what `read` returns: once as JSON, or, if the request accepts server-sent events, now and whenever
/// it has changed. The id of an event is a digest of its data; a client that reconnects with `Last-Event-ID` gets the
/// next event only when the data differ from those.
///
/// The next query runs after the last event was sent, so a slow reader causes fewer queries.
pub(super) async fn respond<T, F, R>(
    control: &Control,
    headers: &HeaderMap,
    read: F,
) -> Result<Response, Problem>
where
    T: Serialize + 'static,
    F: Fn() -> R + Send + 'static,
    R: Future<Output = Result<T, Problem>> + Send + 'static,
{
    let first = read().await?;
    if !accepts_events(headers) {
        return Ok(Json(first).into_response());
    }
    let last_id = headers.get("last-event-id");
    let last_id = last_id.and_then(|value| u64::from_str_radix(value.to_str().ok()?, 16).ok());
    let watched = Watched {
        clock: control.0.clock.clone(),
        read,
        next: Some(serde_json::to_string(&first).unwrap_or_default()),
        last_id,
    };
    let kind = [
        (header::CONTENT_TYPE, EVENT_STREAM),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let events = stream::try_unfold(watched, Watched::next);
    Ok((kind, Body::from_stream(events)).into_response())
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains(EVENT_STREAM))
}

struct Watched<F> {
    clock: Clock,
    read: F,
    /// What the first query has returned.
    next: Option<String>,
    /// The id of the last event that the client has.
    last_id: Option<u64>,
}

impl<F> Watched<F> {
    async fn next<T, R>(mut self) -> Result<Option<(String, Self)>, std::convert::Infallible>
    where
        T: Serialize,
        F: Fn() -> R,
        R: Future<Output = Result<T, Problem>>,
    {
        for _ in 0..QUIET_MAX {
            let data = if let Some(data) = self.next.take() {
                data
            } else {
                self.clock.sleep(LOOK).await;
                match (self.read)().await {
                    Ok(rows) => serde_json::to_string(&rows).unwrap_or_default(),
                    // The client sees it, and the next query may succeed.
                    Err(problem) => {
                        let detail = serde_json::to_string(&problem.detail).unwrap_or_default();
                        return Ok(Some((format!("event: problem\ndata: {detail}\n\n"), self)));
                    }
                }
            };
            let mut hasher = DefaultHasher::new();
            data.hash(&mut hasher);
            let id = hasher.finish();
            if self.last_id != Some(id) {
                self.last_id = Some(id);
                return Ok(Some((
                    format!("id: {id:016x}\nevent: rows\ndata: {data}\n\n"),
                    self,
                )));
            }
        }
        Ok(Some((": unchanged\n\n".to_owned(), self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_control::control_on;
    use futures_util::StreamExt as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    async fn events(
        headers: HeaderMap,
        values: Arc<AtomicU64>,
    ) -> (
        impl FnMut() -> futures_util::future::BoxFuture<'static, String>,
        tempfile::TempDir,
    ) {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        // Started before time is paused: the database needs real time.
        let control = control_on(&folder, Clock::system()).await;
        let response = respond(&control, &headers, move || {
            let value = values.load(Ordering::Relaxed);
            async move { Ok(value) }
        });
        let response = response.await.expect("a response");
        let stream = response.into_body().into_data_stream();
        let stream = Arc::new(tokio::sync::Mutex::new(stream));
        let next = move || {
            let stream = stream.clone();
            Box::pin(async move {
                let chunk = stream.lock().await.next().await;
                let bytes = chunk.expect("more").expect("bytes");
                String::from_utf8_lossy(&bytes).into_owned()
            }) as futures_util::future::BoxFuture<'static, String>
        };
        (next, folder)
    }

    fn accepting(last: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, EVENT_STREAM.parse().expect("a value"));
        if let Some(last) = last {
            headers.insert("last-event-id", last.parse().expect("a value"));
        }
        headers
    }

    fn id_of(event: &str) -> String {
        let line = event.lines().next().expect("a line");
        line.strip_prefix("id: ").expect("an id").to_owned()
    }

    #[tokio::test]
    async fn list_is_sent_once_until_it_changes_and_a_reconnect_continues() {
        let value = Arc::new(AtomicU64::new(1));
        let (mut next, _folder) = events(accepting(None), value.clone()).await;
        let first = next().await;
        assert!(first.ends_with("event: rows\ndata: 1\n\n"), "{first}");
        value.store(2, Ordering::Relaxed);
        let second = next().await;
        assert!(second.ends_with("data: 2\n\n"), "{second}");
        // The client that has the second event gets the third one only.
        let (mut next, _folder) = events(accepting(Some(&id_of(&second))), value.clone()).await;
        value.store(3, Ordering::Relaxed);
        let third = next().await;
        assert!(third.ends_with("data: 3\n\n"), "{third}");
    }

    #[tokio::test]
    async fn request_for_json_gets_the_list_once() {
        let (mut next, _folder) = events(HeaderMap::new(), Arc::new(AtomicU64::new(5))).await;
        assert_eq!(next().await, "5");
    }
}
