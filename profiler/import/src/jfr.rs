//! Java Flight Recorder's format, as the JDK and async-profiler write it.
//!
//! A recording is a sequence of chunks, and each describes itself:
//!
//! ```text
//! chunk      = "FLR\0", version (2 x u16), size, offset of the constants, offset of the metadata,
//!              start (ns), duration (ns), start (ticks), ticks per second (8 bytes each, big-endian),
//!              features (u32; 1: integers are compressed), events
//! event      = size (int, includes itself), class (long), fields
//! metadata   = event of class 0: the classes and their fields
//! checkpoint = event of class 1: constants, such as stacks and symbols
//! ```
//!
//! The events are read in order, so the offsets in the header are not followed. Formats:
//! <https://github.com/openjdk/jdk/tree/master/src/hotspot/share/jfr>,
//! <https://github.com/async-profiler/async-profiler>.

mod constants;
mod cursor;
mod event;
mod labels;
mod metadata;
#[cfg(test)]
mod recording;
mod samples;
mod settings;

use crate::{Error, Format, Import, Options, Skipped};
use constants::Constants;
use cursor::Cursor;
use davy_profile::gzip;
use event::Event;
use labels::Contexts;
use metadata::Classes;
use samples::{Kind, Targets};
use settings::Settings;

const MAGIC: &[u8] = b"FLR\0";
const HEADER_BYTES: usize = 68;
const METADATA: i64 = 0;
const CHECKPOINT: i64 = 1;

/// Decodes a recording, which may be compressed.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let bytes = gzip::unpack(bytes, &options.limits)?;
    let contexts = Contexts::decode(options.labels, &options.limits)?;
    let mut targets = Targets::new(contexts, options);
    let mut skipped = Skipped::default();
    let (mut start, mut duration) = (i64::MAX, 0i64);
    let mut at = 0;
    while at < bytes.len() {
        let chunk = Chunk::read(&bytes[at..], at)?;
        start = start.min(chunk.start_nanos);
        duration = duration.saturating_add(chunk.duration_nanos.max(0));
        at += chunk.bytes.len();
        chunk.add_samples(&mut targets, &mut skipped, options)?;
        targets.end_chunk();
    }
    let profiles = targets.finish(start.max(0), duration);
    if profiles.is_empty() {
        return Err(Error::Missing {
            format: Format::Jfr,
            what: "samples; enable events such as jdk.ExecutionSample",
        });
    }
    Ok(Import { profiles, skipped })
}

/// A chunk, whose header has been read.
struct Chunk<'a> {
    /// The whole chunk.
    bytes: &'a [u8],
    /// Offset in the file.
    base: usize,
    start_nanos: i64,
    duration_nanos: i64,
    ticks_per_second: i64,
    compressed: bool,
}

impl<'a> Chunk<'a> {
    fn read(bytes: &'a [u8], base: usize) -> Result<Self, Error> {
        let mut header = Cursor::new(bytes, base, false);
        if !bytes.starts_with(MAGIC) {
            return header.fail("expected the start of a chunk");
        }
        if bytes.len() < HEADER_BYTES {
            return header.fail("truncated header of a chunk");
        }
        header.take(MAGIC.len())?;
        let major = header.short()?;
        if !(1..=2).contains(&major) {
            return header.fail("unsupported version; expected 1 or 2");
        }
        header.short()?;
        let size = header.long()?;
        if size == 0 {
            return header
                .fail("unfinished chunk; stop the recording, or dump it, before it is sent");
        }
        let Some(bytes) = usize::try_from(size)
            .ok()
            .filter(|size| *size >= HEADER_BYTES)
            .and_then(|size| bytes.get(..size))
        else {
            return header.fail("chunk beyond the end of the recording");
        };
        header.long()?; // offset of the constants
        header.long()?; // offset of the metadata
        let start_nanos = header.long()?;
        let duration_nanos = header.long()?;
        header.long()?; // start in ticks
        let ticks_per_second = header.long()?;
        if ticks_per_second <= 0 {
            return header.fail("invalid ticks per second");
        }
        let compressed = header.int()? & 1 != 0;
        Ok(Self {
            bytes,
            base,
            start_nanos,
            duration_nanos,
            ticks_per_second,
            compressed,
        })
    }

    /// Calls `each` with the class and the fields of each event.
    fn events(
        &self,
        mut each: impl FnMut(i64, Cursor<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut cursor = Cursor::new(self.bytes, self.base, self.compressed);
        cursor.take(HEADER_BYTES)?;
        while !cursor.is_at_end() {
            let before = cursor.remaining();
            let size = usize::try_from(cursor.int()?).unwrap_or(0);
            let Some(rest) = size
                .checked_sub(before - cursor.remaining())
                .filter(|rest| *rest > 0)
            else {
                return cursor.fail("invalid size of an event");
            };
            let mut event = cursor.nested(rest)?;
            let class = event.long()?;
            each(class, event)?;
        }
        Ok(())
    }

    fn add_samples(
        &self,
        targets: &mut Targets<'_>,
        skipped: &mut Skipped,
        options: &Options<'_>,
    ) -> Result<(), Error> {
        let mut classes = Classes::default();
        self.events(|class, mut event| match class {
            METADATA => classes.read(&mut event),
            _ => Ok(()),
        })?;
        classes.limit_steps(self.bytes.len());
        let mut constants = Constants::default();
        self.events(|class, mut event| match class {
            CHECKPOINT => constants.read(&mut event, &classes, options.limits.nodes),
            _ => Ok(()),
        })?;
        let mut settings = Settings::default();
        self.events(|class, mut event| {
            let source = classes
                .get(class)
                .and_then(|class| Source::parse(&class.name));
            settings.samples_cpu_time |= matches!(source, Some(Source::CpuTime));
            Self::read_setting(class, &mut event, &classes, &constants, &mut settings)
        })?;
        let mut index = 0;
        self.events(|class, mut event| {
            index += 1;
            let Some(source) = classes
                .get(class)
                .and_then(|class| Source::parse(&class.name))
            else {
                return Ok(());
            };
            let event = Event::read(class, &mut event, &classes)?;
            let state = constants.state(event.state);
            for kind in kinds(source, &state, &settings).into_iter().flatten() {
                let period = match event.period {
                    0 => Some(settings.nanos(kind == Kind::Wall)),
                    ticks => self.nanos(ticks),
                };
                let values = period.and_then(|period| self.values(kind, &event, period));
                let (Some(values), Some(period)) = (values, period) else {
                    skipped.add(index, "the value of the event exceeds 64 bits");
                    continue;
                };
                targets.add(kind, &event, &values[..kind.width()], period, &constants)?;
            }
            Ok(())
        })
    }

    fn read_setting(
        class: i64,
        event: &mut Cursor<'a>,
        classes: &Classes,
        constants: &Constants<'a>,
        settings: &mut Settings,
    ) -> Result<(), Error> {
        if classes
            .get(class)
            .is_none_or(|class| class.name != "jdk.ActiveSetting")
        {
            return Ok(());
        }
        let (mut id, mut name, mut value) = (0, cursor::Text::Empty, cursor::Text::Empty);
        classes.fields(class, event, |field, shape, event| {
            match field {
                "id" => id = classes.number(shape, event)?,
                "name" => name = classes.text(shape, event)?,
                "value" => value = classes.text(shape, event)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let is_execution = classes
            .get(id)
            .is_some_and(|class| class.name == "jdk.ExecutionSample");
        settings.read(
            &constants.string(name),
            &constants.string(value),
            is_execution,
        );
        Ok(())
    }

    /// The values of an event for a kind of profile, which may use the first only. `None` if a value
    /// exceeds 64 bits.
    fn values(&self, kind: Kind, event: &Event, period: i64) -> Option<[i64; 2]> {
        let bytes = match kind {
            Kind::Cpu | Kind::Wall => {
                return Some([event.samples.max(1).checked_mul(period)?, 0]);
            }
            Kind::Mutex | Kind::Block => return Some([1, self.nanos(event.duration)?]),
            Kind::AllocInNewTlab => event.tlab_size,
            Kind::AllocOutsideTlab | Kind::Malloc => event.size,
            Kind::AllocSample => event.weight,
            Kind::Live => 0,
        };
        Some([1, bytes.max(0)])
    }

    /// Nanoseconds of a number of ticks.
    fn nanos(&self, ticks: i64) -> Option<i64> {
        let nanos = i128::from(ticks.max(0)) * 1_000_000_000 / i128::from(self.ticks_per_second);
        i64::try_from(nanos).ok()
    }
}

/// The profiles that an event belongs to.
///
/// async-profiler 3.0 writes wall-clock samples as `jdk.ExecutionSample` too, also beside CPU samples;
/// only the latter have the state `STATE_DEFAULT`. A thread that a wall-clock sample finds running
/// uses a CPU, so without CPU samples the sample counts for both profiles. Java 25 writes
/// `jdk.CPUTimeSample`, beside `jdk.ExecutionSample` if both are enabled; then the former count.
fn kinds(source: Source, state: &str, settings: &Settings) -> [Option<Kind>; 2] {
    let sleeps = state == "STATE_SLEEPING";
    let kind = match source {
        Source::Execution if settings.samples_wall => {
            let is_cpu = !sleeps && !settings.samples_cpu_time;
            return [Some(Kind::Wall), is_cpu.then_some(Kind::Cpu)];
        }
        Source::Execution if settings.samples_both() && state != "STATE_DEFAULT" => Kind::Wall,
        Source::Execution if sleeps || settings.samples_cpu_time => return [None, None],
        Source::Execution | Source::CpuTime => Kind::Cpu,
        Source::Wall => Kind::Wall,
        Source::AllocInNewTlab => Kind::AllocInNewTlab,
        Source::AllocOutsideTlab => Kind::AllocOutsideTlab,
        Source::AllocSample => Kind::AllocSample,
        Source::Live => Kind::Live,
        Source::Malloc => Kind::Malloc,
        Source::MonitorEnter => Kind::Mutex,
        Source::ThreadPark => Kind::Block,
    };
    [Some(kind), None]
}

/// The events that are decoded.
#[derive(Clone, Copy)]
enum Source {
    Execution,
    CpuTime,
    Wall,
    AllocInNewTlab,
    AllocOutsideTlab,
    AllocSample,
    Live,
    Malloc,
    MonitorEnter,
    ThreadPark,
}

impl Source {
    fn parse(class: &str) -> Option<Self> {
        Some(match class {
            "jdk.ExecutionSample" => Self::Execution,
            "jdk.CPUTimeSample" => Self::CpuTime,
            "profiler.WallClockSample" => Self::Wall,
            "jdk.ObjectAllocationInNewTLAB" => Self::AllocInNewTlab,
            "jdk.ObjectAllocationOutsideTLAB" => Self::AllocOutsideTlab,
            "jdk.ObjectAllocationSample" => Self::AllocSample,
            "profiler.LiveObject" => Self::Live,
            // `profiler.Free` has no size, and is often about a block of another recording.
            "profiler.Malloc" => Self::Malloc,
            "jdk.JavaMonitorEnter" => Self::MonitorEnter,
            "jdk.ThreadPark" => Self::ThreadPark,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
