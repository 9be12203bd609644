//! A recording: events opened, rings emptied, stacks counted.

use crate::event::{Event, Follow, Parts};
use crate::files::Files;
use crate::maps::Maps;
use crate::names::{self, Names};
use crate::parse::{Record, Sample};
use crate::ring::{self, Ring};
use crate::roots::Roots;
use crate::stacks::{Stack, Stacks};
use crate::walk::{self, End, Walker};
use crate::{CallGraph, Error, RecordOptions, Recording};
use davy_base::{Clock, Timestamp};
use davy_profile::Profile;
use std::collections::BTreeSet;
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
/// How often threads are listed again at the start, for those that began meanwhile.
const LISTINGS_MAX: usize = 8;

/// A recording under way. It ends when it is finished or dropped.
pub struct Recorder {
    clock: Clock,
    began: Timestamp,
    options: RecordOptions,
    parts: Parts,
    /// One a CPU.
    rings: Vec<(i32, Ring)>,
    /// Those beside the rings' own, kept open for as long as it records.
    events: Vec<Event>,
    /// Records that others may still come before.
    pending: Vec<Record>,
    /// The time of the newest record.
    newest: u64,
    maps: Maps,
    files: Files,
    walker: Walker,
    roots: Roots,
    stacks: Stacks,
    /// Samples of profiles that were made already.
    taken: u64,
    lost: u64,
    throttled: u64,
    cut: u64,
    /// Of those that were cut, those whose copy of the stack was too short.
    short: u64,
}

impl Recorder {
    /// Begins.
    pub fn start(target: Target, options: RecordOptions) -> Result<Self, Error> {
        options.check()?;
        let clock = Clock::system();
        let mut recorder = Self {
            began: clock.now(),
            clock,
            options,
            parts: Parts {
                chain: true,
                stack_bytes: 0,
                kernel: false,
            },
            rings: Vec::new(),
            events: Vec::new(),
            pending: Vec::new(),
            newest: 0,
            maps: Maps::default(),
            files: Files::default(),
            walker: Walker::new(),
            roots: Roots::default(),
            stacks: Stacks::default(),
            taken: 0,
            lost: 0,
            throttled: 0,
            cut: 0,
            short: 0,
        };
        match target {
            Target::NextChild => recorder.open_first(&[Follow::NextChild])?,
            Target::Pid(pid) => {
                recorder.open_threads(pid)?;
                recorder.maps.read(pid);
            }
        }
        Ok(recorder)
    }

    /// Opens events with as much as the kernel gives.
    fn open_first(&mut self, follows: &[Follow]) -> Result<(), Error> {
        let mut result = Ok(());
        for parts in parts_to_try(self.options) {
            self.parts = parts;
            self.rings.clear();
            self.events.clear();
            result = cpus()
                .into_iter()
                .try_for_each(|cpu| self.open(follows, cpu));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Opens the events of all threads, those included that begin while this is done: some of them
    /// are followed already, because the thread that began them is, and the kernel tells of those.
    fn open_threads(&mut self, pid: u32) -> Result<(), Error> {
        let mut known = BTreeSet::new();
        for _ in 0..LISTINGS_MAX {
            let listed = threads(pid)?;
            self.drain_rings();
            known.extend(self.pending.iter().filter_map(|record| match record {
                Record::Forked { thread, .. } => Some(*thread as i32),
                _ => None,
            }));
            let new: Vec<Follow> = listed
                .into_iter()
                .filter(|thread| known.insert(*thread))
                .map(Follow::Thread)
                .collect();
            if new.is_empty() {
                break;
            }
            if self.rings.is_empty() {
                self.open_first(&new)?;
            } else {
                for cpu in cpus() {
                    self.open(&new, cpu)?;
                }
            }
        }
        if self.rings.is_empty() {
            return Err(Error::NoProcess { pid });
        }
        Ok(())
    }

    /// Opens the events of one CPU, which share a ring.
    fn open(&mut self, follows: &[Follow], cpu: i32) -> Result<(), Error> {
        for follow in follows {
            let event = match Event::open(*follow, cpu, self.options, self.parts) {
                // A thread may have ended since it was listed.
                Err(Error::Failed { source, .. }) if source.raw_os_error() == Some(libc::ESRCH) => {
                    continue;
                }
                event => event?,
            };
            let ring = self.rings.iter().find(|(of, _)| *of == cpu);
            if let Some((_, ring)) = ring {
                event.write_into(ring.fd())?;
                self.events.push(event);
            } else {
                self.rings.push((cpu, Ring::map(event)?));
            }
        }
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
            ring::wait(self.rings.iter().map(|(_, ring)| ring), DRAIN_EVERY);
            self.drain();
        }
    }

    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.taken + self.stacks.samples()
    }

    /// Records so far that the kernel had no place for.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What was recorded since it began or since this was last asked, as a profile of its own.
    pub fn take_profile(&mut self, names: &Names) -> Profile {
        self.drain();
        self.profile(names).0
    }

    /// Takes the records that no other one can come before any more: what one CPU did has to be seen
    /// in the light of what another one did earlier, and whose ring was emptied too soon.
    fn drain(&mut self) {
        let settled = self.newest;
        self.drain_rings();
        self.settle(settled);
    }

    fn drain_rings(&mut self) {
        let Self {
            rings,
            pending,
            newest,
            parts,
            ..
        } = self;
        for (_, ring) in rings {
            ring.drain(|kind, flags, bytes| {
                if let Some(record) = Record::parse(kind, flags, bytes, *parts) {
                    *newest = record.time().max(*newest);
                    pending.push(record);
                }
            });
        }
    }

    fn settle(&mut self, until: u64) {
        self.pending.sort_by_key(Record::time);
        let settled = self
            .pending
            .partition_point(|record| record.time() <= until);
        let later = self.pending.split_off(settled);
        for record in std::mem::replace(&mut self.pending, later) {
            self.take(record);
        }
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Sample(sample) => self.take_sample(sample),
            Record::Mapped {
                pid,
                start,
                length,
                offset,
                file,
                ..
            } => self.maps.map(pid, start, length, offset, file),
            Record::Forked { pid, parent, .. } => self.maps.fork(pid, parent),
            Record::Executed { pid, .. } => {
                self.maps.exec(pid);
                self.roots.forget(pid);
            }
            Record::Lost(records) => self.lost += records,
            Record::Throttled => self.throttled += 1,
        }
    }

    fn take_sample(&mut self, sample: Sample) {
        let pid = sample.pid;
        let (frames, end) = self.frames(sample.user.as_ref(), sample.chain, pid);
        let is_cut = !matches!(end, None | Some(End::Root));
        self.cut += u64::from(is_cut);
        self.short += u64::from(end == Some(End::Short));
        let places = frames.iter().enumerate().map(|(depth, address)| {
            // Callers are known by where they go on; the call is before that.
            let inside = address.wrapping_sub(u64::from(depth > 0));
            let place = self.maps.place(pid, inside);
            if let Some(place) = place {
                // From now on it stays the one that ran; why it can't be had is told at the end.
                let file = &self.maps.files()[place.file as usize];
                let _held = self.files.open(place.file, file);
            }
            place
        });
        let stack = Stack {
            places: places.collect(),
            in_kernel: sample.in_kernel,
            is_cut,
        };
        self.stacks.add(stack, sample.period);
    }

    /// The frames of a sample, the leaf first, and how the walk ended; the kernel does not say.
    fn frames(
        &mut self,
        user: Option<&crate::parse::User>,
        chain: Vec<u64>,
        pid: u32,
    ) -> (Vec<u64>, Option<End>) {
        let Some(user) = user else {
            return (chain, None);
        };
        let (maps, files) = (&self.maps, &mut self.files);
        let (mut frames, mut end) = self.walker.walk(pid, user, maps, files);
        if end == End::Root {
            self.roots.learn(pid, &frames);
            return (frames, Some(end));
        }
        let is_code = |address: &&u64| maps.place(pid, address.wrapping_sub(1)).is_some();
        let chain: Vec<u64> = chain.iter().take_while(is_code).copied().collect();
        if walk::go_on(&mut frames, &chain) && self.roots.complete(pid, &mut frames) {
            end = End::Root;
        }
        (frames, Some(end))
    }

    /// Ends the recording and finds the names. Samples have their number and their CPU time.
    pub fn finish(mut self) -> Recording {
        self.drain_rings();
        self.settle(u64::MAX);
        // The kernel need not sample this program at its reading.
        self.rings.clear();
        self.events.clear();
        let (profile, nameless) = self.profile(&Names::new());
        Recording {
            profile,
            samples: self.taken,
            lost: self.lost,
            throttled: self.throttled,
            cut: self.cut,
            short: self.short,
            has_kernel: self.parts.kernel,
            call_graph: match (self.parts.stack_bytes, self.parts.chain) {
                (0, _) => CallGraph::Fp,
                (_, true) => CallGraph::Auto,
                (_, false) => CallGraph::Dwarf,
            },
            nameless,
        }
    }

    /// The stacks that are gathered, with their names, and the files without, and why.
    fn profile(&mut self, names: &Names) -> (Profile, Vec<(String, String)>) {
        let began = std::mem::replace(&mut self.began, self.clock.now());
        let stacks = std::mem::take(&mut self.stacks);
        self.taken += stacks.samples();
        let mut profile = Profile::new();
        profile.add_sample_type("samples", "count");
        profile.add_sample_type("cpu", "nanoseconds");
        profile.default_sample_type = profile.strings.intern("cpu");
        profile.period_type = profile.sample_types[1];
        profile.period = 1_000_000_000 / i64::from(self.options.hz);
        profile.time_nanos = began.nanos();
        profile.duration_nanos = self.began.since(began).as_nanos() as i64;
        let (locations, nameless) = names::locate(
            &mut profile,
            names,
            &self.maps,
            &mut self.files,
            stacks.places(),
        );
        stacks.write(&mut profile, &locations);
        (profile, nameless)
    }
}

/// What to ask the kernel for, the best first.
fn parts_to_try(options: RecordOptions) -> Vec<Parts> {
    let chain = (true, 0);
    let stacks = match options.call_graph {
        CallGraph::Auto => vec![(true, options.stack_bytes), chain],
        CallGraph::Dwarf => vec![(false, options.stack_bytes)],
        CallGraph::Fp => vec![chain],
    };
    let of = |(chain, stack_bytes): (bool, u32)| {
        [true, false].map(|kernel| Parts {
            chain,
            // The kernel copies whole words.
            stack_bytes: stack_bytes / 8 * 8,
            kernel,
        })
    };
    stacks.into_iter().flat_map(of).collect()
}

/// The threads of a process, as they are now.
fn threads(pid: u32) -> Result<Vec<i32>, Error> {
    let folder = format!("/proc/{pid}/task");
    let listed = std::fs::read_dir(Path::new(&folder)).map_err(|_| Error::NoProcess { pid })?;
    let names = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(names.collect())
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
