use super::*;
use crate::modules::Module;
use crate::sampler::Sample;
use crate::symbols::Symbols;
use davy_tag::SpanIds;

/// Returns one sample per drain.
struct FakeSampler(u32);

impl Sampler for FakeSampler {
    fn has_tags(&self) -> bool {
        false
    }

    fn hz(&self) -> u32 {
        self.0
    }

    fn set_hz(&mut self, hz: u32) {
        self.0 = hz;
    }

    fn scan(&mut self, _now: Duration) {}

    fn scan_if_changed(&mut self, _now: Duration) {}

    fn drain(&mut self, read: &mut dyn FnMut(&Sample<'_>)) {
        read(&Sample {
            nanos: 1,
            tag: Tag::UNTAGGED.index(),
            span: SpanIds::default(),
            is_truncated: false,
            frames: &[1],
        });
    }

    fn modules(&self) -> Arc<[Module]> {
        Arc::new([])
    }

    fn refusal(&self) -> Arc<str> {
        Arc::default()
    }

    fn counts(&self) -> crate::sampler::Counts {
        crate::sampler::Counts::default()
    }
}

/// A drainer with a manual clock that is driven step by step.
struct Harness {
    drainer: Drainer,
    clock: Clock,
}

impl Harness {
    fn start(at: Timestamp, window: Duration) -> Self {
        let clock = Clock::manual(at);
        let symbols = Arc::new(Symbols::new(false, None, clock.clone()));
        let outbox = Arc::new(Outbox::new(Vec::new(), 1 << 20, clock.clone(), symbols));
        let (sampler, mailbox) = (Box::new(FakeSampler(100)), Arc::default());
        Self {
            drainer: Drainer::new(sampler, mailbox, outbox, clock.clone(), window, false),
            clock,
        }
    }

    /// Advances the clock to the end of each window. Returns start and span of the CPU windows.
    fn run(&mut self, windows: usize) -> Vec<(Timestamp, Duration)> {
        let mut found = Vec::new();
        while found.len() < windows {
            let next = self.drainer.next_deadline();
            let left = next.saturating_sub(self.clock.monotonic());
            self.clock.advance(left);
            assert!(!self.drainer.turn(Vec::new()));
            let raw = self.drainer.outbox.take_raw().into_iter();
            let cpu = raw.filter(|raw| raw.meta.kind == SampleKind::Cpu);
            found.extend(cpu.map(|raw| (raw.meta.start, raw.meta.span)));
        }
        found
    }
}

const WINDOW: Duration = Duration::from_secs(10);

/// Eight seconds before a multiple of ten seconds.
fn start() -> Timestamp {
    Timestamp::from_seconds(1_700_000_002)
}

#[test]
fn windows_are_adjacent_and_end_at_multiples_of_their_length() {
    let mut harness = Harness::start(start(), WINDOW);
    let windows = harness.run(5);
    let ends: Vec<_> = windows
        .iter()
        .map(|(start, span)| start.plus(*span))
        .collect();
    let spans: Vec<_> = windows.iter().map(|(_, span)| *span).collect();
    assert_eq!(windows[0].0, start());
    assert_eq!(spans[..2], FIRST_WINDOWS, "the first ones are short");
    for (window, end) in windows[1..].iter().zip(&ends) {
        assert_eq!(window.0, *end);
    }
    let expected = [9, 10, 20, 30].map(|seconds| Timestamp::from_seconds(1_700_000_000 + seconds));
    assert_eq!(ends[1..], expected);
}

#[test]
fn window_that_ends_slightly_early_is_not_followed_by_a_tiny_one() {
    let mut harness = Harness::start(start(), WINDOW);
    harness.run(2);
    // The wall clock is behind the deadline by less than a fiftieth of the window.
    let (now, early) = (harness.clock.monotonic(), Duration::from_millis(100));
    let left = harness.drainer.open.ends_at.saturating_sub(now);
    harness.clock.advance(left.saturating_sub(early));
    harness.drainer.end_window();
    harness.drainer.outbox.take_raw();
    let windows = harness.run(1);
    assert_eq!(windows[0].1, WINDOW + early);
}

#[test]
fn windows_are_one_second_long_while_watched() {
    let mut harness = Harness::start(start(), WINDOW);
    harness.run(2);
    harness.drainer.watch(Duration::from_secs(3));
    let spans: Vec<_> = harness.run(5).into_iter().map(|(_, span)| span).collect();
    let second = Duration::from_secs(1);
    assert_eq!(spans[..3], [second; 3]);
    assert_eq!(spans[3..], [Duration::from_secs(8), WINDOW]);
}

#[test]
fn window_ends_when_sampling_is_turned_off() {
    let mut harness = Harness::start(start(), WINDOW);
    harness.run(3);
    harness.clock.advance(Duration::from_secs(4));
    harness.drainer.turn(vec![Command::SetHz(0)]);
    let raw = harness.drainer.outbox.take_raw();
    let cpu = raw.iter().find(|raw| raw.meta.kind == SampleKind::Cpu);
    assert_eq!(cpu.map(|raw| raw.meta.span), Some(Duration::from_secs(4)));
    assert_eq!(harness.drainer.sampler.hz(), 0);
}
