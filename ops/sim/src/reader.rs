//! A reader: queries ranges, and checks the answers.

use crate::fleet::Running;
use crate::windows::{Answer, Counts, value};
use crate::world::World;
use davy_archive::Archive;
use davy_archive::key::{Day, Hour, Month, Tenant};
use davy_archive::query::{Ask, Report, flame};
use davy_archive::selector::Selector;
use davy_archive::types::TypeFilter;
use davy_base::Timestamp;
use davy_profile::FlameTree;
use davy_profile::flame::Grain;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A range of time.
pub(crate) type Span = Range<Timestamp>;

/// Queries random ranges until `end`, and checks the answers.
pub(crate) async fn read_until(world: Rc<World>, end: Timestamp) {
    let pause = end.since(world.clock.now()) / 3;
    loop {
        world.clock.sleep(world.span(pause)).await;
        if world.clock.now() >= end {
            return;
        }
        let span = random_span(&world);
        let Some(of) = world.fleet.any() else {
            continue;
        };
        if let Some(answer) = ask(&world, &of, span).await {
            world.check(&answer);
        }
    }
}

/// The month that contains a time.
pub(crate) fn month_of(time: Timestamp) -> Month {
    Month::of(Day::of(Hour::of(time)))
}

/// A range: everything, whole months, whole days, whole hours or any part.
pub(crate) fn random_span(world: &World) -> Span {
    let now = world.clock.now();
    let whole = world.scenario.start.minus(HOUR)..now.plus(HOUR);
    let within = || whole.start.plus(world.span(whole.end.since(whole.start)));
    let (a, b) = (within(), within());
    let (a, b) = (a.min(b), a.max(b));
    let ms = Duration::from_millis(1);
    match world.below(6) {
        0 => whole,
        4 | 5 => month_of(a).start()..month_of(b).end(),
        1 => a.floor(DAY)..b.floor(DAY).plus(DAY),
        2 => a.floor(HOUR)..b.floor(HOUR).plus(HOUR),
        _ => a.floor(ms)..b.floor(ms).plus(ms),
    }
}

/// Queries a range; `None` if the query fails.
pub(crate) async fn ask(world: &Rc<World>, of: &Running, span: Span) -> Option<Answer> {
    let began = world.clock.now();
    let asked = span.start.millis()..span.end.millis();
    let (_, answered) = world.fleet.call(of, move |archive| query(archive, span));
    // A process that is killed does not answer.
    let answered = answered.await.ok();
    let counted = match answered {
        Some(Ok(counted)) => counted,
        Some(Err(why)) => {
            world.event(|| format!("reader: {why}"));
            world.count(|totals| totals.failed += 1);
            return None;
        }
        None => return None,
    };
    let (counts, report) = match counted {
        Ok(counted) => counted,
        Err(why) => {
            world.fail(why);
            return None;
        }
    };
    world.count(|totals| {
        totals.answers += 1;
        totals.partial += u64::from(!report.partial.is_empty());
    });
    world.event(|| format!("reader: {of:?} counted {counts:?} of {asked:?}, {report:?}"));
    Some(Answer {
        asked,
        effective: report.effective,
        began,
        ended: world.clock.now(),
        counts,
        windows: report.windows,
        partial: report.partial,
    })
}

/// The outer error is a failed query, which may happen; the inner one is a wrong result, which may not.
type Counted = Result<Result<(Counts, Report), String>, String>;

async fn query(archive: Archive, span: Span) -> Counted {
    let ask = Ask {
        tenant: Tenant::anonymous(),
        kind: TypeFilter::parse("cpu"),
        selector: Selector::default(),
        from: span.start,
        until: span.end,
        by: Vec::new(),
    };
    let merged = flame(&archive.query(), &ask, Grain::Function).await;
    let (flame, report) = merged.map_err(|error| error.to_string())?;
    Ok(counts(&flame.tree).map(|counts| (counts, report)))
}

/// How often each window is counted in a tree. The name of the function of a window has the number of the window, and
/// the function's value must be a multiple of the window's value.
fn counts(tree: &FlameTree) -> Result<Counts, String> {
    let mut counts = Counts::new();
    let nodes = tree.values.iter().zip(tree.stacks.items()).skip(1);
    for (found, frame) in nodes.filter(|(found, _)| **found != 0) {
        let name = tree.frame_name(*frame);
        let number = name.strip_prefix('w').and_then(|text| text.parse().ok());
        let Some(number) = number else {
            return Err(format!("unexpected value in frame {name}: {found}"));
        };
        if found % value(number) != 0 {
            return Err(format!(
                "value {found} of {name} is not a multiple of the window's value"
            ));
        }
        *counts.entry(number).or_default() += found / value(number);
    }
    Ok(counts)
}
