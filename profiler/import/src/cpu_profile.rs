//! V8's CPU profile, `.cpuprofile`, as Chrome and Node write it.
//!
//! Format: <https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile>. Times are
//! microseconds. A sample lasts until the next one, the last one until the end of the profile.

use crate::builder::{Builder, CallTree};
use crate::json::Reader;
use crate::{Error, Format, Import, Options, Skipped, v8};
use davy_profile::{Error as ProfileError, LabelSetId, NodeId};
use rustc_hash::FxHashMap;

const FORMAT: Format = Format::CpuProfile;

/// Name of the node that stands for waiting in the event loop.
const IDLE: &str = "(idle)";

/// Nanoseconds of a microsecond.
const MICRO: i64 = 1_000;

/// A node of the call tree.
struct Node {
    id: i64,
    parent: Option<u32>,
    hits: i64,
    /// Range of the call frame in the text.
    frame: (u32, u32),
}

/// The lists and times of a profile.
struct Parts<'a> {
    text: Reader<'a>,
    nodes: Vec<Node>,
    index: FxHashMap<i64, u32>,
    samples: Option<Reader<'a>>,
    deltas: Option<Reader<'a>>,
    start: i64,
    end: i64,
}

/// Samples and microseconds of a node.
type Sums = (i64, i64);

/// Decodes a profile into `process_cpu` and `wall`; the former lacks the time when the thread was idle.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let parts = Parts::read(bytes, options)?;
    let mut skipped = Skipped::default();
    let sums = match (&parts.samples, &parts.deltas) {
        (Some(samples), Some(deltas)) => {
            parts.timed(samples.clone(), deltas.clone(), &mut skipped)?
        }
        _ => parts.counted()?,
    };
    let mut profiles = Vec::new();
    for (name, kind, with_idle) in [("process_cpu", "cpu", false), ("wall", "wall", true)] {
        let mut builder = parts.build(name, kind, with_idle, &sums, options)?;
        if !builder.is_empty() {
            let micros = parts.end.saturating_sub(parts.start).max(0);
            builder.profile_mut().duration_nanos = micros.saturating_mul(MICRO);
            profiles.push(builder.finish());
        }
    }
    if profiles.is_empty() {
        return Err(Error::Missing {
            format: FORMAT,
            what: "samples",
        });
    }
    Ok(Import { profiles, skipped })
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8], options: &Options<'_>) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, FORMAT);
        let mut parts = Self {
            text: reader.clone(),
            nodes: Vec::new(),
            index: FxHashMap::default(),
            samples: None,
            deltas: None,
            start: 0,
            end: 0,
        };
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            match &*key {
                "nodes" => parts.read_nodes(&mut reader, options)?,
                "samples" if reader.peek() == b'[' => parts.samples = Some(reader.skip()?),
                "timeDeltas" if reader.peek() == b'[' => parts.deltas = Some(reader.skip()?),
                "startTime" => parts.start = reader.integer()?,
                "endTime" => parts.end = reader.integer()?,
                _ => {
                    reader.skip()?;
                }
            }
        }
        reader.finish()?;
        Ok(parts)
    }

    fn read_nodes(&mut self, reader: &mut Reader<'a>, options: &Options<'_>) -> Result<(), Error> {
        // Nodes with the id of a child, or of their parent.
        let (mut children, mut parents) = (Vec::new(), Vec::new());
        reader.begin_array()?;
        while reader.next_item()? {
            let at = self.nodes.len() as u32;
            if self.nodes.len() >= options.limits.nodes {
                let (what, limit) = ("nodes", options.limits.nodes);
                return Err(ProfileError::TooMany {
                    what,
                    got: limit + 1,
                    limit,
                }
                .into());
            }
            let mut node = Node {
                id: 0,
                parent: None,
                hits: 0,
                frame: (0, 0),
            };
            reader.begin_object()?;
            while let Some(key) = reader.next_key()? {
                match &*key {
                    "id" => node.id = reader.integer()?,
                    "hitCount" => node.hits = reader.integer()?,
                    "callFrame" => node.frame = reader.skip()?.span(),
                    "children" if reader.peek() == b'[' => {
                        reader.begin_array()?;
                        while reader.next_item()? {
                            children.push((at, reader.integer()?));
                        }
                    }
                    // Profiles of Chrome's traces have the parent instead of the children.
                    "parent" => parents.push((at, reader.integer()?)),
                    _ => {
                        reader.skip()?;
                    }
                }
            }
            if node.frame == (0, 0) {
                return Err(Error::Invalid {
                    format: FORMAT,
                    item: "node",
                    index: at as usize,
                    problem: "has no callFrame".to_owned(),
                });
            }
            self.index.insert(node.id, at);
            self.nodes.push(node);
        }
        for (at, id) in children {
            if let Some(child) = self.index.get(&id) {
                self.nodes[*child as usize].parent = Some(at);
            }
        }
        for (at, id) in parents {
            self.nodes[at as usize].parent = self.index.get(&id).copied();
        }
        Ok(())
    }

    /// Builds a profile. `sums` has the values of each node.
    fn build(
        &self,
        name: &'static str,
        kind: &str,
        with_idle: bool,
        sums: &[Sums],
        options: &Options<'_>,
    ) -> Result<Builder, Error> {
        let types = [("samples", "count"), (kind, "nanoseconds")];
        let mut builder = Builder::new(name, &types, types[1], self.period(sums), options);
        let idle = builder.frame(IDLE)?;
        let mut tree = CallTree::default();
        for (node, at) in self.nodes.iter().zip(0..) {
            let location = v8::call_frame(&mut self.text.value_at(node.frame), &mut builder)?;
            tree.nodes.push((node.parent.unwrap_or(at), location));
        }
        let stacks = tree.stacks(&mut builder)?;
        for (at, (samples, micros)) in sums.iter().enumerate() {
            let is_idle = tree.nodes[at].1 == Some(idle);
            if (*samples == 0 && *micros == 0) || (is_idle && !with_idle) {
                continue;
            }
            let nanos = micros.checked_mul(MICRO).ok_or_else(|| Error::Overflow {
                place: format!("node {at}"),
                count: micros.to_string(),
                scale: MICRO,
            })?;
            let stack = stacks[at].unwrap_or(NodeId::ROOT);
            builder.add(stack, LabelSetId(0), &[*samples, nanos])?;
        }
        Ok(builder)
    }

    /// The mean interval between samples in nanoseconds.
    fn period(&self, sums: &[Sums]) -> i64 {
        let samples = sums
            .iter()
            .fold(0i64, |sum, (samples, _)| sum.saturating_add(*samples));
        let micros = self.end.saturating_sub(self.start).max(0);
        micros
            .saturating_mul(MICRO)
            .checked_div(samples)
            .unwrap_or(0)
    }

    /// The time of each node, by the intervals between the samples.
    fn timed(
        &self,
        mut samples: Reader<'a>,
        mut deltas: Reader<'a>,
        skipped: &mut Skipped,
    ) -> Result<Vec<Sums>, Error> {
        let mut sums = vec![(0, 0); self.nodes.len()];
        samples.begin_array()?;
        deltas.begin_array()?;
        // The sample that is not over, and its time.
        let mut last: Option<(Option<u32>, i64)> = None;
        let mut time = self.start;
        let mut count = 0;
        while samples.next_item()? {
            if !deltas.next_item()? {
                return Err(Error::Invalid {
                    format: FORMAT,
                    item: "sample",
                    index: count,
                    problem: "has no time delta; expected one for each sample".to_owned(),
                });
            }
            let node = self.index.get(&samples.integer()?).copied();
            let delta = deltas.integer()?;
            time = time.checked_add(delta).ok_or(Error::SumOverflow)?;
            // V8 writes samples out of order now and then. The earlier time counts once only.
            let begin = last.map_or(time, |(_, begin)| begin.max(time));
            add(&mut sums, last, begin)?;
            if node.is_none() {
                skipped.add(count, "the sample refers to a node that does not exist");
            }
            last = Some((node, begin));
            count += 1;
        }
        let end = last.map_or(0, |(_, begin)| begin.max(self.end));
        add(&mut sums, last, end)?;
        Ok(sums)
    }

    /// The time of each node, by its share of the hits.
    fn counted(&self) -> Result<Vec<Sums>, Error> {
        let hits = self
            .nodes
            .iter()
            .try_fold(0i64, |sum, node| sum.checked_add(node.hits.max(0)));
        let hits = i128::from(hits.ok_or(Error::SumOverflow)?);
        let micros = i128::from(self.end.saturating_sub(self.start).max(0));
        // The first hits of all nodes together get the first part of the time, so the parts add up.
        let mut before = 0;
        let share = |hit: i128| (micros * hit).checked_div(hits).unwrap_or(0) as i64;
        Ok(self
            .nodes
            .iter()
            .map(|node| {
                let after = before + i128::from(node.hits.max(0));
                let part = share(after) - share(before);
                before = after;
                (node.hits.max(0), part)
            })
            .collect())
    }
}

/// Ends a sample at a time.
fn add(sums: &mut [Sums], sample: Option<(Option<u32>, i64)>, end: i64) -> Result<(), Error> {
    let Some((Some(node), begin)) = sample else {
        return Ok(());
    };
    let (samples, micros) = &mut sums[node as usize];
    *samples += 1;
    let elapsed = end.checked_sub(begin).ok_or(Error::SumOverflow)?;
    *micros = micros.checked_add(elapsed).ok_or(Error::SumOverflow)?;
    Ok(())
}

#[cfg(test)]
mod tests;
