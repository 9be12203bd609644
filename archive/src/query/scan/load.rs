//! Reads the parts of a scan, several at once.

use super::part::{Part, References, Wanted};
use super::unread::Unread;
use crate::blocking::blocking;
use crate::bucket::Bucket;
use crate::format::tables::{Dictionary, SpanTable, Values, WindowTable};
use crate::key::Hour;
use crate::query::params::Ask;
use crate::query::visit::{Depth, Included, Selected, Visitor};
use futures_util::{Stream, StreamExt};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Number of parts of a scan that are read at once.
const AT_ONCE: usize = 8;

/// Memory of the parts of a scan that are read at once, in MiB; one part can take more.
const MEMORY: u32 = 64;

/// Number of series from which on they are compared with the selector on a blocking thread.
const MANY: usize = 1_000;

/// Reads parts for one scan.
#[derive(Clone, Copy)]
pub(super) struct Loader<'a> {
    bucket: &'a Bucket,
    ask: &'a Ask,
}

/// The tables of a part that were read.
pub(super) struct Loaded {
    part: Part,
    pub(super) selected: Selected,
    pub(super) windows: Option<Arc<WindowTable>>,
    pub(super) included: Included,
    /// Whether it is of a day or month block, whose windows are sums over an hour or day.
    pub(super) is_cells: bool,
    pub(super) stacks: Option<Arc<Dictionary>>,
    pub(super) values: Option<Arc<Values>>,
    pub(super) spans: Option<Arc<SpanTable>>,
    wanted: Option<Wanted>,
    /// Its share of the memory.
    _memory: Option<Arc<OwnedSemaphorePermit>>,
}

impl Loaded {
    /// Leaves out the windows that have no values of these spans.
    fn keep_spans(&mut self, spans: &SpanTable) {
        let mut has_any = vec![false; self.included.windows.len()];
        for row in &spans.rows {
            has_any[row.window as usize] |= self.selected.wanted[row.series as usize];
        }
        self.included.retain(&has_any);
    }

    /// The number of values of spans that its part left out, if the query needs them.
    pub(super) fn spans_left_out(&self) -> usize {
        match self.wanted {
            Some(Wanted::Spans) => self.part.spans_left_out(),
            _ => 0,
        }
    }
}

impl<'a> Loader<'a> {
    pub(super) fn new(bucket: &'a Bucket, ask: &'a Ask) -> Self {
        Self { bucket, ask }
    }

    /// Reads parts and returns them in their order; `None` for those of which the query selects nothing.
    pub(super) fn load_all<V: Visitor>(
        self,
        hour: Hour,
        parts: Vec<Part>,
    ) -> impl Stream<Item = Result<Option<Loaded>, Unread>> {
        let memory = Arc::new(Semaphore::new(MEMORY as usize));
        let parts = futures_util::stream::iter(parts);
        // One after another, so that no part waits for the memory of a later one.
        let admitted = parts.then(move |part| {
            let mebibytes = u32::try_from(part.memory() >> 20).unwrap_or(MEMORY);
            let memory = Arc::clone(&memory).acquire_many_owned(mebibytes.clamp(1, MEMORY));
            async move { (part, memory.await.ok()) }
        });
        let load = move |(part, memory): (Part, Option<OwnedSemaphorePermit>)| async move {
            let memory = memory.map(Arc::new);
            let parts = match self.opened(hour, part).await {
                Ok(parts) if parts.is_empty() => return vec![Ok(None)],
                Ok(parts) => parts,
                Err(error) => return vec![Err(error)],
            };
            let mut all = Vec::with_capacity(parts.len());
            for part in parts {
                let loaded = self.load::<V>(part).await;
                all.push(loaded.map(|loaded| {
                    loaded.map(|loaded| Loaded {
                        _memory: memory.clone(),
                        ..loaded
                    })
                }));
            }
            all
        };
        let loaded = admitted.map(load).buffered(AT_ONCE);
        loaded.flat_map(futures_util::stream::iter)
    }

    /// Reads a segment that is not read yet, and returns its row groups; other parts are returned as they are.
    pub(super) async fn opened(self, hour: Hour, part: Part) -> Result<Vec<Part>, Unread> {
        let Part::Listed(name, _) = part else {
            return Ok(vec![part]);
        };
        let tenant = &self.ask.tenant;
        let segment = self.bucket.segment(tenant, hour, name).await?;
        Ok(Part::of_segment(segment, self.ask))
    }

    /// Reads what the visitor needs of a part; `None` if the query selects nothing of it.
    pub(super) async fn load<V: Visitor>(self, part: Part) -> Result<Option<Loaded>, Unread> {
        let (bucket, tenant) = (self.bucket, &self.ask.tenant);
        let series = part.series(bucket, tenant).await?;
        let selected = if series.rows.len() < MANY {
            Selected::of(self.ask, series)
        } else {
            let ask = self.ask.clone();
            let select = move || Selected::of(&ask, series);
            let selected = blocking("select series", select).await;
            selected.map_err(Unread::Fatal)?
        };
        let Some(selected) = selected else {
            return Ok(None);
        };
        let hours = part.hours();
        let mut loaded = Loaded {
            included: Included {
                windows: Vec::new(),
                all: false,
            },
            windows: None,
            is_cells: hours.is_some(),
            stacks: None,
            values: None,
            spans: None,
            wanted: None,
            _memory: None,
            selected,
            part,
        };
        if V::DEPTH == Depth::Series {
            return Ok(Some(loaded));
        }
        let series = &loaded.selected.series;
        let windows = loaded.part.windows(bucket, tenant, series).await?;
        loaded.included = loaded.selected.windows(self.ask, &windows, hours);
        loaded.windows = Some(windows);
        self.with_values::<V>(loaded).await
    }

    /// Reads the values that the visitor needs of the included windows, unless they are read already; `None` if there are
    /// no such windows.
    pub(super) async fn with_values<V: Visitor>(
        self,
        mut loaded: Loaded,
    ) -> Result<Option<Loaded>, Unread> {
        if !loaded.included.is_any() {
            return Ok(None);
        }
        let part = &loaded.part;
        let wanted = match (V::DEPTH, part.has_samples()) {
            (Depth::Series | Depth::Windows, _) => None,
            _ if V::SPANS || self.ask.selector.only().is_of_spans() => Some(Wanted::Spans),
            (Depth::Totals, _) if part.is_of_month() => Some(Wanted::Totals),
            (Depth::Totals, true) => Some(Wanted::Totals),
            (Depth::Totals, false) => Some(Wanted::WholeTotals),
            (Depth::Stacks | Depth::StacksOfWindows, false) => Some(Wanted::Sums),
            (Depth::Stacks, true) if loaded.included.all && part.has_sums() => Some(Wanted::Sums),
            (Depth::Stacks | Depth::StacksOfWindows, true) => Some(Wanted::Samples),
        };
        let (Some(wanted), Some(windows)) = (wanted, &loaded.windows) else {
            return Ok(Some(loaded));
        };
        if loaded.wanted == Some(wanted) {
            return Ok(Some(loaded));
        }
        let (bucket, tenant) = (self.bucket, &self.ask.tenant);
        if V::DEPTH >= Depth::Stacks && loaded.stacks.is_none() {
            loaded.stacks = Some(part.stacks(bucket, tenant).await?);
        }
        let to = References {
            series: Arc::clone(&loaded.selected.series),
            windows: Arc::clone(windows),
            stacks: loaded.stacks.clone(),
        };
        if wanted == Wanted::Spans {
            let Some(spans) = part.spans(bucket, self.ask, to).await? else {
                return Ok(None);
            };
            loaded.keep_spans(&spans);
            loaded.values = Some(Arc::new(spans.values()));
            loaded.spans = Some(spans);
        } else {
            loaded.values = Some(part.values(bucket, tenant, wanted, to).await?);
        }
        loaded.wanted = Some(wanted);
        Ok(loaded.included.is_any().then_some(loaded))
    }
}
