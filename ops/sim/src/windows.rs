//! The windows that clients push, and which of them a query must count.

use bytes::Bytes;
use davy_archive::ingest::{Format, Push, SampleTypes, WindowIdentity};
use davy_base::Timestamp;
use davy_profile::{Profile, pprof};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Maximum number of windows: the value of each is a digit of a number of 62 bits.
pub(crate) const WINDOWS_MAX: usize = 31;

/// A window of a client.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Its service.
    pub(crate) service: &'static str,
    /// When it is pushed for the first time.
    pub(crate) push_at: Timestamp,
    /// The start that the profile states; without one, the window begins when it arrives.
    pub(crate) start: Option<Timestamp>,
    /// When the client first tried to push it.
    pub(crate) tried: Option<Timestamp>,
    /// When the client last tried, or received the last response.
    pub(crate) last: Timestamp,
    /// When the client received the acknowledgement.
    pub(crate) acknowledged: Option<Timestamp>,
}

/// How often a query counted each window, by the number of the window.
pub(crate) type Counts = BTreeMap<usize, i64>;

/// A query that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The range that was asked for, in milliseconds since the epoch.
    pub(crate) asked: Range<i64>,
    /// The range that was counted.
    pub(crate) effective: Range<i64>,
    /// When the query began.
    pub(crate) began: Timestamp,
    /// When it was answered.
    pub(crate) ended: Timestamp,
    /// What it counted.
    pub(crate) counts: Counts,
    /// The number of windows that it states.
    pub(crate) windows: u64,
    /// What it reports as missing.
    pub(crate) partial: Vec<String>,
}

/// Bounds of visibility and clock errors within which a query must be right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// How long a listing may lack a write.
    pub(crate) lag: std::time::Duration,
    /// The maximum error of clocks.
    pub(crate) skew: std::time::Duration,
    /// How long windows are kept after the end of their day.
    pub(crate) days: std::time::Duration,
}

/// The value of a window: a digit of its own in the sum, to the base of 4.
pub(crate) fn value(number: usize) -> i64 {
    1 << (2 * number)
}

impl Window {
    /// The times at which it may begin, both included.
    fn starts(&self, skew: std::time::Duration) -> (i64, i64) {
        match (self.start, self.tried) {
            (Some(start), _) => (start.millis(), start.millis()),
            (None, Some(tried)) => (tried.minus(skew).millis(), self.last.plus(skew).millis()),
            (None, None) => (i64::MAX, i64::MIN),
        }
    }

    /// The push of this window.
    pub(crate) fn push(&self, number: usize) -> Push {
        let labels: Arc<[(String, String)]> = [
            ("service_name".to_owned(), self.service.to_owned()),
            ("__name__".to_owned(), "process_cpu".to_owned()),
        ]
        .into();
        Push {
            labels,
            identity: WindowIdentity::Client(format!("window {number}")),
            span: None,
            format: Format::Pprof(SampleTypes::default()),
            body: body(number, self.start),
        }
    }
}

/// A profile with one sample, in a function whose name has the number of the window.
fn body(number: usize, start: Option<Timestamp>) -> Bytes {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    profile.period_type.kind = profile.strings.intern("cpu");
    profile.period_type.unit = profile.strings.intern("nanoseconds");
    profile.period = 10_000_000;
    profile.time_nanos = start.map_or(0, Timestamp::nanos);
    profile.duration_nanos = 10_000_000_000;
    let stack: Vec<u32> = ["main", &format!("w{number}")]
        .map(|name| profile.named_location(name))
        .into();
    let stack = profile.stack(stack);
    let labels = profile.text_labels(&[]);
    profile.add_sample(stack, labels, &[value(number)]);
    pprof::encode(&profile).into()
}

/// Checks an answer: every acknowledged window of the effective range was counted once, unless the answer says that
/// something is missing, and everything that was counted is in the effective range.
pub(crate) fn check(windows: &[Window], answer: &Answer, of: Tolerance) -> Result<(), String> {
    let Answer {
        asked, effective, ..
    } = answer;
    if effective.start > asked.start || effective.end < asked.end {
        return Err(format!(
            "effective range {effective:?} is less than {asked:?}"
        ));
    }
    if let Some(unknown) = answer
        .counts
        .keys()
        .find(|number| **number >= windows.len())
    {
        return Err(format!("window {unknown} was never pushed"));
    }
    let counted: i64 = answer.counts.values().sum();
    if counted != answer.windows as i64 {
        let stated = answer.windows;
        return Err(format!(
            "the response states {stated} windows, but counts {counted}"
        ));
    }
    for (number, window) in windows.iter().enumerate() {
        let count = answer.counts.get(&number).copied().unwrap_or(0);
        let (first, last) = window.starts(of.skew);
        let can_be_in = window.tried.is_some() && first < effective.end && last >= effective.start;
        if count > i64::from(can_be_in) {
            return Err(format!("window {number} counted {count} times: {window:?}"));
        }
        let is_in = first >= effective.start && last < effective.end;
        let acknowledged = window.acknowledged;
        let is_visible = acknowledged.is_some_and(|at| at.plus(of.lag) <= answer.began);
        let day = Timestamp::from_millis(first).floor(std::time::Duration::from_hours(24));
        let kept = day.plus(of.days + std::time::Duration::from_hours(24));
        let is_kept = kept > answer.ended.plus(of.skew);
        if count == 0 && is_in && is_visible && is_kept && answer.partial.is_empty() {
            return Err(format!("window {number} is missing: {window:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const OF: Tolerance = Tolerance {
        lag: Duration::from_secs(10),
        skew: Duration::ZERO,
        days: Duration::from_hours(24),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// Whether an answer of the range from 0 s to 100 s with one window, of 50 s, is right.
    fn is_right(change: impl Fn(&mut Window, &mut Answer)) -> bool {
        let mut window = Window {
            service: "web",
            push_at: at(60),
            start: Some(at(50)),
            tried: Some(at(60)),
            last: at(61),
            acknowledged: Some(at(61)),
        };
        let mut answer = Answer {
            asked: 0..100_000,
            effective: 0..100_000,
            began: at(80),
            ended: at(81),
            counts: [(0, 1)].into(),
            windows: 1,
            partial: Vec::new(),
        };
        change(&mut window, &mut answer);
        check(&[window], &answer, OF).is_ok()
    }

    fn nothing(answer: &mut Answer) {
        (answer.counts, answer.windows) = (Counts::new(), 0);
    }

    #[test]
    fn acknowledged_window_must_be_counted_once_unless_the_answer_is_partial() {
        assert!(is_right(|_, _| ()));
        assert!(!is_right(|_, answer| nothing(answer)));
        assert!(is_right(|_, answer| {
            nothing(answer);
            answer.partial.push("unreadable".to_owned());
        }));
        assert!(is_right(|_, answer| {
            nothing(answer);
            answer.began = at(70);
        }));
        assert!(!is_right(|_, answer| {
            (answer.counts, answer.windows) = ([(0, 2)].into(), 2);
        }));
        assert!(!is_right(|_, answer| answer.windows = 2));
    }

    #[test]
    fn unacknowledged_window_may_be_counted_once_or_not_at_all() {
        assert!(is_right(|window, _| window.acknowledged = None));
        assert!(is_right(|window, answer| {
            window.acknowledged = None;
            nothing(answer);
        }));
        assert!(!is_right(
            |window, _| (window.acknowledged, window.tried) = (None, None)
        ));
    }

    #[test]
    fn counted_window_must_be_in_the_effective_range_which_contains_the_requested_range() {
        assert!(!is_right(|_, answer| {
            (answer.asked, answer.effective) = (60_000..100_000, 60_000..100_000);
        }));
        assert!(is_right(|_, answer| answer.asked = 60_000..100_000));
        assert!(!is_right(|_, answer| answer.effective = 10_000..100_000));
    }

    #[test]
    fn window_without_a_start_may_begin_at_any_of_its_pushes() {
        assert!(is_right(|window, answer| {
            window.start = None;
            (answer.asked, answer.effective) = (61_000..100_000, 61_000..100_000);
            nothing(answer);
        }));
        assert!(!is_right(|window, answer| {
            window.start = None;
            nothing(answer);
        }));
    }

    #[test]
    fn sums_of_all_windows_fit_into_64_bits() {
        let all: i64 = (0..WINDOWS_MAX).map(|number| 3 * value(number)).sum();
        assert_eq!(all, (1 << 62) - 1);
    }
}
