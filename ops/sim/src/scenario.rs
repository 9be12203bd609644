//! The scenario of a history, drawn from its seed: processes, windows, options and faults.

use crate::faults::Faults;
use crate::windows::{WINDOWS_MAX, Window};
use davy_archive::ArchiveOptions;
use davy_archive::plan::Policy;
use davy_archive::plan::retention::Retention;
use davy_base::{Random, Timestamp};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// 2026-01-05T00:00:00Z.
const FIRST_DAY: Timestamp = Timestamp::from_seconds(1_767_571_200);

/// From the first day to the day before the last one of its month.
const TO_LAST_DAYS: Duration = Duration::from_hours(25 * 24);

/// A history.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// When it begins.
    pub(crate) start: Timestamp,
    /// The time within which windows begin.
    pub(crate) active: Duration,
    /// Duration of fault injection.
    pub(crate) faulty: Duration,
    /// Faults of requests until then.
    pub(crate) faults: Faults,
    /// Probability, in 1/100,000, that a process is killed after each step.
    pub(crate) kills: u64,
    /// Probability, in 1/100,000, that a process is paused after each step.
    pub(crate) pauses: u64,
    /// By how much the clock of each host differs from the true time, in seconds.
    pub(crate) skews: Vec<i64>,
    /// The versions of the software, between which a restart switches.
    pub(crate) versions: [Version; 2],
    /// Maximum age of a pushed window.
    pub(crate) accepted: Duration,
    /// How long each level is kept.
    pub(crate) levels: Retention,
    /// Time for which a block must have been readable before its inputs are deleted.
    pub(crate) grace: Duration,
    /// Time between two rounds of a compactor until there are no more faults.
    pub(crate) interval: Duration,
    /// The same from then on.
    pub(crate) slow_interval: Duration,
    /// Number of readers.
    pub(crate) readers: usize,
    /// The windows.
    pub(crate) windows: Vec<Window>,
}

/// What differs between two versions of the software.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    writer: String,
    policy: Policy,
    flush_interval: Duration,
    flush_bytes: usize,
    merge_rows: usize,
    cache_bytes: usize,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disturbance {
    /// It is killed, and the next one starts after this time.
    Kill(Duration),
    /// It is paused for this time.
    Pause(Duration),
}

/// A number from `from` to `to`, both included.
fn between(random: &mut Random, from: u64, to: u64) -> u64 {
    from + random.below(to - from + 1)
}

fn minutes(random: &mut Random, from: u64, to: u64) -> Duration {
    Duration::from_secs(between(random, from * 60, to * 60))
}

/// True with a probability of `percent`.
fn is(random: &mut Random, percent: u64) -> bool {
    random.below(100) < percent
}

fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

impl Version {
    fn draw(random: &mut Random, name: &str, grace: Duration) -> Self {
        Self {
            writer: name.to_owned(),
            policy: Policy {
                segments: between(random, 1, 4) as usize,
                segments_at_once: pick(random, &[2, 2, 3, 256]),
                segment_bytes: pick(random, &[6_000, 8 << 20]),
                settle: minutes(random, 0, 5),
                ratio: between(random, 0, 4),
                grace,
                day_settle: minutes(random, 0, 120),
                late_settle: minutes(random, 0, 90),
                month_settle: minutes(random, 0, 120),
                month_days: pick(random, &[1, 1, 2]),
                month_kept: pick(random, &[Duration::ZERO, HOUR]),
            },
            flush_interval: Duration::from_millis(between(random, 0, 10_000)),
            flush_bytes: pick(random, &[1, 32 << 20]),
            merge_rows: pick(random, &[1, 2, 1_000_000]),
            cache_bytes: pick(random, &[0, 8 << 20]),
        }
    }

    /// Sets the options of this version.
    pub(crate) fn apply(&self, options: &mut ArchiveOptions) {
        options.writer.clone_from(&self.writer);
        options.policy = self.policy;
        options.flush_interval = self.flush_interval;
        options.flush_bytes = self.flush_bytes;
        options.merge_rows = self.merge_rows;
        options.cache_bytes = self.cache_bytes;
    }
}

impl Scenario {
    /// The history of a seed.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut start = FIRST_DAY.plus(minutes(random, 0, 24 * 60));
        if is(random, 60) {
            // Month blocks expire with the first day, so most begin on the last one.
            start = start.plus(TO_LAST_DAYS + HOUR * pick(random, &[0, 24, 24]));
        }
        let active = minutes(random, 60, 8 * 60);
        let grace = pick(random, &[20 * MINUTE, HOUR]);
        let accepted = pick(random, &[6 * HOUR, 10 * HOUR]);
        let hours = accepted + 24 * HOUR + pick(random, &[Duration::ZERO, 12 * HOUR]);
        let levels = Retention {
            windows: Duration::ZERO,
            hours,
            days: hours + 12 * HOUR,
        };
        let levels = levels.with_accepted(accepted);
        // In most histories, faults end within twelve hours of the last window.
        let faulty = match random.below(10) {
            0 => Duration::ZERO,
            1..7 => active + minutes(random, 0, 12 * 60),
            7..9 => active + minutes(random, 0, 48 * 60),
            _ => active + minutes(random, 0, 96 * 60),
        };
        let mut scenario = Self {
            start,
            active,
            faulty,
            faults: draw_faults(random, grace, start.plus(active / 2)),
            kills: pick(random, &[0, 20, 200, 1_000]),
            pauses: pick(random, &[0, 500, 2_000, 5_000]),
            skews: Vec::new(),
            versions: [
                Version::draw(random, "1", grace),
                Version::draw(random, "2", grace),
            ],
            accepted,
            levels,
            grace,
            // Compaction rounds dominate the run time of a history.
            interval: minutes(random, 5, 40).max(faulty / 30),
            slow_interval: minutes(random, 150, 240),
            readers: between(random, 1, 2) as usize,
            windows: Vec::new(),
        };
        let skew = if is(random, 50) {
            scenario.skew()
        } else {
            Duration::ZERO
        };
        let skew = skew.as_secs() as i64;
        for _ in 0..pick(random, &[1, 2, 3, 3]) {
            let seconds = random.below(2 * skew.unsigned_abs() + 1) as i64;
            scenario.skews.push(seconds - skew);
        }
        scenario.draw_windows(random);
        scenario
    }

    /// Draws whether a process is killed or paused after a step; in most cases neither.
    pub(crate) fn disturbance(&self, random: &mut Random) -> Option<Disturbance> {
        let kind = random.below(100_000);
        if kind >= self.kills + self.pauses {
            return None;
        }
        let mut below = |seconds: u64| Duration::from_secs(random.below(seconds));
        if kind >= self.kills {
            let longest = if below(4).is_zero() {
                HOUR / 12
            } else {
                self.grace * 2
            };
            return Some(Disturbance::Pause(below(longest.as_secs())));
        }
        let longest = match below(50).as_secs() {
            0 => 30 * HOUR,
            1..6 => 3 * HOUR,
            _ => Duration::from_mins(2),
        };
        Some(Disturbance::Kill(below(longest.as_secs())))
    }

    /// The maximum error of clocks. Together with the lag of listings it is less than the grace period.
    pub(crate) fn skew(&self) -> Duration {
        self.grace / 12
    }

    fn draw_windows(&mut self, random: &mut Random) {
        // Few hours, so that each has several segments.
        let hot: Vec<Duration> = (0..pick(random, &[1, 1, 2]))
            .map(|_| Duration::from_secs(random.below(self.active.as_secs())))
            .collect();
        let count = (between(random, 2, 12) as usize).min(WINDOWS_MAX);
        for _ in 0..count {
            let mut start = self.start.plus(pick(random, &hot));
            if is(random, 30) {
                // Around the end of an hour.
                start = start.floor(HOUR).plus(HOUR).minus(minutes(random, 0, 2));
                start = start.plus(minutes(random, 0, 2));
            } else {
                start = start.plus(minutes(random, 0, 40));
            }
            let late = match random.below(10) {
                0..7 => Duration::from_secs(10),
                7..9 => minutes(random, 1, 120),
                _ => minutes(random, 1, self.accepted.as_secs() / 60 - 30),
            };
            let push_at = start.plus(late);
            self.windows.push(Window {
                service: pick(random, &["api", "web"]),
                push_at,
                // If the process is paused, such a window begins hours later.
                start: (self.pauses > 0 || !is(random, 15)).then_some(start),
                tried: None,
                last: push_at,
                acknowledged: None,
            });
        }
    }

    /// The end of the last day that has windows.
    pub(crate) fn last_day_end(&self) -> Timestamp {
        const DAY: Duration = Duration::from_hours(24);
        let last = self.windows.iter().map(|window| window.push_at).max();
        let last = last.unwrap_or(self.start).plus(HOUR);
        last.floor(DAY).plus(DAY)
    }

    /// The longest time that a version lets pass between the end of a day, or a late window, and the merge of its day.
    pub(crate) fn merged_after(&self) -> Duration {
        let of = |version: &Version| {
            let policy = &version.policy;
            policy.day_settle + policy.late_settle * 4
        };
        let rounds = self.slow_interval * 4;
        self.versions.iter().map(of).max().unwrap_or_default() + rounds + self.grace
    }
}

fn draw_faults(random: &mut Random, grace: Duration, middle: Timestamp) -> Faults {
    let mut share = |most: u64| {
        if is(random, 60) {
            random.below(most)
        } else {
            0
        }
    };
    let (refused, lost, slow, hung) = (share(100), share(100), share(60), share(10));
    let outage = if is(random, 20) {
        let from = middle.plus(minutes(random, 0, 12 * 60));
        from..from.plus(minutes(random, 1, 180))
    } else {
        middle..middle
    };
    Faults {
        outage,
        refused,
        lost,
        slow,
        hung,
        late: pick(random, &[0, 300, 1_000]),
        lag: grace / 2,
    }
}
