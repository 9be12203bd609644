//! The settings of a recording that decide what its samples measure.

/// Interval of async-profiler's CPU samples, unless a setting states it.
const CPU_NANOS: i64 = 10_000_000;

/// Interval of async-profiler's wall-clock samples, unless a setting states it.
const WALL_NANOS: i64 = 50_000_000;

/// The settings read so far.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Whether `jdk.ExecutionSample` samples all threads, whether they run or wait.
    pub(super) samples_wall: bool,
    /// Whether there are `jdk.CPUTimeSample`, which measure what `jdk.ExecutionSample` estimates.
    pub(super) samples_cpu_time: bool,
    interval: i64,
    wall: i64,
    /// Period of `jdk.ExecutionSample` as the JDK states it.
    period: i64,
}

impl Settings {
    /// Reads a setting. `is_execution` tells whether it belongs to `jdk.ExecutionSample`.
    pub(super) fn read(&mut self, name: &str, value: &str, is_execution: bool) {
        match name {
            "event" => self.samples_wall = value == "wall",
            "interval" => self.interval = nanos(value),
            "wall" => self.wall = nanos(value),
            "period" if is_execution => self.period = nanos(value),
            _ => {}
        }
    }

    /// Whether wall-clock samples are taken beside CPU samples.
    pub(super) fn samples_both(&self) -> bool {
        !self.samples_wall && self.wall > 0
    }

    /// Nanoseconds that a sample stands for: a wall-clock sample, or one of CPU time.
    pub(super) fn nanos(&self, is_wall: bool) -> i64 {
        if self.samples_wall {
            first([self.wall, self.interval], WALL_NANOS)
        } else if is_wall {
            first([self.wall, 0], WALL_NANOS)
        } else {
            first([self.interval, self.period], CPU_NANOS)
        }
    }
}

fn first(candidates: [i64; 2], default: i64) -> i64 {
    candidates
        .into_iter()
        .find(|nanos| *nanos > 0)
        .unwrap_or(default)
}

/// Nanoseconds of `10000000`, `20 ms` or `1 s`; 0 for other texts, such as `everyChunk`.
fn nanos(text: &str) -> i64 {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => 0,
    };
    // An hour is far above what a profiler uses; a longer interval is damaged.
    let nanos = number.parse::<i64>().unwrap_or(0).saturating_mul(factor);
    if nanos > 3_600_000_000_000 { 0 } else { nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_follow_the_settings() {
        let check = |pairs: &[(&str, &str)], cpu: i64, wall: i64| {
            let mut settings = Settings::default();
            for (name, value) in pairs {
                settings.read(name, value, true);
            }
            assert_eq!(
                (settings.nanos(false), settings.nanos(true)),
                (cpu, wall),
                "{pairs:?}"
            );
        };
        check(&[], 10_000_000, 50_000_000);
        check(
            &[("event", "itimer"), ("interval", "1000000")],
            1_000_000,
            50_000_000,
        );
        check(
            &[("event", "wall"), ("interval", "7000000")],
            7_000_000,
            7_000_000,
        );
        check(
            &[("event", "cpu"), ("wall", "100000000")],
            10_000_000,
            100_000_000,
        );
        check(&[("period", "20 ms")], 20_000_000, 50_000_000);
        check(&[("period", "everyChunk")], 10_000_000, 50_000_000);
        check(
            &[("interval", "99999999999999999999")],
            10_000_000,
            50_000_000,
        );
    }
}
