//! The spans of the crate `tracing`, as samples of their threads see them.

use davy_tag::SpanIds;
use davy_tag::tracing::SpanLayer;
use tracing::{Instrument as _, info_span, instrument::WithSubscriber as _};
use tracing_subscriber::layer::SubscriberExt as _;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn entered_span_is_that_of_its_thread() {
    let subscriber = tracing_subscriber::registry().with(SpanLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(SpanIds::current(), SpanIds::default());
        let request = info_span!("request", trace_id = TRACE);
        let (outer, inner) = request.in_scope(|| {
            let outer = SpanIds::current();
            let inner = info_span!("query", span_id = %"b7").in_scope(SpanIds::current);
            assert_eq!(SpanIds::current(), outer, "the inner span ended");
            (outer, inner)
        });
        assert_eq!(format!("{:032x}", outer.trace), TRACE);
        assert_eq!((inner.trace, inner.span), (outer.trace, 0xb7));
        assert_ne!(outer.span, 0);
        assert_eq!(SpanIds::current(), SpanIds::default());
        // Spans without a parent begin a trace each.
        let [first, second] = [0, 1].map(|_| info_span!("request").in_scope(SpanIds::current));
        assert!(first.trace != second.trace && first.trace != 0);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn future_keeps_its_span_on_every_thread() {
    let subscriber = tracing_subscriber::registry().with(SpanLayer::new());
    let work = async {
        let tasks = (1..=4u64).map(|number| {
            let span_id = format!("{number:x}");
            let work = async move {
                for _ in 0..100 {
                    assert_eq!(SpanIds::current().span, number);
                    tokio::task::yield_now().await;
                }
            };
            let span = info_span!("work", trace_id = TRACE, span_id);
            tokio::spawn(work.instrument(span).with_current_subscriber())
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
    };
    work.with_subscriber(subscriber).await;
}

/// What another layer keeps with its spans.
struct Exported(u64);

#[test]
fn ids_of_another_layer_are_taken_if_it_has_some() {
    let layer = SpanLayer::with(|extensions| {
        let of: &Exported = extensions.get()?;
        Some(SpanIds {
            trace: 1,
            span: of.0,
        })
    });
    struct Exporter;
    impl<S> tracing_subscriber::Layer<S> for Exporter
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        fn on_new_span(
            &self,
            attributes: &tracing::span::Attributes<'_>,
            id: &tracing::Id,
            context: tracing_subscriber::layer::Context<'_, S>,
        ) {
            let span = context.span(id).expect("there");
            if attributes.metadata().name() == "exported" {
                span.extensions_mut().insert(Exported(7));
            }
        }
    }
    let subscriber = tracing_subscriber::registry().with(Exporter).with(layer);
    tracing::subscriber::with_default(subscriber, || {
        info_span!("exported").in_scope(|| {
            assert_eq!(SpanIds::current().span, 7);
            // A span that is not exported belongs to the one around it.
            let inner = info_span!("other").in_scope(SpanIds::current);
            assert_eq!(inner.span, 7);
        });
        let other = info_span!("other").in_scope(SpanIds::current);
        assert_eq!(other, SpanIds::default());
    });
}
