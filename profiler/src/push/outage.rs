//! What an hour without an archiver does, in compressed time: the clock is the test's.

#[path = "../../tests/archiver/mod.rs"]
mod archiver;

use super::*;
use crate::assemble::Kind;
use archiver::Archiver as Receiver;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

const WINDOW: Duration = Duration::from_secs(10);
const HOUR_OF_WINDOWS: usize = 360;
const KINDS: [Kind; 4] = [Kind::Cpu, Kind::Heap, Kind::Wall, Kind::Tasks];
const SPOOL_BYTES: usize = 4 << 20;

/// An outbox on a clock of its own, with its pusher at work.
struct Rig {
    outbox: Arc<Outbox>,
    clock: Clock,
    random: Random,
    pusher: std::thread::JoinHandle<()>,
}

impl Rig {
    fn start(address: SocketAddr, spool: Option<&Path>) -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000));
        let archiver = Archiver::parse(&format!("http://{address}")).expect("an address");
        let symbols = Arc::new(Mutex::new(Symbols::default()));
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

    /// A window's time passes, and its profiles of each kind are put in.
    fn cut(&mut self) {
        let start = self.clock.now();
        self.clock.advance(WINDOW);
        for kind in KINDS {
            let mut aggregate = Aggregate::default();
            for _ in 0..400 {
                // User space that no module has: there are no names to look for.
                let stack = [0; 8].map(|_| 1 + self.random.below(1 << 40));
                aggregate.add(&stack, false, Tag::new("outage", "test"), [1, 1, 1, 1]);
            }
            let taken = Taken {
                kind,
                start,
                span: WINDOW,
                period: 1,
            };
            self.outbox.add(Raw {
                taken,
                aggregate,
                modules: Arc::new([]),
            });
        }
    }

    /// Waits until the pusher has encoded what was put in.
    fn encoded(&self) {
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
        // The pusher may take a window away meanwhile.
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn an_hour(spool: Option<&Path>) {
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let mut rig = Rig::start(address, spool);
    let (mut disk, mut memory, mut largest) = (0, 0, 0);
    for _ in 0..HOUR_OF_WINDOWS {
        rig.cut();
        rig.encoded();
        disk = disk.max(spool.map_or(0, bytes_on_disk));
        let state = rig.outbox.lock();
        memory = memory.max(state.queue.memory_bytes());
        largest = largest.max(state.queue.bytes());
    }
    let all = HOUR_OF_WINDOWS * KINDS.len();
    let counts = rig.outbox.counts();
    assert!(counts.failures > 0 && counts.pushed == 0, "{counts:?}");
    assert!(counts.overflowed > 100, "{counts:?}");
    assert!(largest <= SPOOL_BYTES && largest > SPOOL_BYTES / 2);
    // What is being written when the bound is reached comes on top.
    let window = SPOOL_BYTES / 16;
    assert!(memory <= SPOOL_BYTES + window, "{memory}");
    assert!(disk <= SPOOL_BYTES + window, "{disk}");
    assert_eq!(disk > 0, spool.is_some());

    let receiver = Receiver::start_at(address);
    // The longest pause between two attempts passes.
    rig.clock.advance(BACKOFF_MAX);
    rig.outbox.changed.notify_all();
    let left = rig.outbox.stop(Duration::from_mins(1));
    assert_eq!(left, None);
    rig.pusher.join().expect("no panic");
    let pushes = receiver.all();
    let ids: BTreeSet<_> = pushes.iter().map(|push| &push.id).collect();
    assert_eq!(ids.len(), pushes.len(), "each once");
    let overflowed = rig.outbox.counts().overflowed as usize;
    assert_eq!(pushes.len() + overflowed, all, "or counted");
    // Those that are gone are the oldest.
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
fn an_hour_without_an_archiver_is_bounded_in_memory_and_its_newest_windows_are_delivered_once() {
    an_hour(None);
}

#[test]
fn an_hour_without_an_archiver_is_bounded_on_disk_and_its_newest_windows_are_delivered_once() {
    let folder = tempfile::tempdir().expect("a folder");
    an_hour(Some(folder.path()));
}

#[test]
fn while_an_archiver_hangs_windows_are_taken_and_counters_are_read_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let mut rig = Rig::start(address, None);
    rig.cut();
    // A request is under way, and stays so until the listener and its connection go.
    let (mut connection, _) = listener.accept().expect("the pusher calls");
    let mut begun = [0; 4];
    std::io::Read::read_exact(&mut connection, &mut begun).expect("a request");
    assert_eq!(&begun, b"POST");
    for _ in 0..100 {
        rig.cut();
        let counts = rig.outbox.counts();
        assert_eq!(
            (counts.pushed, counts.failures),
            (0, 0),
            "nobody waited for it"
        );
        assert!(rig.outbox.lock().raw.len() <= RAW_MAX);
    }
    let dropped = rig.outbox.counts().overflowed as usize;
    assert!(dropped >= 100 * KINDS.len() - RAW_MAX, "{dropped}");
    drop((listener, connection));
    let left = rig.outbox.stop(Duration::ZERO);
    assert!(left.is_some());
    rig.pusher.join().expect("no panic");
}
