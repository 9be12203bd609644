//! Windows on their way to an archiver: kept, sent again, bounded.

mod archiver;
mod work;

use archiver::{Archiver, Push};
use davy_profiler::{Builder, Compression, Error};
use davy_tag::Tag;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;
use work::{burn, sum, turn};

const SHUTDOWN: Duration = Duration::from_secs(20);

#[test]
fn a_window_is_sent_again_under_its_id_until_it_is_acknowledged() {
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
        .expect("started");
    burn(Duration::from_millis(600));
    // Whichever window is the first; it stays the first of each request.
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
        .expect("one comes, or `next` panics");
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
fn the_first_window_comes_within_seconds_and_connections_stay_open() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("push")
        .window(Duration::from_secs(1))
        .archiver(archiver.url())
        .start()
        .expect("started");
    let mut ids = BTreeSet::new();
    while ids.len() < 12 {
        burn(Duration::from_millis(50));
        for push in archiver.all() {
            assert!(push.profile.duration_nanos < 2_200_000_000);
            assert!(ids.insert(push.id), "every window has its own id");
        }
    }
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let connections = archiver
        .connections
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(connections, 1);
}

#[test]
fn windows_lie_end_to_end_and_on_the_wall_clocks_seconds() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("push")
        .window(Duration::from_secs(1))
        .archiver(archiver.url())
        .start()
        .expect("started");
    let mut spans: Vec<(i64, i64)> = Vec::new();
    while spans.len() < 4 {
        burn(Duration::from_millis(50));
        let new = archiver.all();
        spans.extend(
            new.iter()
                .filter(|p| p.label("__name__") == "process_cpu")
                .map(|p| (p.profile.time_nanos, p.profile.duration_nanos)),
        );
    }
    drop(profiler);
    for pair in spans.windows(2) {
        let gap = pair[1].0 - (pair[0].0 + pair[0].1);
        assert!(gap.abs() < 50_000_000, "a gap of {gap} ns");
        let from_second = (pair[1].0 + 20_000_000) % 1_000_000_000;
        assert!(
            from_second < 320_000_000,
            "{from_second} ns after 20 ms before the second"
        );
    }
}

#[test]
fn shutdown_delivers_the_last_window() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("push")
        .hz(1_000)
        .archiver(archiver.url())
        .start()
        .expect("started");
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
fn an_archiver_that_is_known_late_gets_what_was_cut_before() {
    let _turn = turn();
    let profiler = Builder::new("push")
        .window(Duration::from_secs(1))
        .start()
        .expect("started");
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
fn the_next_archiver_is_tried_when_one_is_gone() {
    let _turn = turn();
    let gone = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port");
    let archiver = Archiver::start();
    let profiler = Builder::new("push")
        .archiver(format!("http://{gone}"))
        .archiver(archiver.url())
        .start()
        .expect("started");
    burn(Duration::from_millis(300));
    profiler.shutdown(SHUTDOWN).expect("delivered by the other");
    assert!(!archiver.all().is_empty());
}

#[test]
fn without_an_archiver_memory_is_bounded_and_what_is_dropped_is_counted() {
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
        .expect("started");
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
        panic!("nobody could take it: {undelivered:?}");
    };
    assert!(windows > 0 && !reason.is_empty());
}

#[test]
fn windows_on_disk_outlive_their_process_and_are_delivered_by_the_next() {
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
    let first = first.start().expect("started");
    {
        let _guard = Tag::new("spooled", "work").enter();
        burn(Duration::from_millis(400));
    }
    let undelivered = first.shutdown(Duration::from_secs(2));
    assert!(matches!(undelivered, Err(Error::Undelivered { .. })));
    let left = files();
    assert!(left > 0, "kept");

    let archiver = Archiver::start();
    let second = builder().archiver(archiver.url()).start().expect("started");
    let handle = second.handle();
    second.shutdown(SHUTDOWN).expect("delivered");
    let pushes = archiver.all();
    let nanos = |push: &Push| sum(&push.profile, "cpu", |member, _| member == "spooled");
    assert!(pushes.iter().map(nanos).sum::<i64>() > 50_000_000);
    assert!(pushes.len() >= left);
    assert_eq!((files(), handle.stats().windows_pending), (0, 0));
}

#[test]
fn a_window_that_is_refused_for_good_is_given_up_and_counted_and_takes_no_other_along() {
    let _turn = turn();
    let archiver = Archiver::start();
    // All together, then the first of them alone.
    archiver.answer(400, "");
    archiver.answer(400, "");
    let profiler = Builder::new("push")
        .archiver(archiver.url())
        .start()
        .expect("started");
    burn(Duration::from_millis(300));
    let handle = profiler.handle();
    profiler.shutdown(SHUTDOWN).expect("nothing is left");
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
fn while_somebody_watches_windows_last_a_second() {
    let _turn = turn();
    let archiver = Archiver::start();
    archiver.answer(200, "Davy-Watch-Seconds: 30\r\n");
    let profiler = Builder::new("watched")
        .archiver(archiver.url())
        .start()
        .expect("started");
    let mut spans = Vec::new();
    while spans.len() < 5 {
        burn(Duration::from_millis(50));
        for push in archiver.all() {
            if push.label("__name__") == "process_cpu" {
                spans.push(push.profile.duration_nanos);
            }
        }
    }
    let is_short = |span: &i64| *span < 1_300_000_000;
    assert!(spans[2..].iter().all(is_short), "{spans:?}");
    drop(profiler);
}

#[test]
fn wall_time_and_tasks_are_pushed_with_every_window() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("kinds")
        .archiver(archiver.url())
        .start()
        .expect("started");
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
    // A window may have ended in the middle.
    let (wall, tasks) = (of("wall"), of("tasks"));
    let nanos = |push: &&Push| sum(&push.profile, "wall", |member, _| member == "kinds");
    let nanos: i64 = wall.iter().map(nanos).sum();
    assert!((90_000_000..1_000_000_000).contains(&nanos), "{nanos}");
    let wall = &wall[0].profile;
    assert_eq!(wall.text(wall.period_type.kind), "wall");
    let tasks = &tasks.last().expect("pushed").profile;
    assert_eq!(sum(tasks, "tasks", |member, _| member == "kinds"), 1);
    assert_eq!(tasks.text(tasks.period_type.kind), "");
}

#[test]
fn windows_in_zstd_are_pushed_together_and_outlive_a_process_that_packed_otherwise() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let gone = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port");
    // What a process leaves in gzip, and after it one in zstd, the third delivers.
    for compression in [Compression::Gzip, Compression::Zstd] {
        let left = Builder::new("zstd")
            .spool(folder.path())
            .compression(compression)
            .archiver(format!("http://{gone}"));
        let left = left.start().expect("started");
        burn(Duration::from_millis(200));
        let undelivered = left.shutdown(Duration::from_secs(2));
        assert!(matches!(undelivered, Err(Error::Undelivered { .. })));
    }
    let archiver = Archiver::start();
    let profiler = Builder::new("zstd")
        .spool(folder.path())
        .archiver(archiver.url())
        .start()
        .expect("started");
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
    assert_eq!(plain.len() + packed.len(), pushes.len(), "each once");
}

#[test]
fn an_archiver_that_does_not_take_zstd_gets_the_same_windows_unpacked_from_then_on() {
    let _turn = turn();
    let archiver = Archiver::start();
    archiver.answer(415, "");
    let profiler = Builder::new("zstd")
        .window(Duration::from_secs(1))
        .compression(Compression::Zstd)
        .archiver(archiver.url())
        .start()
        .expect("started");
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
fn windows_that_are_not_packed_are_taken_too() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("plain")
        .compression(Compression::None)
        .archiver(archiver.url())
        .start()
        .expect("started");
    burn(Duration::from_millis(200));
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let pushes = archiver.all();
    let nanos = |push: &Push| sum(&push.profile, "cpu", |_, _| true);
    assert!(pushes.iter().map(nanos).sum::<i64>() > 100_000_000);
}
