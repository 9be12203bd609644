//! Going through the pieces of a range, each window once.
//!
//! Pieces are read group by group: first the series and windows of a group, which say whether the
//! rest is needed, then that rest. What is decoded lives for one group. Heavy work is done on the
//! threads for blocking work; a query whose client has gone stops before its next group.

use super::params::Ask;
use crate::bucket::{Bucket, Missing};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Table;
use crate::format::batch::WindowId;
use crate::format::block::Meta;
use crate::format::columns::Group;
use crate::format::segment::Segment;
use crate::format::tables::{Dictionary, SeriesTable, Values, WindowTable};
use crate::key::{BlockId, Hour, Tenant};
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use crate::rule::{Listing, select};
use object_store::path::Path;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use ulid::Ulid;

/// Answers queries. Cheap to clone.
#[derive(Clone)]
pub struct Query {
    pub(super) bucket: Arc<Bucket>,
    pub(super) options: ArchiveOptions,
    pub(super) metrics: Metrics,
    pub(super) slots: Arc<Semaphore>,
}

/// What a scan tells besides its result.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What of the range could not be read, as sentences.
    pub partial: Vec<String>,
    /// Windows that were counted.
    pub windows: u64,
}

/// A longer range looks which days there are, and does not ask for each.
const DAYS_LISTED: i64 = 3;

/// How much of a group a visitor wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// Series.
    Series,
    /// And windows.
    Windows,
    /// And the value of every window, without stacks.
    Totals,
    /// And stacks; values may be sums over windows.
    Stacks,
}

/// A group of rows as a visitor sees it.
pub(super) struct View<'a> {
    pub(super) series: &'a SeriesTable,
    /// By series: whether it is selected.
    pub(super) wanted: &'a [bool],
    pub(super) windows: Option<&'a WindowTable>,
    /// By window: whether it is in the range, selected, and not counted before.
    pub(super) included: &'a [bool],
    pub(super) dictionary: Option<&'a Dictionary>,
    pub(super) values: Option<&'a Values>,
}

/// Who is shown the groups.
pub(super) trait Visitor: Send + 'static {
    const DEPTH: Depth;
    fn visit(&mut self, view: &View<'_>) -> Result<()>;
}

/// A segment or a block's row group, opened.
enum Part {
    /// Not read yet; one at a time is.
    Listed(Ulid),
    Segment(Segment),
    Block(BlockId, Arc<Meta>, usize),
}

impl Query {
    pub(crate) fn new(options: ArchiveOptions, bucket: Arc<Bucket>, metrics: Metrics) -> Self {
        let slots = Arc::new(Semaphore::new(options.queries.max(1)));
        Self {
            bucket,
            options,
            metrics,
            slots,
        }
    }

    /// The folders to list for the hours from `first` to `last`: those of hours for a short range,
    /// those of days for a long one, and for a very long one those of the days that are there.
    async fn folders(&self, tenant: &Tenant, first: Hour, last: Hour) -> Result<Vec<Path>> {
        let keys = &self.bucket.keys;
        if last.0 - first.0 >= DAYS_LISTED * 24 {
            let mut folders = Vec::new();
            for all in [keys.segments(tenant, None), keys.blocks(tenant, None)] {
                for date in self.bucket.folders(&all).await? {
                    let day = Hour::parse(&date, "00");
                    if day.is_some_and(|day| day.0 + 23 >= first.0 && day <= last) {
                        folders.push(all.clone().join(date));
                    }
                }
            }
            return Ok(folders);
        }
        Ok(if last.0 - first.0 < 6 {
            let hours = (first.0..=last.0).map(Hour);
            hours
                .flat_map(|hour| {
                    [
                        keys.segments(tenant, Some(hour)),
                        keys.blocks(tenant, Some(hour)),
                    ]
                })
                .collect()
        } else {
            let days = (first.0.div_euclid(24)..=last.0.div_euclid(24)).map(|day| Hour(day * 24));
            days.flat_map(|day| {
                [
                    keys.segments_of_day(tenant, day),
                    keys.blocks_of_day(tenant, day),
                ]
            })
            .collect()
        })
    }

    /// Shows a visitor every group of the range that may hold what is asked for.
    pub(super) async fn scan<V: Visitor>(&self, ask: &Ask, mut visitor: V) -> Result<(V, Report)> {
        let mut report = Report::default();
        let last = Hour::of(davy_base::Timestamp::from_millis(ask.until.millis() - 1));
        let first = Hour::of(ask.from);
        if last < first {
            return Ok((visitor, report));
        }
        let (mut hours, faults) = self
            .bucket
            .listing(&ask.tenant, &self.folders(&ask.tenant, first, last).await?)
            .await?;
        hours.retain(|hour, _| (first..=last).contains(hour));
        report.partial.extend(faults);
        let (mut before, mut seen) = (FxHashSet::default(), FxHashSet::default());
        let mut visited = 0usize;
        let mut previous = None;
        let listed: BTreeMap<Hour, Listing> = std::mem::take(&mut hours);
        for (hour, mut listing) in listed {
            // A window without a time of its own, sent twice around the turn of an hour, is in two
            // hours; so the ids of the hour before are kept.
            before = if previous == Some(Hour(hour.0 - 1)) {
                std::mem::take(&mut seen)
            } else {
                FxHashSet::default()
            };
            seen.clear();
            previous = Some(hour);
            for attempt in 0.. {
                let mut gone = 0;
                for part in self
                    .parts(ask, hour, &listing, &mut report, &mut gone)
                    .await
                {
                    let result = self
                        .group(
                            ask,
                            hour,
                            part,
                            visitor,
                            &mut before,
                            &mut seen,
                            &mut report,
                        )
                        .await;
                    match result {
                        (back, Ok(())) => {
                            visitor = back;
                            visited += 1;
                        }
                        (back, Err(Missing::Gone)) => {
                            visitor = back;
                            gone += 1;
                        }
                        (back, Err(Missing::Failed(error))) => {
                            visitor = back;
                            report.partial.push(format!("{hour}: {error}"));
                        }
                    }
                }
                if gone == 0 {
                    break;
                }
                if attempt == 2 {
                    report.partial.push(format!(
                        "{hour}: {gone} objects went away while they were read; ask again"
                    ));
                    break;
                }
                // A compactor has put a block in their place. What was counted stays counted.
                let (mut again, _) = self
                    .bucket
                    .listing(&ask.tenant, &self.folders(&ask.tenant, hour, hour).await?)
                    .await?;
                listing = again.remove(&hour).unwrap_or_default();
            }
        }
        drop(before);
        if visited == 0 && !report.partial.is_empty() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("nothing of the range can be read: {}", report.partial[0]),
            ));
        }
        Ok((visitor, report))
    }

    /// What of an hour may hold what is asked for, in the order of the reader's rule.
    async fn parts(
        &self,
        ask: &Ask,
        hour: Hour,
        listing: &Listing,
        report: &mut Report,
        gone: &mut usize,
    ) -> Vec<Part> {
        let selection = select(listing);
        let mut parts = Vec::new();
        for at in selection.blocks {
            let id = &listing.blocks[at].id;
            match self.bucket.meta(&ask.tenant, hour, id).await {
                Ok(meta) => {
                    for (group, of) in meta.groups.iter().enumerate() {
                        if ask.may_be_in(&of.services, of.from_ms, of.last_ms) {
                            parts.push(Part::Block(id.clone(), Arc::clone(&meta), group));
                        }
                    }
                }
                Err(Missing::Gone) => *gone += 1,
                Err(Missing::Failed(error)) => report.partial.push(format!("{hour}: {error}")),
            }
        }
        for at in selection.segments {
            parts.push(Part::Listed(listing.segments[at].name));
        }
        parts
    }

    async fn table(
        &self,
        ask: &Ask,
        hour: Hour,
        part: &Part,
        table: Table,
    ) -> Result<Group, Missing> {
        match part {
            Part::Listed(_) => {
                Err(Error::new(ErrorKind::Internal, "a segment that is not open").into())
            }
            Part::Segment(segment) => Ok(segment.table(table)?),
            Part::Block(id, meta, group) => {
                self.bucket
                    .group((&ask.tenant, hour, id), meta, table, *group)
                    .await
            }
        }
    }

    /// Shows one group. The visitor always comes back.
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of the scan, used here only"
    )]
    async fn group<V: Visitor>(
        &self,
        ask: &Ask,
        hour: Hour,
        part: Part,
        visitor: V,
        before: &mut FxHashSet<WindowId>,
        seen: &mut FxHashSet<WindowId>,
        report: &mut Report,
    ) -> (V, Result<(), Missing>) {
        let part = match part {
            Part::Listed(name) => match self.bucket.segment(&ask.tenant, hour, name).await {
                Ok(segment) => {
                    let of = &segment.directory;
                    if !ask.may_be_in(&of.services, of.from_ms, of.last_ms) {
                        return (visitor, Ok(()));
                    }
                    Part::Segment(segment)
                }
                Err(missing) => return (visitor, Err(missing)),
            },
            part => part,
        };
        let part = &part;
        let heads = async {
            let series = self.table(ask, hour, part, Table::Series).await?;
            let windows = match V::DEPTH {
                Depth::Series => None,
                _ => Some(self.table(ask, hour, part, Table::Windows).await?),
            };
            let asked = ask.clone();
            let (known, new) = (std::mem::take(before), std::mem::take(seen));
            let opened = blocking(move || {
                let opened = open(&asked, &series, windows.as_ref(), &known, &new);
                (known, new, opened)
            });
            let (known, new, opened) = opened.await?;
            (*before, *seen) = (known, new);
            Ok::<_, Missing>(opened?)
        };
        let head = match heads.await {
            Ok(Some(head)) => head,
            Ok(None) => return (visitor, Ok(())),
            Err(missing) => return (visitor, Err(missing)),
        };
        let use_sums = head.all && matches!(part, Part::Block(..));
        let tails = async {
            if V::DEPTH <= Depth::Windows {
                return Ok::<_, Missing>((None, None, None));
            }
            if V::DEPTH == Depth::Totals {
                return Ok((
                    Some(self.table(ask, hour, part, Table::Samples).await?),
                    None,
                    None,
                ));
            }
            let values = if use_sums {
                Table::Sums
            } else {
                Table::Samples
            };
            let (values, nodes, frames) = futures_util::try_join!(
                self.table(ask, hour, part, values),
                self.table(ask, hour, part, Table::Nodes),
                self.table(ask, hour, part, Table::Frames),
            )?;
            Ok((Some(values), Some(nodes), Some(frames)))
        };
        let tail = match tails.await {
            Ok(tail) => tail,
            Err(missing) => return (visitor, Err(missing)),
        };
        let shown = blocking(move || {
            let mut visitor = visitor;
            let result = show(
                &head,
                tail,
                use_sums && V::DEPTH == Depth::Stacks,
                &mut visitor,
            );
            (visitor, result.map(|()| head))
        });
        match shown.await {
            Ok((visitor, Ok(head))) => {
                if let Some(windows) = &head.windows {
                    for (window, included) in windows.rows.iter().zip(&head.included) {
                        if *included {
                            seen.insert(window.id);
                            report.windows += 1;
                        }
                    }
                }
                (visitor, Ok(()))
            }
            Ok((visitor, Err(error))) => (visitor, Err(error.into())),
            // The visitor is lost with the thread that panicked; the panic goes on to the caller.
            Err(error) => std::panic::resume_unwind(Box::new(error.message)),
        }
    }
}

/// Runs work that takes time on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let done = davy_tag::spawn_blocking(work).await;
    done.map_err(|_| Error::new(ErrorKind::Internal, "a query's thread failed unexpectedly"))
}

struct Head {
    series: SeriesTable,
    wanted: Vec<bool>,
    windows: Option<WindowTable>,
    included: Vec<bool>,
    /// Whether every window of the selected sources is included.
    all: bool,
}

/// Reads series and windows; `None` where nothing of the group is asked for.
fn open(
    ask: &Ask,
    series: &Group,
    windows: Option<&Group>,
    before: &FxHashSet<WindowId>,
    seen: &FxHashSet<WindowId>,
) -> Result<Option<Head>> {
    let series = SeriesTable::read(series)?;
    let mut sources = vec![false; series.sources.len()];
    let wanted: Vec<bool> = series
        .rows
        .iter()
        .map(|(source, kind, labels)| {
            let right = ask.kind.as_deref().is_none_or(|asked| asked == &**kind);
            let wanted = right
                && ask
                    .selector
                    .selects(&series.sources[*source as usize], labels);
            sources[*source as usize] |= wanted;
            wanted
        })
        .collect();
    if !sources.contains(&true) {
        return Ok(None);
    }
    let Some(windows) = windows else {
        return Ok(Some(Head {
            series,
            wanted,
            windows: None,
            included: Vec::new(),
            all: false,
        }));
    };
    let windows = WindowTable::read(windows, &series)?;
    let range = ask.from.millis()..ask.until.millis();
    let mut all = true;
    let mut within = FxHashSet::default();
    let included: Vec<bool> = windows
        .rows
        .iter()
        .map(|window| {
            if !sources[window.source as usize] {
                return false;
            }
            let fresh = !seen.contains(&window.id)
                && !before.contains(&window.id)
                && within.insert(window.id);
            let included = fresh && range.contains(&window.start_ms);
            all &= included;
            included
        })
        .collect();
    if !included.contains(&true) {
        return Ok(None);
    }
    Ok(Some(Head {
        series,
        wanted,
        windows: Some(windows),
        included,
        all,
    }))
}

fn show<V: Visitor>(
    head: &Head,
    (values, nodes, frames): (Option<Group>, Option<Group>, Option<Group>),
    sums: bool,
    visitor: &mut V,
) -> Result<()> {
    let dictionary = match (&nodes, &frames) {
        (Some(nodes), Some(frames)) => Some(Dictionary::read(nodes, frames)?),
        _ => None,
    };
    let values = match (&values, &head.windows) {
        (Some(values), _) if sums => Some(Values::sums(values, &head.series, dictionary.as_ref())?),
        (Some(values), Some(windows)) => Some(Values::samples(
            values,
            &head.series,
            windows,
            dictionary.as_ref(),
        )?),
        _ => None,
    };
    visitor.visit(&View {
        series: &head.series,
        wanted: &head.wanted,
        windows: head.windows.as_ref(),
        included: &head.included,
        dictionary: dictionary.as_ref(),
        values: values.as_ref(),
    })
}
