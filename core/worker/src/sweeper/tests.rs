use super::*;
use davy_base::Timestamp;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

/// A driver whose destroys wait until they are released.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
    volumes: BTreeMap<String, String>,
    parents: BTreeMap<String, String>,
    /// How often the driver was asked what something uses.
    reads: AtomicUsize,
}

#[derive(Default)]
struct GateState {
    started: Vec<String>,
    released: BTreeSet<String>,
    failures: BTreeMap<String, u32>,
}

impl Gate {
    fn release(&self, handles: &[&str]) {
        let mut state = self.state.lock().unwrap();
        state
            .released
            .extend(handles.iter().map(|h| (*h).to_owned()));
        self.changed.notify_all();
    }

    /// Waits until this many destroys have started; returns them, sorted.
    fn started(&self, count: usize) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let state = self.changed.wait_while(state, |s| s.started.len() < count);
        let mut started = state.unwrap().started.clone();
        started.sort();
        started
    }
}

impl Driver for Gate {
    fn handles(&self) -> io::Result<BTreeMap<String, HandleKind>> {
        Ok(BTreeMap::new())
    }

    fn destroy(&self, handle: &str, _kind: HandleKind) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.started.push(handle.to_owned());
        self.changed.notify_all();
        let waiting = |s: &mut GateState| !s.released.contains(handle);
        let mut state = self.changed.wait_while(state, waiting).unwrap();
        match state.failures.get_mut(handle) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Err(io::Error::other("busy"))
            }
            _ => Ok(()),
        }
    }

    fn volume_of(&self, container: &str) -> Option<String> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.volumes.get(container).cloned()
    }

    fn parent_of(&self, volume: &str) -> Option<String> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.parents.get(volume).cloned()
    }
}

const LONG: Duration = Duration::from_secs(20);

fn containers(count: usize) -> BTreeMap<String, HandleKind> {
    let names = (0..count).map(|number| (format!("c{number:02}"), HandleKind::Container));
    names.collect()
}

#[test]
fn flight_is_bounded_and_a_hung_destroy_blocks_nobody() {
    let clock = Clock::manual(Timestamp::EPOCH);
    let gate = Arc::new(Gate::default());
    let mut sweeper = Sweeper::new(gate.clone(), clock.clone());
    sweeper.doom(containers(12));
    assert_eq!(gate.started(5), ["c00", "c01", "c02", "c03", "c04"]);
    assert_eq!(sweeper.status().destroying, 5);
    // All five hang. After their deadline the others get their places.
    clock.advance(DEADLINE);
    sweeper.doom(containers(12));
    assert_eq!(gate.started(10).len(), 10);
    assert_eq!((sweeper.status().destroying, sweeper.status().hung), (5, 5));
    let names: Vec<String> = (5..12).map(|number| format!("c{number:02}")).collect();
    gate.release(&names.iter().map(String::as_str).collect::<Vec<_>>());
    while sweeper.status().destroying > 0 || !sweeper.queue.is_empty() {
        sweeper.wait(LONG);
    }
    assert_eq!(sweeper.status().hung, 5);
    // They are not started again while they hang, and are over when they end.
    sweeper.doom(containers(5));
    assert_eq!(gate.started(12).len(), 12);
    gate.release(&["c00", "c01", "c02", "c03", "c04"]);
    while sweeper.status().hung > 0 {
        sweeper.wait(LONG);
    }
    assert_eq!(gate.started(12).len(), 12);
}

#[test]
fn volume_waits_for_its_container_and_its_children() {
    let pair = |a: &str, b: &str| BTreeMap::from([(a.to_owned(), b.to_owned())]);
    // In the order of the names, the parent would be the first.
    let gate = Arc::new(Gate {
        volumes: pair("container", "child"),
        parents: pair("child", "a parent"),
        ..Gate::default()
    });
    let mut sweeper = Sweeper::new(gate.clone(), Clock::system());
    sweeper.doom(BTreeMap::from([
        ("a parent".to_owned(), HandleKind::Volume),
        ("child".to_owned(), HandleKind::Volume),
        ("container".to_owned(), HandleKind::Container),
    ]));
    for handle in ["container", "child", "a parent"] {
        assert_eq!(sweeper.status().destroying, 1, "only {handle}");
        assert!(sweeper.flights.contains_key(handle), "{handle}");
        gate.release(&[handle]);
        sweeper.wait(LONG);
    }
    assert_eq!(sweeper.status().destroying, 0);
    assert!(sweeper.queue.is_empty());
    let order = gate.state.lock().unwrap().started.clone();
    assert_eq!(order, ["container", "child", "a parent"]);
}

#[test]
fn what_a_handle_uses_is_read_once_however_many_are_doomed() {
    let gate = Arc::new(Gate::default());
    let doomed = containers(90);
    gate.release(&doomed.keys().map(String::as_str).collect::<Vec<_>>());
    let mut sweeper = Sweeper::new(gate.clone(), Clock::system());
    sweeper.doom(doomed.clone());
    sweeper.doom(doomed);
    while sweeper.status().destroying > 0 || !sweeper.queue.is_empty() {
        sweeper.wait(LONG);
    }
    assert_eq!(gate.started(90).len(), 90);
    assert_eq!(gate.reads.load(Ordering::Relaxed), 90);
}

#[test]
fn failed_destroy_is_tried_three_times_between_two_reports() {
    let gate = Arc::new(Gate::default());
    let failures = BTreeMap::from([("c00".to_owned(), 5)]);
    gate.state.lock().unwrap().failures = failures;
    gate.release(&["c00"]);
    let mut sweeper = Sweeper::new(gate.clone(), Clock::system());
    for (report, attempts, failed) in [(1, 3, 3), (2, 6, 5)] {
        sweeper.doom(containers(1));
        while sweeper.status().destroying > 0 || !sweeper.queue.is_empty() {
            sweeper.wait(LONG);
        }
        assert_eq!(gate.started(attempts).len(), attempts, "report {report}");
        assert_eq!(sweeper.status().failed, failed);
    }
}
