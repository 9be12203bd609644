use super::*;
use crate::archive::Archive;
use crate::blocking::{Panicked, failpoint};
use crate::ingest::{Format, Push, SampleTypes, WindowIdentity};
use crate::query::visit::View;
use crate::selector::Selector;
use davy_base::{Clock, Timestamp};
use davy_profile::{Profile, pprof};
use object_store::memory::InMemory;
use std::error::Error as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Counts windows.
struct Windows(usize);

impl Visitor for Windows {
    const DEPTH: Depth = Depth::Windows;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        self.0 += view.included.iter().filter(|included| **included).count();
        Ok(())
    }
}

/// An archive with `copies` segments, each of which holds the same window.
async fn repeated(copies: usize) -> (Archive, Ask) {
    let clock = Clock::manual(Timestamp::from_seconds(1_764_334_800));
    let options = ArchiveOptions {
        clock: clock.clone(),
        flush_interval: Duration::ZERO,
        ..ArchiveOptions::new(Arc::new(InMemory::new()))
    };
    let archive = Archive::new(options, &prometheus::Registry::new()).expect("fresh registry");
    tokio::spawn(archive.ingest().run(CancellationToken::new()));
    while !archive.ingest().is_accepting() {
        tokio::task::yield_now().await;
    }
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    profile.period_type = profile.sample_types[0];
    profile.time_nanos = clock.now().nanos();
    let tenant = Tenant::anonymous();
    for _ in 0..copies {
        let push = Push {
            labels: [("service_name".to_owned(), "web".to_owned())].into(),
            identity: WindowIdentity::Client("1".to_owned()),
            span: None,
            format: Format::Pprof(SampleTypes::default()),
            body: pprof::encode(&profile).into(),
        };
        let ingest = archive.ingest();
        let pushed = ingest.push(&tenant, vec![(String::new(), push)]).await;
        pushed.expect("stored");
    }
    let ask = Ask {
        tenant,
        kind: None,
        selector: Selector::default(),
        from: clock.now().minus(Duration::from_mins(1)),
        until: clock.now().plus(Duration::from_mins(1)),
        by: Vec::new(),
    };
    (archive, ask)
}

#[tokio::test]
async fn window_in_several_segments_counts_once() {
    let (archive, ask) = repeated(3).await;
    let (counted, report) = archive.query().scan(&ask, Windows(0)).await.expect("read");
    assert_eq!((counted.0, report.windows), (1, 1));
    assert_eq!(report.services, ["web".to_owned()].into());
}

#[tokio::test]
async fn panic_in_a_blocking_task_fails_the_query_and_keeps_the_payload() {
    for task in ["read a part of the range", "merge a part of the range"] {
        let (archive, ask) = repeated(3).await;
        failpoint::plant(task, usize::from(task.starts_with("read")));
        let failed = archive.query().scan(&ask, Windows(0)).await;
        let error = failed.map(|(counted, _)| counted.0).expect_err(task);
        assert_eq!(error.kind, ErrorKind::Internal);
        assert!(
            error.message.contains(&format!("planted in {task}")),
            "{error}"
        );
        let source = error.source().expect("a source");
        assert!(source.is::<Panicked>(), "{source}");
        // The next query is not affected.
        let (counted, _) = archive.query().scan(&ask, Windows(0)).await.expect("read");
        assert_eq!(counted.0, 1);
    }
}

#[tokio::test]
async fn counted_windows_survive_a_panic() {
    let (archive, ask) = repeated(5).await;
    let query = archive.query();
    let hour = Hour::of(ask.from.plus(Duration::from_mins(1)));
    let folders = query.folders(&ask.tenant, hour, hour);
    let (days, _) = query
        .bucket
        .days(&ask.tenant, &folders, (hour, hour))
        .await
        .expect("listed");
    let mut day = days.into_values().next().expect("a day");
    let selection = day.choose(hour, Detail::Windows).pieces;
    let listing = day.hours.remove(&hour).expect("segments");
    let mut scan = Scan::new(&query, &ask);
    let loader = Loader::new(&query.bucket, &ask);
    let mut opened = Vec::new();
    for part in scan.parts(hour, &listing, &selection, &mut 0).await {
        opened.extend(loader.opened(hour, part).await.expect("opened"));
    }
    let mut parts = opened.into_iter();
    let mut next = || parts.next().expect("five segments");
    let mut load = async || loader.load::<Windows>(next()).await;
    let first = load().await;
    let (visitor, shown) = scan.group(first, Windows(0)).await.expect("read");
    assert!(shown.is_ok());
    assert_eq!(visitor.0, 1);
    let second = load().await;
    failpoint::plant("merge a part of the range", 0);
    let alone = Scan::new(&query, &ask).group(second, Windows(0)).await;
    assert!(alone.is_err());
    for task in ["compare windows", "read a part of the range"] {
        failpoint::plant(task, 0);
        let repeated = load().await;
        assert!(scan.group(repeated, Windows(0)).await.is_err(), "{task}");
        assert_eq!(scan.seen.len(), 1, "{task}");
    }
    let again = load().await;
    let (visitor, shown) = scan.group(again, visitor).await.expect("read");
    assert!(shown.is_ok());
    assert_eq!(visitor.0, 1, "the window was counted twice");
}
