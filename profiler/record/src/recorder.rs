//! A recording: events opened, rings emptied, stacks counted.

use crate::Error;
use crate::event::{Event, Follow};
use crate::maps::{Maps, Place};
use crate::names;
use crate::parse::Record;
use crate::ring::Ring;
use davy_base::{Clock, Timestamp};
use davy_profile::Profile;
use rustc_hash::FxHashMap;
use std::path::Path;
use std::time::Duration;

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A process that runs, with what it starts from now on.
    Pid(u32),
    /// What the calling thread starts next, with what that starts.
    NextChild,
}

/// How often the rings are emptied.
const DRAIN_EVERY: Duration = Duration::from_millis(50);
/// Different stacks that are kept apart; what comes beyond is counted as `(overflow)`.
const STACKS_MAX: usize = 200_000;
const HZ_MAX: u32 = 10_000;

/// What a sample's time was spent on; a place that is not known is none.
type Stack = Vec<Option<Place>>;

/// A recording under way. It ends when it is finished or dropped.
pub struct Recorder {
    clock: Clock,
    began: Timestamp,
    hz: u32,
    rings: Vec<Ring>,
    /// Kept open for as long as it records.
    events: Vec<Event>,
    maps: Maps,
    /// Nanoseconds and samples by stack, the leaf first.
    stacks: FxHashMap<Stack, (u64, u64)>,
    overflow: (u64, u64),
    lost: u64,
}

impl Recorder {
    /// Begins, with so many samples a second of each thread's CPU time.
    pub fn start(target: Target, hz: u32) -> Result<Self, Error> {
        if !(1..=HZ_MAX).contains(&hz) {
            return Err(Error::Hz { hz });
        }
        let follows = match target {
            Target::Pid(pid) => threads(pid)?,
            Target::NextChild => vec![Follow::NextChild],
        };
        let clock = Clock::system();
        let mut recorder = Self {
            began: clock.now(),
            clock,
            hz,
            rings: Vec::new(),
            events: Vec::new(),
            maps: Maps::default(),
            stacks: FxHashMap::default(),
            overflow: (0, 0),
            lost: 0,
        };
        for cpu in cpus() {
            recorder.open(&follows, cpu)?;
        }
        if let Target::Pid(pid) = target {
            recorder.maps.read(pid);
        }
        Ok(recorder)
    }

    /// Opens the events of one CPU, which share a ring.
    fn open(&mut self, follows: &[Follow], cpu: i32) -> Result<(), Error> {
        let mut leader: Option<Event> = None;
        for follow in follows {
            let event = match Event::open(*follow, cpu, self.hz) {
                // A thread may have ended since it was listed.
                Err(Error::Failed { source, .. }) if source.raw_os_error() == Some(libc::ESRCH) => {
                    continue;
                }
                event => event?,
            };
            if let Some(leader) = &leader {
                event.write_into(leader)?;
                self.events.push(event);
            } else {
                self.rings.push(Ring::map(&event)?);
                leader = Some(event);
            }
        }
        self.events.extend(leader);
        Ok(())
    }

    /// Records for so long. Blocks.
    pub fn record_for(&mut self, span: Duration) {
        let end = self.clock.monotonic() + span;
        self.record_while(|now| now < end);
    }

    /// Records for as long as `goes_on` says, which is asked some twenty times a second with the
    /// monotonic time. Blocks.
    pub fn record_while(&mut self, mut goes_on: impl FnMut(Duration) -> bool) {
        while goes_on(self.clock.monotonic()) {
            std::thread::park_timeout(DRAIN_EVERY);
            self.drain();
        }
    }

    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.stacks
            .values()
            .map(|(_, samples)| samples)
            .sum::<u64>()
            + self.overflow.1
    }

    /// Records that the kernel had no place for.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn drain(&mut self) {
        let mut records = Vec::new();
        for ring in &mut self.rings {
            ring.drain(|kind, bytes| records.extend(Record::parse(kind, bytes)));
        }
        // What one CPU did has to be seen in the light of what another one did before.
        records.sort_by_key(Record::time);
        for record in records {
            self.take(record);
        }
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Sample {
                pid, period, stack, ..
            } => {
                let leaf_first = stack.iter().enumerate().map(|(depth, address)| {
                    // Callers are known by where they go on; the call is before that.
                    let address = if depth == 0 {
                        *address
                    } else {
                        address.saturating_sub(1)
                    };
                    self.maps.place(pid, address)
                });
                let stack: Stack = leaf_first.collect();
                let sum = if self.stacks.len() < STACKS_MAX || self.stacks.contains_key(&stack) {
                    self.stacks.entry(stack).or_default()
                } else {
                    &mut self.overflow
                };
                sum.0 += period;
                sum.1 += 1;
            }
            Record::Mapped {
                pid,
                start,
                length,
                offset,
                is_code,
                name,
                ..
            } => {
                if is_code {
                    self.maps.map(pid, start, length, offset, &name);
                }
            }
            Record::Forked { pid, parent, .. } => self.maps.fork(pid, parent),
            Record::Lost(records) => self.lost += records,
        }
    }

    /// Ends the recording and finds the names. Samples have their number and their CPU time.
    pub fn finish(mut self) -> Profile {
        self.drain();
        let ended = self.clock.now();
        let mut profile = Profile::new();
        profile.add_sample_type("samples", "count");
        profile.add_sample_type("cpu", "nanoseconds");
        profile.default_sample_type = profile.strings.intern("cpu");
        profile.period_type = profile.sample_types[1];
        profile.period = 1_000_000_000 / i64::from(self.hz);
        profile.time_nanos = self.began.nanos();
        profile.duration_nanos = ended.since(self.began).as_nanos() as i64;
        let places = self.stacks.keys().flatten().flatten().copied();
        let locations = names::locate(&mut profile, &self.maps, places);
        let unknown = profile.named_location("[unknown]");
        let labels = profile.text_labels(&[]);
        for (stack, (nanos, samples)) in &self.stacks {
            let root_first = stack.iter().rev().map(|place| match place {
                Some(place) => locations.get(place).copied().unwrap_or(unknown),
                None => unknown,
            });
            let node = profile.stack(root_first.collect::<Vec<_>>());
            profile.add_sample(node, labels, &[*samples as i64, *nanos as i64]);
        }
        if self.overflow.1 > 0 {
            let overflow = profile.named_location("(overflow)");
            let node = profile.stack([overflow]);
            profile.add_sample(
                node,
                labels,
                &[self.overflow.1 as i64, self.overflow.0 as i64],
            );
        }
        profile
    }
}

/// The threads of a process, as they are now.
fn threads(pid: u32) -> Result<Vec<Follow>, Error> {
    let folder = format!("/proc/{pid}/task");
    let listed = std::fs::read_dir(Path::new(&folder)).map_err(|_| Error::NoProcess { pid })?;
    let names = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(names.map(Follow::Thread).collect())
}

/// The CPUs that are on, from the kernel's list such as `0-3,6`.
fn cpus() -> Vec<i32> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    let cpus: Vec<i32> = ranges.flatten().collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}
