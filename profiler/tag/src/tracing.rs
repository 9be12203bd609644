//! Follows the spans of the crate `tracing`.

use crate::span::SpanIds;
use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_core::Subscriber;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{Extensions, LookupSpan, SpanRef};

type IdsOf = dyn Fn(&Extensions<'_>) -> Option<SpanIds> + Send + Sync;

/// A layer that makes the entered span that of its thread, so that samples which are taken meanwhile carry its ids.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
/// let subscriber = tracing_subscriber::registry().with(davy_tag::tracing::SpanLayer::new());
/// # drop(subscriber);
/// ```
///
/// A span is entered whenever its future is polled, so it does not matter on which threads that happens. Entering a span
/// takes two look-ups in the registry; other layers are not affected.
#[derive(Default)]
pub struct SpanLayer {
    ids_of: Option<Box<IdsOf>>,
}

impl SpanLayer {
    /// Gives each span ids. The trace is that of its parent, or of its field `trace_id`; a span without both begins one.
    /// A field `span_id` is the id of the span. Both are hexadecimal digits; [`SpanIds::current`] returns the ids within
    /// the span, for logs and response headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the ids that another layer keeps with its spans, for programs that export them. With
    /// `tracing-opentelemetry`, whose layer must be added before this one:
    ///
    /// ```ignore
    /// SpanLayer::with(|extensions| {
    ///     let of = extensions.get::<tracing_opentelemetry::OtelData>()?;
    ///     Some(SpanIds {
    ///         trace: u128::from_be_bytes(of.trace_id()?.to_bytes()),
    ///         span: u64::from_be_bytes(of.span_id()?.to_bytes()),
    ///     })
    /// })
    /// ```
    pub fn with(ids: impl Fn(&Extensions<'_>) -> Option<SpanIds> + Send + Sync + 'static) -> Self {
        Self {
            ids_of: Some(Box::new(ids)),
        }
    }

    /// The ids of a span, or of the closest span around it that has some.
    fn ids<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>) -> SpanIds {
        let of = |span: SpanRef<'a, S>| {
            let extensions = span.extensions();
            match &self.ids_of {
                Some(ids_of) => ids_of(&extensions),
                None => extensions.get::<SpanIds>().copied(),
            }
        };
        span.scope().find_map(of).unwrap_or_default()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|_| self.ids_of.is_none()) else {
            return;
        };
        let mut stated = Stated::default();
        attributes.record(&mut stated);
        let parent = span.parent().map(|parent| self.ids(&parent));
        let of_parent = parent.map(|ids| ids.trace).filter(|trace| *trace != 0);
        let ids = SpanIds {
            trace: stated
                .trace
                .or(of_parent)
                .unwrap_or_else(|| u128::from(random()) << 64 | u128::from(random())),
            span: stated.span.unwrap_or_else(random),
        };
        span.extensions_mut().insert(ids);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            self.ids(&span).set_current();
        }
    }

    fn on_exit(&self, _: &Id, context: Context<'_, S>) {
        // The registry has left the span already.
        let current = context.lookup_current();
        let ids = current.map(|span| self.ids(&span));
        ids.unwrap_or_default().set_current();
    }
}

/// An id that no other span has.
fn random() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    STATE.hash_one(COUNT.fetch_add(1, Ordering::Relaxed)).max(1)
}

/// The ids that the fields of a span state.
#[derive(Default)]
struct Stated {
    trace: Option<u128>,
    span: Option<u64>,
}

impl Visit for Stated {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trace_id" => self.trace = u128::from_str_radix(value, 16).ok().filter(|id| *id != 0),
            "span_id" => self.span = u64::from_str_radix(value, 16).ok().filter(|id| *id != 0),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if matches!(field.name(), "trace_id" | "span_id") {
            self.record_str(field, format!("{value:?}").trim_matches('"'));
        }
    }
}
