//! Threads have the tag of the thread that started them, or that of their name.
#![cfg(target_os = "linux")]

use davy_tag::{Origin, Tag, add_thread_rule, current, usage};

fn started(name: &str) -> Tag {
    let builder = std::thread::Builder::new().name(name.to_owned());
    let thread = builder.spawn(current).expect("a thread");
    thread.join().expect("no panic")
}

#[test]
fn thread_inherits_the_tag_of_the_one_that_starts_it() {
    davy_tag::start_accounting();
    let tag = Tag::new("threads", "inherited");
    assert!(started("any").is_untagged());
    let _guard = tag.enter();
    assert_eq!(started("any"), tag);
    let grandchild = std::thread::spawn(|| {
        {
            let _guard = Tag::new("threads", "own").enter();
            assert_eq!(current().op(), "own");
        }
        started("any")
    });
    assert_eq!(grandchild.join().expect("no panic"), tag);
    let is_counted = usage()
        .iter()
        .any(|usage| usage.tag == tag && usage.cpu_nanos > 0);
    assert!(is_counted);
}

#[test]
fn name_of_a_thread_decides_its_default_tag() {
    let database = Tag::new("threads", "database");
    assert!(add_thread_rule("sqlx-*", database));
    assert_eq!(started("sqlx-sqlite-worker-1"), database);
    let _guard = Tag::new("threads", "request").enter();
    assert_eq!(started("sqlx-sqlite-worker-2"), database);
    assert!(started("tokio-rt-worker").is_untagged());
}

#[test]
fn blocking_pool_of_tokio_follows_the_waiting_future_and_not_the_first_one() {
    davy_tag::start_accounting();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .thread_name("renamed")
        .build()
        .expect("a runtime");
    let work = |op| {
        let tag = Tag::new("pool", op);
        let work = tag.wrap(async move {
            let (start, is_awaited) = std::sync::mpsc::channel();
            let job = tokio::task::spawn_blocking(move || {
                is_awaited.recv().expect("sent below");
                Origin::of_this_thread()
            });
            // A job that is done before it is awaited wakes nobody.
            let (origin, _) = tokio::join!(job, async { start.send(()) });
            (tag, origin.expect("no panic"))
        });
        runtime.block_on(async { tokio::spawn(work).await.expect("no panic") })
    };
    let (tag, origin) = work("first");
    assert_eq!(origin.tag_or_default(), tag);
    let (tag, origin) = work("second");
    // The thread claims after it has woken the future.
    let _ = work("third");
    assert_eq!(origin.tag(), Some(tag));
}
