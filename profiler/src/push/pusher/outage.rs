//! An hour without an archiver, in simulated time.

#[path = "../../../tests/archiver/mod.rs"]
mod archiver;

use super::*;
use crate::aggregate::Aggregate;
use crate::push::outbox::RAW_MAX;
use crate::sample_kind::{ProfileMeta, SampleKind};
use crate::symbols::Symbols;
use archiver::Archiver as Receiver;
use davy_base::{Clock, Timestamp};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};

const WINDOW: Duration = Duration::from_secs(10);
const HOUR_OF_WINDOWS: usize = 360;
const KINDS: [SampleKind; 4] = [
    SampleKind::Cpu,
    SampleKind::Heap,
    SampleKind::Wall,
    SampleKind::Tasks,
];
const SPOOL_BYTES: usize = 4 << 20;

/// An outbox with a manual clock and a running pusher.
struct Harness {
    outbox: Arc<Outbox>,
    clock: Clock,
    random: Random,
    pusher: std::thread::JoinHandle<()>,
}

impl Harness {
    fn start(address: SocketAddr, spool: Option<&Path>) -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000));
        let archiver = Archiver::parse(&format!("http://{address}")).expect("an address");
        let symbols = Arc::new(Symbols::new(false, None, clock.clone()));
        let outbox = Outbox::new(vec![archiver], SPOOL_BYTES, clock.clone(), symbols);
        let outbox = Arc::new(outbox);
        let settings = Settings {
            spool: spool.map(Path::to_owned),
            ..Settings::default()
        };
        let pusher = {
            let outbox = Arc::clone(&outbox);
            std::thread::spawn(move || outbox.run(&settings, Random::seeded(2)))
        };
        Self {
            outbox,
            clock,
            random: Random::seeded(1),
            pusher,
        }
    }

    /// Advances the clock by a window, and adds its profiles of each kind.
    fn add_window(&mut self) {
        let start = self.clock.now();
        self.clock.advance(WINDOW);
        for kind in KINDS {
            let mut aggregate = Aggregate::default();
            for _ in 0..400 {
                // Addresses outside of every module, so that no names are looked up.
                let stack = [0; 8].map(|_| 1 + self.random.below(1 << 40));
                aggregate.add(&stack, false, Tag::new("outage", "test"), [1, 1, 1, 1]);
            }
            let meta = ProfileMeta {
                kind,
                start,
                span: WINDOW,
                period: 1,
            };
            self.outbox.add([RawWindow {
                meta,
                aggregate,
                modules: Arc::new([]),
            }]);
        }
    }

    /// Waits until the pusher has encoded every window.
    fn wait_until_encoded(&self) {
        while !self.outbox.lock().raw.is_empty() {
            std::thread::yield_now();
        }
    }
}

fn bytes_on_disk(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(of) if of.is_dir() => bytes_on_disk(&entry.path()),
        Ok(of) => of.len() as usize,
        // The pusher may have removed the file meanwhile.
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn check_hour_of_outage(spool: Option<&Path>) {
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let mut harness = Harness::start(address, spool);
    let (mut disk, mut memory, mut largest) = (0, 0, 0);
    for _ in 0..HOUR_OF_WINDOWS {
        harness.add_window();
        harness.wait_until_encoded();
        disk = disk.max(spool.map_or(0, bytes_on_disk));
        let state = harness.outbox.lock();
        memory = memory.max(state.queue.memory_bytes());
        largest = largest.max(state.queue.bytes());
    }
    let all = HOUR_OF_WINDOWS * KINDS.len();
    let counts = harness.outbox.counts();
    assert!(counts.failures > 0 && counts.pushed == 0, "{counts:?}");
    assert!(counts.overflowed > 100, "{counts:?}");
    assert!(largest <= SPOOL_BYTES && largest > SPOOL_BYTES / 2);
    // The window that is being written comes on top of the bound.
    let window = SPOOL_BYTES / 16;
    assert!(memory <= SPOOL_BYTES + window, "{memory}");
    assert!(disk <= SPOOL_BYTES + window, "{disk}");
    assert_eq!(disk > 0, spool.is_some());

    let receiver = Receiver::start_at(address);
    // Past the longest back-off.
    harness.clock.advance(BACKOFF_MAX);
    harness.outbox.changed.notify_all();
    let left = harness
        .outbox
        .stop(Duration::from_mins(1), &Settings::default());
    assert_eq!(left, None);
    harness.pusher.join().expect("no panic");
    let pushes = receiver.all();
    let ids: BTreeSet<_> = pushes.iter().map(|push| &push.id).collect();
    assert_eq!(ids.len(), pushes.len(), "each window is delivered once");
    let overflowed = harness.outbox.counts().overflowed as usize;
    assert_eq!(
        pushes.len() + overflowed,
        all,
        "every other window is counted"
    );
    // The dropped windows are the oldest.
    let newest: Vec<i64> = (overflowed..all)
        .map(|at| (at / KINDS.len()) as i64 * WINDOW.as_nanos() as i64)
        .collect();
    let begin = Timestamp::from_seconds(1_700_000_000).nanos();
    let mut starts: Vec<i64> = pushes
        .iter()
        .map(|p| p.profile.time_nanos - begin)
        .collect();
    starts.sort_unstable();
    assert_eq!(starts, newest);
    assert_eq!(spool.map_or(0, bytes_on_disk), 0);
}

#[test]
fn outage_is_bounded_in_memory_and_newest_windows_are_delivered_once() {
    check_hour_of_outage(None);
}

#[test]
fn outage_is_bounded_on_disk_and_newest_windows_are_delivered_once() {
    let folder = tempfile::tempdir().expect("a folder");
    check_hour_of_outage(Some(folder.path()));
}

#[test]
fn hanging_archiver_blocks_neither_new_windows_nor_counters() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let mut harness = Harness::start(address, None);
    harness.add_window();
    // The request hangs until the listener and its connection are dropped.
    let (mut connection, _) = listener.accept().expect("the pusher connects");
    let mut begun = [0; 4];
    std::io::Read::read_exact(&mut connection, &mut begun).expect("a request");
    assert_eq!(&begun, b"POST");
    for _ in 0..100 {
        harness.add_window();
        let counts = harness.outbox.counts();
        assert_eq!(
            (counts.pushed, counts.failures),
            (0, 0),
            "the request has not finished"
        );
        assert!(harness.outbox.lock().raw.len() <= RAW_MAX);
    }
    let dropped = harness.outbox.counts().overflowed as usize;
    assert!(dropped >= 100 * KINDS.len() - RAW_MAX, "{dropped}");
    drop((listener, connection));
    let left = harness.outbox.stop(Duration::ZERO, &Settings::default());
    assert!(left.is_some());
    harness.pusher.join().expect("no panic");
}
