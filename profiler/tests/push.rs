//! Delivery of windows to an archiver: retries, bounds, the spool.

mod archiver;
mod work;

use archiver::{Archiver, Push};
use davy_profiler::{Builder, Compression, Error};
use davy_tag::Tag;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Duration;
use work::{burn, sum, turn};

const SHUTDOWN: Duration = Duration::from_secs(20);

#[test]
fn window_is_retried_under_the_same_id_until_it_is_acknowledged() {
    let _turn = turn();
    let archiver = Archiver::start();
    archiver.answer(503, "Retry-After: 0\r\n");
    archiver.answer(429, "");
    archiver.answer(500, "");
    let profiler = Builder::new("push")
        .process("kind")
        .instance("one")
        .label("version", "7")
        .token("secret")
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    burn(Duration::from_millis(600));
    // The first window stays the first of each request.
    let mut tries = vec![archiver.next()];
    while tries.last().is_some_and(|push| push.status != 200) {
        let push = archiver.next();
        if push.id == tries[0].id {
            tries.push(push);
        }
    }
    assert_eq!(
        tries.iter().map(|push| push.status).collect::<Vec<_>>(),
        [503, 429, 500, 200]
    );
    let is_cpu = |push: &Push| push.label("__name__") == "process_cpu" && push.status == 200;
    let all = tries
        .into_iter()
        .chain(std::iter::repeat_with(|| archiver.next()));
    let push = all
        .into_iter()
        .find(is_cpu)
        .expect("`next` returns one or panics");
    for (name, value) in [
        ("__name__", "process_cpu"),
        ("service_name", "push"),
        ("process", "kind"),
        ("instance", "one"),
        ("version", "7"),
    ] {
        assert_eq!(push.label(name), value, "{name}");
    }
    assert_eq!(push.authorization.as_deref(), Some("Bearer secret"));
    assert!(push.profile.duration_nanos > 0 && push.profile.time_nanos > 0);
    let handle = profiler.handle();
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let stats = handle.stats();
    assert_eq!(
        (stats.push_failures, stats.windows_pending),
        (3, 0),
        "{stats:?}"
    );
    assert!(stats.ack_delay.is_some());
}

#[test]
fn windows_have_their_own_ids_and_share_one_connection() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("push")
        .window(Duration::from_secs(1))
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let mut ids = BTreeSet::new();
    while ids.len() < 12 {
        burn(Duration::from_millis(50));
        for push in archiver.all() {
            assert!(ids.insert(push.id), "ids are unique");
        }
    }
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let connections = archiver
        .connections
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(connections, 1);
}

#[test]
fn shutdown_delivers_the_last_window() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("push")
        .hz(1_000)
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    burn(Duration::from_millis(300));
    {
        let _guard = Tag::new("last", "words").enter();
        burn(Duration::from_millis(300));
    }
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let pushes = archiver.all();
    let nanos: i64 = pushes
        .iter()
        .map(|p| sum(&p.profile, "cpu", |member, _| member == "last"))
        .sum();
    assert!((250_000_000..350_000_000).contains(&nanos), "{nanos}");
}

#[test]
fn windows_that_end_together_are_sent_in_one_request() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("push")
        .window(Duration::from_secs(1))
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let _guard = Tag::new("push", "together").enter();
    burn(Duration::from_millis(3_300));
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let mut requests = BTreeMap::<i64, Vec<usize>>::new();
    for push in archiver.all() {
        let of_window = requests.entry(push.profile.time_nanos).or_default();
        of_window.push(push.request);
    }
    assert!(requests.len() >= 3, "{requests:?}");
    for of_window in requests.values() {
        assert!(of_window.len() >= 2, "{requests:?}");
        assert!(
            of_window.iter().all(|request| *request == of_window[0]),
            "{requests:?}"
        );
    }
}

#[test]
fn archiver_added_later_receives_earlier_windows() {
    let _turn = turn();
    let profiler = Builder::new("push")
        .window(Duration::from_secs(1))
        .start()
        .expect("profiler started");
    burn(Duration::from_millis(1_300));
    let archiver = Archiver::start();
    profiler
        .handle()
        .push_to(&archiver.url())
        .expect("an address");
    let first = archiver.next_of("process_cpu");
    assert!(sum(&first.profile, "cpu", |_, _| true) > 0);
    profiler.shutdown(SHUTDOWN).expect("delivered");
}

#[test]
fn next_archiver_is_tried_if_one_is_down() {
    let _turn = turn();
    let gone = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port");
    let archiver = Archiver::start();
    let profiler = Builder::new("push")
        .archiver(format!("http://{gone}"))
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    burn(Duration::from_millis(300));
    profiler
        .shutdown(SHUTDOWN)
        .expect("delivered to the second archiver");
    assert!(!archiver.all().is_empty());
}

#[test]
fn unreachable_archiver_leaves_memory_bounded_and_drops_are_counted() {
    let _turn = turn();
    let gone = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port");
    let bound = 16 << 10;
    let profiler = Builder::new("push")
        .hz(1_000)
        .window(Duration::from_secs(1))
        .spool_bytes(bound)
        .archiver(format!("http://{gone}"))
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    let mut most = 0;
    while handle.stats().dropped.windows_overflow < 2 {
        burn(Duration::from_millis(20));
        most = most.max(handle.stats().spool_bytes);
    }
    assert!(most > 0 && most <= bound, "{most}");
    let undelivered = profiler.shutdown(Duration::from_millis(500));
    let Err(Error::Undelivered {
        windows, reason, ..
    }) = undelivered
    else {
        panic!("no archiver is reachable: {undelivered:?}");
    };
    assert!(windows > 0 && !reason.is_empty());
}

#[test]
fn spooled_windows_are_delivered_by_the_next_profiler() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let files = || -> usize {
        let owners = std::fs::read_dir(folder.path())
            .expect("a folder")
            .flatten();
        let windows =
            owners.flat_map(|owner| std::fs::read_dir(owner.path()).into_iter().flatten());
        let is_window = |path: &std::path::Path| path.extension() == Some("window".as_ref());
        windows
            .flatten()
            .filter(|file| is_window(&file.path()))
            .count()
    };
    let gone = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port");
    let builder = || Builder::new("spool").spool(folder.path());
    let first = builder().archiver(format!("http://{gone}"));
    let first = first.start().expect("profiler started");
    {
        let _guard = Tag::new("spooled", "work").enter();
        burn(Duration::from_millis(400));
    }
    let undelivered = first.shutdown(Duration::from_secs(2));
    assert!(matches!(undelivered, Err(Error::Undelivered { .. })));
    let left = files();
    assert!(left > 0, "windows are spooled");

    let archiver = Archiver::start();
    let second = builder()
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let handle = second.handle();
    second.shutdown(SHUTDOWN).expect("delivered");
    let pushes = archiver.all();
    let nanos = |push: &Push| sum(&push.profile, "cpu", |member, _| member == "spooled");
    assert!(pushes.iter().map(nanos).sum::<i64>() > 50_000_000);
    assert!(pushes.len() >= left);
    assert_eq!((files(), handle.stats().windows_pending), (0, 0));
}

#[test]
fn refused_window_is_dropped_and_counted_without_affecting_others() {
    let _turn = turn();
    let archiver = Archiver::start();
    // The first response is to the batch, the second to its first window alone.
    archiver.answer(400, "");
    archiver.answer(400, "");
    let profiler = Builder::new("push")
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    burn(Duration::from_millis(300));
    let handle = profiler.handle();
    profiler
        .shutdown(SHUTDOWN)
        .expect("everything else is delivered");
    assert_eq!(handle.stats().dropped.windows_refused, 1);
    let pushes = archiver.all();
    let ids = |status| -> BTreeSet<&str> {
        let of = pushes.iter().filter(|push| push.status == status);
        of.map(|push| push.id.as_str()).collect()
    };
    let (refused, stored) = (ids(400), ids(200));
    assert_eq!(refused.difference(&stored).count(), 1, "{refused:?}");
    assert!(!stored.is_empty());
}

#[test]
fn archiver_can_ask_for_short_windows() {
    let _turn = turn();
    let archiver = Archiver::start();
    archiver.answer(200, "Davy-Watch-Seconds: 30\r\n");
    let profiler = Builder::new("watched")
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let mut spans = Vec::new();
    while spans.len() < 5 {
        burn(Duration::from_millis(50));
        for push in archiver.all() {
            if push.label("__name__") == "process_cpu" {
                spans.push(push.profile.duration_nanos);
            }
        }
    }
    // One second each; the exact length is tested with a manual clock. Without the header it would be 10 s.
    let is_short = |span: &i64| *span < 5_000_000_000;
    assert!(spans[2..].iter().all(is_short), "{spans:?}");
    drop(profiler);
}

#[test]
fn every_window_includes_wall_time_and_tasks() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("kinds")
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let tag = Tag::new("kinds", "task");
    let task = tag.task(std::future::pending::<()>());
    let guard = tag.enter();
    burn(Duration::from_millis(100));
    drop(guard);
    profiler.shutdown(SHUTDOWN).expect("delivered");
    drop(task);
    let pushes = archiver.all();
    let of = |name: &str| -> Vec<&Push> {
        let of = pushes.iter().filter(|push| push.label("__name__") == name);
        of.collect()
    };
    // A window may have ended in between.
    let (wall, tasks) = (of("wall"), of("tasks"));
    let nanos = |push: &&Push| sum(&push.profile, "wall", |member, _| member == "kinds");
    let nanos: i64 = wall.iter().map(nanos).sum();
    assert!(nanos >= 90_000_000, "{nanos}");
    let wall = &wall[0].profile;
    assert_eq!(wall.text(wall.period_type.kind), "wall");
    let tasks = &tasks.last().expect("pushed").profile;
    assert_eq!(sum(tasks, "tasks", |member, _| member == "kinds"), 1);
    assert_eq!(tasks.text(tasks.period_type.kind), "");
}

#[test]
fn spooled_windows_of_different_compression_are_all_delivered() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let gone = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port");
    // Two profilers leave windows in gzip and in zstd; the third one delivers both.
    for compression in [Compression::Gzip, Compression::Zstd] {
        let left = Builder::new("zstd")
            .spool(folder.path())
            .compression(compression)
            .archiver(format!("http://{gone}"));
        let left = left.start().expect("profiler started");
        burn(Duration::from_millis(200));
        let undelivered = left.shutdown(Duration::from_secs(2));
        assert!(matches!(undelivered, Err(Error::Undelivered { .. })));
    }
    let archiver = Archiver::start();
    let profiler = Builder::new("zstd")
        .spool(folder.path())
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let pushes = archiver.all();
    let of = |encoding: Option<&str>| {
        let of = pushes.iter().filter(|p| p.encoding.as_deref() == encoding);
        of.map(|p| p.id.as_str()).collect::<BTreeSet<_>>()
    };
    let (plain, packed) = (of(None), of(Some("zstd")));
    assert!(
        plain.len() >= 2 && packed.len() >= 2,
        "{plain:?} {packed:?}"
    );
    assert_eq!(plain.len() + packed.len(), pushes.len(), "each window once");
}

#[test]
fn archiver_without_zstd_receives_windows_uncompressed_from_then_on() {
    let _turn = turn();
    let archiver = Archiver::start();
    archiver.answer(415, "");
    let profiler = Builder::new("zstd")
        .window(Duration::from_secs(1))
        .compression(Compression::Zstd)
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let mut pushes: Vec<Push> = Vec::new();
    let ids = |pushes: &[Push], status| -> BTreeSet<String> {
        let of = pushes.iter().filter(|push| push.status == status);
        of.map(|push| push.id.clone()).collect()
    };
    while ids(&pushes, 200).len() < 8 {
        burn(Duration::from_millis(50));
        pushes.extend(archiver.all());
    }
    let handle = profiler.handle();
    profiler.shutdown(SHUTDOWN).expect("delivered");
    for push in &pushes {
        let expected = (push.status == 415).then_some("zstd");
        assert_eq!(push.encoding.as_deref(), expected);
    }
    let (refused, stored) = (ids(&pushes, 415), ids(&pushes, 200));
    assert!(!refused.is_empty() && refused.is_subset(&stored));
    let stats = handle.stats();
    assert_eq!((stats.push_failures, stats.dropped.windows_refused), (0, 0));
}

#[test]
fn uncompressed_windows_are_delivered() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("plain")
        .compression(Compression::None)
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    burn(Duration::from_millis(200));
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let pushes = archiver.all();
    let nanos = |push: &Push| sum(&push.profile, "cpu", |_, _| true);
    assert!(pushes.iter().map(nanos).sum::<i64>() > 100_000_000);
}
