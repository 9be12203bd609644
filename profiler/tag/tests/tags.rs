//! Behaviour of tags through the public API.

use davy_tag::{MAX_NAME_BYTES, Tag, current, tagged};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[test]
fn equal_pairs_have_equal_tags_on_every_thread() {
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
fn pairs_with_equal_concatenation_are_distinct() {
    assert_ne!(Tag::new("ab", "c"), Tag::new("a", "bc"));
    assert_ne!(Tag::new("a", ""), Tag::new("", "a"));
    assert!(Tag::new("", "").is_untagged());
}

#[test]
fn nested_guards_restore_the_tag_after_a_panic() {
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
fn future_is_tagged_while_polled_and_dropped_only() {
    struct RecordsTag(std::sync::Arc<std::sync::Mutex<Vec<Tag>>>);
    impl Drop for RecordsTag {
        fn drop(&mut self) {
            self.0.lock().expect("no panic").push(current());
        }
    }
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let probe = RecordsTag(std::sync::Arc::clone(&seen));
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
fn long_names_are_truncated_at_a_character_boundary() {
    let long = "ä".repeat(MAX_NAME_BYTES);
    let tag = Tag::new(&long, "op");
    assert_eq!(tag.member(), "ä".repeat(MAX_NAME_BYTES / 2));
    assert_eq!(Tag::new(&long, "op"), tag);
}

#[test]
fn unknown_index_is_untagged() {
    assert!(Tag::from_index(u32::MAX).is_untagged());
    assert_eq!(Tag::from_index(4_095).member(), "");
}

#[test]
fn for_each_tag_visits_each_tag_once() {
    let tag = Tag::new("listed", "once");
    let mut found = 0;
    davy_tag::for_each_tag(|listed| found += usize::from(listed == tag));
    assert_eq!(found, 1);
    assert!(davy_tag::count() > tag.index() as usize);
}

#[cfg(feature = "tokio")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_work_inherits_the_current_tag() {
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
