//! What a tag promises, seen from outside.

use davy_tag::{MAX_NAME_BYTES, Tag, current, tagged};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[test]
fn the_same_pair_has_the_same_tag_from_every_thread() {
    let tags: Vec<Vec<Tag>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..100)
                        .map(|i| Tag::new("same", &format!("op{i}")))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert!(tags.iter().all(|of_thread| *of_thread == tags[0]));
    for (i, tag) in tags[0].iter().enumerate() {
        assert_eq!(
            (tag.member(), tag.op()),
            ("same", format!("op{i}").as_str())
        );
        assert_eq!(Tag::from_index(tag.index()), *tag);
    }
}

#[test]
fn pairs_that_join_to_the_same_text_are_told_apart() {
    assert_ne!(Tag::new("ab", "c"), Tag::new("a", "bc"));
    assert_ne!(Tag::new("a", ""), Tag::new("", "a"));
    assert!(Tag::new("", "").is_untagged());
}

#[test]
fn nested_guards_restore_even_through_a_panic() {
    let (outer, inner) = (Tag::new("outer", "o"), Tag::new("inner", "i"));
    let held = outer.enter();
    let panicked = std::panic::catch_unwind(|| {
        let _guard = inner.enter();
        assert_eq!(current(), inner);
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    assert_eq!(current(), outer);
    drop(held);
    assert_eq!(current(), Tag::UNTAGGED);
}

#[test]
fn a_future_is_tagged_while_it_is_polled_and_dropped_and_not_between() {
    struct SeesItsTag(std::sync::Arc<std::sync::Mutex<Vec<Tag>>>);
    impl Drop for SeesItsTag {
        fn drop(&mut self) {
            self.0.lock().expect("no panic").push(current());
        }
    }
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let probe = SeesItsTag(std::sync::Arc::clone(&seen));
    {
        let mut first = true;
        let mut future = pin!(tagged(
            "future",
            "poll",
            std::future::poll_fn(move |_| {
                probe.0.lock().expect("no panic").push(current());
                if std::mem::take(&mut first) {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
        ));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(current().is_untagged());
        assert!(future.as_mut().poll(&mut context).is_ready());
        assert!(current().is_untagged());
    }
    let tag = Tag::new("future", "poll");
    assert_eq!(*seen.lock().expect("no panic"), [tag, tag, tag]);
}

#[test]
fn long_names_are_cut_between_characters() {
    let long = "ä".repeat(MAX_NAME_BYTES);
    let tag = Tag::new(&long, "op");
    assert_eq!(tag.member(), "ä".repeat(MAX_NAME_BYTES / 2));
    assert_eq!(Tag::new(&long, "op"), tag);
}

#[test]
fn a_number_that_no_tag_has_is_untagged() {
    assert!(Tag::from_index(u32::MAX).is_untagged());
    assert_eq!(Tag::from_index(4_095).member(), "");
}

#[test]
fn every_tag_is_listed() {
    let tag = Tag::new("listed", "once");
    let mut found = 0;
    davy_tag::for_each_tag(|listed| found += usize::from(listed == tag));
    assert_eq!(found, 1);
    assert!(davy_tag::count() > tag.index() as usize);
}

#[cfg(feature = "tokio")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_work_inherits_its_spawners_tag() {
    let tag = Tag::new("spawner", "op");
    let both = tag
        .wrap(async {
            let task = davy_tag::spawn(async { current() });
            let blocking = davy_tag::spawn_blocking(current);
            (
                task.await.expect("no panic"),
                blocking.await.expect("no panic"),
            )
        })
        .await;
    assert_eq!(both, (tag, tag));
}
