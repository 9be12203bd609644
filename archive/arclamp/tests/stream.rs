//! The stream from a real Redis to an archive.

mod support;

use davy_archive::query::Ask;
use davy_arclamp::{Channel, TlsFiles};
use std::sync::Arc;
use std::time::Duration;
use support::{Always, Certificates, Exclusive, Redis, World, publish};

#[test]
fn published_stacks_are_in_the_archive_by_entry_point() {
    let Some(redis) = Redis::start() else { return };
    World::run(async |world| {
        let listener = world.listen(&redis.url(), Always);
        listener.is_listening().await;
        let mut to = redis.connect();
        for _ in 0..3 {
            publish(
                &mut to,
                "excimer",
                b"/srv/w/index.php;Main::run;Parser::parse 1",
            );
        }
        publish(&mut to, "excimer", b"/srv/w/load.php;Loader::run 2");
        publish(&mut to, "excimer-wall", b"index.php;sleep 5");
        publish(&mut to, "other", b"index.php;not_ours 1");
        listener.heard("excimer", 4).await;
        listener.heard("excimer-wall", 1).await;
        listener.stop().await;
        let lines = world
            .folded("process_cpu:samples:count:cpu:nanoseconds", "")
            .await;
        assert_eq!(
            lines,
            [
                "/srv/w/index.php;Main::run;Parser::parse 3",
                "/srv/w/load.php;Loader::run 2"
            ]
        );
        let lines = world
            .folded(
                "process_cpu:samples:count:cpu:nanoseconds",
                "{member=\"load\"}",
            )
            .await;
        assert_eq!(lines, ["/srv/w/load.php;Loader::run 2"]);
        let lines = world
            .folded("wall:samples:count:wall:nanoseconds", "")
            .await;
        assert_eq!(lines, ["index.php;sleep 5"]);
    });
}

#[test]
fn garbage_is_counted_and_good_lines_are_kept() {
    let Some(redis) = Redis::start() else { return };
    World::run(async |world| {
        let listener = world.listen(&redis.url(), Always);
        listener.is_listening().await;
        let mut to = redis.connect();
        let garbage: [&[u8]; 5] = [b"", b"\0\xff\xfe", b"no count", b"a;b -3", b"a;b 1.5"];
        for at in 0..20_000 {
            publish(&mut to, "excimer", garbage[at % garbage.len()]);
        }
        publish(
            &mut to,
            "excimer",
            b"i.php;class@anonymous\0/p.php:3$0;\xff 7",
        );
        publish(
            &mut to,
            "excimer",
            &[&b"f;".repeat(100_000)[..], &b"g 1"[..]].concat(),
        );
        listener.heard("excimer", 20_002).await;
        listener.stop().await;
        let metrics = world.metrics();
        assert!(
            metrics.contains("davy_archive_arclamp_dropped_lines_total{channel=\"excimer\",reason=\"malformed\"} 20000\n"),
            "{metrics}"
        );
        assert!(
            metrics.contains("davy_archive_arclamp_samples_total{channel=\"excimer\"} 8\n"),
            "{metrics}"
        );
        let total = world
            .total("process_cpu:samples:count:cpu:nanoseconds")
            .await;
        assert_eq!(total, 8);
    });
}

#[test]
fn stream_continues_after_redis_vanished_and_the_gap_is_counted() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    World::run(async |world| {
        let listener = world.listen(&redis.url(), Always);
        listener.is_listening().await;
        publish(&mut redis.connect(), "excimer", b"i.php;before 1");
        listener.heard("excimer", 1).await;
        redis.kill();
        listener.is_silent().await;
        redis.restart();
        listener.is_listening().await;
        publish(&mut redis.connect(), "excimer", b"i.php;after 1");
        listener.heard("excimer", 2).await;
        listener.stop().await;
        let lines = world
            .folded("process_cpu:samples:count:cpu:nanoseconds", "")
            .await;
        assert_eq!(lines, ["i.php;after 1", "i.php;before 1"]);
        let metrics = world.metrics();
        assert!(
            metrics.contains("davy_archive_arclamp_connects_total 2\n"),
            "{metrics}"
        );
        let gap = world.metric("davy_archive_arclamp_gap_seconds_total");
        assert!(gap > 0.0, "{gap}");
    });
}

#[test]
fn one_of_two_replicas_listens_and_the_other_takes_over() {
    let Some(redis) = Redis::start() else { return };
    World::run(async |world| {
        let lease = Exclusive::default();
        let first = world.listen(&redis.url(), lease.of(1));
        first.is_listening().await;
        let second = world.second(&redis.url(), lease.of(2));
        second.says("standby").await;
        publish(&mut redis.connect(), "excimer", b"i.php;f 1");
        first.heard("excimer", 1).await;
        first.stop().await;
        second.is_listening().await;
        publish(&mut redis.connect(), "excimer", b"i.php;f 1");
        second.heard("excimer", 1).await;
        second.stop().await;
        let total = world
            .total("process_cpu:samples:count:cpu:nanoseconds")
            .await;
        assert_eq!(total, 2);
    });
}

#[test]
fn failover_by_sentinel_is_followed() {
    let Some(mut master) = Redis::start() else {
        return;
    };
    let Some(replica) = Redis::replica_of(&master) else {
        return;
    };
    let Some(sentinel) = Redis::sentinel(&master) else {
        return;
    };
    World::run(async |world| {
        let listener = world.listen_to("redis://site", &[sentinel.address()], Always);
        listener.is_listening().await;
        publish(&mut master.connect(), "excimer", b"i.php;before 1");
        listener.heard("excimer", 1).await;
        master.kill();
        sentinel.has_master(replica.port()).await;
        listener.is_connected_to(replica.port()).await;
        publish(&mut replica.connect(), "excimer", b"i.php;after 1");
        listener.heard("excimer", 2).await;
        listener.stop().await;
        let total = world
            .total("process_cpu:samples:count:cpu:nanoseconds")
            .await;
        assert_eq!(total, 2);
    });
}

#[test]
fn stacks_are_received_over_tls_with_a_certificate_of_the_client() {
    let Some(certificates) = Certificates::new().map(Arc::new) else {
        return;
    };
    let Some(redis) = Redis::with_tls(&certificates) else {
        return;
    };
    let Some(sentinel) = Redis::sentinel_with_tls(&redis, &certificates) else {
        return;
    };
    World::run(async |world| {
        let direct = world.listen_with(&redis.url(), &[], &certificates.files());
        direct.is_listening().await;
        let sentinels = [sentinel.address()];
        let named = world.listen_with("rediss://site", &sentinels, &certificates.files());
        named.is_listening().await;
        publish(&mut redis.connect(), "excimer", b"i.php;f 1");
        for listener in [direct, named] {
            listener.heard("excimer", 1).await;
            listener.stop().await;
        }
    });
}

#[test]
fn tls_that_fails_is_reported_with_what_to_do() {
    let Some(certificates) = Certificates::new().map(Arc::new) else {
        return;
    };
    let Some(redis) = Redis::with_tls(&certificates) else {
        return;
    };
    let Some(plain) = Redis::start() else { return };
    World::run(async |world| {
        let files = certificates.files();
        let no_ca = TlsFiles {
            ca: None,
            ..files.clone()
        };
        let no_certificate = TlsFiles {
            ca: files.ca.clone(),
            ..TlsFiles::default()
        };
        let url_of = |host: &str, of: &Redis| format!("rediss://{host}:{}", of.port());
        let own = url_of("127.0.0.1", &redis);
        for (url, files, expected) in [
            (&own, &no_ca, "set arclamp.ca_file to the CA of Redis"),
            (&own, &no_certificate, "set arclamp.certificate_file"),
            (&url_of("localhost", &redis), &files, "for another name"),
            (&url_of("127.0.0.1", &plain), &files, "TLS on this port"),
        ] {
            let listener = world.listen_with(url, &[], files);
            listener.says(expected).await;
            listener.stop().await;
        }
        // Without TLS, to a port that has it.
        let url = own.replace("rediss", "redis");
        let listener = world.listen_with(&url, &[], &TlsFiles::default());
        listener.says("rediss://").await;
        listener.stop().await;
    });
}

#[test]
fn windows_wait_for_an_archiver_that_is_down() {
    let Some(redis) = Redis::start() else { return };
    World::run(async |world| {
        world.refuse(true);
        let listener = world.listen(&redis.url(), Always);
        listener.is_listening().await;
        publish(&mut redis.connect(), "excimer", b"i.php;f 4");
        listener.heard("excimer", 1).await;
        world.was_refused().await;
        world.refuse(false);
        listener.stop().await;
        assert_eq!(
            world
                .total("process_cpu:samples:count:cpu:nanoseconds")
                .await,
            4
        );
    });
}

/// Debian's PHP with the extension that Wikipedia uses, and a script that does what its client does.
#[test]
fn functions_of_real_php_are_in_the_archive() {
    let Some(redis) = Redis::start() else { return };
    if !support::has_php() {
        return;
    }
    World::run(async |world| {
        let listener = world.listen(&redis.url(), Always);
        listener.is_listening().await;
        let output = support::php(redis.port()).await;
        let published: u64 = output.trim().parse().expect("a number of lines");
        assert!(published > 10, "{output}");
        listener.heard("excimer", published).await;
        listener.stop().await;
        let lines = world
            .folded(
                "process_cpu:samples:count:cpu:nanoseconds",
                "{member=\"busy-page\"}",
            )
            .await;
        let busy: i64 = lines
            .iter()
            .filter(|line| line.contains("Report::fibonacci"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<i64>().ok())
            .sum();
        let all: i64 = lines
            .iter()
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<i64>().ok())
            .sum();
        assert!(
            all as u64 >= published,
            "{all} samples of {published} lines"
        );
        assert!(busy * 10 > all * 7, "{busy} of {all}: {lines:?}");
    });
}

#[test]
fn window_without_lines_shows_that_somebody_listened() {
    let Some(redis) = Redis::start() else { return };
    World::run(async |world| {
        let listener = world.listen(&redis.url(), Always);
        listener.is_listening().await;
        listener.stop().await;
        let ask: Ask = world.ask("process_cpu:samples:count:cpu:nanoseconds", "");
        assert!(world.windows(&ask).await > 0);
        assert_eq!(Channel::named("excimer").period, Duration::from_mins(1));
    });
}
