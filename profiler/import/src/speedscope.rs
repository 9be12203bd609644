//! speedscope's JSON, with sampled and evented profiles.
//!
//! Format: <https://github.com/jlfwong/speedscope/blob/main/src/lib/file-format-spec.ts>. Each profile of a
//! file has a unit of its own; profiles of the same unit become one profile, whose samples have the
//! label `profile_name`.

use crate::builder::{Builder, Path};
use crate::decimal::{self, Problem};
use crate::json::Reader;
use crate::{Error, Format, Import, Options, Skipped};
use davy_profile::{Error as ProfileError, LabelSetId};

const FORMAT: Format = Format::Speedscope;

/// Profiles in a file, usually one per thread.
const PROFILES: usize = 10_000;

/// Decodes a file.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let (mut frames, mut profiles) = (None, None);
    let mut reader = Reader::new(bytes, FORMAT);
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        match &*key {
            "shared" => {
                reader.begin_object()?;
                while let Some(key) = reader.next_key()? {
                    let value = reader.skip()?;
                    if key == "frames" {
                        frames = Some(value);
                    }
                }
            }
            "profiles" => profiles = Some(reader.skip()?),
            _ => {
                reader.skip()?;
            }
        }
    }
    reader.clone().finish()?;
    let missing = |what| Error::Missing {
        format: FORMAT,
        what,
    };
    let frames = frames.ok_or(missing("shared.frames"))?;
    let profiles = profiles.ok_or(missing("profiles"))?;
    let spans = items(frames, "frames", options.limits.nodes, |frame| {
        Ok(frame.span())
    })?;
    let headers = items(profiles, "profiles", PROFILES, Header::read)?;
    let mut targets: Vec<Target<'_>> = Vec::new();
    let mut skipped = Skipped::default();
    let several = headers.len() > 1;
    for (number, header) in headers.iter().enumerate() {
        let unit = Unit::parse(&header.unit).ok_or_else(|| Error::Invalid {
            format: FORMAT,
            item: "profile",
            index: number,
            problem: format!(
                "has the unit {:?}; expected none, nanoseconds, microseconds, milliseconds, seconds or bytes",
                header.unit
            ),
        })?;
        let at = targets
            .iter()
            .position(|t| t.unit.is_same_type(unit))
            .unwrap_or_else(|| {
                targets.push(Target::new(unit, &reader, &spans, options));
                targets.len() - 1
            });
        let target = &mut targets[at];
        target.scale = unit.scale(options);
        let label = [("profile_name", &*header.name)];
        let labels = target
            .builder
            .labels(if several { &label[..] } else { &[] })?;
        match &*header.kind {
            "sampled" => target.add_samples(number, header, labels, &mut skipped)?,
            "evented" => target.add_events(number, header, labels, &mut skipped)?,
            other => {
                let problem = format!("has the type {other:?}; expected sampled or evented");
                return Err(Error::Invalid {
                    format: FORMAT,
                    item: "profile",
                    index: number,
                    problem,
                });
            }
        }
    }
    if targets.iter().all(|target| target.builder.is_empty()) {
        return Err(missing("samples"));
    }
    let filled = targets
        .into_iter()
        .filter(|target| !target.builder.is_empty());
    Ok(Import {
        profiles: filled.map(|target| target.builder.finish()).collect(),
        skipped,
    })
}

/// Reads the items of a list of at most `limit` items.
fn items<'a, T>(
    mut list: Reader<'a>,
    what: &'static str,
    limit: usize,
    mut read: impl FnMut(Reader<'a>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    list.begin_array()?;
    while list.next_item()? {
        items.push(read(list.skip()?)?);
        let got = items.len();
        if got > limit {
            return Err(ProfileError::TooMany { what, got, limit }.into());
        }
    }
    Ok(items)
}

#[derive(Clone, Copy)]
enum Unit {
    None,
    /// Nanoseconds per unit.
    Time(i64),
    Bytes,
}

impl Unit {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "none" | "" => Self::None,
            "nanoseconds" => Self::Time(1),
            "microseconds" => Self::Time(1_000),
            "milliseconds" => Self::Time(1_000_000),
            "seconds" => Self::Time(1_000_000_000),
            "bytes" => Self::Bytes,
            _ => return None,
        })
    }

    fn is_same_type(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    fn scale(self, options: &Options<'_>) -> i64 {
        match self {
            Self::None => options.scale,
            Self::Time(nanos) => nanos,
            Self::Bytes => 1,
        }
    }

    fn builder(self, options: &Options<'_>) -> Builder {
        let (name, kind, unit) = match self {
            Self::None => return Builder::counts(options),
            Self::Time(_) => ("wall", "wall", "nanoseconds"),
            Self::Bytes => ("memory", "space", "bytes"),
        };
        let (name, kind) = if options.unit == unit {
            ("", options.kind)
        } else {
            (name, kind)
        };
        Builder::new(name, &[(kind, unit)], (kind, unit), 1, options)
    }
}

/// Header fields of a profile of the file; the lists are read later.
struct Header<'a> {
    kind: String,
    name: String,
    unit: String,
    end: Option<&'a str>,
    samples: Option<Reader<'a>>,
    weights: Option<Reader<'a>>,
    events: Option<Reader<'a>>,
}

impl<'a> Header<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, Error> {
        let mut header = Self {
            kind: String::new(),
            name: String::new(),
            unit: String::new(),
            end: None,
            samples: None,
            weights: None,
            events: None,
        };
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            match &*key {
                "type" => header.kind = reader.string()?.into_owned(),
                "name" if reader.peek() == b'"' => header.name = reader.string()?.into_owned(),
                "unit" => header.unit = reader.string()?.into_owned(),
                "endValue" if reader.peek() != b'n' => header.end = Some(reader.number()?),
                "samples" => header.samples = Some(reader.skip()?),
                "weights" => header.weights = Some(reader.skip()?),
                "events" => header.events = Some(reader.skip()?),
                _ => {
                    reader.skip()?;
                }
            }
        }
        Ok(header)
    }

    fn list(list: Option<&Reader<'a>>, what: &'static str) -> Result<Reader<'a>, Error> {
        let mut reader = list.cloned().ok_or(Error::Missing {
            format: FORMAT,
            what,
        })?;
        reader.begin_array()?;
        Ok(reader)
    }
}

/// The profile of one type of unit.
struct Target<'a> {
    unit: Unit,
    scale: i64,
    builder: Builder,
    text: Reader<'a>,
    frames: &'a [(u32, u32)],
    /// Location of each frame, `u32::MAX` until it is used.
    locations: Vec<u32>,
    /// How often each frame is open, so that an event without a counterpart is found at once. A file can have
    /// many frames and many profiles, so the profiles share it: it is zero between them.
    open: Vec<u32>,
}

impl<'a> Target<'a> {
    fn new(unit: Unit, text: &Reader<'a>, frames: &'a [(u32, u32)], options: &Options<'_>) -> Self {
        Self {
            unit,
            scale: unit.scale(options),
            builder: unit.builder(options),
            text: text.clone(),
            frames,
            locations: vec![u32::MAX; frames.len()],
            open: vec![0; frames.len()],
        }
    }

    fn invalid(item: &'static str, index: usize, problem: String) -> Error {
        Error::Invalid {
            format: FORMAT,
            item,
            index,
            problem,
        }
    }

    /// The location of a frame of the file.
    fn location(&mut self, frame: usize, item: &'static str, index: usize) -> Result<u32, Error> {
        let count = self.frames.len();
        let Some(span) = self.frames.get(frame) else {
            let problem = format!("refers to frame {frame}, but there are {count} frames");
            return Err(Self::invalid(item, index, problem));
        };
        if self.locations[frame] == u32::MAX {
            let (mut name, mut file, mut line, mut column) = (None, None, 0, 0);
            let mut reader = self.text.value_at(*span);
            reader.begin_object()?;
            while let Some(key) = reader.next_key()? {
                let is_null = reader.peek() == b'n';
                match &*key {
                    "name" => name = Some(reader.string()?),
                    "file" if !is_null => file = Some(reader.string()?),
                    "line" if !is_null => line = reader.integer()?,
                    "col" if !is_null => column = reader.integer()?,
                    _ => {
                        reader.skip()?;
                    }
                }
            }
            let (name, file) = (name.unwrap_or_default(), file.unwrap_or_default());
            self.locations[frame] = self.builder.frame_at(&name, &file, line, column)?;
        }
        Ok(self.locations[frame])
    }

    fn add_samples(
        &mut self,
        profile: usize,
        header: &Header<'_>,
        labels: LabelSetId,
        skipped: &mut Skipped,
    ) -> Result<(), Error> {
        let mut samples = Header::list(header.samples.as_ref(), "samples in a sampled profile")?;
        let mut weights = Header::list(header.weights.as_ref(), "weights in a sampled profile")?;
        let mut index = 0;
        let mut stack = Vec::new();
        while samples.next_item()? {
            if !weights.next_item()? {
                return Err(Self::invalid(
                    "profile",
                    profile,
                    format!("has only {index} weights; expected one for each sample"),
                ));
            }
            stack.clear();
            samples.begin_array()?;
            while samples.next_item()? {
                let frame = samples.index()?;
                stack.push(self.location(frame, "sample", index)?);
            }
            let weight = weights.number()?;
            match decimal::product(weight, self.scale) {
                Ok(value) => {
                    let node = self.builder.stack_of(&stack)?;
                    self.builder.add(node, labels, &[value])?;
                }
                Err(Problem::Overflow) => return Err(self.overflow("sample", index, weight)),
                Err(Problem::Negative) => skipped.add(index, "the weight is negative"),
                Err(Problem::NotANumber) => skipped.add(index, "the weight is not a number"),
            }
            index += 1;
        }
        if weights.next_item()? {
            return Err(Self::invalid(
                "profile",
                profile,
                format!("has {index} samples and more weights; expected one for each sample"),
            ));
        }
        Ok(())
    }

    fn add_events(
        &mut self,
        profile: usize,
        header: &Header<'_>,
        labels: LabelSetId,
        skipped: &mut Skipped,
    ) -> Result<(), Error> {
        let mut events = Header::list(header.events.as_ref(), "events in an evented profile")?;
        let mut path = Path::default();
        let mut open: Vec<usize> = Vec::new();
        let mut last = None;
        let mut index = 0;
        while events.next_item()? {
            let event = Event::read(&mut events)?;
            let at = self.time(event.at, "event", index)?;
            self.elapse(last, at, &path, labels).ok_or_else(|| {
                Self::invalid(
                    "event",
                    index,
                    format!("of profile {profile} is earlier than the event before it"),
                )
            })??;
            last = Some(at);
            let location = self.location(event.frame, "event", index)?;
            if event.opens {
                path.push(location, &mut self.builder)?;
                open.push(event.frame);
                self.open[event.frame] += 1;
            } else if self.open[event.frame] == 0 {
                skipped.add(index, "the event closes a frame that is not open");
            } else {
                if open.last() != Some(&event.frame) {
                    skipped.add(
                        index,
                        "the event closes a frame while inner frames are open",
                    );
                }
                // Frames inside of the closed frame cannot outlast it.
                while let Some(frame) = open.pop() {
                    self.open[frame] -= 1;
                    if frame == event.frame {
                        break;
                    }
                }
                path.truncate(open.len());
            }
            index += 1;
        }
        if let (Some(end), Some(last)) = (header.end, last) {
            // An end before the last event adds nothing.
            let end = self.time(end, "profile", profile)?.max(last);
            self.elapse(Some(last), end, &path, labels).transpose()?;
        }
        for frame in open {
            self.open[frame] -= 1;
        }
        Ok(())
    }

    /// Adds the time since the last event to the open stack. `None` if time goes backwards.
    fn elapse(
        &mut self,
        last: Option<i64>,
        at: i64,
        path: &Path,
        labels: LabelSetId,
    ) -> Option<Result<(), Error>> {
        let value = at
            .checked_sub(last.unwrap_or(at))
            .filter(|value| *value >= 0)?;
        if value == 0 || path.depth() == 0 {
            return Some(Ok(()));
        }
        let node = path.node(&mut self.builder);
        Some(node.and_then(|node| self.builder.add(node, labels, &[value])))
    }

    fn time(&self, text: &str, item: &'static str, index: usize) -> Result<i64, Error> {
        decimal::signed_product(text, self.scale).map_err(|problem| match problem {
            Problem::Overflow => self.overflow(item, index, text),
            _ => Self::invalid(
                item,
                index,
                format!("has the time {text:?}; expected a number"),
            ),
        })
    }

    fn overflow(&self, item: &str, index: usize, count: &str) -> Error {
        Error::Overflow {
            place: format!("{item} {index}"),
            count: count.to_owned(),
            scale: self.scale,
        }
    }
}

struct Event<'a> {
    opens: bool,
    frame: usize,
    at: &'a str,
}

impl<'a> Event<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let (mut opens, mut frame, mut at) = (None, None, None);
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            match &*key {
                "type" => {
                    opens = match &*reader.string()? {
                        "O" => Some(true),
                        "C" => Some(false),
                        _ => return reader.fail("expected an event of the type O or C"),
                    }
                }
                "frame" => frame = Some(reader.index()?),
                "at" => at = Some(reader.number()?),
                _ => {
                    reader.skip()?;
                }
            }
        }
        match (opens, frame, at) {
            (Some(opens), Some(frame), Some(at)) => Ok(Self { opens, frame, at }),
            _ => reader.fail("expected an event with type, frame and at"),
        }
    }
}

#[cfg(test)]
mod tests;
