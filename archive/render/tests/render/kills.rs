//! Renderers that are killed.

use crate::support::{HOUR, MINUTE, Sample, World, clock, unpacked};
use davy_archive::ArchiveOptions;
use davy_base::Clock;
use davy_bucket::{BucketSettings, open};
use object_store::memory::InMemory;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

const SAMPLES: &[Sample<'_>] = &[
    (&["main", "a"], 5_000_000, &[("member", "api")]),
    (&["main", "b"], 5_000_000, &[("member", "gc")]),
];

/// A future that is dropped when it waits for the nth time. `None` is returned then.
struct KilledAt<F>(Option<Pin<Box<F>>>, usize);

impl<F: Future> Future for KilledAt<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(done) = future.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        if self.1 == 0 {
            self.0 = None;
            return Poll::Ready(None);
        }
        self.1 -= 1;
        Poll::Pending
    }
}

async fn check(options: impl Fn() -> ArchiveOptions) {
    let clock = clock();
    let at = clock.now().floor(HOUR).minus(HOUR * 2);
    let mut kills = 0;
    loop {
        let world = World::with(options(), &Clock::manual(clock.now()));
        world.push("anonymous", "web", at, SAMPLES).await;
        world.clock.advance(MINUTE * 2);
        let renderer = world.renderer(world.options());
        let killed = KilledAt(Some(Box::pin(renderer.once())), kills).await;
        let objects = world.written().await;
        for (key, bytes) in &objects {
            let text = String::from_utf8(unpacked(bytes)).expect("UTF-8");
            let end = match key.rsplit_once('.').expect("an extension").1 {
                "svgz" => "</svg>\n",
                "html" => "</html>\n",
                _ => "\n",
            };
            assert!(text.ends_with(end), "kill {kills} left half of {key}");
        }
        if killed.is_some() {
            break;
        }
        // The next renderer completes what is missing.
        world.render().await;
        let objects = world.written().await;
        assert_eq!(objects.len(), 9 + 3, "kill {kills}: {:?}", objects.keys());
        crate::pages::check_links(&objects);
        kills += 1;
    }
    assert!(kills > 5, "killed {kills} times only");
}

#[tokio::test]
async fn killed_renderer_leaves_no_half_object_in_memory() {
    check(|| ArchiveOptions::new(Arc::new(InMemory::new()))).await;
}

#[tokio::test]
async fn killed_renderer_leaves_no_half_object_in_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let number = std::sync::atomic::AtomicU32::new(0);
    check(|| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.path().join(number.to_string());
        let settings = BucketSettings::new(format!("file://{}", path.display()));
        ArchiveOptions::of(open(&settings, &|_| None, &clock()).expect("valid settings"))
    })
    .await;
}
