//! Requests to the archive, and its objects.

use super::LIMITS;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Uri, header};
use davy_archive::format::Table;
use davy_archive::format::segment::Segment;
use davy_archive::format::tables::{Dictionary, SeriesTable, SpanTable, Values, WindowTable};
use davy_archive::labels::{self, Labels};
use davy_archive::selector::Selector;
use davy_archive::spans::Only;
use davy_archive::{Archive, ArchiveOptions, Result};
use davy_base::{Clock, Random, Timestamp};
use futures_util::TryStreamExt;
use http_body_util::BodyExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The time of every run: 2026-11-22, in the middle of an hour.
const NOW_SECONDS: i64 = 1_795_307_400;

/// Maximum size of a request body, in bytes.
const BODY_BYTES: usize = 1 << 20;

/// Path of the endpoint that takes pushes in protobuf and JSON.
const PUSH: &str = "/push.v1.PusherService/Push";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
});

fn archive(bucket: Arc<InMemory>) -> Archive {
    let options = ArchiveOptions {
        clock: Clock::manual(now()),
        random: Random::seeded(1),
        profile: LIMITS,
        body_bytes: BODY_BYTES,
        buffer_bytes: 64 << 20,
        cache_bytes: 1 << 20,
        flush_interval: Duration::ZERO,
        ..ArchiveOptions::new(bucket)
    };
    Archive::new(options, &prometheus::Registry::new()).expect("a new registry")
}

fn now() -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_secs(NOW_SECONDS as u64))
}

async fn send(router: Router, request: Request<Body>) -> (u16, String) {
    let response = router.oneshot(request).await.expect("routers do not fail");
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .expect("the whole body");
    (
        status,
        String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    )
}

/// Sends a push to an archive whose ingestion runs for this request only.
async fn send_push(archive: &Archive, request: Request<Body>) -> (u16, String) {
    let drain = CancellationToken::new();
    let ingest = tokio::spawn(archive.ingest().run(drain.clone()));
    while !archive.ingest().is_accepting() {
        tokio::task::yield_now().await;
    }
    let answer = send(archive.ingest_router(), request).await;
    drain.cancel();
    ingest.await.expect("ingestion does not panic");
    answer
}

/// Sends a push to a new archive. Returns the status and body of the response. A push that was accepted is in the
/// bucket, which can be read; one that was refused is not.
fn answer(request: Request<Body>) -> (u16, String) {
    RUNTIME.block_on(async {
        let archive = archive(Arc::new(InMemory::new()));
        let (status, body) = send_push(&archive, request).await;
        let items = archive.verify().await.expect("the bucket can be listed");
        for item in &items {
            assert_eq!(item.fault, None, "a damaged segment");
        }
        assert_eq!(status == 200, !items.is_empty(), "{status} {body}");
        assert_eq!(archive.ingest().open_windows(), 0);
        (status, body)
    })
}

/// Checks that a response is a success, or a refusal that blames the request.
fn assert_answered(status: u16, body: &str) {
    assert!(
        matches!(status, 200 | 400 | 413 | 415 | 422),
        "{status} {body}"
    );
    assert!(
        status == 200 || body.len() < 64 << 10,
        "{} bytes",
        body.len()
    );
}

/// Parses a selector, and applies it to labels.
pub fn selector(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let selector = match Selector::parse(text) {
        Ok(selector) => selector,
        Err(error) => {
            assert!(!error.is_empty(), "an empty message");
            return false;
        }
    };
    let again = Selector::parse(selector.text()).expect("the text of a selector is a selector");
    assert_eq!(again.text(), selector.text());
    assert!(again.labels().eq(selector.labels()));
    let series = Labels::from_pairs(
        [("service_name", "web"), ("region", "eu"), ("op", "Sweep")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let selects = selector.selects(|name| series.get(name));
    assert_eq!(again.selects(|name| series.get(name)), selects);
    assert!(!selects || selector.selects_service(series.service()));
    if let Some(service) = selector.equal_to(labels::SERVICE) {
        assert!(!selects || service == series.service());
    }
    assert!(
        !selector.is_empty() || selects,
        "an empty selector selects everything"
    );
    true
}

/// Opens a segment and reads its tables, then finds the tables of the segment with a corrected checksum.
///
/// The tables are read only if the checksum was right: the Parquet reader panics on some invalid pages, which the
/// archive reports as an error of the object.
pub fn segment(input: &[u8]) -> bool {
    let accepted = read_segment(input).is_ok();
    // The checksum is followed by the magic.
    if let Some(at) = input.len().checked_sub(12) {
        let mut sealed = input.to_vec();
        let hash = crc32fast::hash(&input[..at]).to_le_bytes();
        sealed[at..at + 4].copy_from_slice(&hash);
        if let Ok(segment) = Segment::open(sealed.into()) {
            for group in 0..segment.groups().min(4) {
                let _ = segment.of_group(group);
                for table in Table::ALL {
                    let _ = segment.table(table, group);
                }
            }
        }
    }
    accepted
}

fn read_segment(bytes: &[u8]) -> Result<()> {
    let segment = Segment::open(bytes.to_vec().into())?;
    for group in 0..segment.groups() {
        let table = |table| segment.table(table, group);
        let series = SeriesTable::read(&table(Table::Series)?)?;
        let windows = WindowTable::read(&table(Table::Windows)?, &series)?;
        let dictionary = Dictionary::read(&segment.stacks(group)?)?;
        let samples = table(Table::Samples)?;
        Values::samples(&samples, &series, &windows, Some(&dictionary))?;
        if segment.has(Table::Spans) {
            let spans = table(Table::Spans)?;
            let all = Only::default();
            SpanTable::read(&spans, &series, &windows, Some(&dictionary), &all)?.values();
        }
    }
    Ok(())
}

/// Splits the first line off an input.
fn first_line(input: &[u8]) -> Option<(&str, &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&input[..end]).ok()?, &input[end + 1..]))
}

/// Decompresses a request body. The first line of the input is the content encoding.
pub fn body(input: &[u8]) -> bool {
    let Some((encoding, body)) = first_line(input) else {
        return false;
    };
    // Without the parameter `name`, the request is refused after its body has been read.
    let request = Request::post("/ingest")
        .header(header::CONTENT_ENCODING, encoding)
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else { return false };
    let (status, body) = answer(request);
    assert_ne!(status, 200, "{body}");
    assert_answered(status, &body);
    body.contains("missing parameter")
}

/// Parses and stores a push. The first line of the input is the content type.
pub fn push(input: &[u8]) -> bool {
    let Some((kind, body)) = first_line(input) else {
        return false;
    };
    let request = Request::post(PUSH)
        .header(header::CONTENT_TYPE, kind)
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else { return false };
    let (status, body) = answer(request);
    assert_answered(status, &body);
    status == 200
}

/// Parses and stores a profile of any format. The first line of the input is the query string, content type and
/// content encoding, separated by tabs.
pub fn ingest(input: &[u8]) -> bool {
    let Some((line, body)) = first_line(input) else {
        return false;
    };
    let mut parts = line.split('\t');
    let mut part = || parts.next().unwrap_or_default();
    let Ok(uri) = format!("/ingest?{}", part()).parse::<Uri>() else {
        return false;
    };
    let request = Request::post(uri)
        .header(header::CONTENT_TYPE, part())
        .header(header::CONTENT_ENCODING, part())
        .body(Body::from(body.to_vec()));
    let Ok(request) = request else { return false };
    let (status, body) = answer(request);
    assert_answered(status, &body);
    status == 200
}

/// An archive with a profile, for queries.
static FILLED: LazyLock<Archive> = LazyLock::new(|| filled(Arc::new(InMemory::new())));

fn filled(bucket: Arc<InMemory>) -> Archive {
    let archive = archive(bucket);
    let request = Request::post("/ingest?name=web.cpu%7Bregion%3Deu%7D&from=now-1m")
        .body(Body::from("main;work 42\nmain;sleep 7\n"))
        .expect("a request");
    let (status, body) = RUNTIME.block_on(send_push(&archive, request));
    assert_eq!(status, 200, "{body}");
    archive
}

/// The bytes of a segment.
pub(crate) fn stored_segment() -> Vec<u8> {
    let bucket = Arc::new(InMemory::new());
    filled(Arc::clone(&bucket));
    RUNTIME.block_on(async {
        let objects: Vec<_> = bucket.list(None).try_collect().await.expect("a listing");
        let key = &objects.first().expect("a segment").location;
        let object = bucket.get(key).await.expect("a segment");
        object.bytes().await.expect("a segment").to_vec()
    })
}

/// Answers a query. The input is the path below `/api/v1/profiles/`, with the query string.
pub fn query(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let Ok(uri) = format!("/api/v1/profiles/{text}").parse::<Uri>() else {
        return false;
    };
    let router = FILLED.query_router();
    let accept = if text.len() % 2 == 0 {
        "application/json"
    } else {
        "*/*"
    };
    let request = Request::get(uri)
        .header(header::ACCEPT, accept)
        .body(Body::empty())
        .expect("a request");
    let (status, body) = RUNTIME.block_on(send(router, request));
    assert!(matches!(status, 200 | 400 | 404 | 422), "{status} {body}");
    status == 200
}
