//! The ids of spans and traces that samples belong to, and the queries of single ones.

use crate::labels::{SPANS, TRACES};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

/// The trace and the span that a sample belongs to; 0 is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanLink {
    /// Id of the trace.
    pub trace: u128,
    /// Id of the span.
    pub span: u64,
}

/// An id in hexadecimal digits; `None` if it is not one.
fn id(text: &str, digits: usize) -> Option<u128> {
    let is_id = (1..=digits).contains(&text.len()) && text.bytes().all(|of| of.is_ascii_hexdigit());
    is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// The id of a span: at most 16 hexadecimal digits.
pub fn span_id(text: &str) -> Option<u64> {
    id(text, 16).map(|id| id as u64)
}

/// The id of a trace: at most 32 hexadecimal digits.
pub fn trace_id(text: &str) -> Option<u128> {
    id(text, 32)
}

impl SpanLink {
    /// Takes over the id that a label of a sample states; false if the label states none.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        if SPANS.contains(&name) {
            span_id(value).map(|id| self.span = id).is_some()
        } else if TRACES.contains(&name) {
            trace_id(value).map(|id| self.trace = id).is_some()
        } else {
            false
        }
    }

    /// Whether nothing is known.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Decides which traces are kept if there are too many spans: those with the lowest numbers.
    pub(crate) fn order(self) -> u64 {
        match self.trace {
            0 => xxh3_64(&self.span.to_le_bytes()),
            trace => xxh3_64(&trace.to_le_bytes()),
        }
    }
}

/// What a query selects of windows: the values of single spans, traces or profiles; nothing of it selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Ids of spans.
    pub spans: BTreeSet<u64>,
    /// Ids of traces.
    pub traces: BTreeSet<u128>,
    /// Ids of windows.
    pub profiles: BTreeSet<u128>,
}

impl Only {
    /// Whether everything is selected.
    pub fn is_all(&self) -> bool {
        !self.is_of_spans() && self.profiles.is_empty()
    }

    /// Whether only values of spans are selected.
    pub fn is_of_spans(&self) -> bool {
        !self.spans.is_empty() || !self.traces.is_empty()
    }

    /// Whether the values of a span are selected.
    pub fn selects_span(&self, link: SpanLink) -> bool {
        (self.spans.is_empty() || self.spans.contains(&link.span))
            && (self.traces.is_empty() || self.traces.contains(&link.trace))
    }

    /// Whether the values of a window are selected.
    pub fn selects_profile(&self, id: u128) -> bool {
        self.profiles.is_empty() || self.profiles.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_ids_are_links_and_others_are_not() {
        let check = |name: &str, value: &str, expected: Option<SpanLink>| {
            let mut link = SpanLink::default();
            let is_link = link.set(name, value);
            assert_eq!(is_link.then_some(link), expected, "{name} {value}");
        };
        let span = |span| Some(SpanLink { trace: 0, span });
        check("span_id", "00F067AA0ba902b7", span(0x00f0_67aa_0ba9_02b7));
        check("profile_id", "b7", span(0xb7));
        check("span_id", "0000000000000000", span(0));
        let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
        let trace = Some(SpanLink { trace, span: 0 });
        check("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736", trace);
        for value in ["", "00f067aa0ba902b70", "+1", "x", "0x1"] {
            check("span_id", value, None);
        }
        check("trace_id", &"0".repeat(33), None);
        check("span_name", "b7", None);
    }
}
