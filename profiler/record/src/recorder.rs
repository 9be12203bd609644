//! A recording: opens events, drains the rings, aggregates stacks.

use crate::cgroup::CgroupFolder;
use crate::error::Error;
use crate::event::{Event, Follow, Parts};
use crate::files::Files;
use crate::followed::Followed;
use crate::listing::{cpus, threads};
use crate::maps::Maps;
use crate::names::{self, Names};
use crate::options::{CallGraph, RecordOptions};
use crate::parse::{Record, Sample, User};
use crate::recording::Recording;
use crate::refusal;
use crate::ring::{self, Ring};
use crate::roots::Roots;
use crate::stacks::{Stack, Stacks};
use crate::target::{Mechanism, Target};
use crate::walk::{self, End, Walker};
use davy_base::{Clock, Timestamp};
use davy_profile::Profile;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How often the rings are drained.
const DRAIN_EVERY: Duration = Duration::from_millis(50);
/// How often the threads of a process are listed at the start, to find those that started meanwhile.
const LISTINGS_MAX: usize = 8;
/// Events, at most: further processes that join a cgroup from elsewhere are not sampled.
const EVENTS_MAX: usize = 4_096;

/// A cgroup that is recorded.
struct Group {
    folder: CgroupFolder,
    mechanism: Mechanism,
    followed: Followed,
}

/// A recording in progress. Dropping it discards the samples.
pub struct Recorder {
    clock: Clock,
    began: Timestamp,
    options: RecordOptions,
    parts: Parts,
    /// One ring per CPU.
    rings: Vec<(i32, Ring)>,
    /// The events other than the rings' own; closing one would stop its samples.
    events: Vec<Event>,
    /// Records that may still have to be sorted after records not yet drained.
    pending: Vec<Record>,
    /// Time of the newest record.
    newest: u64,
    /// The cgroup, if the target is one.
    group: Option<Group>,
    maps: Maps,
    files: Files,
    walker: Walker,
    roots: Roots,
    stacks: Stacks,
    /// Samples in profiles returned so far.
    taken: u64,
    lost: u64,
    throttled: u64,
    cut: u64,
    /// The samples among `cut` whose copy of the stack was too short.
    short: u64,
}

impl Recorder {
    /// Starts a recording.
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
            group: None,
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
            Target::Cgroup(path) => recorder.open_cgroup(CgroupFolder::open(&path)?)?,
        }
        Ok(recorder)
    }

    /// Opens the first events, with as many parts as the kernel permits.
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

    /// Opens the events of a cgroup, or of the processes in it.
    fn open_cgroup(&mut self, folder: CgroupFolder) -> Result<(), Error> {
        let mechanism = if self.open_first(&[Follow::Cgroup(folder.fd())]).is_ok() {
            Mechanism::Kernel
        } else {
            // The hierarchy has no `perf_event`, or all processes may not be sampled. Whether one may be is found out
            // with an own thread: there may be none in the cgroup yet.
            self.open_first(&[Follow::Thread(std::process::id() as i32)])?;
            self.rings.clear();
            self.events.clear();
            Mechanism::Processes
        };
        if mechanism == Mechanism::Kernel {
            for pid in folder.processes() {
                self.maps.read(pid);
            }
        }
        self.group = Some(Group {
            folder,
            mechanism,
            followed: Followed::default(),
        });
        let refusals = self.look();
        match refusals {
            Some(error) if self.rings.is_empty() => Err(error),
            _ => Ok(()),
        }
    }

    /// Lists the processes of the cgroup, and samples those that are not sampled yet. Returns why one could not be.
    fn look(&mut self) -> Option<Error> {
        let group = self.group.as_ref()?;
        let listed = group.folder.processes();
        self.files.set_others(&listed);
        if group.mechanism == Mechanism::Kernel {
            return None;
        }
        // Notes those that inherit their events, after the listing, so that no process gets two.
        self.drain_rings();
        let mut refusal = None;
        for pid in self.group.as_mut()?.followed.listed(&listed) {
            let opened = if self.events.len() < EVENTS_MAX {
                self.open_threads(pid)
            } else {
                Err(Error::Failed {
                    action: format!("sample process {pid} with more than {EVENTS_MAX} events"),
                    source: std::io::ErrorKind::QuotaExceeded.into(),
                })
            };
            if opened.is_ok() {
                self.maps.read(pid);
            }
            let followed = &mut self.group.as_mut()?.followed;
            match opened {
                Ok(()) => followed.sampled(pid),
                // It has ended.
                Err(Error::NoProcess { .. }) => {}
                Err(error) => refusal = followed.failed(pid, error).or(refusal),
            }
        }
        refusal
    }

    /// How the processes of the cgroup are found; `None` if the target is not a cgroup.
    pub fn mechanism(&self) -> Option<Mechanism> {
        self.group.as_ref().map(|group| group.mechanism)
    }

    /// The folder of the cgroup; `None` if the target is not a cgroup.
    pub fn cgroup_folder(&self) -> Option<&Path> {
        self.group.as_ref().map(|group| group.folder.path())
    }

    /// Opens events for all threads of a process, including those that start meanwhile. Threads whose
    /// parent is already sampled inherit its events; the kernel reports these with `Forked` records.
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

    /// Opens the events on one CPU, which share a ring.
    fn open(&mut self, follows: &[Follow], cpu: i32) -> Result<(), Error> {
        for follow in follows {
            let event = match Event::open(*follow, cpu, self.options, self.parts) {
                Ok(event) => event,
                // The thread has exited since it was listed.
                Err(source) if source.raw_os_error() == Some(libc::ESRCH) => continue,
                Err(source) => return Err(refusal::explain(*follow, self.options.hz, source)),
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

    /// Records for `span`. Blocks.
    pub fn record_for(&mut self, span: Duration) {
        let end = self.clock.monotonic() + span;
        self.record_while(|now| now < end);
    }

    /// Records while `condition` holds; it is called about 20 times per second, with the monotonic time.
    /// Blocks.
    pub fn record_while(&mut self, mut condition: impl FnMut(Duration) -> bool) {
        while condition(self.clock.monotonic()) {
            ring::wait(self.rings.iter().map(|(_, ring)| ring), DRAIN_EVERY);
            self.drain();
        }
    }

    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.taken + self.stacks.samples()
    }

    /// Records that the kernel dropped so far because a ring was full.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns the profile of the samples since the start or the previous call.
    pub fn take_profile(&mut self, names: &Names) -> Profile {
        self.drain();
        self.profile(names).0
    }

    /// Processes the records that are older than the previous drain's newest one. Records of different
    /// CPUs are in order only once every ring has been drained past them.
    fn drain(&mut self) {
        let settled = self.newest;
        self.drain_rings();
        self.settle(settled);
        // Why a process is not sampled is reported at the end.
        let _refusal = self.look();
    }

    fn drain_rings(&mut self) {
        let Self {
            rings,
            pending,
            newest,
            parts,
            group,
            ..
        } = self;
        for (_, ring) in rings {
            ring.drain(|kind, flags, bytes| {
                if let Some(record) = Record::parse(kind, flags, bytes, *parts) {
                    *newest = record.time().max(*newest);
                    if let (Record::Forked { pid, .. }, Some(group)) = (&record, group.as_mut()) {
                        group.followed.inherits(*pid);
                    }
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
            self.process(record);
        }
    }

    fn process(&mut self, record: Record) {
        match record {
            Record::Sample(sample) => self.add_sample(sample),
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

    fn add_sample(&mut self, sample: Sample) {
        let pid = sample.pid;
        if self.group.is_some() && !self.maps.has(pid) {
            // It has joined the cgroup after its code was mapped.
            self.maps.read(pid);
        }
        let (frames, end) = self.frames(sample.user.as_ref(), sample.chain, pid);
        let is_cut = !matches!(end, None | Some(End::Root));
        self.cut += u64::from(is_cut);
        self.short += u64::from(end == Some(End::Short));
        let locations = frames.iter().enumerate().map(|(depth, address)| {
            // A return address may be past the end of the calling function; the call is before it.
            let inside = address.wrapping_sub(u64::from(depth > 0));
            let location = self.maps.resolve(pid, inside);
            if let Some(location) = location {
                // Holds the file that ran, even if it is replaced. An error is reported at the end.
                let file = &self.maps.files()[location.file as usize];
                let _file = self.files.open(location.file, file);
            }
            location
        });
        let stack = Stack {
            locations: locations.collect(),
            in_kernel: sample.in_kernel,
            is_cut,
        };
        self.stacks.add(stack, sample.period);
    }

    /// The frames of a sample, leaf first, and where the walk ended; `None` for the kernel's chain.
    fn frames(
        &mut self,
        user: Option<&User>,
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
        let is_code = |address: &&u64| maps.resolve(pid, address.wrapping_sub(1)).is_some();
        let chain: Vec<u64> = chain.iter().take_while(is_code).copied().collect();
        if walk::extend_with_chain(&mut frames, &chain) && self.roots.complete(pid, &mut frames) {
            end = End::Root;
        }
        (frames, Some(end))
    }

    /// Ends the recording and symbolizes it. The sample types are the number of samples and CPU time.
    pub fn finish(mut self) -> Recording {
        self.drain_rings();
        self.settle(u64::MAX);
        // Stops sampling before the symbolization, which can take seconds.
        self.rings.clear();
        self.events.clear();
        let (profile, nameless) = self.profile(&Names::new());
        let followed = self.group.as_ref().map(|group| &group.followed);
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
            mechanism: self.mechanism(),
            refused: followed.map_or(0, Followed::refused),
            refusal: followed
                .and_then(Followed::refusal)
                .map(ToString::to_string),
        }
    }

    /// Builds the profile of the aggregated stacks. Also returns the files that could not be symbolized,
    /// with the reasons.
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
            (names, self.options.keeps_addresses),
            &self.maps,
            &mut self.files,
            stacks.locations(),
        );
        stacks.write(&mut profile, &locations);
        (profile, nameless)
    }
}

/// Combinations of parts to request from the kernel, the best first.
fn parts_to_try(options: RecordOptions) -> Vec<Parts> {
    let chain = (true, 0);
    let stacks = match options.call_graph {
        CallGraph::Auto => vec![(true, options.stack_bytes), chain],
        CallGraph::Dwarf => vec![(false, options.stack_bytes)],
        CallGraph::Fp => vec![chain],
    };
    let variants = |(chain, stack_bytes): (bool, u32)| {
        [true, false].map(|kernel| Parts {
            chain,
            // The kernel copies whole words.
            stack_bytes: stack_bytes / 8 * 8,
            kernel,
        })
    };
    stacks.into_iter().flat_map(variants).collect()
}
