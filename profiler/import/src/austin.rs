//! The headers that Austin writes as comments into folded stacks: `# mode: wall`.
//!
//! Format: <https://github.com/P403n1x87/austin>. Its time metrics are microseconds, its memory metric
//! is bytes.

use crate::builder::Builder;
use crate::decimal;
use crate::{Error, Named, Options};
use davy_profile::{LabelSetId, folded};

/// The headers read so far.
#[derive(Default)]
pub(crate) struct Headers {
    mode: Mode,
    interval_micros: i64,
    duration_micros: i64,
}

#[derive(Clone, Copy, Default)]
enum Mode {
    #[default]
    Unknown,
    Wall,
    Cpu,
    Memory,
    /// Three counts in each line.
    Full,
}

/// What the counts measure.
pub(crate) struct Metric<'a> {
    name: &'static str,
    kind: &'a str,
    unit: &'a str,
    /// Units per count.
    pub(crate) scale: i64,
}

impl Headers {
    /// Reads a header; ignores unknown ones.
    pub(crate) fn read(&mut self, key: &str, value: &str) {
        let number = || value.parse::<i64>().unwrap_or(0).max(0);
        match key {
            "mode" => {
                self.mode = match value {
                    "wall" => Mode::Wall,
                    "cpu" => Mode::Cpu,
                    "memory" => Mode::Memory,
                    "full" => Mode::Full,
                    _ => Mode::Unknown,
                }
            }
            "interval" => self.interval_micros = number(),
            "duration" => self.duration_micros = number(),
            _ => {}
        }
    }

    /// Whether each line has three counts.
    pub(crate) fn is_full(&self, options: &Options<'_>) -> bool {
        options.headers && matches!(self.mode, Mode::Full)
    }

    /// What the counts measure: what the mode states, or what the options state.
    pub(crate) fn metric<'a>(&self, options: &Options<'a>) -> Metric<'a> {
        let (name, kind, unit, scale) = match self.mode {
            Mode::Wall if options.headers => ("wall", "wall", "nanoseconds", 1_000),
            Mode::Cpu if options.headers => ("process_cpu", "cpu", "nanoseconds", 1_000),
            Mode::Memory if options.headers => ("memory", "alloc_space", "bytes", 1),
            _ => ("", options.kind, options.unit, options.scale),
        };
        Metric {
            name,
            kind,
            unit,
            scale,
        }
    }

    /// Duration of the recording, 0 if unknown.
    pub(crate) fn duration_nanos(&self) -> i64 {
        self.duration_micros.saturating_mul(1_000)
    }
}

impl Metric<'_> {
    /// A builder of a profile with this metric.
    pub(crate) fn builder(&self, headers: &Headers, options: &Options<'_>) -> Builder {
        let (period_type, period) = match self.name {
            "" => ((self.kind, self.unit), self.scale),
            "memory" => (("space", "bytes"), 0),
            _ => (
                (self.kind, self.unit),
                headers.interval_micros.saturating_mul(1_000),
            ),
        };
        Builder::new(
            self.name,
            &[(self.kind, self.unit)],
            period_type,
            period,
            options,
        )
    }
}

/// The profiles of the mode `full`, whose lines have three counts: microseconds, 1 if the thread is
/// idle, and the change of the memory in bytes.
pub(crate) struct Full {
    wall: Builder,
    cpu: Builder,
    memory: Builder,
}

impl Full {
    pub(crate) fn new(headers: &Headers, options: &Options<'_>) -> Self {
        let time = |name, kind| {
            let period = headers.interval_micros.saturating_mul(1_000);
            Builder::new(
                name,
                &[(kind, "nanoseconds")],
                (kind, "nanoseconds"),
                period,
                options,
            )
        };
        let memory = [("alloc_space", "bytes")];
        Self {
            wall: time("wall", "wall"),
            cpu: time("process_cpu", "cpu"),
            memory: Builder::new("memory", &memory, ("space", "bytes"), 0, options),
        }
    }

    /// Adds a line. Returns the reason if its counts are invalid.
    pub(crate) fn add(&mut self, stack: &str, counts: &str) -> Result<Option<&'static str>, Error> {
        let mut parts = counts.split(',');
        let (Some(micros), Some(idle), Some(bytes), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Ok(Some("the mode full has three counts in a line"));
        };
        let (Ok(nanos), Ok(bytes)) = (
            decimal::product(micros, 1_000),
            decimal::signed_product(bytes, 1),
        ) else {
            return Ok(Some(
                "a count is negative, not a number, or exceeds 64 bits",
            ));
        };
        add(&mut self.wall, stack, nanos)?;
        if idle == "0" {
            add(&mut self.cpu, stack, nanos)?;
        }
        // Freed memory is negative. The profile has the allocated memory.
        if bytes > 0 {
            add(&mut self.memory, stack, bytes)?;
        }
        Ok(None)
    }

    /// The profiles that have samples.
    pub(crate) fn finish(self, headers: &Headers) -> impl Iterator<Item = Named> {
        let duration = headers.duration_nanos();
        let filled = [self.cpu, self.wall, self.memory]
            .into_iter()
            .filter(|builder| !builder.is_empty());
        filled.map(move |mut builder| {
            builder.profile_mut().duration_nanos = duration;
            builder.finish()
        })
    }
}

fn add(builder: &mut Builder, stack: &str, value: i64) -> Result<(), Error> {
    let node = builder.stack(folded::frames(stack))?;
    builder.add(node, LabelSetId(0), &[value])
}
